"""The seam of google-genai: four methods of the transport that every call of `Models`, chats and batches goes through.

`TrackedApiClient` stands in front of the caller's transport. Each HTTP exchange that is billed is one event, whatever
the package makes of it: automatic function calling and continuation make several out of one call of the caller's.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, closing, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from types import MappingProxyType
from typing import Any, Final, ParamSpec

from fluxgate_sdk import calls
from fluxgate_sdk.calls import Call, EventSink
from fluxgate_sdk.events import context_of
from fluxgate_sdk.providers import gemini_reading as reading
from fluxgate_sdk.tracking import CostTrackingResponse, attach, tracking_of

log = logging.getLogger("fluxgate")

MAX_NAMES_REMEMBERED: Final = 1000
_NO_CONTEXT: Final[Mapping[str, Any]] = MappingProxyType({})
P = ParamSpec("P")


@dataclass(frozen=True)
class Tracker:
    """Where the events of a tracked client go, and what they carry. `already_read` is shared by all its sessions."""

    sink: EventSink
    provider: str
    context: Mapping[str, Any] = _NO_CONTEXT
    already_read: dict[str, None] = field(default_factory=dict, repr=False)

    def fresh(self, context: Mapping[str, Any], word: str = "with_context") -> Tracker:
        """With this context alone. Raises TypeError for a word that no context has."""
        return replace(self, context=context_of(context, word))

    def merged(self, context: Mapping[str, Any]) -> Tracker:
        """With this context over the present one; `metadata` is replaced as a whole."""
        return self.fresh({**self.context, **context}, "with_tracking")

    def is_new(self, name: str) -> bool:
        """True the first time. The server counts what is read twice once; this spares sending it again."""
        if name in self.already_read:
            return False
        self.already_read[name] = None
        # Another thread may change it between these steps.
        with suppress(RuntimeError, StopIteration):
            while len(self.already_read) > MAX_NAMES_REMEMBERED:
                self.already_read.pop(next(iter(self.already_read)), None)
        return True


def quietly(function: Callable[P, None]) -> Callable[P, None]:
    """Have what goes wrong in tracking cost the event and nothing else."""

    @wraps(function)
    def wrapped(*arguments: P.args, **named: P.kwargs) -> None:
        try:
            function(*arguments, **named)
        except Exception:
            log.debug("[fluxgate] a Gemini answer was not understood", exc_info=True)

    return wrapped


class Exchange:
    """One HTTP exchange that is free: nothing is recorded of it."""

    tracking: CostTrackingResponse | None = None

    def answered(self, answer: Any) -> None:
        """The whole answer is here."""

    def arrived(self, part: Any) -> None:
        """A part of a streamed answer is here."""

    def ended(self) -> None:
        """A streamed answer was read to its end."""

    def left(self) -> None:
        """The caller stopped reading."""

    def failed(self, error: BaseException) -> None:
        """The exchange ended with an exception."""

    def parsed(self, model: Any) -> None:
        """The package has made its own object of the answer, or of the last part."""


class BilledExchange(Exchange):
    """One HTTP exchange that is recorded, exactly once."""

    def __init__(self, tracker: Tracker, operation: reading.Operation, request: Any) -> None:
        self._operation = operation
        self._reader = reading.StreamReader()
        self._last_part: Any = None
        self._call = Call(
            tracker.sink,
            tracker.provider,
            operation.model,
            tracker.context,
            streamed=operation.streamed,
            metadata=reading.request_metadata(operation, request),
        )
        if operation.streamed:
            calls.close_at_exit(self)

    @property
    def tracking(self) -> CostTrackingResponse | None:  # type: ignore[override]
        return self._call.tracking

    def answered(self, answer: Any) -> None:
        self._call.finish(_read(self._operation, answer))

    @quietly
    def arrived(self, part: Any) -> None:
        self._call.chunk_arrived()
        self._reader.see(part)

    def ended(self) -> None:
        self._call.finish(self._said())
        self._over()

    def left(self) -> None:
        """An answer that was complete when its reader left is complete, whatever was not read after it."""
        (self._call.finish if self._reader.has_ended else self._call.abandon)(self._said())
        self._over()

    def failed(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit):
            self.left()
            return
        self._call.fail(error, self._said())
        self._over()

    @quietly
    def parsed(self, model: Any) -> None:
        if self._operation.streamed and not self._call.is_finished:
            self._last_part = model
        else:
            attach(model, self.tracking)

    def close_at_exit(self) -> None:
        """The interpreter exits while the stream is still open."""
        self.left()

    def _said(self) -> calls.Reading:
        try:
            return self._reader.reading()
        except Exception:
            log.debug("[fluxgate] a Gemini stream was not understood", exc_info=True)
            return calls.Reading()

    @quietly
    def _over(self) -> None:
        """A generator has no room for the tracking; its last part has. Nothing of the content is kept."""
        calls.forget(self)
        if self._last_part is not None:
            attach(self._last_part, self.tracking)
        self._last_part, self._reader = None, reading.StreamReader()


class BatchExchange(Exchange):
    """The reading of a batch job: each result in it is an event of its own, the same one whenever it is read."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    @quietly
    def answered(self, answer: Any) -> None:
        record_batch(self._tracker, reading.batch_results(reading.document_of(answer)))


