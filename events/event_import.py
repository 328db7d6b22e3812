"""History from files: events with their own times, priced at them, stored by the ingest writer, none of them twice.

An event's id follows from what it is: its id where the file has one, its idempotency key, or else what its line says.
So a file that is read again, whole or after a crash, finds what it has stored. Raw SQL: the ORM has no advisory locks,
and no partitions that are made ahead.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from django.db import Error, connection

from events import api_keys, history_files, rollups
from events.deadlines import Deadlines
from events.history_files import Line
from events.keys import KeyRecord
from events.models import ApiKey, Environment, Flag, Organization, Scope
from events.rows import Row, priced_row
from events.runtime import database_conninfo
from events.schema import NEWEST_MS, IncomingEvent, InvalidEvent, MalformedBody, parse_event, time_ms
from events.tracked_users import KnownUsers
from events.wire import FieldError
from events.writer import event_writer
from pricing import catalog as price_catalog
from pricing import provider_usage
from pricing.catalog import Catalog

BATCH_ROWS: Final = 1_000
BATCHES_A_FOLD: Final = 50
MAX_LINE_BYTES: Final = 256 * 1024
EARLIEST_MS: Final = 946_684_800_000
"""2000-01-01: pages name no day before it."""
EQUAL_LINES_KEPT: Final = 200_000
IMPORT_LOCK: Final = 7_201_004
"""Advisory lock with the organization's id: two imports at once would not see each other's events."""
KEY_NAME: Final = "Imported history"
"""The API key under whose name imported events stand: revoked from the start, its text thrown away."""

_PUBLIC_ID = re.compile(r"evt_([0-9a-f]{32})")

Progress = Callable[[int, int], None]
"""Told how much of the file is read, and how much there is."""


class Busy(Exception):
    """Another import into the organization is running."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that was not stored, and why."""

    line: Line
    errors: Sequence[FieldError]


@dataclass(slots=True)
class Imported:
    """What became of the lines; `spend_picousd` is the sum over the stored events with a price, in 1e-12 USD."""

    stored: int = 0
    known: int = 0
    rejected: int = 0
    unpriced: int = 0
    spend_picousd: int = 0


@dataclass(slots=True)
class _Read:
    """A line that is an event: the ids that it may have, the first one by choice."""

    line: Line
    row: Row
    ids: tuple[UUID, ...] = ()


def run(
    path: Path,
    organization: Organization,
    environment: Environment,
    *,
    now: datetime,
    progress: Progress = lambda read, size: None,
    reject: Callable[[Rejected], None] = lambda rejected: None,
) -> Imported:
    """Store the events of the file; `environment` is that of lines that name none.

    Raises history_files.Unreadable, Busy, or an error of the database; what was stored by then stays, and running it
    again goes on.
    """
    with _alone(organization), history_files.opened(path) as file, asyncio.Runner() as runner:
        writing = _Import(organization, environment, now, reject, runner)
        try:
            for number, lines in enumerate(batched(file.lines, BATCH_ROWS), 1):
                writing.store(lines)
                progress(file.position(), file.size)
                if number % BATCHES_A_FOLD == 0:
                    rollups.fold_now()
        finally:
            writing.close()
            rollups.fold_now()
    return writing.imported


