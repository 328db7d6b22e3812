"""The list of requests: rows, filters, summary, keyset pages, and how new requests are said."""

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.test import Client

from dashboard.pages.request_columns import COLUMNS, USUAL, Look
from dashboard.queries import events
from dashboard.request_search import RequestSearch
from events.models import Organization
from events.models.event import public_id
from pricing.costs import Usage
from tests.dashboard.conftest import htmx
from tests.dashboard.test_components import Page
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
    assert "<option selected>a</option>" in markup
    assert '<option value="error" selected>' in markup
    assert '<option value="standard" selected>' in markup
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
    assert "4+ requests · $5.00+ · " in text_of(page(member, "?session=s"))
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


@pytest.mark.parametrize("sort", ["-time", "cost", "-cost", "tokens", "-tokens", "latency", "-latency"])
def test_every_order_continues_exactly(
    member: Client, organization: Organization, now: datetime, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal values stand in the order of their ids, and unknown ones come last in either direction."""
    monkeypatch.setattr("dashboard.pages.requests.PAGE_SIZE", 4)
    calls = [
        Call(
            at=now - timedelta(seconds=number // 2),
            cost=(None, 3, 10**20, 7, 7)[number % 5],
            latency_ms=(None, 0.1 + 0.2, 1e-7, 5.0, 5.0)[number % 5],
            usage=Usage(100 * (number % 3), 7, 0),
        )
        for number in range(23)
    ]
    ids = store_events(organization, calls)
    values = {"time": "at", "cost": "cost", "latency": "latency_ms"}

    def key(number: int) -> tuple[float, object]:
        name = sort.removeprefix("-")
        value = calls[number].usage.input_tokens if name == "tokens" else getattr(calls[number], values[name])
        return (0 if name == "time" else value, ids[number])

    known = [n for n in range(23) if key(n)[0] is not None]
    unknown = [n for n in range(23) if key(n)[0] is None]
    down = not sort.startswith("-")
    expected = [*sorted(known, key=key, reverse=down), *sorted(unknown, key=lambda n: ids[n], reverse=down)]
    found: list[str] = []
    href = f"/requests/?sort={sort}"
    while href:
        markup = member.get(href, headers=htmx() if found else {}).content.decode()
        found += rows(markup)
        href = more_href(markup)
    assert found == [public_id(ids[number]) for number in expected]


def test_heads_order_the_list_and_turn_it_round(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now)])
    usual = Page(page(member, "?feature=chat"))
    assert [head["aria-sort"] for head in usual.all("th") if "aria-sort" in head] == ["descending"]
    assert usual.all("a", id="sort-time", href="/requests/?feature=chat&sort=-time")
    assert usual.all("a", id="sort-cost", href="/requests/?feature=chat&sort=cost")
    assert not usual.all("a", id="sort-tokens")
    by_tokens = Page(page(member, "?feature=chat&sort=tokens"))
    assert by_tokens.all("a", id="sort-tokens", href="/requests/?feature=chat&sort=-tokens"), "it shows what orders it"
    assert by_tokens.all("input", type="hidden", name="sort", value="tokens"), "the form keeps the order"


def test_too_many_requests_to_order_are_said_and_shown_by_time(
    member: Client, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_events(organization, [Call(at=now)])
    listed = events.listed

    def too_slow(organization_id: int, search: RequestSearch, limit: int) -> tuple[events.EventRow, ...]:
        if search.sort != "time":
            raise events.TooManyToOrder
        return listed(organization_id, search, limit)

    monkeypatch.setattr(events, "listed", too_slow)
    markup = page(member, "?sort=cost")
    assert "too many requests to put them in order of cost" in text_of(markup)
    assert len(rows(markup)) == 1


def test_the_columns_and_the_rows_height_are_kept_in_cookies(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now, session_id="s-1", step="draft", feature="chat")])
    every = list(COLUMNS)
    answer = member.post(
        "/requests/columns/", {"column": [*every, "nonsense"], "density": "compact", "next": "/requests/?feature=chat"}
    )
    assert answer["Location"] == "/requests/?feature=chat"
    shown = page(member)
    assert "table rows compact many" in shown
    assert Page(shown).all("a", href="/requests/?session=s-1")
    assert text_of(shown).index("Provider") < text_of(shown).index("Price version")
    member.post("/requests/columns/", {"column": "step"})
    heads = re.findall(r"<th [^>]*>(.*?)</th>", page(member))
    assert [text_of(head) for head in heads] == ["Time (UTC)", "Step"]
    member.post("/requests/columns/", {"column": "step", "reset": "1"})
    assert "table rows compact" not in page(member)
    assert not member.cookies["columns"].value


def test_a_choice_by_htmx_goes_back_to_the_page_it_was_made_on(member: Client) -> None:
    headers = htmx("results") | {"HX-Current-URL": "http://testserver/requests/?sort=cost"}
    answer = member.post("/requests/columns/", {"column": "cost", "next": "/elsewhere/"}, headers=headers, follow=True)
    assert answer.redirect_chain == [("/requests/?sort=cost", 302)]


@pytest.mark.parametrize(
    ("columns", "density", "look"),
    [
        ("", "", Look()),
        ("cost.model", "compact", Look(("model", "cost"), True)),
        ("none", "", Look(())),
        ("<b>.x..", "<b>", Look()),
        (".".join(reversed(USUAL)), "", Look()),
    ],
)
def test_cookies_are_read_with_care(columns: str, density: str, look: Look) -> None:
    assert Look.read(columns, density) == look
    assert Look.read(look.cookie(), density) == look


def test_the_list_can_be_taken_along(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now)])
    assert Page(page(member, "?feature=chat&sort=cost")).all("a", href="/requests/export.csv?feature=chat")
