"""The group-commit writer: the only place that writes events.

Requests that wait at the same moment share one transaction: idempotency keys, tracked users, COPY event, COPY
usage_delta, commit. Only then are they answered. Raw SQL: the ORM has no COPY, and its upserts cannot say which rows
were new.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from psycopg import AsyncConnection

from events import copy_rows, tracked_users
from events.deadlines import Deadlines
from events.rows import Row, give_ids
from pricing.catalog import Catalog
from pricing.publishing import FENCE_LOCK

logger = logging.getLogger("fluxgate.writer")

MAX_BATCH_ROWS = 500
MAX_WAITING_ROWS = 20_000
WINDOW_SECONDS = 0.003
GIVE_UP_SECONDS = 4.0
"""The published SDK aborts after 5 seconds: by then it must have an answer."""


GRACE_SECONDS = 0.3
"""Time for a commit that has begun to be told as what it is."""
RETRIED = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, OSError)
"""Errors of the connection or of the moment, not of the rows."""


class Unavailable(Exception):
    """The database could not take the rows in time; nothing was answered, so the caller may send again."""


@dataclass(slots=True)
class _Submission:
    rows: list[Row]
    deadline: float
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


CurrentCatalog = Callable[[], Awaitable[Catalog]]
"""Answers with the newest published catalog."""


class Writer:
    """One per process. `submit` from any task; `run` is the task that commits."""

    def __init__(
        self, conninfo: str, users: tracked_users.KnownUsers, deadlines: Deadlines, newest_catalog: CurrentCatalog
    ) -> None:
        self._conninfo = conninfo
        self._deadlines = deadlines
        self._newest_catalog = newest_catalog
        self._users = users
        self._connection: AsyncConnection[Any] | None = None
        self._waiting: deque[_Submission] = deque()
        self._waiting_rows = 0
        self._in_doubt = False  # whether a transaction was begun whose end is not known
        self._wake = asyncio.Event()
        self._stopping = False

    async def submit(self, rows: list[Row]) -> None:
        """Return once the rows are durably committed, their answers filled in.

        Raises Unavailable when the database cannot take them within GIVE_UP_SECONDS, or when too many wait already.
        """
        if self._waiting_rows + len(rows) > MAX_WAITING_ROWS or self._stopping:
            raise Unavailable
        loop = asyncio.get_running_loop()
        submission = _Submission(rows, loop.time() + GIVE_UP_SECONDS)
        self._waiting.append(submission)
        self._waiting_rows += len(rows)
        self._wake.set()
        # Whoever disconnects after sending its body is stored all the same: the rows are the writer's by now.
        try:
            with self._deadlines.within(GIVE_UP_SECONDS + GRACE_SECONDS):
                await submission.done
        except TimeoutError:
            raise Unavailable from None

    async def store(self, rows: list[Row]) -> int:
        """Commit rows that have ids of their own already; returns how many of them repeat an idempotency key.

        For history that comes in from files. Not to be used beside `run`. Raises errors of the connection; a row that
        cannot be stored has its `error`.
        """
        await self._commit(rows)
        return sum(row.replayed for row in rows)

    async def run(self) -> None:
        """Commit what is submitted until `stop`, then what still waits."""
        shared = False
        while True:
            await self._wake.wait()
            if shared:
                # Others wait at the same time: a moment's patience makes one commit of many.
                await asyncio.sleep(WINDOW_SECONDS)
            batch = self._take()
            if batch:
                shared = len(batch) > 1
                await self._commit_or_fail(batch)
            if not self._waiting:
                if self._stopping:
                    break
                self._wake.clear()
        await self._disconnect()

    def stop(self) -> None:
        """Take no more; `run` returns when all that was submitted is answered."""
        self._stopping = True
        self._wake.set()

    def _take(self) -> list[_Submission]:
        batch: list[_Submission] = []
        count = 0
        while self._waiting and (not batch or count + len(self._waiting[0].rows) <= MAX_BATCH_ROWS):
            submission = self._waiting.popleft()
            count += len(submission.rows)
            batch.append(submission)
        self._waiting_rows -= count
        return _without_late(batch, asyncio.get_running_loop().time())

    async def _commit_or_fail(self, batch: list[_Submission]) -> None:
        """Commit the batch, trying again while the database is away; answer each submission in time."""
        clock = asyncio.get_running_loop().time
        pause = 0.02
        give_ids([row for submission in batch for row in submission.rows])
        while batch:
            try:
                async with asyncio.timeout_at(min(submission.deadline for submission in batch)):
                    await self._commit([row for submission in batch for row in submission.rows])
            except RETRIED as error:
                logger.warning("commit failed, trying again: %s", str(error).strip().partition("\n")[0])
                await self._disconnect()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
                batch = _without_late(batch, clock())
            except Exception:
                logger.exception("commit failed")
                await self._disconnect()
                _fail(batch)
                return
            else:
                for submission in batch:
                    if not submission.done.done():
                        submission.done.set_result(None)
                return

    async def _commit(self, rows: list[Row]) -> None:
        """One transaction for all rows; where a row breaks it, halves, until only that row is left out."""
        connection = await self._connected()
        if self._in_doubt:
            await self._accept_stored(connection, rows)
        waiting = [row for row in rows if row.answer_id is None and row.error is None]
        if not waiting:
            return
        try:
            while not await self._transaction(connection, waiting):
                await self._price_anew(waiting)
        except psycopg.errors.UniqueViolation:
            # An earlier try whose connection was lost has committed after all.
            await self._accept_stored(connection, waiting)
            await self._commit_halves(waiting, "its id is taken")
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError) as error:
            # The message alone: details quote the row, and rows hold customers' values.
            await self._commit_halves(waiting, error.diag.message_primary or type(error).__name__)

    async def _commit_halves(self, rows: list[Row], problem: str) -> None:
        if len(rows) > 1:
            await self._commit(rows[: len(rows) // 2])
            await self._commit(rows[len(rows) // 2 :])
        elif rows[0].answer_id is None:
            logger.error("an event cannot be stored: %s", problem)
            rows[0].error = "could not be stored"

    async def _accept_stored(self, connection: AsyncConnection[Any], rows: list[Row]) -> None:
        """Answer the rows that an earlier try did commit although its own answer was lost: their ids tell."""
        ids = [row.id for row in rows if row.id is not None]
        cursor = await connection.execute(
            "SELECT id FROM event WHERE (id, slot) IN (SELECT * FROM unnest(%s::uuid[], %s::smallint[]))",
            [ids, [event_id.int & 0xFF for event_id in ids]],
        )
        stored = {row[0] for row in await cursor.fetchall()}
        self._in_doubt = False
        for row in rows:
            if row.id in stored:
                row.accept_own()

    async def _price_anew(self, rows: list[Row]) -> None:
        """A revision was published after the rows were priced, and nothing may be stored at an older one any more."""
        catalog = await self._newest_catalog()
        for row in rows:
            row.price(catalog)

    async def _transaction(self, connection: AsyncConnection[Any], rows: list[Row]) -> bool:
        """Store the rows; False, and nothing is stored, when one of them was priced by an older revision."""
        self._in_doubt = True
        async with _fenced(connection, {row.key.organization_id for row in rows}) as (revision, zones):
            if any(row.pricing_revision < revision for row in rows):
                self._in_doubt = False
                return False
            _count_in(zones, rows)
            fresh, repeated = await _claim_keys(connection, rows)
            answers = await _first_answers(connection, repeated)
            learned = await tracked_users.store(connection, fresh, self._users)
            if fresh:
                await _copy(connection, copy_rows.EVENT_COPY, copy_rows.event_lines(fresh))
                await _copy(connection, copy_rows.DELTA_COPY, copy_rows.delta_lines(fresh))
        self._in_doubt = False
        self._users.remember(learned)
        for row in fresh:
            row.accept_own()
        for row, answer in zip(repeated, answers, strict=True):
            row.accept(*answer)
        return True

    async def _connected(self) -> AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(
                self._conninfo, autocommit=True, options="-c statement_timeout=3500 -c lock_timeout=2500"
            )
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


_BEGIN = f"""BEGIN; SELECT pg_advisory_xact_lock_shared({FENCE_LOCK});
SELECT (SELECT coalesce(max(id), 0) FROM pricing_revision),
(SELECT json_object_agg(id, time_zone) FROM organization WHERE id IN (%s))"""  # noqa: S608


@asynccontextmanager
async def _fenced(
    connection: AsyncConnection[Any], organization_ids: Iterable[int]
) -> AsyncIterator[tuple[int, dict[str, str]]]:
    """A transaction with what is current, and stays so until its end: the catalog's revision, and the organizations'
    time zones by their ids as text.

    One round trip for all of it: a connection's own `transaction()` would take two more for each commit.
    """
    async with connection.cursor() as cursor:
        try:
            await cursor.execute(_BEGIN % ", ".join(map(str, organization_ids)))
            while cursor.nextset():
                pass
            revision, zones = await cursor.fetchone() or (0, None)
            yield int(revision), zones or {}
        except BaseException:
            if not connection.closed:
                with suppress(psycopg.Error, OSError):
                    await connection.rollback()
            raise
        await connection.commit()


def _count_in(zones: dict[str, str], rows: list[Row]) -> None:
    """Let usage count in the organization's zone: a key is known for seconds, and the zone may have changed since."""
    for row in rows:
        zone = zones.get(str(row.key.organization_id))
        if zone is not None and zone != row.key.zone.key:
            row.key = replace(row.key, zone=ZoneInfo(zone))


async def _claim_keys(connection: AsyncConnection[Any], rows: list[Row]) -> tuple[list[Row], list[Row]]:
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


def _without_late(batch: list[_Submission], now: float) -> list[_Submission]:
    late = [submission for submission in batch if submission.deadline <= now]
    _fail(late)
    return [submission for submission in batch if submission.deadline > now]


def _fail(batch: Sequence[_Submission]) -> None:
    for submission in batch:
        if not submission.done.done():
            submission.done.set_exception(Unavailable())


def now() -> datetime:
    """The server's clock, to the millisecond, as answers show it."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
