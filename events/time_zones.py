"""Moving an organization to another time zone: its hours and days start elsewhere, so its usage is made anew.

The change itself takes the fence of `pricing/publishing.py` alone. Writers hold it, shared, and look up there in which
zone an organization counts: whatever is committed after the change is counted in the new zone, whatever was committed
before can be seen by the rebuild. Re-pricing, the other writer of deltas, and the folder are kept out while one
REPEATABLE READ snapshot of events and deltas becomes the new usage; deltas of later events stay for the folder.
Docs: decisions/0013. Raw SQL: advisory locks, and the statements of `events/rollups.py`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

from django.db import DataError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from events import rollups
from events.models import Environment, Event, Organization, TimeZoneChange, User
from events.repricing import REPRICE_LOCK
from pricing.publishing import FENCE_LOCK

logger = logging.getLogger("fluxgate.time_zones")

CHUNK_EVENTS = 50_000
"""How many events one statement counts; between two of them progress is told."""
TIME_ZONE_LOCK = 7_201_003
"""Advisory lock: whoever holds it may rebuild an organization's usage."""

Progress = Callable[[int, int], None]
"""Told how many events are counted, and of how many."""
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


class UnknownZone(Exception):
    """The database does not know the zone, although Python does; the message is a sentence for people."""


class _Stopped(Exception):
    """Ends a rebuild that was told to stop: nothing of it is kept."""


def change(organization: Organization, zone: str, *, asked_by: User | None, now: datetime) -> TimeZoneChange | None:
    """Make `zone` the organization's, from the commit on; None when it is so already.

    To be called in a transaction that queues the rebuild as well (`events/organizations.py`); it takes the fence, so
    nothing slow may follow. Without any event there is nothing to rebuild, and the change is finished at once.
    Raises UnknownZone.
    """
    _check(zone)
    found = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if found.time_zone == zone:
        return None
    made = TimeZoneChange.objects.create(
        organization=found, old_zone=found.time_zone, new_zone=zone, asked_by=asked_by, created_at=now
    )
    found.time_zone = organization.time_zone = zone
    found.save(update_fields=["time_zone"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FENCE_LOCK])
    if not Event.objects.filter(organization_id=organization.pk).exists():
        made.finished_at = now
        made.save(update_fields=["finished_at"])
    return made


def is_waiting() -> bool:
    """Whether any organization's usage is still to be brought to its new zone."""
    return TimeZoneChange.objects.filter(finished_at=None).exists()


def run_pending(should_stop: Callable[[], bool] = lambda: False, progress: Progress = lambda done, total: None) -> None:
    """Rebuild the usage of every organization that has moved, the one that waits longest first.

    Returns at once when another process is at it. Asks `should_stop` while it waits for a re-pricing to make room, and
    after every CHUNK_EVENTS events; a rebuild that is stopped leaves everything as it was.
    """
    while not should_stop():
        with ExitStack() as stack:
            alone = stack.enter_context(_tried(TIME_ZONE_LOCK))
            if alone and is_waiting():
                held = [
                    stack.enter_context(_waited_for(lock, should_stop)) for lock in (REPRICE_LOCK, rollups.FOLD_LOCK)
                ]
                while all(held) and (move := _oldest_open()) and not should_stop():
                    _finish(move, should_stop, progress)
        # Looked for once more without the lock: whoever queued one just now has met it and gone.
        if not alone or not is_waiting():
            return


def _oldest_open() -> TimeZoneChange | None:
    return TimeZoneChange.objects.filter(finished_at=None).order_by("id").first()


def _finish(move: TimeZoneChange, should_stop: Callable[[], bool], progress: Progress) -> None:
    logger.info("counting the usage of organization %s by its new time zone", move.organization_id)
    with _told_meanwhile(move) as tell, suppress(_Stopped):

        def counted(done: int, total: int) -> None:
            tell(done, total)
            progress(done, total)
            if should_stop():
                raise _Stopped

        covered = _rebuild(move.organization_id, counted)
        # Not in the rebuild's transaction, which cannot change a row that tells its progress. Cut off in between, the
        # rebuild is done once more.
        open_moves = TimeZoneChange.objects.filter(organization=move.organization_id, finished_at=None)
        open_moves.filter(pk__lte=covered).update(finished_at=datetime.now(UTC))
        logger.info("organization %s is counted by its new time zone", move.organization_id)


