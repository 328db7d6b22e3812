"""Interactions and decisions: google-genai's second HTTP stack, which has a seam of its own.

There, `do_request` makes one HTTP exchange, below retries' callers, continuation and the raw accessors.
"""

from __future__ import annotations

import json
import logging
import time
import weakref
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from fluxgate_sdk import bodies, calls
from fluxgate_sdk.calls import Call, Reading
from fluxgate_sdk.providers import gemini_reading as reading
from fluxgate_sdk.providers.gemini_seam import (
    FREE,
    Exchange,
    TrackedApiClient,
    Tracker,
    carry,
    current,
    quietly,
    seconds_of,
    tracker_of,
)
from fluxgate_sdk.tracking import CostTrackingResponse, attach

log = logging.getLogger("fluxgate")

OLDEST_SECONDS: Final = 30 * 24 * 3600
_ANY_HEADER: Final = 47
"""zlib's word for: gzip or deflate, whichever it is."""
_CREATES: Final = frozenset({"CreateInteraction", "CreateDecision"})
_READS: Final = frozenset({"getInteractionById"})
_EXCHANGE: Final = "_fluxgate_exchange"
_TOLD: Final = (b'"usage"', b'"total_usage"', b'"interaction.', b'"error"')


class InteractionExchange(Exchange):
    """One HTTP exchange about an interaction, recorded at most once: when its usage is final, or it has failed.

    An interaction that runs in the background is recorded by whoever first reads that it is over.
    """

    def __init__(self, tracker: Tracker, request: Any, *, creates: bool) -> None:
        body = json.loads(request.content) if creates else {}
        self._tracker = tracker
        self._creates = creates
        self._in_background = bool(body.get("background"))
        self._interaction: Mapping[str, Any] = {}
        self._usage: Any = None
        self._error: Mapping[str, Any] | None = None
        self._has_ended = False
        self.carrier: Callable[[], Any] = lambda: None
        previous = current.get()
        if body.get("continuation_token") and isinstance(previous, InteractionExchange):
            self.carrier = previous.carrier
        model = body.get("model") or body.get("agent")
        self._call = Call(
            tracker.sink,
            tracker.provider,
            reading.model_name(model) if isinstance(model, str) else None,
            tracker.context,
            streamed=bool(body.get("stream")),
            timed=creates,
        )

    @property
    def tracking(self) -> CostTrackingResponse | None:  # type: ignore[override]
        return self._call.tracking

    @quietly
    def refused(self, status: int, body: bytes) -> None:
        """The answer is an HTTP error. Reading an interaction is free, and so is failing to."""
        if not self._creates:
            return
        error = _error_of(body)
        message = str(error.get("message") or f"HTTP {status}")
        said = {
            "errorType": "APIStatusError",
            "httpStatus": status,
            "errorCode": error.get("status") or error.get("code"),
        }
        self._call.finish(Reading(status="ERROR", error_message=message, metadata=said))

    @quietly
    def answered(self, answer: Any) -> None:
        found = json.loads(answer) if isinstance(answer, bytes) else answer
        self._interaction = found if isinstance(found, Mapping) else {}
        self._has_ended = True
        self._finish()

    @quietly
    def told(self, said: Any) -> None:
        """One event of a stream, as JSON or already read."""
        event = json.loads(said) if isinstance(said, bytes) else said
        kind = event.get("event_type")
        self._usage = _usage_in(event) or self._usage
        if isinstance(found := event.get("interaction"), Mapping):
            self._interaction = {**self._interaction, **found}
        if kind == "error":
            self._error = event.get("error") or {}
        self._has_ended = self._has_ended or kind in ("interaction.completed", "error")

    def arrived(self, part: Any) -> None:
        self._call.chunk_arrived()

    def ended(self) -> None:
        self._finish()
        self._over()

    def left(self) -> None:
        if self._has_ended:
            self._finish()
        elif self._creates and not self._in_background:
            self._named()
            self._call.abandon(self._said())
        self._over()

    def failed(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit):
            self.left()
        elif self._creates:
            self._call.fail(error, self._said())
            self._over()

    def close_at_exit(self) -> None:
        """The interpreter exits while the stream is still open."""
        self.left()

    @quietly
    def _over(self) -> None:
        calls.forget(self)
        if (carrier := self.carrier()) is not None:
            attach(carrier, self.tracking)
        self._interaction = {}

    @quietly
    def _finish(self) -> None:
        if self._call.is_finished or self._goes_on():
            return
        is_new = self._named()
        if self._creates or (is_new and self._interaction.get("usage") and self._is_recent()):
            self._call.finish(self._said())

    def _goes_on(self) -> bool:
        """Whether the model is still at work, for somebody to ask later. A stream that just stops is at its end."""
        is_running = self._interaction.get("status") == "in_progress"
        return is_running and (self._in_background or not self._call.streamed)

    def _named(self) -> bool:
        """Take the key from the interaction's id, under which it can be read again. True where it is new here."""
        interaction_id = self._interaction.get("id")
        if not isinstance(interaction_id, str) or not interaction_id:
            return False
        self._call.idempotency_key = reading.interaction_key(interaction_id)
        return self._tracker.is_new(self._call.idempotency_key)

    def _is_recent(self) -> bool:
        """Older ones may have been recorded at a time that the server no longer remembers the keys of."""
        created = seconds_of(self._interaction.get("created"))
        return created is None or time.time() - created < OLDEST_SECONDS

    def _said(self) -> Reading:
        try:
            found = reading.interaction_reading({"usage": self._usage, **self._interaction})
        except Exception:
            log.debug("[fluxgate] a Gemini interaction was not understood", exc_info=True)
            return Reading()
        found.usage_is_partial = not self._has_ended and self._usage is not None
        if self._error is not None:
            found.status, found.error_message = "ERROR", str(self._error.get("message") or self._error)
        return found


