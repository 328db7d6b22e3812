"""Sessions read from the events: the list against a plain reckoning in Python, sums by hand, and what is read."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.filters import Filters
from dashboard.queries import sessions
from dashboard.queries.sessions import By, Sums
from dashboard.queries.usage import Usage
from events.models import Environment, Organization
from pricing import costs
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)
PERIOD = timedelta(days=29, hours=9, minutes=40)
CONDITIONS: dict[str, tuple[dict[str, str], Callable[[Call], bool]]] = {
    "none": ({}, lambda call: True),
    "feature": ({"feature": "chat"}, lambda call: call.feature == "chat"),
    "user": ({"user": "ana"}, lambda call: call.user == "ana"),
    "failed": ({"status": "error"}, lambda call: call.status == "ERROR"),
    "unpriced": ({"priced": "no"}, lambda call: call.cost is None),
    "cost": ({"min_cost": "2"}, lambda call: (call.cost or 0) >= 2 * USD),
    "model": ({"model": "rare"}, lambda call: call.model == "rare"),
    "metadata": ({"meta.plan": "pro"}, lambda call: call.metadata == '{"plan":"pro"}'),
    "both": ({"feature": "chat", "q": "s-1"}, lambda call: call.feature == "chat" and "s-1" in call.session_id),
}


def read(**words: str) -> Filters:
    return Filters.from_query(words, NOW, ZoneInfo("UTC"))


def traffic(count: int = 400) -> list[Call]:
    """Calls of 40 days in sessions that overlap, a fifth of them in none, a session in two conversations at times."""
    random = Random(7)
    return [
        Call(
            at=NOW - timedelta(days=40) * random.random(),
            session_id=random.choice(["", *(f"s-{random.randrange(30)}" for _ in range(4))]),
            conversation_id=random.choice(["", f"c-{random.randrange(12)}"]),
            feature=random.choice(["chat", "search"]),
            user=random.choice(["", "ana", "ben"]),
            status=random.choice(["SUCCESS", "SUCCESS", "ERROR", "MAX_TOKENS"]),
            cost=random.choice([None, USD, 3 * USD]),
            model=random.choice(["gpt-4o"] * 9 + ["rare"]),
            metadata=random.choice([None, '{"plan":"pro"}']),
        )
        for _ in range(count)
    ]


def in_order(calls: list[Call], ids: list[UUID], by: By, fits: Callable[[Call], bool]) -> list[str]:
    """The sessions of the period's calls that fit, the latest active first."""
    latest: dict[str, UUID] = {}
    for call, event_id in zip(calls, ids, strict=True):
        name = call.session_id if by == "session" else call.conversation_id
        if name and fits(call) and call.at >= NOW - PERIOD:
            latest[name] = max(event_id, latest.get(name, event_id))
    return sorted(latest, key=lambda name: latest[name], reverse=True)


def pages(organization: Organization, filters: Filters, by: By, size: int) -> list[str]:
    """All names in the order in which page after page gives them."""
    names: list[str] = []
    before: UUID | None = None
    for _ in range(200):
        places = sessions.newest(organization.pk, filters, by, size + 1, before)
        shown = places.found[:size]
        names += [place.name for place in shown]
        before = shown[-1].newest if len(places.found) > size else places.rest
        if before is None:
            return names
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("by", ["session", "conversation"])
def test_pages_make_the_whole_list_and_nothing_comes_twice(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, by: By
) -> None:
    calls = traffic()
    ids = store_events(organization, calls)
    store_events(OrganizationFactory(), traffic(30))
    store_events(organization, [Call(at=NOW, session_id="t", conversation_id="t", environment=Environment.TEST)])
    for name, (words, fits) in CONDITIONS.items():
        expected = in_order(calls, ids, by, fits)
        assert expected
        for walk in (20_000, 7):
            monkeypatch.setattr(sessions, "WALK", walk)
            assert pages(organization, read(**words), by, 4) == expected, (name, walk)


