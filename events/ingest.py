"""The ingest endpoints, natively in ASGI: a Django view per event would cost four times as much.

`POST /api/events`, `POST /api/events/batch`, and `POST /api/v1/price`, which prices by the same catalog and records
nothing.
"""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from events import http, price, schema
from events.group_commit import Unavailable
from events.http import HttpError, Scope
from events.native import DATABASE_SECONDS, Call, Route, list_refusal, unavailable
from events.price_sources import PriceSources, Sources
from events.rows import Row, priced_row
from events.runtime import Runtime
from events.schema import IncomingEvent, InvalidEvent, MalformedBody, TooManyEvents
from events.wire import FieldError
from events.wire_json import usd_number
from pricing import provider_usage
from pricing.catalog import Catalog

logger = logging.getLogger("fluxgate.ingest")

ONE_PATH = "/api/events"
BATCH_PATH = "/api/events/batch"
PRICE_PATH = "/api/v1/price"
MAX_EVENT_BYTES = 256 * 1024
MAX_BATCH_BYTES = 5 * 1024 * 1024
MAX_BATCH_EVENTS = 1_000
JSON = "application/json"
NDJSON = "application/x-ndjson"
WRITING = ("events:write",)
# Prices are public but for the organization's own, which its programs that write events are told with every cost.
PRICING = ("read", "events:write")


class Ingest:
    """The handlers of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._price_sources = PriceSources(runtime.connection)

    def routes(self) -> dict[str, Route]:
        """What is answered here, by path."""
        return {
            ONE_PATH: Route(self._one, WRITING),
            BATCH_PATH: Route(self._batch, WRITING),
            # A question about prices that is refused loses no event.
            PRICE_PATH: Route(self._price, PRICING, lists_refusals=False),
        }

    async def _one(self, call: Call) -> None:
        http.check_content_type(call.scope, [JSON])
        call.body = await http.read_body(call.scope, call.receive, MAX_EVENT_BYTES, self._runtime.deadlines)
        row = self.row(call.body, call, idempotency_header(call.scope))
        await self.submit([row])
        if row.error:
            raise HttpError(422, "unstorable", f"the event {row.error}")
        headers = [(b"idempotent-replayed", b"true")] if row.replayed else []
        await http.answer(call.send, 200, _answer(row), headers)

    async def _batch(self, call: Call) -> None:
        media_type = http.check_content_type(call.scope, [JSON, NDJSON])
        call.body = await http.read_body(call.scope, call.receive, MAX_BATCH_BYTES, self._runtime.deadlines)
        try:
            bodies = schema.split_batch(call.body, MAX_BATCH_EVENTS, ndjson=media_type == NDJSON)
        except (InvalidEvent, MalformedBody) as error:
            raise refused(error) from None
        except TooManyEvents:
            raise HttpError(413, "too_large", f"a batch holds at most {MAX_BATCH_EVENTS} events") from None
        header_key = idempotency_header(call.scope)
        results: list[Row | HttpError] = []
        for number, body in enumerate(bodies):
            call.body = body
            try:
                key = f"{header_key}#{number}" if header_key else None
                results.append(self.row(body, call, key))
            except HttpError as error:
                list_refusal(self._runtime, call, error)
                results.append(error)
        await self.submit([result for result in results if isinstance(result, Row)])
        await http.answer(call.send, 200, _batch_answer(results))

    async def _price(self, call: Call) -> None:
        http.check_content_type(call.scope, [JSON])
        body = await http.read_body(call.scope, call.receive, MAX_BATCH_BYTES, self._runtime.deadlines)
        catalog = self._runtime.catalog
        if catalog is None or call.key is None:
            raise unavailable("no prices are loaded yet")
        try:
            answers = await _price_answers(body, catalog, call.key.organization_id, call.at)
        except (InvalidEvent, MalformedBody) as error:
            raise refused(error, "invalid_request") from None
        except TooManyEvents:
            raise HttpError(413, "too_large", f"a call prices at most {price.MAX_ITEMS} items") from None
        sources = await self._sources(answers)
        await http.answer(call.send, 200, price.answer_body(answers, sources, catalog.revision))

    async def _sources(self, answers: list[price.Answer]) -> Sources:
        try:
            with self._runtime.deadlines.within(DATABASE_SECONDS):
                return await self._price_sources.find(*price.rows_used(answers))
        except (psycopg.Error, OSError) as error:
            logger.warning("sources of prices could not be read: %s", str(error).strip().partition("\n")[0])
            raise unavailable("the sources of the prices could not be read in time") from None

    def row(self, body: bytes, call: Call, idempotency_key: str | None = None) -> Row:
        """An event's body on its way into the database; the key is that of a body without one. Raises HttpError."""
        event = _parsed(body, call.at, idempotency_key)
        catalog = self._runtime.catalog
        if catalog is None or call.key is None:
            raise unavailable()
        return priced_row(event, call.key, catalog, call.at)

    async def submit(self, rows: list[Row]) -> None:
        """Store them; `row.error` says of one what keeps it from being stored. Raises HttpError 503."""
        try:
            if rows:
                await self._runtime.writer.submit(rows)
        except Unavailable:
            raise unavailable() from None


