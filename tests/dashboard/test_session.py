"""The page of one session or conversation: its calls in order, with the exact cost up to each."""

import re
from datetime import datetime, timedelta
from html import unescape
from random import Random
from typing import Any

import pytest
from django.test import Client

from dashboard.formats import money_exact
from events.models import Environment, Organization
from events.models.event import public_id
from pricing.costs import Usage
from tests.dashboard.conftest import htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory


def page(client: Client, href: str = "/sessions/session/?session=s") -> Any:
    response = client.get(href)
    assert response.status_code == 200
    return response.context["page"]


@pytest.fixture
def start(now: datetime) -> datetime:
    """A full hour some days ago: the calls of a test stay within one day."""
    return now.replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=5)


def test_calls_stand_in_order_with_time_and_cost(member: Client, organization: Organization, start: datetime) -> None:
    ids = store_events(
        organization,
        [
            Call(at=start, session_id="s", step="plan", cost=USD // 4, user="ana", usage=Usage(10, 1, 0)),
            Call(at=start + timedelta(seconds=2), session_id="s", cost=None, model="new", provider="acme"),
            Call(at=start + timedelta(minutes=5), session_id="s", feature="b", status="BLOCKED", cost=USD),
        ],
    )
    found = page(member)
    assert [row.id for row in found.rows] == [public_id(event_id) for event_id in ids]
    shown = [(row.number, row.time, row.since, row.gap, row.cost, row.running) for row in found.rows]
    assert shown == [
        ("1", "10:00:00", "0", "", "$0.2500", "$0.2500"),
        ("2", "10:00:02", "+2.00 s", "2.00 s", "—", "$0.2500"),
        ("3", "10:05:00", "+5 m 00 s", "4 m 58 s", "$1.00", "$1.25"),
    ]
    assert [(row.step, row.model, row.width_percent) for row in found.rows] == [
        ("plan", "gpt-4o", 25.0),
        ("chat", "new", 0.0),
        ("b", "gpt-4o", 100.0),
    ]
    assert found.rows[2].running_title == "$1.25; 1 without a price left out"
    cards = {card.label: (card.value, card.note) for card in found.cards}
    assert cards == {
        "Cost": ("$1.25", "$0.6250 a call"),
        "Without a price": ("1", "33.3% of the calls"),
        "Calls": ("3", ""),
        "Failed": ("1", "33.3% of the calls"),
        "Tokens": ("2.4K / 701", ""),
        "Duration": ("5 m 00 s", ""),
    }
    assert [link.text for link in (*found.users, *found.features, *found.models)] == [
        *("ana", "b", "chat", "acme/new", "openai/gpt-4o")
    ]
    markup = member.get("/sessions/session/?session=s").content.decode()
    assert len(re.findall(r'class="row-link" href="/requests/evt_[0-9a-f]{32}/"[^>]* data-drawer', markup)) == 3


def test_figures_lead_to_the_requests_that_they_count(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(
        organization,
        [
            Call(at=at, session_id="s", status=status, cost=cost, feature=status.lower())
            for at in (now - timedelta(days=50), now)
            for status, cost in (("SUCCESS", USD), ("ERROR", None), ("BLOCKED", 2 * USD))
        ],
    )
    store_events(organization, [Call(at=now), Call(at=now, session_id="t")])
    found = page(member)
    said = {card.label: text_of(member.get(card.href).content.decode()) for card in found.cards}
    assert "6 requests · $6.00" in said["Cost"]
    assert "6 requests · $6.00" in said["Calls"]
    assert "4 requests · $4.00" in said["Failed"]
    assert "2 requests · $0.00" in said["Without a price"]
    assert "2 requests · $4.00" in text_of(member.get(found.features[0].href).content.decode())
    assert "6 requests · $6.00" in text_of(member.get(found.requests_href).content.decode())


def test_the_running_cost_goes_on_exactly_from_page_to_page(
    member: Client, organization: Organization, start: datetime
) -> None:
    """With costs that no float holds, calls without a price, and several calls in one millisecond."""
    random = Random(5)
    costs = [random.choice([None, random.randrange(1, 10**17)]) for _ in range(130)]
    calls = [
        Call(at=start + timedelta(milliseconds=number // 3), conversation_id="c", cost=cost)
        for number, cost in enumerate(costs)
    ]
    store_events(organization, calls)
    href, numbers, running = "/sessions/conversation/?conversation=c", [], []
    while href:
        found = page(member, href)
        numbers += [row.number for row in found.rows]
        running += [row.running_title.split(";")[0] for row in found.rows]
        assert (found.rows[0].gap == "") is (len(numbers) == 50)
        fragment = member.get(href, headers=htmx()).content.decode()
        assert "<html" not in fragment
        href = found.more_href
        assert href in unescape(fragment)
    sums = [sum(cost or 0 for cost in costs[: number + 1]) for number in range(130)]
    assert running == [money_exact(cost) for cost in sums]
    assert numbers == [str(number) for number in range(1, 131)]


def test_another_day_is_named(member: Client, organization: Organization, start: datetime) -> None:
    store_events(organization, [Call(at=start + timedelta(days=day), session_id="s") for day in (0, 2)])
    found = page(member)
    assert [row.since for row in found.rows] == ["0", "+48 h 00 m"]
    assert found.rows[0].time.endswith(" 10:00:00")


def test_what_is_not_there_is_not_found(member: Client, organization: Organization, now: datetime) -> None:
    store_events(OrganizationFactory(), [Call(at=now, session_id="s")])
    store_events(organization, [Call(at=now, session_id="t", environment=Environment.TEST), Call(at=now)])
    for query in ("", "?session=", "?session=s", "?session=t", "?session=%00", "?session=(none)"):
        assert member.get(f"/sessions/session/{query}").status_code == 404
    assert member.get("/sessions/conversation/?conversation=t").status_code == 404
    found = page(member, "/sessions/session/?session=t&environment=test")
    assert "test environment" in found.counted
    assert "environment=test" in found.requests_href
    assert "environment=test" in found.back_href


def test_new_calls_are_said(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now - timedelta(minutes=1), session_id="s")])
    href = page(member).news.poll_href
    assert member.get(href, headers=htmx("news")).status_code == 204
    store_events(organization, [Call(at=now, session_id="s"), Call(at=now, session_id="t")])
    fresh = member.get(href, headers=htmx("news")).content.decode()
    assert text_of(fresh) == "1 new call"
    assert 'href="/sessions/session/?session=s"' in fresh


def test_a_request_leads_to_its_session_and_conversation(
    member: Client, organization: Organization, now: datetime
) -> None:
    (event_id,) = store_events(
        organization, [Call(at=now, session_id="a b", conversation_id="c&d", environment=Environment.TEST)]
    )
    markup = unescape(member.get(f"/requests/{public_id(event_id)}/").content.decode())
    for href in (
        "/sessions/session/?session=a+b&environment=test",
        "/sessions/conversation/?conversation=c%26d&environment=test",
    ):
        assert f'href="{href}"' in markup
        assert member.get(href).status_code == 200


def test_without_any_price_no_sum_is_said(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now, session_id="s", cost=None)] * 2)
    found = page(member)
    assert found.cards[0].value == "—"
    assert [row.running for row in found.rows] == ["—", "—"]
