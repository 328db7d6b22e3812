"""`POST /api/v1/sdk/track`, natively in ASGI: metered usage at the speed of events."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from events import http
from events.fresh_cache import FreshCache
from events.group_commit import Unavailable
from events.http import HttpError
from events.ingest import JSON, idempotency_header, refused
from events.keys import KeyRecord
from events.native import DATABASE_SECONDS, Call, Route, unavailable
from events.runtime import Runtime, database_conninfo
from events.schema import InvalidEvent, MalformedBody
from metering import schema
from metering.models import Aggregation
from metering.models.usage_record import public_id
from metering.record_store import RecordRow, record_writer
from metering.schema import IncomingUsage

TRACK_PATH = "/api/v1/sdk/track"
MAX_USAGE_BYTES = 256 * 1024
INVALID = "invalid_usage"

_METER = """SELECT id, organization_id, aggregation, unique_key FROM meter
WHERE token = %s AND archived_at IS NULL"""


@dataclass(frozen=True, slots=True)
class MeterRecord:
    """What the database knows of a meter, as records need it. `unique_key` is '' but for UNIQUE_COUNT."""

    id: int
    organization_id: int
    aggregation: str
    unique_key: str


class Tracking:
    """The handler of one process, and the writer behind it. `start` and `stop` frame its life."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._meters = FreshCache(self._load_meter)
        self.writer = record_writer(database_conninfo(), runtime.users, runtime.deadlines)
        self._writing: asyncio.Task[None] | None = None

    def routes(self) -> dict[str, Route]:
        """What is answered here, by path."""
        return {TRACK_PATH: Route(self._track, ("usage:write",))}

    async def start(self) -> None:
        """Take usage."""
        self._writing = asyncio.create_task(self.writer.run())

    async def stop(self) -> None:
        """Answer what was submitted. To be called before the runtime stops."""
        self.writer.stop()
        if self._writing is not None:
            await self._writing

    async def _track(self, call: Call) -> None:
        assert call.key is not None
        http.check_content_type(call.scope, [JSON])
        call.body = await http.read_body(call.scope, call.receive, MAX_USAGE_BYTES, self._runtime.deadlines)
        header_key = idempotency_header(call.scope)
        try:
            usage = schema.parse_tracked(call.body, call.at)
            if header_key is not None and usage.idempotency_key is None:
                usage = with_key(usage, header_key)
            row = row_of(usage, await self._meter(usage, call.key), call.at)
        except (InvalidEvent, MalformedBody) as error:
            raise refused(error, INVALID) from None
        row.environment, row.api_key_id = call.key.environment, call.key.id
        await self._submit(row)
        check_same_content(row, header_key)
        headers = [(b"idempotent-replayed", b"true")] if row.replayed else []
        await http.answer(call.send, 200, answer(row), headers)

    async def _meter(self, usage: IncomingUsage, key: KeyRecord) -> MeterRecord:
        """The meter of the usage, of the key's organization. Raises HttpError 404, 503."""
        assert isinstance(usage.meter, UUID)
        try:
            with self._runtime.deadlines.within(DATABASE_SECONDS):
                meter = await self._meters.find(usage.meter)
        except (psycopg.Error, OSError):
            raise unavailable("the meter could not be looked up in time") from None
        if meter is None or meter.organization_id != key.organization_id:
            raise HttpError(404, "not_found", f"meter_token: there is no meter {usage.meter} in this organization")
        return meter

    async def _load_meter(self, token: UUID) -> MeterRecord | None:
        async with self._runtime.connection() as connection:
            cursor = await connection.execute(_METER, [token])
            found = await cursor.fetchone()
        return MeterRecord(*found) if found else None

    async def _submit(self, row: RecordRow) -> None:
        try:
            await self.writer.submit([row])
        except Unavailable:
            raise unavailable("the usage could not be stored in time") from None
        if row.error:
            raise HttpError(422, "unstorable", f"the usage {row.error}")


def with_key(usage: IncomingUsage, idempotency_key: str) -> IncomingUsage:
    """The usage under the key of the header `Idempotency-Key`."""
    return replace(usage, idempotency_key=idempotency_key)


def row_of(usage: IncomingUsage, meter: MeterRecord, received_at: datetime) -> RecordRow:
    """The usage on its way, for the live environment. Raises InvalidEvent where the meter needs what was not sent."""
    counts_values = meter.aggregation == Aggregation.UNIQUE_COUNT
    unique_value = schema.unique_value(usage, meter.unique_key) if counts_values else None
    return RecordRow(
        usage=usage,
        organization_id=meter.organization_id,
        environment=0,
        meter_id=meter.id,
        received_at=received_at,
        tracked_user_id=usage.customer if isinstance(usage.customer, int) else None,
        unique_value=unique_value,
    )


def check_same_content(row: RecordRow, header_key: str | None) -> None:
    """Raise HttpError 409 where the header's key was used for other usage before: a mistake that nobody would see.

    A key in the body is deduplicated in silence, as the contract says.
    """
    if header_key is not None and row.replayed and row.first_content_hash != row.usage.content_hash:
        message = f"Idempotency-Key: it was used before, for other usage ({public_id(row.answer_id)})"  # type: ignore[arg-type]
        raise HttpError(409, "idempotency_key_reused", message)


def answer(row: RecordRow) -> dict[str, Any]:
    """The contract's answer: of the record, or of the first one under its key."""
    assert row.answer_id is not None
    assert row.answer_at is not None
    at = row.answer_at.astimezone(UTC)
    return {
        "id": public_id(row.answer_id),
        "meter_id": row.answer_meter_id,
        "customer_id": row.answer_customer_id,
        "quantity": msgspec.Raw(f"{row.answer_quantity.normalize():f}".encode()),
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "deduplicated": row.replayed,
    }
