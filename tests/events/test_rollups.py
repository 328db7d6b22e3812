"""Buckets of time and latency, and the sums that must agree with the events after every step."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from dashboard import live
from events import rollups
from tests.native_client import NativeClient, make_key
from tests.wire_client import event


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "hour", "day"),
    [
        ("UTC", "2026-05-05T10:59:59.999", "2026-05-05T10:00", date(2026, 5, 5)),
        ("Asia/Kolkata", "2026-05-05T10:29:59", "2026-05-05T09:30", date(2026, 5, 5)),
        ("Asia/Kolkata", "2026-05-05T18:30:00", "2026-05-05T18:30", date(2026, 5, 6)),
        ("Asia/Kathmandu", "2026-05-05T18:14:59", "2026-05-05T17:15", date(2026, 5, 5)),
        ("Asia/Kathmandu", "2026-05-05T18:15:00", "2026-05-05T18:15", date(2026, 5, 6)),
        ("America/New_York", "2026-05-05T03:59:59", "2026-05-05T03:00", date(2026, 5, 4)),
        # The hour that is lived twice: 01:30 EDT, then 01:30 EST.
        ("America/New_York", "2026-11-01T05:30:00", "2026-11-01T05:00", date(2026, 11, 1)),
        ("America/New_York", "2026-11-01T06:30:00", "2026-11-01T06:00", date(2026, 11, 1)),
        # Lord Howe moves its clocks by half an hour.
        ("Australia/Lord_Howe", "2026-04-04T14:45:00", "2026-04-04T14:00", date(2026, 4, 5)),
        ("Australia/Lord_Howe", "2026-04-04T15:15:00", "2026-04-04T14:30", date(2026, 4, 5)),
    ],
)
def test_hours_and_days_start_in_the_organization_s_zone(zone: str, at: str, hour: str, day: date) -> None:
    assert rollups.local_hour(utc(at), ZoneInfo(zone)) == utc(hour)
    assert rollups.local_day(utc(at), ZoneInfo(zone)) == day


@given(st.floats(0.01, 1e12))
def test_a_latency_lies_in_its_bucket(latency_ms: float) -> None:
    bucket = rollups.latency_bucket(latency_ms)
    assert bucket is not None
    low, high = (rollups.LATENCY_GAMMA**edge for edge in (bucket, bucket + 1))
    assert low * (1 - 1e-9) <= latency_ms <= high * (1 + 1e-9)


def test_no_latency_has_no_bucket_and_none_is_below_the_first() -> None:
    assert rollups.latency_bucket(None) is None
    assert rollups.latency_bucket(0) == rollups.latency_bucket(0.01)


def totals(view: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT kind, value, provider, sum(events), sum(cost_picousd) FROM {view} GROUP BY 1, 2, 3")
        return sorted(cursor.fetchall(), key=str)


def test_folding_and_rebuilding_change_no_sum(ingest: NativeClient) -> None:
    statuses = ["SUCCESS", "ERROR", "MAX_TOKENS", "BLOCKED"]
    bodies = [
        event(
            inputTokens=2000 + number,
            model=["gpt-4o", "unknown-1"][number % 2],
            latencyInMs=number * 7.5,
            streamingDurationInMs=number * 5.5,
        )
        | {"status": statuses[number % 4], "metadata": {"feature": f"f{number % 3}", "user": f"u{number % 5}"}}
        for number in range(120)
    ]
    ingest.post_together("/api/events", bodies)
    unfolded = totals("usage_day_now")
    assert ("total", "", "", 120, unfolded[-1][4]) in unfolded
    assert rollups.fold_now() == 120
    assert rollups.fold_now() == 0
    assert totals("usage_day_now") == totals("usage_hour_now") == unfolded
    ingest.post_together("/api/events", bodies)
    assert rollups.audit() == []
    assert rollups.rebuild() == 240
    assert rollups.audit() == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(events), sum(errors), sum(unpriced) FROM usage_month_user_now")
        assert cursor.fetchone() == (240, 120, 120)
        for view in ("usage_day_latency_now", "usage_day_stream_now"):
            cursor.execute(f"SELECT sum(events) FROM {view} WHERE kind = 'total'")
            assert cursor.fetchone() == (240,)
        cursor.execute("SELECT sum(events), count(DISTINCT (tracked_user_id, feature)) FROM usage_day_user_feature")
        assert cursor.fetchone() == (240, 15)


def test_the_audit_finds_what_differs(ingest: NativeClient) -> None:
    ingest.post("/api/events", event())
    rollups.fold_now()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE usage_day_user SET cost_picousd = cost_picousd + 1")
    assert len(rollups.audit()) == 1
    assert "usage_day_user_now" in rollups.audit()[0]


def test_the_revision_changes_with_whatever_changes_a_page(ingest: NativeClient) -> None:
    seen = [live.state(ingest.organization.id)]

    def changed() -> bool:
        seen.append(live.state(ingest.organization.id))
        return seen[-1] not in seen[:-1]

    assert not changed()
    ingest.post("/api/events", event())
    assert changed()
    rollups.fold_now()
    assert changed()
    ingest.post("/api/events", event(inputTokens=-1))
    ingest.flush_rejections()
    assert changed()
    assert not changed()


def test_another_organization_s_events_do_not_change_it(ingest: NativeClient) -> None:
    other = type(ingest.organization).objects.create(name="Other", slug="other")
    before = live.state(ingest.organization.id)
    ingest.post("/api/events", event(), key=make_key(other))
    assert live.state(ingest.organization.id) == before


def test_the_longest_labels_can_be_folded(ingest: NativeClient) -> None:
    labels = [chr(0x20000 + number) * 255 for number in range(4)]
    sent = event(provider=labels[0], model=labels[1]) | {"metadata": {"feature": labels[2], "step": labels[3]}}
    for _ in range(2):
        assert ingest.post("/api/events", sent).status == 200
        assert rollups.fold_now() == 1
    assert rollups.audit() == []


def test_labels_that_join_to_the_same_text_stay_apart(ingest: NativeClient) -> None:
    for feature, step in (("a:1", "b"), ("a", "1:b"), ("a:1:b", "")):
        ingest.post("/api/events", event() | {"metadata": {"feature": feature, "step": step}})
    rollups.fold_now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM usage_day_cell")
        assert cursor.fetchone() == (3,)
