"""The list of requests: rows, filters, summary, keyset pages, and how new requests are said."""

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.test import Client

from dashboard.queries import events
from events.models import Organization
from events.models.event import public_id
from tests.dashboard.conftest import htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events


def rows(markup: str) -> list[str]:
    return re.findall(r'class="row-link" href="/requests/(evt_[0-9a-f]{32})/"', markup)


def page(client: Client, query: str = "", **headers: str) -> str:
    response = client.get(f"/requests/{query}", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def more_href(markup: str) -> str:
    found = re.search(r'href="([^"]*after=[^"]*)"', markup)
    return unescape(found[1]) if found else ""


def test_a_row_says_who_what_and_how_much(member: Client, organization: Organization, now: datetime) -> None:
    (event_id,) = store_events(
        organization, [Call(at=now, cost=5_250_000_000, user="user-123", feature="chat-assistant", latency_ms=812.4)]
    )
    markup = page(member)
    assert rows(markup) == [public_id(event_id)]
    shown = text_of(markup)
    for part in ("chat-assistant", "user-123", "openai/gpt-4o", "1,200", "350", "812 ms", "$0.00525", "Succeeded"):
        assert part in shown
    assert "1 request · $0.00525 · 1.2K in / 350 out" in shown
    assert 'href="/requests/?model=gpt-4o&amp;provider=openai"' in markup


def test_pages_continue_where_the_last_one_ended(member: Client, organization: Organization, now: datetime) -> None:
    ids = store_events(organization, [Call(at=now - timedelta(seconds=number // 3)) for number in range(120)])
    found: list[str] = []
    href = "/requests/?period=7d"
    while href:
        markup = member.get(href, headers=htmx() if found else {}).content.decode()
        assert ("<html" in markup) is not bool(found)
        found += rows(markup)
        href = more_href(markup)
    assert found == [public_id(event_id) for event_id in sorted(ids, reverse=True)]


def test_filters_narrow_list_summary_and_form(member: Client, organization: Organization, now: datetime) -> None:
    store_events(
        organization,
        [
            Call(at=now, feature="a", user="u-1"),
            Call(at=now, feature="a", status="ERROR", user="u-2"),
            Call(at=now, feature="b", status="BLOCKED", cost=None),
        ],
    )
    markup = page(member, "?feature=a&status=error&tier=standard")
    assert len(rows(markup)) == 1
    assert "1 request · $1.00" in text_of(markup)
    assert '<option value="a" selected>' in markup
    assert '<option value="error" selected>' in markup
    assert '<input type="hidden" name="tier" value="standard">' in markup
    assert "3 requests · $2.00 · 3.6K in / 1.1K out · 1 without a price" in text_of(page(member))
    assert len(rows(page(member, "?priced=no"))) == 1


def test_a_filter_swap_is_a_fragment_under_the_canonical_address(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now)])
    response = member.get("/requests/?q=&feature=chat&model=&status=&user=&period=30d", headers=htmx("results"))
    assert response["HX-Push-Url"] == "/requests/?feature=chat"
    assert b"<html" not in response.content
    assert b'id="filter-form"' not in response.content
    assert len(rows(response.content.decode())) == 1


@pytest.mark.parametrize(
    ("query", "text", "action"),
    [("", "There is none in", "Show 90 d"), ("?feature=x", "meets all of them", "Clear all filters")],
)
def test_nothing_found_says_what_to_do(
    member: Client, organization: Organization, query: str, text: str, action: str
) -> None:
    shown = text_of(page(member, query))
    assert "No requests match" in shown
    assert text in shown
    assert action in shown


def test_a_count_beyond_the_cap_is_said_as_such(
    member: Client, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_events(organization, [Call(at=now, session_id="s") for _ in range(5)])
    monkeypatch.setattr(events, "COUNT_CAP", 4)
    monkeypatch.setattr("dashboard.pages.requests.COUNT_CAP", 4)
    assert "4+ requests" in text_of(page(member, "?session=s"))
    assert "5 requests" in text_of(page(member))


def test_new_requests_are_said_and_not_pushed(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now - timedelta(minutes=5))])
    found = re.search(r'id="news"[^>]* hx-get="([^"]+)"', page(member, "?feature=chat"))
    assert found
    href = unescape(found[1])
    assert member.get(href, headers=htmx("news")).status_code == 204
    store_events(organization, [Call(at=now, cost=USD), Call(at=now), Call(at=now, feature="other")])
    fresh = member.get(href, headers=htmx("news"))
    assert text_of(fresh.content.decode()) == "2 new requests"
    assert 'href="/requests/?feature=chat"' in fresh.content.decode()


@pytest.mark.parametrize(
    "query", ["?after=evt_zz", "?after=", "?period=x&from=0&min_cost=abc", "?q=%00%F0%9F%92%A9%25_"]
)
def test_odd_queries_are_answered(member: Client, organization: Organization, now: datetime, query: str) -> None:
    store_events(organization, [Call(at=now)])
    assert member.get(f"/requests/{query}").status_code == 200