def _usage_in(event: Mapping[str, Any]) -> Any:
    metadata = event.get("metadata")
    return event.get("usage") or (metadata.get("total_usage") if isinstance(metadata, Mapping) else None)


def _error_of(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"message": body.decode(errors="replace")[:1000]}
    inner = found.get("error", found) if isinstance(found, Mapping) else None
    return inner if isinstance(inner, Mapping) else {"message": str(inner or found)}


class _Scan(bodies.Kept):
    """Reads server-sent events as their bytes pass by, and keeps none of them but an unfinished line."""

    def __init__(self, response: Any, exchange: InteractionExchange, inflated: Callable[[bytes], bytes]) -> None:
        super().__init__(response)
        self._exchange = exchange
        self._inflated = inflated
        self._line: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        self._exchange.arrived(chunk)
        try:
            first, *rest = self._inflated(chunk).split(b"\n")
        except zlib.error:  # The HTTP library unpacks in more ways.
            self._inflated = lambda _: b""
            return
        self._line.append(first)
        for part in rest:
            self._read(b"".join(self._line))
            self._line = [part]

    def _read(self, line: bytes) -> None:
        if line.startswith(b"data:") and any(word in line for word in _TOLD):
            self._exchange.told(line[len(b"data:") :])


class _Following:
    """Reads along with an answer that the caller reads, and ends its exchange when that ends."""

    def __init__(self, response: Any, exchange: InteractionExchange) -> None:
        self._exchange = exchange
        self.kept: bodies.Kept | None = _kept(response, exchange)
        self.editor: bodies.Editor | None = None

    def body_failed(self, error: BaseException) -> None:
        self._exchange.failed(error)

    def body_closed(self) -> None:
        kept, self.kept = self.kept, None
        if kept is None or not kept.is_whole:
            self._exchange.left()
            return
        if not isinstance(kept, _Scan):
            self._read(kept)
        self._exchange.ended()

    @quietly
    def _read(self, kept: bodies.Kept) -> None:
        events, answer = kept.parts()
        for event in events:
            self._exchange.told(event)
        if answer is not None:
            self._exchange.answered(answer)


def _kept(response: Any, exchange: InteractionExchange) -> bodies.Kept:
    """Event streams are read as they come, unless they are packed in a way that Python itself does not unpack."""
    packed = response.headers.get("content-encoding", "identity")
    if "text/event-stream" in response.headers.get("content-type", "") and packed in ("identity", "gzip", "deflate"):
        inflated = zlib.decompressobj(_ANY_HEADER).decompress if packed != "identity" else bytes
        return _Scan(response, exchange, inflated)
    return bodies.Kept(response)


