"""`POST /v1/traces`: what OpenTelemetry exports. Spans that are LLM calls are stored like any other event.

Logs and metrics, which the same exporters send, are taken and thrown away: refused ones would fill the senders' logs.
"""

import asyncio
from collections.abc import Sequence
from itertools import batched

from events import http, otlp, otlp_wire
from events.http import HttpError
from events.ingest import MAX_BATCH_EVENTS, MAX_EVENT_BYTES, WRITING, Ingest
from events.native import Call, Route, list_refusal
from events.otlp_wire import InvalidTraces
from events.rows import Row
from events.runtime import Runtime

PATH = "/v1/traces"
MAX_BYTES = 16 * 1024 * 1024
"""Exports carry prompts and answers, which are passed over."""
MAX_SAID = 5
"""So many spans of those that were refused are told why."""
_PROTOBUF = (otlp_wire.PROTOBUF, "application/protobuf")
_AT_ONCE = 50
"""So many spans are read before others' calls have their turn."""


class Traces:
    """The handlers of one process."""

    def __init__(self, runtime: Runtime, ingest: Ingest) -> None:
        self._runtime = runtime
        self._ingest = ingest

    def routes(self) -> dict[str, Route]:
        """What is answered here, by path."""
        others = {f"/v1/{kind}": Route(self._other, WRITING, lists_refusals=False) for kind in ("logs", "metrics")}
        return {PATH: Route(self._traces, WRITING), **others}

    async def _traces(self, call: Call) -> None:
        is_json, body = await self._read(call)
        try:
            # In a thread: megabytes of prompts would keep everybody else waiting.
            found = await asyncio.to_thread(_calls, body, is_json)
        except InvalidTraces as error:
            raise HttpError(400, "malformed_body", str(error)) from None
        refusals: list[str] = []
        for some in batched(found, MAX_BATCH_EVENTS):
            rows = await self._rows(some, call, refusals)
            await self._ingest.submit(rows)
            refusals += [f"an event {row.error}" for row in rows if row.error]
        await _answer(call, len(refusals), refusals, is_json=is_json)

    async def _rows(self, found: Sequence[otlp.Call], call: Call, refusals: list[str]) -> list[Row]:
        rows = []
        for number, one in enumerate(found):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                rows.append(self._row(one, call))
            except HttpError as error:
                if error.status >= 500:
                    raise
                list_refusal(self._runtime, call, error)
                refusals.append(error.message)
        return rows

    def _row(self, one: otlp.Call, call: Call) -> Row:
        call.body = b""
        try:
            body = otlp.event_body(one)
        except otlp.InvalidSpan as error:
            raise HttpError(422, "invalid_event", f"span {one.span.span_id}: {error}") from None
        if len(body) > MAX_EVENT_BYTES:
            raise HttpError(422, "invalid_event", f"span {one.span.span_id}: its metadata is too large")
        call.body = body
        try:
            return self._ingest.row(body, call)
        except HttpError as error:
            error.message = f"span {one.span.span_id}: {error.message}"
            raise

    async def _other(self, call: Call) -> None:
        is_json, _ = await self._read(call)
        await _answer(call, 0, (), is_json=is_json)

    async def _read(self, call: Call) -> tuple[bool, bytes]:
        """Whether the body is JSON, and the body."""
        media_type = http.check_content_type(call.scope, (otlp_wire.JSON, *_PROTOBUF))
        body = await http.read_body(call.scope, call.receive, MAX_BYTES, self._runtime.deadlines)
        return media_type not in _PROTOBUF, body


def _calls(body: bytes, is_json: bool) -> list[otlp.Call]:
    return otlp.calls(otlp_wire.read_spans(body, is_json=is_json))


async def _answer(call: Call, rejected: int, reasons: Sequence[str], *, is_json: bool) -> None:
    more = [f"and {rejected - MAX_SAID} more"] if rejected > MAX_SAID else []
    body = otlp_wire.answer_body(rejected, "; ".join([*reasons[:MAX_SAID], *more]), is_json=is_json)
    media_type = otlp_wire.JSON if is_json else otlp_wire.PROTOBUF
    await http.answer_bytes(call.send, 200, body, media_type.encode())
