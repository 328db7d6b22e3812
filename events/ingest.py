"""The ingest endpoints, natively in ASGI: a Django view per event would cost four times as much.

`POST /api/events`, `POST /api/events/batch`, and `POST /api/v1/price`, which prices by the same catalog and records
nothing; every other path below `/api/` is answered here too, with the error bodies of the wire contract.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from events import http, keys, price, rejections, schema
from events.http import HttpError, Receive, Scope, Send
from events.keys import KeyRecord
from events.price_sources import PriceSources, Sources
from events.rejections import Rejection
from events.rows import Row, priced_row
from events.runtime import Runtime
from events.schema import IncomingEvent, InvalidEvent, MalformedBody, TooManyEvents
from events.wire import FieldError
from events.writer import Unavailable, now
from pricing import provider_usage
from pricing.catalog import Catalog

logger = logging.getLogger("fluxgate.ingest")

ONE_PATH = "/api/events"
BATCH_PATH = "/api/events/batch"
PRICE_PATH = "/api/v1/price"
MAX_EVENT_BYTES = 256 * 1024
MAX_BATCH_BYTES = 5 * 1024 * 1024
MAX_BATCH_EVENTS = 1_000
DATABASE_SECONDS = 3.0
JSON = "application/json"
NDJSON = "application/x-ndjson"
WRITING = ("events:write",)
# Prices are public but for the organization's own, which its programs that write events are told with every cost.
PRICING = ("read", "events:write")


class IngestApp:
    """ASGI application for the paths below `/api/`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._price_sources = PriceSources(runtime.connection)
        self._routes: dict[str, tuple[Callable[[_Call], Awaitable[None]], tuple[str, ...]]] = {
            ONE_PATH: (self._one, WRITING),
            BATCH_PATH: (self._batch, WRITING),
            PRICE_PATH: (self._price, PRICING),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _Call(scope, receive, send, now())
        try:
            route = self._routes.get(call.path)
            if route is None:
                raise HttpError(404, "not_found", f"there is no {call.path[:100]}; events go to /api/events")
            if scope["method"] != "POST":
                raise HttpError(405, "method_not_allowed", "use POST", headers=[(b"allow", b"POST")])
            handler, scopes = route
            call.key = await self._authorized(call, scopes)
            await handler(call)
        except HttpError as error:
            self._record(call, error)
            await http.answer_error(send, error)
        except http.Disconnected:
            # Somebody who only framed the body wrongly is still there to read this.
            gone = HttpError(400, "incomplete_body", "the body ended before it was complete", headers=http.CLOSE)
            await http.answer_error(send, gone)
        except Exception:
            failure = HttpError(503, "internal", "the call could not be answered; send it again", headers=_RETRY)
            logger.exception("request %s failed", failure.request_id)
            await http.answer_error(send, failure)

    async def _authorized(self, call: "_Call", scopes: tuple[str, ...]) -> KeyRecord:
        """The key of the call, with one of the scopes, looked at before its body is. Raises HttpError 401, 403, 503."""
        key = _key_of(call.scope)
        if not key:
            raise _unauthorized("no API key: send it as `Authorization: Bearer org_live_…`")
        call.key_prefix = key[: keys.SHOWN_CHARACTERS] if key.startswith(keys.PREFIXES) else ""
        record = self._runtime.keys.known(key) or await self._looked_up(key)
        call.organization_id = record.organization_id
        if refusal := record.refusal(call.at):
            raise _unauthorized(refusal)
        if record.scopes.isdisjoint(scopes):
            raise HttpError(403, "missing_scope", f"this API key lacks the scope {' or '.join(scopes)}")
        return record

    async def _looked_up(self, key: str) -> KeyRecord:
        if not keys.is_well_formed(key):
            raise _unauthorized("this is not an API key of FluxGate: its form or its checksum is wrong")
        try:
            with self._runtime.deadlines.within(DATABASE_SECONDS):
                record = await self._runtime.keys.find(key)
        except (psycopg.Error, OSError) as error:
            logger.warning("a key could not be looked up: %s", str(error).strip().partition("\n")[0])
            raise _unavailable("the API key could not be looked up in time") from None
        if record is None:
            raise _unauthorized("there is no such API key")
        return record

    async def _one(self, call: "_Call") -> None:
        http.check_content_type(call.scope, [JSON])
        call.body = await http.read_body(call.scope, call.receive, MAX_EVENT_BYTES, self._runtime.deadlines)
        event = _parsed(call.body, call.at, _idempotency_header(call.scope))
        row = self._priced(event, call)
        await self._submit([row])
        if row.error:
            raise HttpError(422, "unstorable", f"the event {row.error}")
        headers = [(b"idempotent-replayed", b"true")] if row.replayed else []
        await http.answer(call.send, 200, _answer(row), headers)

    async def _batch(self, call: "_Call") -> None:
        media_type = http.check_content_type(call.scope, [JSON, NDJSON])
        call.body = await http.read_body(call.scope, call.receive, MAX_BATCH_BYTES, self._runtime.deadlines)
        try:
            bodies = schema.split_batch(call.body, MAX_BATCH_EVENTS, ndjson=media_type == NDJSON)
        except (InvalidEvent, MalformedBody) as error:
            raise _refused(error) from None
        except TooManyEvents:
            raise HttpError(413, "too_large", f"a batch holds at most {MAX_BATCH_EVENTS} events") from None
        header_key = _idempotency_header(call.scope)
        results: list[Row | HttpError] = []
        for number, body in enumerate(bodies):
            call.body = body
            try:
                key = f"{header_key}#{number}" if header_key else None
                results.append(self._priced(_parsed(body, call.at, key), call))
            except HttpError as error:
                self._record(call, error)
                results.append(error)
        await self._submit([result for result in results if isinstance(result, Row)])
        await http.answer(call.send, 200, _batch_answer(results))

    async def _price(self, call: "_Call") -> None:
        http.check_content_type(call.scope, [JSON])
        body = await http.read_body(call.scope, call.receive, MAX_BATCH_BYTES, self._runtime.deadlines)
        catalog = self._runtime.catalog
        if catalog is None or call.key is None:
            raise _unavailable("no prices are loaded yet")
        try:
            answers = await _price_answers(body, catalog, call.key.organization_id, call.at)
        except (InvalidEvent, MalformedBody) as error:
            raise _refused(error, "invalid_request") from None
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
            raise _unavailable("the sources of the prices could not be read in time") from None

    def _priced(self, event: IncomingEvent, call: "_Call") -> Row:
        catalog = self._runtime.catalog
        if catalog is None or call.key is None:
            raise _unavailable()
        return priced_row(event, call.key, catalog, call.at)

    async def _submit(self, rows: list[Row]) -> None:
        try:
            if rows:
                await self._runtime.writer.submit(rows)
        except Unavailable:
            raise _unavailable() from None

    def _record(self, call: "_Call", error: HttpError) -> None:
        """List the refusal for people. Outages are not the caller's doing and stand in the log; wrong paths and methods
        without a key are any stranger's; a question about prices loses no event."""
        if error.status < 500 and error.status not in (404, 405) and call.path != PRICE_PATH:
            self._runtime.rejections.add(
                Rejection(
                    at=call.at,
                    endpoint=call.path,
                    http_status=error.status,
                    error_type=error.type,
                    message=error.message,
                    organization_id=call.organization_id,
                    key_prefix=call.key_prefix,
                    body=call.body[: rejections.READ_BYTES],
                )
            )


class _Call:
    """What is known of one request on its way."""

    __slots__ = ("at", "body", "key", "key_prefix", "organization_id", "path", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, at: datetime) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.at = at
        self.path: str = scope["path"].rstrip("/")
        self.body = b""
        self.key: KeyRecord | None = None
        self.key_prefix = ""
        self.organization_id: int | None = None


_RETRY = [(b"retry-after", b"1")]


def _unavailable(reason: str = "the event could not be stored in time") -> HttpError:
    return HttpError(503, "unavailable", f"{reason}; send it again", headers=_RETRY)


def _unauthorized(message: str) -> HttpError:
    return HttpError(401, "unauthorized", message, headers=[(b"www-authenticate", b"Bearer")])


def _refused(error: InvalidEvent | MalformedBody, invalid: str = "invalid_event") -> HttpError:
    if isinstance(error, InvalidEvent):
        return HttpError(422, invalid, str(error).removeprefix(": "), errors=error.errors)
    return HttpError(400, "malformed_body", str(error))


def _key_of(scope: Scope) -> str:
    """The key from either header; '' when there is none, or when two different ones contradict each other."""
    sent = [value for name, value in scope["headers"] if name in (b"authorization", b"x-api-key")]
    if len(sent) > 2:
        return ""
    kind, _, bearer = http.header(scope, b"authorization").partition(" ")
    bearer = bearer.strip() if kind.lower() == "bearer" else ""
    api_key = http.header(scope, b"x-api-key")
    return bearer or api_key if not (bearer and api_key) or bearer == api_key else ""


def _idempotency_header(scope: Scope) -> str | None:
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
        raise _refused(error) from None
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
    cost = "null" if row.answer_cost is None else _json_number(row.answer_cost)
    return msgspec.Raw(
        f'{{"id":"evt_{row.answer_id.hex}","createdAt":"{created_at.isoformat(timespec="milliseconds")[:-6]}Z",'
        f'"cost":{cost},"status":"SUCCESS"}}'.encode()
    )


def _json_number(picousd: int) -> str:
    """USD as a JSON number with all its digits and no exponent: 5250000000 is 0.00525."""
    whole, fraction = divmod(picousd, 10**12)
    return f"{whole}.{fraction:012}".rstrip("0").rstrip(".")


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
