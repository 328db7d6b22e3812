"""Events in full, for files: all of them in the order of their time, in batches of bounded size.

Raw SQL: the ORM cannot read the partitioned event table with its owners' names in one keyset page.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from dashboard.filters import Filters
from dashboard.queries.conditions import id_floor, on_events
from dashboard.queries.reading import Sql, fetch
from events.models import Environment, Flag, ServiceTier, Status

BATCH_ROWS = 5_000
STREAM_ROWS = 1_000
BATCH_SECONDS = 600
"""A batch of a filter that finds hardly anything reads much."""
IDLE_SECONDS = 60
EXPORT_LOCK = 7_201_003
"""Advisory lock: whoever holds it may write prepared exports."""

type Row = tuple[Any, ...]
"""An event: its id, then one value for each of `events.event_columns.COLUMNS`. Times are aware, USD is a Decimal."""


def _words(column: str, choices: type[Environment] | type[Status] | type[ServiceTier]) -> str:
    whens = " ".join(f"WHEN {choice.value} THEN '{choice.label}'" for choice in choices)
    return f"CASE e.{column} {whens} END"


_FLAGS = ", ".join(f"CASE WHEN e.flags & {flag.value} <> 0 THEN '{flag.label}' END" for flag in Flag)
_SELECTED = f"""e.id, 'evt_' || replace(e.id::text, '-', ''), event_time(e.id), e.received_at,
{_words("environment", Environment)}, {_words("status", Status)}, e.error_message, e.feature, e.step, u.external_id,
u.name, e.session_id, e.conversation_id, e.provider, e.model, {_words("service_tier", ServiceTier)}, e.region,
e.input_tokens, e.output_tokens, e.cached_tokens, e.cache_write_tokens, e.cache_write_1h_tokens, e.reasoning_tokens,
e.latency_ms, e.streaming_duration_ms, e.is_streamed, e.cost_picousd * 0.000000000001, e.price_status,
e.pricing_revision, k.name, k.prefix, nullif(concat_ws(' ', {_FLAGS}), ''), e.api_flavor, e.provider_usage::text,
e.metadata::text"""
_OWNERS = "LEFT JOIN tracked_user u ON u.id = e.tracked_user_id LEFT JOIN api_key k ON k.id = e.api_key_id"


def batch(organization_id: int, filters: Filters, asked_at: datetime, after: UUID | None) -> list[Row]:
    """The next BATCH_ROWS events behind `after` of those received up to `asked_at`; the same indexes as the list."""
    wanted = _received(organization_id, filters, asked_at, after)
    # The names are looked up for one batch, not for all that the filters find.
    statement = f"""SELECT {_SELECTED} FROM (
    SELECT * FROM event e WHERE {wanted.text} ORDER BY e.id LIMIT {BATCH_ROWS}
) e {_OWNERS} ORDER BY e.id"""  # noqa: S608
    with _patient():
        return fetch(statement, wanted.params)


def total(organization_id: int, filters: Filters, asked_at: datetime) -> int:
    """How many events `batch` finds in all. One index range of event."""
    wanted = _received(organization_id, filters, asked_at, None)
    with _patient():
        return int(fetch(f"SELECT count(*) FROM event e WHERE {wanted.text}", wanted.params)[0][0])  # noqa: S608


def capped_count(organization_id: int, filters: Filters, cap: int) -> int:
    """How many events the filters find, at most `cap`. The same indexes as the list."""
    wanted = on_events(organization_id, filters, id_floor(filters.start), id_floor(filters.end))
    statement = f"SELECT count(*) FROM (SELECT FROM event e WHERE {wanted.text} LIMIT %s) found"  # noqa: S608
    return int(fetch(statement, (*wanted.params, cap))[0][0])


def stream(organization_id: int, filters: Filters) -> Iterator[list[Row]]:
    """All events of the filters, some STREAM_ROWS at a time, through a cursor of the database.

    To be used inside a snapshot, whose connection stays taken until the last batch; a reader that stalls loses it.
    """
    wanted = on_events(organization_id, filters, id_floor(filters.start), id_floor(filters.end))
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    with connection.chunked_cursor() as cursor:
        cursor.execute(f"SELECT {_SELECTED} FROM event e {_OWNERS} WHERE {wanted.text} ORDER BY e.id", wanted.params)  # noqa: S608
        while rows := cursor.fetchmany(STREAM_ROWS):
            yield rows


def _received(organization_id: int, filters: Filters, asked_at: datetime, after: UUID | None) -> Sql:
    lower = id_floor(filters.start) if after is None else UUID(int=after.int + 1)
    wanted = on_events(organization_id, filters, lower, id_floor(filters.end))
    return Sql.all_of([wanted, Sql("e.received_at <= %s", (asked_at,))])


@contextmanager
def _patient() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{BATCH_SECONDS}s'")
        yield


@contextmanager
def alone() -> Iterator[bool]:
    """Whether this process may write prepared exports until the block ends; the lock ends with its connection."""
    held = bool(fetch("SELECT pg_try_advisory_lock(%s)", (EXPORT_LOCK,))[0][0])
    try:
        yield held
    finally:
        if held:
            fetch("SELECT pg_advisory_unlock(%s)", (EXPORT_LOCK,))