def _rebuild(organization_id: int, progress: Progress) -> int:
    """Make the organization's usage anew in the zone that it has now; returns the newest change that this covers."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SELECT max(id) FROM time_zone_change WHERE organization_id = %s", [organization_id])
        covered = int(cursor.fetchone()[0])
        total, done = _stored_events(organization_id), 0
        for table in ("usage_delta", *(rollup.table for rollup in rollups.ROLLUPS)):
            cursor.execute(f"DELETE FROM {table} WHERE organization_id = %s", [organization_id])  # noqa: S608
        progress(done, total)
        for chunk in _chunks(organization_id):
            cursor.execute(_REBUILD, [organization_id, *chunk])
            done += int(cursor.fetchone()[0])
            progress(done, total)
    return covered


_REBUILD = rollups.fold_statement(
    f"{rollups.EVENTS_AS_DELTA} WHERE e.organization_id = %s AND e.environment = %s AND e.id > %s AND e.id <= %s"
)


def _stored_events(organization_id: int) -> int:
    """How many events the usage counts, which are all of them, whatever the zone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(events), 0) FROM usage_day_now WHERE organization_id = %s AND kind = 'total'",
            [organization_id],
        )
        return int(cursor.fetchone()[0])


def _chunks(organization_id: int) -> Iterator[tuple[int, UUID, UUID]]:
    """Environment and range of ids (first excluded, last included) of CHUNK_EVENTS events each, all of them in all.

    event_newest (organization, environment, id).
    """
    for environment in Environment.values:
        last = _FIRST
        while last != _LAST:
            first = last
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT id FROM event WHERE organization_id = %s AND environment = %s AND id > %s"
                    " ORDER BY id OFFSET %s LIMIT 1",
                    [organization_id, environment, first, CHUNK_EVENTS - 1],
                )
                found = cursor.fetchone()
            last = found[0] if found else _LAST
            yield environment, first, last


def _check(zone: str) -> None:
    """PostgreSQL has a list of zones of its own; one that it lacks would fail every later statement."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT now() AT TIME ZONE %s", [zone])
    except DataError:
        raise UnknownZone(f"The database does not know the time zone {zone}; choose another one.") from None


@contextmanager
def _told_meanwhile(move: TimeZoneChange) -> Iterator[Progress]:
    """Tells progress on a connection of its own: what the rebuild's transaction writes nobody sees before its end."""
    other: BaseDatabaseWrapper = connection.copy()
    started_at = datetime.now(UTC)

    def tell(done: int, total: int) -> None:
        with other.cursor() as cursor:
            cursor.execute(
                "UPDATE time_zone_change SET started_at = coalesce(started_at, %s), done = %s, total = %s"
                " WHERE id = %s",
                [started_at, done, total, move.pk],
            )

    try:
        yield tell
    finally:
        other.close()


@contextmanager
def _tried(lock: int) -> Iterator[bool]:
    """Whether the advisory lock is this process's until the block ends; without waiting for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        held = bool(cursor.fetchone()[0])
    try:
        yield held
    finally:
        if held:
            _release(lock)


@contextmanager
def _waited_for(lock: int, should_stop: Callable[[], bool]) -> Iterator[bool]:
    """The same, waiting for whoever holds it; False only when told to stop.

    Outside of any transaction: a snapshot taken while waiting would be stale.
    """
    held = False
    while not held and not should_stop():
        held = _within_a_second(lock)
    try:
        yield held
    finally:
        if held:
            _release(lock)


def _within_a_second(lock: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        try:
            cursor.execute("SELECT pg_advisory_lock(%s)", [lock])
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != "55P03":  # lock_not_available
                raise
            return False
        else:
            return True
        finally:
            cursor.execute("RESET lock_timeout")


def _release(lock: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])