def refused(error: InvalidEvent | MalformedBody, invalid: str = "invalid_event") -> HttpError:
    """400 for what is not JSON, 422 for what names wrong fields."""
    if isinstance(error, InvalidEvent):
        return HttpError(422, invalid, str(error).removeprefix(": "), errors=error.errors)
    return HttpError(400, "malformed_body", str(error))


def idempotency_header(scope: Scope) -> str | None:
    """The key of the header `Idempotency-Key`, None without one. Raises HttpError 422."""
    sent = http.header(scope, b"idempotency-key")
    if not sent:
        return None
    try:
        return schema.checked_idempotency_key(sent)
    except ValueError as error:
        raise HttpError(422, "invalid_event", f"Idempotency-Key: {error}") from None


def _parsed(body: bytes, at: datetime, idempotency_key: str | None) -> IncomingEvent:
    try:
        event = schema.parse_event(body, int(at.timestamp() * 1000), provider_usage.read)
    except (InvalidEvent, MalformedBody) as error:
        raise refused(error) from None
    except Exception as error:
        # A fault of ours, but one of this body: sent again, it would fail again.
        failure = HttpError(422, "unreadable_event", "the event could not be read")
        logger.exception("request %s: a body could not be read", failure.request_id)
        raise failure from error
    if idempotency_key is not None and event.idempotency_key is None:
        return msgspec.structs.replace(event, idempotency_key=idempotency_key)
    return event


async def _price_answers(body: bytes, catalog: Catalog, organization_id: int, at: datetime) -> list[price.Answer]:
    items, now_ms = price.split_items(body), int(at.timestamp() * 1000)
    answers: list[price.Answer] = []
    errors: list[FieldError] = []
    for first in range(0, len(items), price.ITEMS_AT_ONCE):
        part = items[first : first + price.ITEMS_AT_ONCE]
        questions = price.parse_items(part, first, now_ms, provider_usage.read, errors)
        answers += [price.answer(question, catalog, organization_id) for question in questions]
        await asyncio.sleep(0)
    if errors:
        raise InvalidEvent(errors)
    return answers


def _answer(row: Row) -> msgspec.Raw:
    """The contract's answer, written out: there is nothing in it to escape."""
    assert row.answer_id is not None
    assert row.created_at is not None
    created_at = row.created_at if row.created_at.tzinfo is UTC else row.created_at.astimezone(UTC)
    cost = "null" if row.answer_cost is None else usd_number(row.answer_cost)
    return msgspec.Raw(
        f'{{"id":"evt_{row.answer_id.hex}","createdAt":"{created_at.isoformat(timespec="milliseconds")[:-6]}Z",'
        f'"cost":{cost},"status":"SUCCESS"}}'.encode()
    )


def _batch_answer(results: list[Row | HttpError]) -> dict[str, Any]:
    answers: list[msgspec.Raw | dict[str, Any]] = []
    rejected = 0
    for result in results:
        if isinstance(result, Row) and result.error is None:
            answers.append(_answer(result))
            continue
        rejected += 1
        error = HttpError(422, "unstorable", f"the event {result.error}") if isinstance(result, Row) else result
        answers.append(error.body())
    return {"accepted": len(answers) - rejected, "rejected": rejected, "results": answers}
