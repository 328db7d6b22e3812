"""Lists of events by keyset, conditions on them, and the plans that they get."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from dashboard.filters import Filters
from dashboard.queries import events
from dashboard.queries.conditions import id_floor, on_events
from events.models import Organization
from events.models.event import public_id
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory, TrackedUserFactory

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)


def read(**words: str) -> Filters:
    return Filters.from_query(words, NOW, ZoneInfo("UTC"))


def found(organization: Organization, **words: str) -> list[UUID]:
    return [row.id for row in events.newest(organization.pk, read(**words), 1000)]


def test_keyset_pages_show_every_event_once_also_within_one_millisecond(organization: Organization) -> None:
    ids = store_events(organization, [Call(at=NOW - timedelta(minutes=number // 7)) for number in range(70)])
    pages: list[UUID] = []
    before = None
    while page := events.newest(organization.pk, read(), 9, before):
        pages += [row.id for row in page]
        before = page[-1].id
    assert pages == sorted(ids, reverse=True)


def test_each_condition_finds_its_events_and_no_other_s(organization: Organization) -> None:
    TrackedUserFactory(organization=organization, external_id="u-1", name="Ana Álvarez", email="ana@example.com")
    calls = {
        "plain": Call(at=NOW),
        "none": Call(at=NOW, feature="", step="", model="", provider=""),
        "user": Call(at=NOW, user="u-1"),
        "other_user": Call(at=NOW, user="u-2", cost=2 * USD),
        "error": Call(at=NOW, status="ERROR", error_message="Rate limit 100%"),
        "max_tokens": Call(at=NOW, status="MAX_TOKENS"),
        "batch": Call(at=NOW, tier="batch"),
        "session": Call(at=NOW, session_id="s_1", conversation_id="c-1"),
        "step": Call(at=NOW, step="draft"),
        "unpriced": Call(at=NOW, cost=None, model="acme", provider="acme"),
        "old": Call(at=NOW - timedelta(days=40), feature="old"),
    }
    ids = dict(zip(calls, store_events(organization, calls.values()), strict=True))
    store_events(OrganizationFactory(), list(calls.values()))
    names = {event_id: name for name, event_id in ids.items()}

    def matching(**words: str) -> set[str]:
        return {names[event_id] for event_id in found(organization, **words)}

    recent = set(calls) - {"old"}
    assert matching() == recent
    assert matching(period="90d") == set(calls)
    assert matching(feature="(none)") == {"none"}
    assert matching(user="u-1") == {"user"}
    assert matching(user="(none)") == recent - {"user", "other_user"}
    assert matching(user="nobody") == set()
    assert matching(status="error") == matching(status="ERROR") == {"error"}
    assert matching(status="ok") == recent - {"error"}
    assert matching(status="MAX_TOKENS") == {"max_tokens"}
    assert matching(tier="batch") == {"batch"}
    assert matching(session="s_1") == matching(conversation="c-1") == {"session"}
    assert matching(step="draft") == {"step"}
    assert matching(priced="no") == matching(provider="acme") == {"unpriced"}
    assert matching(min_cost="1.5") == {"other_user"}
    assert matching(max_cost="1") == recent - {"other_user", "unpriced"}
    assert matching(q="álvarez") == matching(q="ANA@") == {"user"}
    assert matching(q="100%") == {"error"}
    assert matching(q="100_") == matching(q="s%1") == matching(q="\\") == set()
    assert matching(q=public_id(ids["batch"])) == {"batch"}
    assert matching(q=public_id(ids["old"])) == set()
    assert matching(feature="chat", user="u-1", status="ok", q="gpt") == {"user"}


def test_a_detail_belongs_to_its_organization(organization: Organization) -> None:
    (event_id,) = store_events(organization, [Call(at=NOW, metadata='{"n": 1.10, "big": 12345678901234567890.5}')])
    detail = events.detail(organization.pk, event_id)
    assert detail is not None
    assert '"n": 1.10' in detail.metadata
    assert "12345678901234567890.5" in detail.metadata
    assert events.detail(OrganizationFactory().pk, event_id) is None


@pytest.mark.parametrize(
    ("words", "index"),
    [
        ({}, "environment_id_idx"),
        ({"feature": "rare"}, "feature_id_idx"),
        ({"user": "rare"}, "tracked_user_id_id_idx"),
        ({"status": "error"}, "status_id_idx"),
        ({"status": "BLOCKED"}, "status_id_idx"),
    ],
)
def test_lists_walk_an_index_and_the_cursor_bounds_it(
    organization: Organization, words: dict[str, str], index: str
) -> None:
    calls = [
        Call(
            at=NOW - timedelta(minutes=number),
            feature="rare" if number % 500 == 0 else "chat",
            user="rare" if number % 500 == 0 else "often",
            status=("ERROR", "BLOCKED")[number % 2] if number % 250 == 0 else "SUCCESS",
        )
        for number in range(3000)
    ]
    store_events(organization, calls)
    filters, cursor_id = read(**words), id_floor(NOW - timedelta(days=1))
    wanted = on_events(organization.pk, filters, id_floor(filters.start), cursor_id)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE event")
        statement = f"EXPLAIN SELECT * FROM event e WHERE {wanted.text} ORDER BY id DESC LIMIT 51"
        cursor.execute(statement, wanted.params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert f"_{index}" in plan, plan
    assert str(cursor_id) in plan
