"""Moving to another time zone: each event is counted once, by the new zone, whatever is stored or stopped meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from procrastinate import JobContext
from procrastinate.contrib.django.models import ProcrastinateJob

from events import jobs, organizations, repricing, rollups, time_zones, writer
from events.models import Event, Organization, RepriceJob, TimeZoneChange, User
from pricing import catalog as price_catalog
from tests.events_table import Call, store_events
from tests.factories import UserFactory
from tests.fences import wait_until_blocked
from tests.native_client import NativeClient
from tests.wire_client import event

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOURS_LIVED_TWICE = (datetime(2026, 11, 1, 3, tzinfo=UTC), datetime(2026, 4, 4, 12, tzinfo=UTC))
"""Around them New York and Lord Howe set their clocks back, by an hour and by half an hour."""


@pytest.fixture
def owner(committed_db: None) -> User:
    person: User = UserFactory()
    return person


def around_the_change_of_clocks() -> list[Call]:
    starts = [start + timedelta(minutes=10 * number) for start in HOURS_LIVED_TWICE for number in range(30)]
    return [
        Call(at=at, cost=None if number % 7 == 0 else number, feature=f"f{number % 3}", user=f"u{number % 4}")
        for number, at in enumerate(starts)
    ]


def in_a_thread(work: Callable[[], Any]) -> Thread:
    def with_own_connection() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = Thread(target=with_own_connection)
    thread.start()
    return thread


def events_by_hour(organization: Organization) -> Counter[datetime]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT hour, sum(events) FROM usage_hour_now WHERE organization_id = %s AND kind = 'total' GROUP BY 1",
            [organization.pk],
        )
        return Counter({hour: int(events) for hour, events in cursor.fetchall()})


def assert_counted_in(organization: Organization, zone: str) -> None:
    stored = Event.objects.filter(organization_id=organization.pk)
    hours = Counter(rollups.local_hour(one.occurred_at, ZoneInfo(zone)) for one in stored)
    assert events_by_hour(organization) == hours
    assert rollups.audit() == []


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_usage_follows_while_events_come_in(
    ingest: NativeClient, owner: User, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_zones, "CHUNK_EVENTS", 25)
    # No key is looked up again: servers may know the old zone for seconds.
    monkeypatch.setattr(ingest.runtime.keys._records, "_clock", lambda: 0.0)
    calls, bystander = around_the_change_of_clocks(), Organization.objects.create(name="Other", slug="other")
    store_events(ingest.organization, calls[:40])
    store_events(bystander, calls)
    rollups.fold_now()
    store_events(ingest.organization, calls[40:])
    assert ingest.post("/api/events", event()).status == 200
    elsewhere = events_by_hour(bystander)
    change = organizations.move_to_time_zone(ingest.organization, zone, by=owner, now=NOW)
    assert change
    assert ingest.post("/api/events", event()).status == 200
    told: list[tuple[int, int]] = []

    def while_it_runs(done: int, total: int) -> None:
        told.append((done, total))
        seen = TimeZoneChange.objects.using("default").filter(pk=change.pk).values_list("done", "total")
        assert ingest.post("/api/events", event()).status == 200
        in_a_thread(lambda: shown.append(seen.get())).join()

    shown: list[tuple[int, int]] = []
    time_zones.run_pending(progress=while_it_runs)
    assert told == shown == [(0, 62), (25, 62), (50, 62), (62, 62), (62, 62)]
    assert_counted_in(ingest.organization, zone)
    assert ingest.post("/api/events", event()).status == 200
    assert_counted_in(ingest.organization, zone)
    assert Event.objects.filter(organization_id=ingest.organization.pk).count() == 60 + 2 + len(told) + 1
    rollups.fold_now()
    assert_counted_in(ingest.organization, zone)
    assert events_by_hour(bystander) == elsewhere
    assert not time_zones.is_waiting()


def test_a_commit_under_way_is_waited_for(ingest: NativeClient, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer has looked up the zone, and has not committed yet, when somebody changes it."""
    ingest.post("/api/events", event())
    copy, movers = writer._copy, list[Thread]()

    def move() -> None:
        organizations.move_to_time_zone(ingest.organization, "America/St_Johns", by=owner, now=NOW)

    async def copy_slowly(*arguments: Any) -> None:
        await copy(*arguments)
        if not movers:
            movers.append(in_a_thread(move))
            await asyncio.to_thread(wait_until_blocked)

    monkeypatch.setattr(writer, "_copy", copy_slowly)
    ingest.post("/api/events", event())
    movers[0].join()
    time_zones.run_pending()
    assert sum(events_by_hour(ingest.organization).values()) == 2
    assert_counted_in(ingest.organization, "America/St_Johns")