def _follow(response: Any, exchange: InteractionExchange) -> None:
    setattr(response, _EXCHANGE, exchange)
    calls.close_at_exit(exchange)
    weakref.finalize(response, exchange.left).atexit = False
    bodies.watch_body(response, _Following(response, exchange))


def _exchange_of(resource: Any, hook_context: Any, request: Any) -> Any:
    current_tracker: Tracker = resource._fluxgate_tracker
    operation = getattr(hook_context, "operation_id", "")
    try:
        if operation in _CREATES or operation in _READS:
            return InteractionExchange(current_tracker, request, creates=operation in _CREATES)
    except Exception:
        log.debug("[fluxgate] a request to Gemini was not understood", exc_info=True)
    return FREE


class _Recorded:
    """Mixed into a resource of the second stack: its exchanges are recorded, its results carry their tracking."""

    _fluxgate_tracker: Tracker

    def do_request(self, hook_ctx: Any, request: Any, *more: Any, **named: Any) -> Any:
        exchange = _exchange_of(self, hook_ctx, request)
        try:
            response = super().do_request(hook_ctx, request, *more, **named)  # type: ignore[misc]
        except BaseException as error:
            exchange.failed(error)
            raise
        current.set(exchange)
        if exchange is FREE:
            return response
        if response.status_code >= 400:
            exchange.refused(response.status_code, response.read())
        elif response.is_closed:
            exchange.answered(response.content)
        else:
            _follow(response, exchange)
        return response

    def create(self, *arguments: Any, **named: Any) -> Any:
        return _carried(super().create(*arguments, **named))  # type: ignore[misc]

    def get(self, *arguments: Any, **named: Any) -> Any:
        return _carried(super().get(*arguments, **named))  # type: ignore[misc]


class _RecordedAsync:
    """As `_Recorded`, for the asynchronous resources."""

    _fluxgate_tracker: Tracker

    async def do_request_async(self, hook_ctx: Any, request: Any, *more: Any, **named: Any) -> Any:
        exchange = _exchange_of(self, hook_ctx, request)
        try:
            response = await super().do_request_async(hook_ctx, request, *more, **named)  # type: ignore[misc]
        except BaseException as error:
            exchange.failed(error)
            raise
        current.set(exchange)
        if exchange is FREE:
            return response
        if response.status_code >= 400:
            exchange.refused(response.status_code, await response.aread())
        elif response.is_closed:
            exchange.answered(response.content)
        else:
            _follow(response, exchange)
        return response

    async def create(self, *arguments: Any, **named: Any) -> Any:
        return _carried(await super().create(*arguments, **named))  # type: ignore[misc]

    async def get(self, *arguments: Any, **named: Any) -> Any:
        return _carried(await super().get(*arguments, **named))  # type: ignore[misc]


def _carried(result: Any) -> Any:
    """Have a result carry its tracking: an interaction at once, a stream when it ends."""
    exchange = getattr(getattr(result, "response", None), _EXCHANGE, None)
    if exchange is None:
        return carry(result)
    exchange.carrier = weakref.ref(result)
    return result


@lru_cache(maxsize=16)
def _recorded_class(resource_class: Any, mixin: Any) -> Any:
    return type(resource_class.__name__, (mixin, resource_class), {"__module__": resource_class.__module__})


def recorded(resource: Any, transport: TrackedApiClient) -> Any:
    """A resource like this one, of a subclass of its class, whose exchanges are recorded.

    Resources without this stack's seam (of versions that built it differently) come back as they are.
    """
    mixin: Any = _RecordedAsync if hasattr(resource, "do_request_async") else _Recorded
    if mixin is _Recorded and not hasattr(resource, "do_request"):
        return resource
    cls: Any = type(resource)
    copy: Any = object.__new__(_recorded_class(cls, mixin))
    copy.__dict__.update(vars(resource))
    copy._fluxgate_tracker = tracker_of(transport)
    copy._fluxgate_transport = transport  # It keeps the caller's client, and so the HTTP client, open.
    return copy