def test_figures_cover_the_whole_session_and_the_calls_that_fit(organization: Organization) -> None:
    start = NOW - timedelta(days=60)
    ids = store_events(
        organization,
        [
            Call(at=start, session_id="s", cost=USD, user="ana", feature="chat", usage=costs.Usage(10, 2, 0)),
            Call(at=start + timedelta(days=45), session_id="s", cost=None, model="acme-1", provider="acme"),
            Call(
                at=NOW, session_id="s", cost=5, user="ben", feature="search", status="ERROR", usage=costs.Usage(7, 0, 0)
            ),
            Call(at=NOW, session_id="s", environment=Environment.TEST),
            Call(at=NOW, session_id="other", conversation_id="s"),
        ],
    )
    store_events(OrganizationFactory(), [Call(at=NOW, session_id="s")])
    found = sessions.figures(organization.pk, read(), "session", ["s", "nobody"])
    assert set(found) == {"s"}
    whole = found["s"]
    assert whole.usage == Usage(3, 1, 1, 1217, 352, USD + 5)
    assert (whole.first, whole.last, whole.is_capped, whole.dearest_picousd) == (ids[0], ids[2], False, USD)
    assert whole.models == (("acme", "acme-1"), ("openai", "gpt-4o"))
    assert whole.features == ("chat", "search")
    assert (whole.user_count, whole.users) == (2, (("ana", ""), ("ben", "")))
    chat = sessions.figures(organization.pk, read(feature="chat"), "session", ["s"])["s"]
    assert (chat.usage.events, chat.usage.cost_picousd, chat.usage.unpriced) == (2, USD, 1)
    assert (chat.first, chat.last) == (ids[0], ids[1])
    latest = sessions.figures(organization.pk, read(), "session", ["s"], cap=1)["s"]
    assert latest.is_capped


def test_calls_and_what_came_before_them_are_exact(organization: Organization) -> None:
    random = Random(3)
    calls = [
        Call(
            at=NOW - timedelta(minutes=number // 4),
            conversation_id="c",
            session_id=f"s-{number % 3}",
            cost=random.choice([None, random.randrange(10**15)]),
        )
        for number in range(40)
    ]
    ids = store_events(organization, calls)
    in_time = sorted(zip(ids, calls, strict=True), key=lambda pair: pair[0])
    found: list[sessions.Call] = []
    after: UUID | None = None
    while page := sessions.calls(organization.pk, read(), "conversation", "c", 7, after):
        found += page
        after = page[-1].id
        sums = Sums()
        for _, call in in_time[: len(found)]:
            sums = sums.with_call(call.cost)
        assert sessions.sums_until(organization.pk, read(), "conversation", "c", after) == sums
    assert [(call.id, call.cost_picousd) for call in found] == [(event_id, call.cost) for event_id, call in in_time]
    middle = in_time[30][0]
    assert sessions.count_after(organization.pk, read(), "conversation", "c", middle, 100) == 9
    assert sessions.count_after(organization.pk, read(), "conversation", "c", middle, 5) == 5


def test_news_counts_sessions_once_and_says_where_it_stopped(organization: Organization) -> None:
    (last,) = store_events(organization, [Call(at=NOW - timedelta(hours=1), session_id="a")])
    store_events(organization, [Call(at=NOW, session_id=name) for name in ("a", "b", "b", "")])
    assert sessions.news(organization.pk, read(), "session", last, 100) == sessions.News(2, is_capped=False)
    assert sessions.news(organization.pk, read(feature="x"), "session", last, 100) == sessions.News(0, is_capped=False)
    assert sessions.news(organization.pk, read(), "session", last, 1) == sessions.News(1, is_capped=True)


def test_ids_are_known_by_kind(organization: Organization) -> None:
    store_events(organization, [Call(at=NOW - timedelta(days=90), session_id="a")])
    assert sessions.any_of(organization.pk, "session")
    assert not sessions.any_of(organization.pk, "conversation")
    assert not sessions.any_of(OrganizationFactory().pk, "session")


def rows_read(node: dict[str, Any]) -> int:
    """Rows that the scans of a plan took from tables and indexes, those that it threw away included."""
    own = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    scanned = int(own * node["Actual Loops"]) if "Scan" in node["Node Type"] and "Plans" not in node else 0
    return scanned + sum(rows_read(child) for child in node.get("Plans", ()))


def test_the_list_reads_no_more_of_a_larger_table(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """And by the indexes that the docstrings name. Below about WALK events the planner may read and sort them all."""
    monkeypatch.setattr(sessions, "WALK", 1_000)
    read_rows = []
    for first, last in ((0, 6_000), (6_000, 18_000)):
        store_events(
            organization,
            [Call(at=NOW - timedelta(minutes=number), session_id=f"s-{number // 5}") for number in range(first, last)],
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE event")
        with CaptureQueriesContext(connection) as asked:
            places = sessions.newest(organization.pk, read(), "session", 51)
            sessions.figures(organization.pk, read(), "session", [place.name for place in places.found])
        plans = []
        for statement in asked.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement['sql']}")
                plans.append(cursor.fetchone()[0])
        text = json.dumps(plans)
        assert "organization_id_environment_id_idx" in text
        assert "organization_id_session_id_id_idx" in text
        read_rows.append([rows_read(plan[0]["Plan"]) for plan in plans])
    assert read_rows[0] == read_rows[1]
    assert max(read_rows[0]) < 1_000
