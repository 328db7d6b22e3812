"""Usage that people record, written by the record store, as programs' is: in this thread and on Django's connection.

The store speaks to an asynchronous connection; one that answers at once lets it be used from a thread that waits.
"""

from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, cast

from django.db import connection, transaction
from psycopg import AsyncConnection

from events.models import TrackedUser
from events.schema import checked_idempotency_key
from events.tracked_users import KnownUsers
from events.wire import FieldError
from metering import schema, track
from metering.api.errors import invalid, not_found
from metering.models import Meter
from metering.record_store import TAKE_FENCE, RecordRow, RecordStore, give_ids
from metering.schema import IncomingUsage
from metering.track import MeterRecord


def record(organization_id: int, person_id: int, usage: IncomingUsage, now: datetime) -> RecordRow:
    """Store the usage, once per idempotency key; the row holds the answer.

    Raises HttpError 404 for a meter or a customer that is not there, InvalidEvent for metadata that the meter needs.
    """
    row = track.row_of(usage, _meter(organization_id, cast(int, usage.meter)), now)
    assert row.tracked_user_id is not None
    if not TrackedUser.objects.filter(organization_id=organization_id, pk=row.tracked_user_id).exists():
        raise not_found("customer")
    row.person_id = person_id
    give_ids([row])
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(TAKE_FENCE)
        _finish(RecordStore(KnownUsers()).write_within(cast(AsyncConnection[Any], _InThisThread()), [row]))
    return row


def parsed(body: bytes, header_key: str | None, now: datetime) -> IncomingUsage:
    """What the body says; a key in it goes before the header's. Raises MalformedBody, InvalidEvent."""
    usage = schema.parse_recorded(body, now)
    if header_key is not None and usage.idempotency_key is None:
        return track.with_key(usage, header_key)
    return usage


def checked_key(header: str) -> str | None:
    """The key of the header `Idempotency-Key`, None without one. Raises HttpError 422."""
    try:
        return checked_idempotency_key(header) if header else None
    except ValueError as error:
        raise invalid([FieldError("Idempotency-Key", str(error))]) from None


def _meter(organization_id: int, meter_id: int) -> MeterRecord:
    found = Meter.objects.filter(organization_id=organization_id, pk=meter_id, archived_at=None).first()
    if found is None:
        raise not_found("meter")
    return MeterRecord(found.pk, found.organization_id, found.aggregation, found.unique_key)


class _Rows:
    """A cursor whose rows are there."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows = rows

    async def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return self._rows


class _InThisThread:
    """As much of an asynchronous connection as the store uses, on Django's connection of this thread."""

    async def execute(self, statement: str, values: Sequence[Any] | None = None) -> _Rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return _Rows(cursor.fetchall() if cursor.description else ())


def _finish(work: Coroutine[Any, Any, object]) -> None:
    """Run to the end what never has to wait. Without an event loop: Django refuses to work beside one."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("the store has waited for something")
