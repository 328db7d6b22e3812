"""Group commit: rows of requests that wait at the same moment share one transaction, and only then are answered.

The engine of every ingest path: when to commit, whom to answer, what to try again. What a row is and how it is written
is its store's (`events/writer.py`; `metering/record_store.py`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from events.deadlines import Deadlines

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


class Storable(Protocol):
    """A row on its way into the database: its pre-made id, and what became of it."""

    id: UUID | None
    answer_id: UUID | None
    """The id to answer with once it is stored: its own, or that of the first row under the same idempotency key."""
    replayed: bool
    error: str | None

    def accept_own(self) -> None:
        """The row itself is stored: answer with its own id."""


class Store[RowT: Storable](Protocol):
    """How one kind of row is written."""

    noun: str
    """What a row is, for the log."""

    def give_ids(self, rows: Sequence[RowT]) -> None:
        """Make the ids of rows that are about to be written for the first time."""

    async def stored_ids(self, connection: AsyncConnection[Any], rows: Sequence[RowT]) -> set[UUID]:
        """Which of the rows' own ids are in the database."""

    async def write(self, connection: AsyncConnection[Any], rows: Sequence[RowT]) -> bool:
        """Store the rows in one transaction of its own, and fill in their answers once it is committed.

        False: nothing was stored, because what the rows were made from has changed; they are written after `refresh`.
        """

    async def refresh(self, rows: Sequence[RowT]) -> None:
        """Make the rows anew from what is current."""


@dataclass(slots=True)
class _Submission[RowT: Storable]:
    rows: list[RowT]
    deadline: float
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupCommit[RowT: Storable]:
    """One per process and kind of row. `submit` from any task; `run` is the task that commits."""

    def __init__(self, conninfo: str, store: Store[RowT], deadlines: Deadlines) -> None:
        self._conninfo = conninfo
        self._store = store
        self._deadlines = deadlines
        self._connection: AsyncConnection[Any] | None = None
        self._waiting: deque[_Submission[RowT]] = deque()
        self._waiting_rows = 0
        self._in_doubt = False  # whether a transaction was begun whose end is not known
        self._wake = asyncio.Event()
        self._stopping = False

    async def submit(self, rows: list[RowT]) -> None:
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

    async def store(self, rows: list[RowT]) -> int:
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

    def _take(self) -> list[_Submission[RowT]]:
        batch: list[_Submission[RowT]] = []
        count = 0
        while self._waiting and (not batch or count + len(self._waiting[0].rows) <= MAX_BATCH_ROWS):
            submission = self._waiting.popleft()
            count += len(submission.rows)
            batch.append(submission)
        self._waiting_rows -= count
        return _without_late(batch, asyncio.get_running_loop().time())

    async def _commit_or_fail(self, batch: list[_Submission[RowT]]) -> None:
        """Commit the batch, trying again while the database is away; answer each submission in time."""
        clock = asyncio.get_running_loop().time
        pause = 0.02
        self._store.give_ids([row for submission in batch for row in submission.rows])
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

    async def _commit(self, rows: list[RowT]) -> None:
        """One transaction for all rows; where a row breaks it, halves, until only that row is left out."""
        connection = await self._connected()
        if self._in_doubt:
            await self._accept_stored(connection, rows)
        waiting = [row for row in rows if row.answer_id is None and row.error is None]
        if not waiting:
            return
        try:
            self._in_doubt = True
            while not await self._store.write(connection, waiting):
                await self._store.refresh(waiting)
            self._in_doubt = False
        except psycopg.errors.UniqueViolation:
            # An earlier try whose connection was lost has committed after all.
            await self._accept_stored(connection, waiting)
            await self._commit_halves(waiting, "its id is taken")
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError) as error:
            # The message alone: details quote the row, and rows hold customers' values.
            await self._commit_halves(waiting, error.diag.message_primary or type(error).__name__)

    async def _commit_halves(self, rows: list[RowT], problem: str) -> None:
        if len(rows) > 1:
            await self._commit(rows[: len(rows) // 2])
            await self._commit(rows[len(rows) // 2 :])
        elif rows[0].answer_id is None:
            logger.error("%s cannot be stored: %s", self._store.noun, problem)
            rows[0].error = "could not be stored"

    async def _accept_stored(self, connection: AsyncConnection[Any], rows: list[RowT]) -> None:
        """Answer the rows that an earlier try did commit although its own answer was lost: their ids tell."""
        stored = await self._store.stored_ids(connection, rows)
        self._in_doubt = False
        for row in rows:
            if row.id in stored:
                row.accept_own()

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


@asynccontextmanager
async def committing(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    """Commits at its end the transaction that its body begins, or rolls it back.

    The body sends BEGIN with its first statement, in one round trip: `connection.transaction()` would take two more.
    """
    try:
        yield
    except BaseException:
        if not connection.closed:
            with suppress(psycopg.Error, OSError):
                await connection.rollback()
        raise
    await connection.commit()


def _without_late[RowT: Storable](batch: list[_Submission[RowT]], now: float) -> list[_Submission[RowT]]:
    late = [submission for submission in batch if submission.deadline <= now]
    _fail(late)
    return [submission for submission in batch if submission.deadline > now]


def _fail[RowT: Storable](batch: Sequence[_Submission[RowT]]) -> None:
    for submission in batch:
        if not submission.done.done():
            submission.done.set_exception(Unavailable())


def now() -> datetime:
    """The server's clock, to the millisecond, as answers show it."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
