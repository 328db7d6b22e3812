"""The ingest endpoints, natively in ASGI: a Django view per event would cost four times as much.

`POST /api/events` and `POST /api/events/batch`; every other path below `/api/` is answered here too, with the error
bodies of the wire contract.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from events import http, keys, rejections, schema
from events.http import HttpError, Receive, Scope, Send
from events.keys import KeyRecord
from events.rejections import Rejection
from events.runtime import Runtime
from events.schema import IncomingEvent, InvalidEvent, MalformedBody, TooManyEvents
from events.writer import Row, Unavailable, now, priced_row
from pricing import provider_usage

logger = logging.getLogger("fluxgate.ingest")

ONE_PATH = "/api/events"
BATCH_PATH = "/api/events/batch"
MAX_EVENT_BYTES = 256 * 1024
MAX_BATCH_BYTES = 5 * 1024 * 1024
MAX_BATCH_EVENTS = 1_000
KEY_SECONDS = 3.0
JSON = "application/json"
NDJSON = "application/x-ndjson"


class IngestApp:
    """ASGI application for the paths below `/api/`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._routes: dict[str, Callable[[_Call], Awaitable[None]]] = {
            ONE_PATH: self._one,
            BATCH_PATH: self._batch,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _Call(scope, receive, send, now())
        try:
            handler = self._routes.get(call.path)
            if handler is None:
                raise HttpError(404, "not_found", f"there is no {call.path[:100]}; events go to /api/events")
            if scope["method"] != "POST":
                raise HttpError(405, "method_not_allowed", "use POST", headers=[(b"allow", b"POST")])
            call.key = await self._authorized(call, "events:write")
            await handler(call)
        except HttpError as error:
            self._record(call, error)
            await http.answer_error(send, error)
        except http.Disconnected:
            # Somebody who only framed the body wrongly is still there to read this.
            gone = HttpError(400, "incomplete_body", "the body ended before it was complete", headers=http.CLOSE)
            await http.answer_error(send, gone)
        except Exception:
            failure = HttpError(503, "internal", "the event could not be taken; send it again", headers=_RETRY)
            logger.exception("request %s failed", failure.request_id)
            await http.answer_error(send, failure)

    async def _authorized(self, call: "_Call", scope_needed: str) -> KeyRecord:
        """The key of the call, looked at before its body is. Raises HttpError 401, 403 or 503."""
        key = _key_of(call.scope)
        if not key:
            raise _unauthorized("no API key: send it as `Authorization: Bearer org_live_…`")
        call.key_prefix = key[: keys.SHOWN_CHARACTERS] if key.startswith(keys.PREFIXES) else ""
        record = self._runtime.keys.known(key) or await self._looked_up(key)
        call.organization_id = record.organization_id
        if refusal := record.refusal(call.at):
            raise _unauthorized(refusal)
        if scope_needed not in record.scopes:
            raise HttpError(403, "missing_scope", f"this API key lacks the scope {scope_needed}")
        return record

    async def _looked_up(self, key: str) -> KeyRecord:
        if not keys.is_well_formed(key):
            raise _unauthorized("this is not an API key of FluxGate: its form or its checksum is wrong")
        try:
            with self._runtime.deadlines.within(KEY_SECONDS):
                record = await self._runtime.keys.find(key)
        except (psycopg.Error, OSError) as error:
            logger.warning("a key could not be looked up: %s", str(error).strip().partition("\n")[0])
            raise _unavailable() from None
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
        without a key are any stranger's."""
        if error.status < 500 and error.status not in (404, 405):
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


def _unavailable() -> HttpError:
    return HttpError(503, "unavailable", "the event could not be stored in time; send it again", headers=_RETRY)


def _unauthorized(message: str) -> HttpError:
    return HttpError(401, "unauthorized", message, headers=[(b"www-authenticate", b"Bearer")])


def _refused(error: InvalidEvent | MalformedBody) -> HttpError:
    if isinstance(error, InvalidEvent):
        return HttpError(422, "invalid_event", str(error).removeprefix(": "), errors=error.errors)
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