@dataclass
class _Import:
    """One file on its way into the database."""

    organization: Organization
    environment: Environment
    now: datetime
    reject: Callable[[Rejected], None]
    runner: asyncio.Runner
    imported: Imported = field(default_factory=Imported)

    def __post_init__(self) -> None:
        self.catalog = price_catalog.current()
        self.writer = event_writer(database_conninfo(), KnownUsers(), Deadlines(), self._newest_catalog)
        self.keys: dict[Environment, KeyRecord] = {}
        self.months: set[str] = set()
        self.equal: OrderedDict[bytes, int] = OrderedDict()

    def store(self, lines: Sequence[Line]) -> None:
        """One batch: what is there already is left out, the rest is committed by the ingest writer."""
        read = [found for line in lines if (found := self._read(line))]
        self._make_months(read)
        fresh = self._without_known(read)
        rows = [one.row for one in fresh]
        known = self.runner.run(self.writer.store(rows)) if rows else 0
        failed = [one for one in fresh if one.row.error is not None]
        for one in failed:
            self._refuse(one.line, [FieldError("", "the database refuses it")])
        self.imported.known += len(read) - len(fresh) + known
        self.imported.stored += len(fresh) - known - len(failed)
        stored = [row for row in rows if row.error is None and not row.replayed]
        self.imported.unpriced += sum(row.cost.picousd is None for row in stored)
        self.imported.spend_picousd += sum(row.cost.picousd or 0 for row in stored)

    def close(self) -> None:
        """Give the connection back."""
        self.writer.stop()
        self.runner.run(self.writer.run())

    async def _newest_catalog(self) -> Catalog:
        self.catalog = await asyncio.to_thread(_load_catalog)
        return self.catalog

    def _read(self, line: Line) -> _Read | None:
        """The event of a line; None when it is refused."""
        try:
            event = parsed(line, int(self.now.timestamp() * 1000))
        except InvalidEvent as error:
            self._refuse(line, [FieldError(history_files.field_name(e.field, line), e.message) for e in error.errors])
            return None
        except MalformedBody as error:
            self._refuse(line, [FieldError("", str(error))])
            return None
        row = priced_row(event, self._key(line), self.catalog, self.now)
        return _Read(line, row, self._ids(line, event))

    def _refuse(self, line: Line, errors: Sequence[FieldError]) -> None:
        self.imported.rejected += 1
        self.reject(Rejected(line, errors))

    def _ids(self, line: Line, event: IncomingEvent) -> tuple[UUID, ...]:
        found = _PUBLIC_ID.fullmatch(line.row.get("id", "")) if line.row else None
        given = UUID(found[1]) if found else None
        own = (given,) if given is not None and given.int >> 80 == event.occurred_at_ms else ()
        return (*own, _derived_id(self.organization.pk, self._identity(line, event, given), event.occurred_at_ms))

    def _identity(self, line: Line, event: IncomingEvent, given: UUID | None) -> str:
        if given is not None:
            return f"id {given.hex}"
        if event.idempotency_key is not None:
            return f"key {event.idempotency_key}"
        digest = hashlib.sha256(line.body).digest()
        # Equal lines are as many events as there are lines. They mostly stand close together.
        number = self.equal.pop(digest, 0)
        self.equal[digest] = number + 1
        if len(self.equal) > EQUAL_LINES_KEPT:
            self.equal.popitem(last=False)
        return f"line {digest.hex()} {number}"

    def _key(self, line: Line) -> KeyRecord:
        word = line.row.get("environment", "") if line.row else ""
        environment = Environment[word.upper()] if word else self.environment
        if environment not in self.keys:
            self.keys[environment] = _spent_key(self.organization, environment, self.now)
        return self.keys[environment]

    def _make_months(self, read: Sequence[_Read]) -> None:
        """The partitions of the events' months, outside of the transaction that fills them."""
        for month in {f"{_at(one.row.event):%Y-%m-01}" for one in read} - self.months:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT ensure_event_partitions(%s::date, %s::date)", [month, month])
            except Error as error:
                # Events of that month lie in the default partition already: it goes on taking them.
                if not isinstance(error.__cause__, psycopg.errors.CheckViolation):
                    raise
            self.months.add(month)

    def _without_known(self, read: Sequence[_Read]) -> list[_Read]:
        """Those that the organization does not have, each with an id that nobody has."""
        owners = _owners([event_id for one in read for event_id in one.ids])
        fresh, taken = [], set(owners)
        for one in read:
            if any(owners.get(event_id) == self.organization.pk for event_id in one.ids):
                continue
            free = [event_id for event_id in one.ids if event_id not in taken]
            if free:
                one.row.id = free[0]
                taken.update(one.ids)
                fresh.append(one)
        return fresh


def parsed(line: Line, now_ms: int) -> IncomingEvent:
    """The event of a line at its own time, however long ago. Raises as `schema.parse_event`."""
    if len(line.body) > MAX_LINE_BYTES:
        raise MalformedBody(f"is longer than {MAX_LINE_BYTES // 1024} KiB")
    at_ms = _time_of(line)
    event = parse_event(line.body, now_ms if at_ms is None else at_ms, provider_usage.read)
    problems = [] if at_ms is None else _time_problems(at_ms, now_ms)
    if at_ms is None:
        problems = [FieldError("metadata.timestamp", "is required: history has times of its own")]
    return _completed(event, line, problems)


