"""How events are written, the only place that does: group commit (`events/group_commit.py`) with this store.

One transaction holds the idempotency keys, the tracked users, COPY event and COPY usage_delta. Raw SQL: the ORM has no
COPY, and its upserts cannot say which rows were new.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from events import copy_rows, tracked_users
from events.deadlines import Deadlines
from events.group_commit import GroupCommit, committing
from events.rows import Row, give_ids
from pricing.catalog import Catalog
from pricing.publishing import FENCE_LOCK

CurrentCatalog = Callable[[], Awaitable[Catalog]]
"""Answers with the newest published catalog."""


def event_writer(
    conninfo: str, users: tracked_users.KnownUsers, deadlines: Deadlines, newest_catalog: CurrentCatalog
) -> GroupCommit[Row]:
    """A writer of events."""
    return GroupCommit(conninfo, EventStore(users, newest_catalog), deadlines)


class EventStore:
    """How events are written, by one process."""

    noun = "an event"

    def __init__(self, users: tracked_users.KnownUsers, newest_catalog: CurrentCatalog) -> None:
        self._users = users
        self._newest_catalog = newest_catalog

    def give_ids(self, rows: Sequence[Row]) -> None:
        """Ids of the events' own times, all with the same slot."""
        give_ids(rows)

    async def stored_ids(self, connection: AsyncConnection[Any], rows: Sequence[Row]) -> set[UUID]:
        """Which of the events are in the database."""
        ids = [row.id for row in rows if row.id is not None]
        cursor = await connection.execute(
            "SELECT id FROM event WHERE (id, slot) IN (SELECT * FROM unnest(%s::uuid[], %s::smallint[]))",
            [ids, [event_id.int & 0xFF for event_id in ids]],
        )
        return {row[0] for row in await cursor.fetchall()}

    async def refresh(self, rows: Sequence[Row]) -> None:
        """A revision was published after the rows were priced, and nothing may be stored at an older one any more."""
        catalog = await self._newest_catalog()
        for row in rows:
            row.price(catalog)

    async def write(self, connection: AsyncConnection[Any], rows: Sequence[Row]) -> bool:
        """Store the rows; False, and nothing is stored, when one of them was priced by an older revision."""
        async with _fenced(connection, {row.key.organization_id for row in rows}) as (revision, zones):
            if any(row.pricing_revision < revision for row in rows):
                return False
            _count_in(zones, rows)
            fresh, repeated = await _claim_keys(connection, rows)
            answers = await _first_answers(connection, repeated)
            learned = await tracked_users.store(connection, fresh, self._users)
            if fresh:
                await _copy(connection, copy_rows.EVENT_COPY, copy_rows.event_lines(fresh))
                await _copy(connection, copy_rows.DELTA_COPY, copy_rows.delta_lines(fresh))
        self._users.remember(learned)
        for row in fresh:
            row.accept_own()
        for row, answer in zip(repeated, answers, strict=True):
            row.accept(*answer)
        return True


_BEGIN = f"""BEGIN; SELECT pg_advisory_xact_lock_shared({FENCE_LOCK});
SELECT (SELECT coalesce(max(id), 0) FROM pricing_revision),
(SELECT json_object_agg(id, time_zone) FROM organization WHERE id IN (%s))"""  # noqa: S608


@asynccontextmanager
async def _fenced(
    connection: AsyncConnection[Any], organization_ids: Iterable[int]
) -> AsyncIterator[tuple[int, dict[str, str]]]:
    """A transaction with what is current, and stays so until its end: the catalog's revision, and the organizations'
    time zones by their ids as text.
    """
    async with committing(connection), connection.cursor() as cursor:
        await cursor.execute(_BEGIN % ", ".join(map(str, organization_ids)))
        while cursor.nextset():
            pass
        revision, zones = await cursor.fetchone() or (0, None)
        yield int(revision), zones or {}


def _count_in(zones: dict[str, str], rows: Sequence[Row]) -> None:
    """Let usage count in the organization's zone: a key is known for seconds, and the zone may have changed since."""
    for row in rows:
        zone = zones.get(str(row.key.organization_id))
        if zone is not None and zone != row.key.zone.key:
            row.key = replace(row.key, zone=ZoneInfo(zone))


async def _claim_keys(connection: AsyncConnection[Any], rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Insert the idempotency keys; returns the rows whose event is new, and those whose key is taken."""
    first: dict[tuple[int, UUID], Row] = {}
    fresh, repeated = [], []
    for row in rows:
        key = row.idempotency
        if key is None:
            fresh.append(row)
        elif first.setdefault(key, row) is not row:
            repeated.append(row)
    if first:
        new = await _insert_keys(connection, first)
        fresh += [row for key, row in first.items() if key in new]
        repeated += [row for key, row in first.items() if key not in new]
    return fresh, repeated


async def _first_answers(connection: AsyncConnection[Any], rows: list[Row]) -> list[tuple[UUID, int | None, datetime]]:
    """What the first event under each row's key was answered. A statement of its own: the insert may have waited for
    another transaction, whose row the insert's snapshot does not show."""
    keys = [key for row in rows if (key := row.idempotency)]
    if not keys:
        return []
    cursor = await connection.execute(
        """SELECT organization_id, key_hash, event_id, cost_picousd, created_at FROM idempotency_key
WHERE (organization_id, key_hash) IN (SELECT * FROM unnest(%s::bigint[], %s::uuid[]))""",
        [[key[0] for key in keys], [key[1] for key in keys]],
    )
    answers = {
        (organization, key_hash): (event_id, None if cost is None else int(cost), created_at)
        for organization, key_hash, event_id, cost, created_at in await cursor.fetchall()
    }
    return [answers[key] for key in keys]


async def _insert_keys(connection: AsyncConnection[Any], rows: dict[tuple[int, UUID], Row]) -> set[tuple[int, UUID]]:
    # Sorted, so that two processes that claim the same keys wait for each other in the same order.
    keys = sorted(rows)
    cursor = await connection.execute(
        """INSERT INTO idempotency_key (organization_id, key_hash, event_id, cost_picousd, created_at)
SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[], %s::numeric[], %s::timestamptz[])
ON CONFLICT DO NOTHING RETURNING organization_id, key_hash""",
        [
            [key[0] for key in keys],
            [key[1] for key in keys],
            [rows[key].id for key in keys],
            [rows[key].cost.picousd for key in keys],
            [rows[key].received_at for key in keys],
        ],
    )
    return {(found[0], found[1]) for found in await cursor.fetchall()}


async def _copy(connection: AsyncConnection[Any], statement: str, lines: bytes) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(lines)
