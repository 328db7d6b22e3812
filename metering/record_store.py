"""How usage records are written, the only place that does: group commit (`events/group_commit.py`) with this store.

Raw SQL: the ORM's inserts cannot say which rows were new. A record under an idempotency key is stored once by a unique
index, however many try at the same time. The transaction holds the billing fence, so that an invoice is finalized
before it or after it: what comes after is marked with the invoice that has closed its period.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from events import tracked_users
from events.deadlines import Deadlines
from events.group_commit import GroupCommit, committing
from events.tracked_users import KnownUsers, UserKey
from metering.schema import IncomingUsage

FENCE_LOCK = 7_310_002
"""Advisory lock: shared by whoever stores usage, taken alone by whoever closes a period."""
TAKE_FENCE = f"SELECT pg_advisory_xact_lock_shared({FENCE_LOCK})"
CLOSED_AFTER = timedelta(minutes=1)
"""A period is not closed before this much time has passed since its end, so usage of now needs no look at invoices."""


@dataclass(slots=True)
class RecordRow:
    """One usage record on its way into the database, and what became of it."""

    usage: IncomingUsage
    organization_id: int
    environment: int
    meter_id: int
    received_at: datetime
    tracked_user_id: int | None = None
    """None: the customer is known by its external id, and made where there is none."""
    unique_value: str | None = None
    api_key_id: int | None = None
    person_id: int | None = None
    id: UUID | None = None
    late_for_id: int | None = None
    # The answer: of this record, or of the first one under the same idempotency key.
    answer_id: UUID | None = None
    answer_meter_id: int = 0
    answer_customer_id: int = 0
    answer_quantity: Decimal = Decimal(0)
    answer_at: datetime | None = None
    first_content_hash: UUID | None = None
    replayed: bool = False
    error: str | None = None

    @property
    def key_hash(self) -> UUID | None:
        """What makes a retry safe."""
        key = self.usage.idempotency_key
        return None if key is None else UUID(bytes=hashlib.sha256(key.encode()).digest()[:16])

    @property
    def customer(self) -> UserKey:
        """Organization and external id."""
        return self.organization_id, str(self.usage.customer)

    def accept_own(self) -> None:
        """The record is stored: answer with what it is."""
        assert self.id is not None
        assert self.tracked_user_id is not None
        usage = self.usage
        self._answer(
            self.id, self.meter_id, self.tracked_user_id, usage.quantity, usage.occurred_at, usage.content_hash
        )

    def accept(self, first: tuple[UUID, int, int, Decimal, datetime, UUID]) -> None:
        """Answer as the first record under the same key was answered. After a lost reply that may be this very row."""
        self._answer(*first)
        self.replayed = first[0] != self.id

    def _answer(self, *first: Any) -> None:
        self.answer_id, self.answer_meter_id, self.answer_customer_id, self.answer_quantity = first[:4]
        self.answer_at, self.first_content_hash = first[4:]


def record_writer(conninfo: str, customers: KnownUsers, deadlines: Deadlines) -> GroupCommit[RecordRow]:
    """A writer of usage records."""
    return GroupCommit(conninfo, RecordStore(customers), deadlines)


class RecordStore:
    """How usage records are written, by one process."""

    noun = "a usage record"

    def __init__(self, customers: KnownUsers) -> None:
        self._customers = customers

    def give_ids(self, rows: Sequence[RecordRow]) -> None:
        """Ids of the times of arrival."""
        give_ids(rows)

    async def stored_ids(self, connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> set[UUID]:
        """Which of the records are in the database."""
        cursor = await connection.execute(
            "SELECT id FROM usage_record WHERE id = ANY(%s)", [[row.id for row in rows if row.id is not None]]
        )
        return {row[0] for row in await cursor.fetchall()}

    async def write(self, connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> bool:
        """Store the rows whose key is new; the others get the first one's answer."""
        async with committing(connection):
            await connection.execute(f"BEGIN; {TAKE_FENCE}")
            found = await self._stored(connection, rows)
        self._accept(rows, found)
        return True

    async def write_within(self, connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> None:
        """The same in a transaction of the caller's, who has begun it with TAKE_FENCE and commits it."""
        self._accept(rows, await self._stored(connection, rows))

    async def _stored(self, connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> "_Stored":
        learned = await self._find_customers(connection, rows)
        await _mark_late(connection, rows)
        new = await _insert(connection, rows)
        repeated = [row for row in rows if row.id not in new]
        return _Stored(learned, new, repeated, await _first_answers(connection, repeated))

    def _accept(self, rows: Sequence[RecordRow], found: "_Stored") -> None:
        self._customers.remember(found.learned)
        for row in rows:
            if row.id in found.new:
                row.accept_own()
        for row, answer in zip(found.repeated, found.answers, strict=True):
            row.accept(answer)

    async def refresh(self, rows: Sequence[RecordRow]) -> None:
        """Nothing to make anew: a record does not depend on prices."""

    async def _find_customers(self, connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> dict[UserKey, int]:
        """Set each row's customer, made where there is none; returns the ids that were not known yet."""
        named = [row for row in rows if row.tracked_user_id is None]
        unknown = {row.customer: row.usage.occurred_at for row in named if self._customers.get(row.customer) is None}
        # Sorted, so that two processes that name the same customers wait for each other in the same order.
        learned = await tracked_users.ensure(connection, dict(sorted(unknown.items())))
        for row in named:
            row.tracked_user_id = learned.get(row.customer) or self._customers.get(row.customer)
        return learned


class _Stored(NamedTuple):
    """What became of rows: customers that were not known, ids that are new, and the answers of the others."""

    learned: dict[UserKey, int]
    new: set[UUID]
    repeated: list[RecordRow]
    answers: list[Any]


def give_ids(rows: Sequence[RecordRow], random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
    """Make the ids of a batch: uuidv7 of the time each was received, in order of arrival within a millisecond."""
    entropy = random_bytes(8 * len(rows))
    for number, row in enumerate(rows):
        random = int.from_bytes(entropy[8 * number : 8 * number + 8]) >> 2
        received_ms = int(row.received_at.timestamp() * 1000)
        row.id = UUID(int=received_ms << 80 | 0x7 << 76 | (number & 0xFFF) << 64 | 0b10 << 62 | random)


async def _mark_late(connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> None:
    """Note the finalized invoice that has closed a record's period. Index invoice_period_once of each customer."""
    past = [row for row in rows if row.environment == 0 and row.usage.occurred_at < row.received_at - CLOSED_AFTER]
    if not past:
        return
    cursor = await connection.execute(
        """SELECT n.id, i.id FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS n (id, customer, at)
JOIN invoice i ON i.tracked_user_id = n.customer AND i.status = 'finalized'
    AND n.at >= i.period_start AND n.at < i.period_end""",
        [
            [row.id for row in past],
            [row.tracked_user_id for row in past],
            [row.usage.occurred_at for row in past],
        ],
    )
    closed = {row[0]: row[1] for row in await cursor.fetchall()}
    for row in past:
        row.late_for_id = closed.get(row.id)


_COLUMNS = {
    "id": "uuid",
    "organization_id": "bigint",
    "environment": "smallint",
    "meter_id": "bigint",
    "tracked_user_id": "bigint",
    "quantity": "numeric",
    "occurred_at": "timestamptz",
    "received_at": "timestamptz",
    "unique_value": "text",
    "metadata": "jsonb",
    "key_hash": "uuid",
    "content_hash": "uuid",
    "api_key_id": "bigint",
    "person_id": "bigint",
    "late_for_id": "bigint",
}
_INSERT = f"""INSERT INTO usage_record ({", ".join(_COLUMNS)})
SELECT * FROM unnest({", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())})
ON CONFLICT (organization_id, key_hash) WHERE key_hash IS NOT NULL DO NOTHING RETURNING id"""  # noqa: S608


async def _insert(connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> set[UUID]:
    """Insert the rows; returns the ids of those whose key was new."""
    # Sorted, so that two processes that claim the same keys wait for each other in the same order.
    ordered = sorted(rows, key=lambda row: row.key_hash.int if row.key_hash else 0)
    values = [
        (
            row.id,
            row.organization_id,
            row.environment,
            row.meter_id,
            row.tracked_user_id,
            row.usage.quantity,
            row.usage.occurred_at,
            row.received_at,
            row.unique_value,
            row.usage.metadata,
            row.key_hash,
            row.usage.content_hash,
            row.api_key_id,
            row.person_id,
            row.late_for_id,
        )
        for row in ordered
    ]
    cursor = await connection.execute(_INSERT, [list(column) for column in zip(*values, strict=True)])
    return {row[0] for row in await cursor.fetchall()}


async def _first_answers(connection: AsyncConnection[Any], rows: Sequence[RecordRow]) -> list[Any]:
    """What the first record under each row's key was answered. A statement of its own: the insert may have waited for
    another transaction, whose row the insert's snapshot does not show."""
    if not rows:
        return []
    keys = [(row.organization_id, row.key_hash) for row in rows]
    cursor = await connection.execute(
        """SELECT organization_id, key_hash, id, meter_id, tracked_user_id, quantity, occurred_at, content_hash
FROM usage_record WHERE (organization_id, key_hash) IN (SELECT * FROM unnest(%s::bigint[], %s::uuid[]))""",
        [[key[0] for key in keys], [key[1] for key in keys]],
    )
    found = {(row[0], row[1]): tuple(row[2:]) for row in await cursor.fetchall()}
    return [found[key] for key in keys]