FREE: Final = Exchange()
current: ContextVar[Exchange] = ContextVar("fluxgate_gemini_exchange", default=FREE)
"""The exchange that came last in this flow of control, for what the package makes of it."""


def carry(result: Any) -> Any:
    """Have what a method returns carry the tracking of the exchange that came last, unless it carries one already.

    The package builds some results anew: merged continuations, generated images.
    """
    if tracking_of(result) is None:
        attach(result, current.get().tracking)
    return result


def record_batch(tracker: Tracker, results: Iterator[reading.BatchResult]) -> None:
    """Record the results of a batch, unless they were before."""
    for number, result in enumerate(results):
        if number == 0 and not tracker.is_new(result.batch):
            return
        call = Call(
            tracker.sink,
            tracker.provider,
            result.model,
            tracker.context,
            idempotency_key=result.idempotency_key,
            metadata={"batch": result.batch},
            timed=False,
        )
        call.timestamp = seconds_of(result.ended_at) or call.timestamp
        call.finish(result.reading)


def seconds_of(text: str | None) -> float | None:
    """Google's `2026-05-05T10:00:00.123456789Z` as seconds since 1970; None where it is not one."""
    try:
        # Python 3.10 reads neither the Z nor nanoseconds.
        return datetime.fromisoformat((text or "")[:19] + "+00:00").timestamp()
    except ValueError:
        return None


def recording_with(transport: TrackedApiClient, tracker: Tracker) -> TrackedApiClient:
    """The same transport with another tracker."""
    return TrackedApiClient(transport._fluxgate_inner, tracker, transport._fluxgate_owner)


def tracker_of(transport: TrackedApiClient) -> Tracker:
    """What a tracked transport records with."""
    return transport._fluxgate_tracker