@pytest.fixture
def acme(owner: User) -> Organization:
    """With events whose stored costs are other than the catalog's."""
    organization = Organization.objects.create(name="Acme", slug="acme", time_zone="Asia/Kolkata")
    store_events(organization, around_the_change_of_clocks())
    rollups.fold_now()
    return organization


def test_a_rebuild_that_is_stopped_leaves_everything_as_it_was_and_starts_anew(
    acme: Organization, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_zones, "CHUNK_EVENTS", 25)
    before = events_by_hour(acme)
    organizations.move_to_time_zone(acme, "UTC", by=owner, now=NOW)
    counted: list[int] = []
    time_zones.run_pending(lambda: len(counted) == 2, _appends(counted))
    assert counted == [0, 25]
    assert events_by_hour(acme) == before
    assert TimeZoneChange.objects.get().finished_at is None
    # Changed again in the meantime: one rebuild is enough for both.
    organizations.move_to_time_zone(acme, "America/New_York", by=owner, now=NOW)
    time_zones.run_pending(progress=_appends(counted))
    assert counted == [0, 25, 0, 25, 50, 60, 60]
    assert_counted_in(acme, "America/New_York")
    assert not TimeZoneChange.objects.filter(finished_at=None).exists()


def _appends(counted: list[int]) -> time_zones.Progress:
    def progress(done: int, total: int) -> None:
        counted.append(done)

    return progress


def test_re_pricing_makes_room_and_goes_on_afterwards(acme: Organization, owner: User) -> None:
    repricing_job = RepriceJob.objects.create(to_revision=price_catalog.current_revision(), created_at=NOW)
    organizations.move_to_time_zone(acme, "America/New_York", by=owner, now=NOW)
    context = cast(JobContext, SimpleNamespace(should_abort=lambda: False))
    jobs.reprice(context)
    repricing_job.refresh_from_db()
    assert repricing_job.started_at is None, "it would write deltas that the rebuild must not meet"

    def meanwhile(done: int, total: int) -> None:
        in_a_thread(repricing.run_pending).join()
        assert RepriceJob.objects.get().started_at is None

    time_zones.run_pending(progress=meanwhile)
    assert_counted_in(acme, "America/New_York")
    ProcrastinateJob.objects.all().delete()
    jobs.rebuild_for_time_zone(context)
    assert list(ProcrastinateJob.objects.values_list("task_name", flat=True)) == ["events.reprice"]
    jobs.reprice(context)
    repricing_job.refresh_from_db()
    assert repricing_job.changed > 0
    assert_counted_in(acme, "America/New_York")


def test_the_change_is_queued_and_noted_with_it_or_not_at_all(owner: User) -> None:
    organization = Organization.objects.create(name="Acme", slug="acme")
    with pytest.raises(time_zones.UnknownZone, match="does not know the time zone Mars/Olympus"):
        organizations.move_to_time_zone(organization, "Mars/Olympus", by=owner, now=NOW)
    stale = Organization(pk=organization.pk, time_zone="Asia/Tokyo")
    assert organizations.move_to_time_zone(organization, "UTC", by=owner, now=NOW) is None
    assert organizations.move_to_time_zone(stale, "UTC", by=owner, now=NOW) is None
    assert not ProcrastinateJob.objects.exists()
    assert not LogEntry.objects.exists()
    change = organizations.move_to_time_zone(organization, "Asia/Tokyo", by=owner, now=NOW)
    assert change
    assert change.finished_at == NOW, "no event was counted in the old zone"
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == ["Time zone: UTC → Asia/Tokyo."]
    assert [job.task_name for job in ProcrastinateJob.objects.all()] == ["events.rebuild_for_time_zone"]


def test_a_name_is_noted_with_the_one_before(owner: User) -> None:
    organization = Organization.objects.create(name="Acme", slug="acme")
    assert organizations.rename(organization, "Acme Ltd", by=owner)
    assert not organizations.rename(organization, "Acme Ltd", by=owner)
    assert Organization.objects.get().name == "Acme Ltd"
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == ["Name: Acme → Acme Ltd."]
