"""The page of one user: what it costs and pays, by hand, and who may not be asked for."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.test import Client

from dashboard.filters import Filters
from dashboard.pages import user
from dashboard.pages.value import Panel, ValueCosts
from dashboard.visit import Visit
from events.models import Environment, Organization, RevenueChange, Role
from tests.dashboard.conftest import htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory, TrackedUserFactory

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)
AWKWARD = ("a/b c", "../..", "<img src=x onerror=alert(1)>", "?user=x&by=y#z", "100%", "(ana)", "日本")


def build(organization: Organization, **words: str) -> ValueCosts | None:
    visit = Visit(organization.pk, "Northwind", organization.zone, Role.VIEWER, "Ana", False, (), "auto", "", NOW)
    return user.build(visit, Filters.from_query(words, NOW, organization.zone), "r1")


@pytest.fixture
def ana(organization: Organization) -> None:
    """10 USD in the first two days of November, 100 before; she pays 30 USD per month and 60 from the second on."""
    tracked = TrackedUserFactory(organization=organization, external_id="ana", name="Ana & Co")
    for moment, usd in (("2026-01-01", "30"), ("2026-11-02", "60"), ("2027-01-01", "90.5")):
        RevenueChange.objects.create(
            tracked_user=tracked,
            effective_at=datetime.fromisoformat(moment).replace(tzinfo=UTC),
            monthly_revenue_usd=Decimal(usd),
        )
    day = datetime(2026, 11, 2, 12, tzinfo=UTC)
    store_events(
        organization,
        [
            Call(at=day, cost=USD // 2, user="ana", feature="search", model="claude", provider="anthropic"),
            Call(at=day, cost=USD, user="ana", feature="chat"),
            Call(at=day, cost=None, user="ana", feature="chat", model="new"),
            Call(at=day, cost=50 * USD, user="ben", feature="secret"),
            Call(at=day, cost=70 * USD, user="ana", environment=Environment.TEST),
            Call(at=day - timedelta(days=2), cost=2 * USD, user="ana"),
            Call(at=day - timedelta(days=99), cost=100 * USD, user="ben"),
        ],
    )


def panels_of(page: ValueCosts) -> dict[str, Panel]:
    return {panel.key: panel for panel in page.panels}


@pytest.mark.usefixtures("ana")
def test_figures_worked_by_hand(organization: Organization) -> None:
    page = build(organization, user="ana", **{"from": "2026-11-01", "to": "2026-11-02"})
    assert page
    assert (page.frame.title, page.detail) == ("Ana & Co", "ana")
    shown = {card.label: card.value for card in page.cards}
    # A day at 30 and a day at 60 USD per month of 30 days.
    assert shown == {
        "Spend": "$1.50",
        "Revenue": "$3.00",
        "Gross margin": "50.0%",
        "Spend / revenue": "50%",
        "Requests": "3",
        "Cost per 1K requests": "$750.00",
    }
    cards = {card.label: card for card in page.cards}
    # Two of October's 31 days at 30 USD are 1.94 USD, of which she cost 2.
    change = cards["Spend / revenue"].delta
    assert change
    assert (change.direction, change.tone, cards["Spend / revenue"].previous) == ("down", "good", "103%")
    assert cards["Revenue"].href == "/costs/?from=2026-11-01&to=2026-11-02&user=ana&by=user&sort=revenue"
    assert cards["Requests"].href == page.requests_href
    features = panels_of(page)["features"].rows or ()
    assert [(bar.name, bar.value) for bar in features] == [
        ("chat", "$1.00"),
        ("search", "$0.5000"),
    ]
    assert [(bar.name, bar.value, bar.share) for bar in panels_of(page)["models"].rows or ()] == [
        ("openai/gpt-4o", "$1.00", "66.7%"),
        ("anthropic/claude", "$0.5000", "33.3%"),
        ("openai/new", "no price", "0%"),
    ]
    assert [(one.monthly, one.is_current) for one in page.amounts or ()] == [
        ("$90.50", False),
        ("$60.00", True),
        ("$30.00", False),
    ]
    assert len(page.latest) == 3
    assert (page.failed, page.failed_href) == ("", "/requests/?from=2026-11-01&to=2026-11-02&user=ana&status=error")
    assert page.requests_href == "/requests/?from=2026-11-01&to=2026-11-02&user=ana"
    assert page.back_href == "/costs/?from=2026-11-01&to=2026-11-02&by=user"


@pytest.mark.usefixtures("ana")
def test_revenue_has_no_meaning_beside_other_filters(organization: Organization) -> None:
    page = build(organization, user="ana", feature="search", **{"from": "2026-11-01", "to": "2026-11-02"})
    assert page
    shown = {card.label: card.value for card in page.cards}
    assert (shown["Spend"], shown["Revenue"], shown["Spend / revenue"]) == ("$0.5000", "—", "—")
    assert [(chip.label, chip.value) for chip in page.chips] == [("Feature", "search")]
    assert page.clear_href == "/costs/user/?from=2026-11-01&to=2026-11-02&user=ana"


def test_unknown_revenue_is_said(organization: Organization) -> None:
    store_events(organization, [Call(at=NOW - timedelta(hours=1), user="ana")])
    page = build(organization, user="ana")
    assert page
    shown = {card.label: card.value for card in page.cards}
    assert (shown["Revenue"], shown["Gross margin"], shown["Spend / revenue"]) == ("Not known", "—", "—")
    assert len(page.charts) == 1
    assert page.amounts == ()


@pytest.mark.parametrize("external_id", AWKWARD)
def test_any_id_has_its_page(member: Client, organization: Organization, now: datetime, external_id: str) -> None:
    store_events(organization, [Call(at=now, user=external_id, cost=3 * USD)])
    listed = member.get("/costs/?by=user").content.decode()
    href = re.search(r'href="(/costs/user/[^"]+)"', listed)
    assert href
    response = member.get(href[1].replace("&amp;", "&"))
    assert response.status_code == 200
    markup = response.content.decode()
    assert external_id not in markup if "<" in external_id else external_id.split("&")[0] in markup
    assert "Spend $3.00" in text_of(markup)


def test_the_failed_calls_of_a_user_are_one_click_away(
    member: Client, organization: Organization, now: datetime
) -> None:
    failed = [Call(at=now, user="ana", status=status) for status in ("ERROR", "BLOCKED")]
    others = [Call(at=now, user="ana"), Call(at=now, user="ana", status="MAX_TOKENS"), Call(at=now, status="ERROR")]
    store_events(organization, [*failed, *others])
    markup = member.get("/costs/user/?user=ana").content.decode()
    link = re.search(r'href="([^"]+)">2 failed</a>', markup)
    assert link
    assert "2 requests ·" in text_of(member.get(link[1].replace("&amp;", "&")).content.decode())


def test_who_is_not_there_is_not_found(member: Client, organization: Organization) -> None:
    store_events(OrganizationFactory(), [Call(at=NOW, user="ana")])
    for query in ("", "?user=ana", "?user=(none)", "?user="):
        assert member.get(f"/costs/user/{query}").status_code == 404


def test_a_user_without_requests_in_the_period(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now - timedelta(days=60), user="ana")])
    response = member.get(f"/costs/user/?{urlencode({'user': 'ana'})}")
    text = text_of(response.content.decode())
    assert text.count("No requests in this period.") == 3
    assert text.count("Nothing was spent in this period.") == 1


def test_polling_answers_204_until_something_is_committed(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now, user="ana")])
    found = re.search(r'id="value"[^>]* hx-get="([^"]+)"', member.get("/costs/user/?user=ana").content.decode())
    assert found
    href = found[1].replace("&amp;", "&")
    assert member.get(href, headers=htmx("value")).status_code == 204
    store_events(organization, [Call(at=now, cost=5 * USD, user="ana")])
    fresh = member.get(href, headers=htmx("value")).content.decode()
    assert "<html" not in fresh
    assert "Spend $6.00" in text_of(fresh)