class TrackedApiClient:
    """Stands for the caller's transport: everything is that one's, but billed exchanges are recorded on their way.

    It is no copy: a copied transport closes the shared HTTP client when it is collected.
    """

    __slots__ = ("__weakref__", "_fluxgate_inner", "_fluxgate_owner", "_fluxgate_tracker")
    _fluxgate_inner: Any
    _fluxgate_owner: object
    _fluxgate_tracker: Tracker

    def __init__(self, inner: Any, tracker: Tracker, owner: object) -> None:
        """`owner` is the caller's client: collected, it would close the HTTP client under this one."""
        object.__setattr__(self, "_fluxgate_inner", inner)
        object.__setattr__(self, "_fluxgate_owner", owner)
        object.__setattr__(self, "_fluxgate_tracker", tracker)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_fluxgate_"):
            raise AttributeError(name)  # Asked for by copy and pickle, before the slots are filled.
        return getattr(self._fluxgate_inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._fluxgate_inner, name, value)

    def request(self, http_method: str, path: str, request_dict: Any, *more: Any, **named: Any) -> Any:
        exchange = self._exchange(http_method, path, request_dict)
        try:
            answer = self._fluxgate_inner.request(http_method, path, request_dict, *more, **named)
        except BaseException as error:
            exchange.failed(error)
            raise
        exchange.answered(answer)
        current.set(exchange)
        return answer

    async def async_request(self, http_method: str, path: str, request_dict: Any, *more: Any, **named: Any) -> Any:
        exchange = self._exchange(http_method, path, request_dict)
        try:
            answer = await self._fluxgate_inner.async_request(http_method, path, request_dict, *more, **named)
        except BaseException as error:
            exchange.failed(error)
            raise
        exchange.answered(answer)
        current.set(exchange)
        return answer

    def request_streamed(
        self, http_method: str, path: str, request_dict: Any, *more: Any, **named: Any
    ) -> Iterator[Any]:
        # As the package's own, a generator: the request is made, and its time begins, with the first part asked for.
        exchange = self._exchange(http_method, path, request_dict)
        try:
            with closing(
                self._fluxgate_inner.request_streamed(http_method, path, request_dict, *more, **named)
            ) as parts:
                for part in parts:
                    exchange.arrived(part)
                    current.set(exchange)
                    yield part
        except BaseException as error:
            exchange.failed(error)
            raise
        exchange.ended()

    async def async_request_streamed(
        self, http_method: str, path: str, request_dict: Any, *more: Any, **named: Any
    ) -> AsyncIterator[Any]:
        exchange = self._exchange(http_method, path, request_dict)
        try:
            parts = await self._fluxgate_inner.async_request_streamed(http_method, path, request_dict, *more, **named)
        except BaseException as error:
            exchange.failed(error)
            raise
        followed = _followed(exchange, parts)
        # The answer is under way: dropped before the first part is asked for, the generator would never run.
        weakref.finalize(followed, exchange.left).atexit = False
        return followed

    def download_file(self, path: str, *more: Any, **named: Any) -> Any:
        data = self._fluxgate_inner.download_file(path, *more, **named)
        self._record_file(path, data)
        return data

    async def async_download_file(self, path: str, *more: Any, **named: Any) -> Any:
        data = await self._fluxgate_inner.async_download_file(path, *more, **named)
        self._record_file(path, data)
        return data

    def _verify_response(self, model: Any) -> None:
        """Called by the package with each object that it has made of an answer, in the flow that asked for it."""
        current.get().parsed(model)
        self._fluxgate_inner._verify_response(model)

    def _exchange(self, http_method: str, path: str, request: Any) -> Exchange:
        current.set(FREE)
        try:
            if operation := reading.operation_of(http_method, path):
                return BilledExchange(self._fluxgate_tracker, operation, request)
            return BatchExchange(self._fluxgate_tracker) if reading.is_batch(http_method, path) else FREE
        except Exception:
            log.debug("[fluxgate] a request to Gemini was not understood", exc_info=True)
            return FREE

    @quietly
    def _record_file(self, path: str, data: Any) -> None:
        if isinstance(data, bytes):
            record_batch(self._fluxgate_tracker, reading.file_results(path, data))


async def _followed(exchange: Exchange, parts: Any) -> AsyncIterator[Any]:
    try:
        async with aclosing(parts):
            async for part in parts:
                exchange.arrived(part)
                current.set(exchange)
                yield part
    except BaseException as error:
        exchange.failed(error)
        raise
    exchange.ended()


def _read(operation: reading.Operation, answer: Any) -> calls.Reading:
    try:
        return reading.read_answer(operation, reading.document_of(answer), answer)
    except Exception:
        log.debug("[fluxgate] a Gemini answer was not understood", exc_info=True)
        return calls.Reading()