class _Timed(msgspec.Struct):
    metadata: dict[str, Any] | None = None


def _time_of(line: Line) -> int | None:
    """The time that the line names, in milliseconds since 1970; None where `parse_event` will say what is wrong."""
    try:
        timed = msgspec.json.decode(line.body, type=_Timed)
        return time_ms((timed.metadata or {})["timestamp"])
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return None


def _time_problems(at_ms: int, now_ms: int) -> list[FieldError]:
    if at_ms > now_ms + NEWEST_MS:
        return [FieldError("metadata.timestamp", "is in the future")]
    if at_ms < EARLIEST_MS:
        return [FieldError("metadata.timestamp", "must not be before the year 2000")]
    return []


def _completed(event: IncomingEvent, line: Line, problems: list[FieldError]) -> IncomingEvent:
    """The event with what only exports know. Raises InvalidEvent with these problems and those of the other columns."""
    row = line.row or {}
    flags = frozenset(row.get("flags", "").split())
    if row.get("environment", "live") not in ("", *(one.label for one in Environment)):
        problems.append(FieldError("environment", "must be live or test"))
    if unknown := flags - {flag.label for flag in Flag}:
        problems.append(FieldError("flags", f"has an unknown word: {', '.join(sorted(unknown))}"))
    for column in ("metadata", "provider_usage"):
        if (text := row.get(column)) and not history_files.is_json_object(text):
            problems.append(FieldError(column, "must be a JSON object"))
    if problems:
        raise InvalidEvent(problems)
    if line.row is None:
        return event
    return msgspec.structs.replace(
        event,
        region=row.get("region") or event.region,
        api_flavor=row.get("api_flavor") or None,
        provider_usage=row.get("provider_usage") or None,
        flags=event.flags | flags,
    )


def _at(event: IncomingEvent) -> datetime:
    return datetime.fromtimestamp(event.occurred_at_ms / 1000, UTC)


def _derived_id(organization_id: int, identity: str, at_ms: int) -> UUID:
    """A uuidv7 that is the same whenever the same event comes; events of a day share its last byte, their slot."""
    random = int.from_bytes(hashlib.sha256(f"{organization_id} {identity}".encode()).digest()[:10])
    slot = hashlib.sha256(f"{organization_id} {at_ms // 86_400_000}".encode()).digest()[0]
    head = at_ms << 80 | 0x7 << 76 | (random & 0xFFF) << 64
    return UUID(int=head | 0b10 << 62 | (random >> 12 & (1 << 54) - 1) << 8 | slot)


def _owners(ids: Sequence[UUID]) -> dict[UUID, int]:
    """Which of the ids are taken, and by which organization."""
    with connection.cursor() as cursor:
        # By the id alone: pairs are looked up by reading all of the table.
        cursor.execute("SELECT id, organization_id FROM event WHERE id = ANY (%s::uuid[])", [list(ids)])
        return dict(cursor.fetchall())


def _spent_key(organization: Organization, environment: Environment, now: datetime) -> KeyRecord:
    key = ApiKey.objects.filter(organization=organization, environment=environment, name=KEY_NAME).first()
    if key is None:
        key, _ = api_keys.create(
            organization=organization,
            name=KEY_NAME,
            environment=environment,
            scopes=[Scope.EVENTS_WRITE.value],
            expires_at=None,
            created_by=None,
            now=now,
        )
        api_keys.revoke(key=key, now=now)
    zone, revoked_at = organization.zone, key.revoked_at
    return KeyRecord(
        key.pk, organization.pk, environment.value, frozenset(key.scopes), zone, key.prefix, None, revoked_at
    )


def _load_catalog() -> Catalog:
    try:
        return price_catalog.current()
    finally:
        connection.close()


@contextmanager
def _alone(organization: Organization) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [IMPORT_LOCK, organization.pk])
        if not cursor.fetchone()[0]:
            raise Busy
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [IMPORT_LOCK, organization.pk])
