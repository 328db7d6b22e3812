"""Migrations that bring their own figures along."""

from datetime import UTC, date, datetime

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from events import rollups
from events.models import Organization
from tests.events_table import Call, store_events


def migrate(name: str) -> None:
    MigrationExecutor(connection).migrate([("events", name)])


def test_usage_by_user_and_feature_is_made_from_what_is_stored(db: None) -> None:
    """Also from what is not folded yet, which must not count twice."""
    organization = Organization.objects.create(name="Half Hour", slug="half", time_zone="Asia/Kolkata")
    calls = [
        Call(
            at=datetime(2026, 11, 20, 18, 25 + number, tzinfo=UTC),
            streaming_duration_ms=9.0,
            feature=f"f{number % 2}",
            user=f"u{number % 3}",
        )
        for number in range(12)
    ]
    store_events(organization, calls[:8])
    rollups.fold_now()
    store_events(organization, calls[8:])
    migrate("0004_repricing")
    migrate("0005_usage_by_user_and_feature")
    assert by_feature() == [("f0", 6, 3), ("f1", 6, 3)]
    migrate("0007_usage_by_dekad")
    for folded in (False, True):
        if folded:
            rollups.fold_now()
        assert by_feature() == by_feature("usage_dekad_user_feature_now") == [("f0", 6, 3), ("f1", 6, 3)]
        assert dekads() == [(date(2026, 11, 11), 5), (date(2026, 11, 21), 7)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(events), count(DISTINCT day) FROM usage_day_stream WHERE kind = 'total'")
        assert cursor.fetchone() == (12, 2)


def by_feature(table: str = "usage_day_user_feature_now") -> list[tuple[str, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT feature, sum(events)::int, count(DISTINCT tracked_user_id)::int FROM {table}
GROUP BY 1 ORDER BY 1"""
        )
        return list(cursor.fetchall())


def dekads() -> list[tuple[date, int]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT dekad, sum(events)::int FROM usage_dekad_user_now GROUP BY 1 ORDER BY 1")
        return list(cursor.fetchall())
