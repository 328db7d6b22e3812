"""The list of sessions and conversations: rows whose figures lead to their requests, pages, news, what is said."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.queries import sessions
from events.models import Organization, TrackedUser
from pricing.costs import Usage
from tests.dashboard.conftest import htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory

AWKWARD = ("a/b c", "../..", "<img src=x onerror=alert(1)>", "?session=x&by=y#z", "100%", "日本", "(s)", "' OR 1=1 --")


def page(client: Client, query: str = "") -> Any:
    response = client.get(f"/sessions/{query}")
    assert response.status_code == 200
    return response.context["page"]


def summary(client: Client, href: str) -> str:
    """What Requests says that it shows at this address."""
    return text_of(client.get(href).content.decode())


def test_a_row_says_when_who_and_how_much(member: Client, organization: Organization, now: datetime) -> None:
    start = now.replace(microsecond=0) - timedelta(days=2)
    store_events(
        organization,
        [
            Call(at=start, session_id="s", user="ana", cost=USD, usage=Usage(1000, 10, 0)),
            Call(at=start + timedelta(seconds=65), session_id="s", user="ben", cost=None, model="new", provider="acme"),
            Call(at=start + timedelta(hours=3), session_id="s", user="ana", status="ERROR", cost=250_000_000_000),
            Call(at=start, session_id="one", user="ana"),
            Call(at=now, feature="alone"),
        ],
    )
    found = page(member)
    assert [row.name for row in found.rows] == ["s", "one"]
    row, other = found.rows
    assert (row.user, row.calls, row.failed, row.unpriced) == ("ana +1", "3", "1", "1 unpriced")
    assert (row.models, row.models_title) == ("new +1", "acme/new, openai/gpt-4o")
    assert (row.cost, row.cost_title, row.tokens) == ("$1.25", "$1.25", "3.4K / 710")
    assert (row.duration, other.duration) == ("3 h 00 m", "—")
    assert row.first.endswith(f"{start:%H:%M:%S}")
    assert (other.user, other.failed, other.unpriced) == ("ana", "", "")
    assert found.summary == "2 sessions"
    assert "counted whole" in found.counted


def test_every_figure_leads_to_the_requests_that_it_sums(
    member: Client, organization: Organization, now: datetime
) -> None:
    """Of a session that began before the period, whole; under a filter, of the calls that meet it."""
    times = [now - timedelta(days=40), now - timedelta(days=31), now - timedelta(hours=30), now]
    store_events(
        organization,
        [
            Call(at=at, session_id=session, feature=feature, cost=cost, status=status)
            for at in times
            for session in ("s", "other")
            for feature, cost, status in (("a", USD, "SUCCESS"), ("a", None, "SUCCESS"), ("b", USD // 2, "ERROR"))
        ],
    )
    (whole,) = [row for row in page(member).rows if row.name == "s"]
    assert (whole.calls, whole.failed, whole.unpriced, whole.cost) == ("12", "4", "4 unpriced", "$6.00")
    assert "12 requests · $6.00" in summary(member, whole.calls_href)
    assert "4 requests · $2.00" in summary(member, whole.failed_href)
    assert "4 requests · $0.00" in summary(member, whole.unpriced_href)
    (part,) = [row for row in page(member, "?feature=a&period=24h").rows if row.name == "s"]
    assert (part.calls, part.failed, part.cost) == ("8", "", "$4.00")
    assert "8 requests · $4.00" in summary(member, part.calls_href)
    (failed,) = [row for row in page(member, "?status=ERROR").rows if row.name == "s"]
    assert (failed.calls, failed.failed) == ("4", "4")
    assert "4 requests · $2.00" in summary(member, failed.failed_href)


def test_conversations_are_a_tab_that_keeps_the_filters(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(
        organization,
        [Call(at=now, session_id=f"s-{number}", conversation_id="c", cost=USD) for number in range(3)],
    )
    found = page(member, "?feature=chat&period=7d")
    assert found.summary == "3 sessions"
    by_conversation = found.tabs[1].href
    assert by_conversation == "/sessions/?period=7d&feature=chat&by=conversation"
    found = member.get(by_conversation).context["page"]
    assert [(row.name, row.calls, row.cost) for row in found.rows] == [("c", "3", "$3.00")]
    assert found.rows[0].href == "/sessions/conversation/?conversation=c"
    assert ("by", "conversation") in found.form.hidden
    assert all("by=conversation" in option.href for option in found.periods)
    assert "conversation=c" in found.rows[0].calls_href
    assert "by=" not in found.rows[0].calls_href


def test_pages_continue_where_the_last_one_ended(member: Client, organization: Organization, now: datetime) -> None:
    store_events(
        organization,
        [Call(at=now - timedelta(minutes=number), session_id=f"s-{number % 120}") for number in range(300)],
    )
    found: list[str] = []
    href = "/sessions/"
    while href:
        markup = member.get(href, headers=htmx() if found else {}).content.decode()
        assert ("<html" in markup) is not bool(found)
        found += re.findall(r'class="row-link nowrap mono"[^>]*>([^<]+)<', markup)
        more = re.search(r'href="([^"]*after=[^"]*)"', markup)
        href = unescape(more[1]) if more else ""
    assert found == [f"s-{number}" for number in range(120)]


def test_a_walk_that_ends_early_says_so_and_goes_on(
    member: Client, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [Call(at=now - timedelta(minutes=number)) for number in range(1, 25)]
    store_events(organization, [*calls, Call(at=now - timedelta(hours=1), session_id="deep")])
    monkeypatch.setattr(sessions, "WALK", 10)
    monkeypatch.setattr("dashboard.pages.sessions.WALK", 10)
    found = page(member)
    assert (found.rows, found.empty.title) == ([], "Nothing among the latest 10 requests")
    assert found.empty.text == "None of them has a session."
    assert found.empty.action == "Look further back"
    once = member.get(found.empty.href).context["page"]
    twice = member.get(once.more_href).context["page"]
    assert [row.name for row in twice.rows] == ["deep"]
    assert twice.more_href == ""


def test_a_session_with_very_many_calls_is_summed_in_part_and_says_so(
    member: Client, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions.figures, "__defaults__", (4,))
    store_events(organization, [Call(at=now, session_id="s") for _ in range(6)])
    (row,) = page(member).rows
    assert (row.calls, row.calls_title) == ("4+", "Of its latest 10,000 calls")
    assert (row.first, row.duration) == ("earlier", "—")


@pytest.mark.parametrize(
    ("query", "stored", "title", "action"),
    [
        ("", [], "No call has come with a session yet", ""),
        ("?by=conversation", [{}], "No call has come with a conversation yet", ""),
        ("?feature=x", [{}], "No sessions match", "Clear all filters"),
        ("", [{"ago": 60}], "No sessions", "Show 90 days"),
    ],
)
def test_nothing_found_says_what_to_do(
    member: Client,
    organization: Organization,
    now: datetime,
    query: str,
    stored: list[dict[str, int]],
    title: str,
    action: str,
) -> None:
    store_events(organization, [Call(at=now - timedelta(days=one.get("ago", 0)), session_id="s") for one in stored])
    found = page(member, query)
    assert (found.rows, found.empty.title, found.empty.action) == ([], title, action)
    assert found.empty.title in text_of(member.get(f"/sessions/{query}").content.decode())


def test_new_calls_are_said_and_not_pushed(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now - timedelta(minutes=5), session_id="a")])
    href = page(member, "?feature=chat").news.poll_href
    assert member.get(href, headers=htmx("news")).status_code == 204
    store_events(organization, [Call(at=now, session_id="a"), Call(at=now, session_id="b", feature="other")])
    fresh = member.get(href, headers=htmx("news")).content.decode()
    assert text_of(fresh) == "1 session has new calls"
    assert 'href="/sessions/?feature=chat"' in fresh
    store_events(organization, [Call(at=now, session_id="b"), Call(at=now)])
    assert text_of(member.get(href, headers=htmx("news")).content.decode()) == "2 sessions have new calls"


def test_a_filter_swap_is_a_fragment_under_the_canonical_address(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now, conversation_id="c")])
    response = member.get("/sessions/?q=&by=conversation&feature=chat&model=", headers=htmx("results"))
    assert response["HX-Push-Url"] == "/sessions/?feature=chat&by=conversation"
    assert b"<html" not in response.content
    assert b'id="filter-form"' not in response.content


@pytest.mark.parametrize("by", ["session", "conversation"])
def test_any_id_has_its_page(member: Client, organization: Organization, now: datetime, by: str) -> None:
    store_events(organization, [Call(at=now, session_id=name, conversation_id=name, cost=3 * USD) for name in AWKWARD])
    rows = page(member, f"?{urlencode({'by': by})}").rows
    assert {row.name for row in rows} == set(AWKWARD)
    for row in rows:
        response = member.get(row.href)
        assert (response.status_code, response.context["page"].name) == (200, row.name)
        assert "<img" not in response.content.decode()
        assert "1 request · $3.00" in summary(member, response.context["page"].requests_href)


def test_a_user_who_was_removed_leaves_the_session(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now, session_id="s", user="ana")])
    TrackedUser.objects.all().delete()
    (row,) = page(member).rows
    assert (row.user, row.user_href) == ("(none)", row.calls_href)
    assert member.get(row.href).status_code == 200


def test_another_organization_is_not_seen(member: Client, organization: Organization, now: datetime) -> None:
    store_events(OrganizationFactory(), [Call(at=now, session_id="theirs")])
    store_events(organization, [Call(at=now, session_id="ours")])
    assert [row.name for row in page(member).rows] == ["ours"]


@pytest.mark.parametrize("query", ["?after=evt_zz", "?by=x&period=y", "?by=conversation&q=%00%F0%9F%92%A9%25_"])
def test_odd_queries_are_answered(member: Client, organization: Organization, now: datetime, query: str) -> None:
    store_events(organization, [Call(at=now, session_id="s")])
    assert member.get(f"/sessions/{query}").status_code == 200


def test_many_events_take_the_same_queries(member: Client, organization: Organization, now: datetime) -> None:
    counts: list[list[int]] = []
    for size in (100, 2_400):
        calls = [
            Call(
                at=now - timedelta(minutes=len(counts) * 200 + number / 9),
                session_id=f"s-{number % (size // 5)}",
                conversation_id=f"c-{number % 90}",
                user=f"u-{number % 40}",
            )
            for number in range(size)
        ]
        store_events(organization, calls)
        counts.append([])
        for path in ("/sessions/", "/sessions/?by=conversation&q=s", "/sessions/session/?session=s-1"):
            with CaptureQueriesContext(connection) as queries:
                assert member.get(path).status_code == 200
            counts[-1].append(len(queries))
    assert counts[0] == counts[1]
    assert max(counts[0]) <= 12
