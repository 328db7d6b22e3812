"""One billable HTTP exchange with a provider: opened when the request leaves, recorded once when it ends.

Nothing here raises into the caller: what goes wrong in tracking is logged in debug mode and costs the event alone.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, Final, Protocol

from fluxgate_sdk.events import idempotency_key, random_bits
from fluxgate_sdk.statuses import Status, failure_of
from fluxgate_sdk.tracking import CostTrackingResponse

log = logging.getLogger("fluxgate")

_SERVED_TIERS: Final = {
    "default": "standard",
    "standard": "standard",
    "flex": "flex",
    "priority": "priority",
    "batch": "batch",
}
_LABELS: Final = ("feature", "step", "user", "session_id", "conversation_id")
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
COUNTERS: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
)


class EventSink(Protocol):
    """Where events go: a `FluxGate`, or what stands in for it in a test.

    One that has `_enqueue_later` is given a function that makes the event, to be called on another thread: most of what
    recording costs is then not the caller's time.
    """

    @property
    def debug(self) -> bool: ...

    def enqueue(self, event: Any) -> CostTrackingResponse: ...


@dataclass(slots=True)
class Reading:
    """What the provider has said of a call so far; None where it has said nothing.

    Usage is either `provider_usage` with `api_flavor` (the provider's own object, which the server knows how to read),
    or the counters, which are inclusive: `cached_tokens` and the cache writes are parts of `input_tokens`,
    `reasoning_tokens` of `output_tokens`. With `provider_usage` only that is sent. Without either, the event says
    that its usage is missing.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    provider_usage: Mapping[str, Any] | None = None
    api_flavor: str | None = None
    model: str | None = None
    response_id: str | None = None
    stop_reason: str | None = None
    status: Status = "SUCCESS"
    error_message: str | None = None
    service_tier: str | None = None
    usage_is_partial: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


Notes = tuple[Callable[[Any], Reading], Any]
"""What has been noted of an answer, after the function that makes a reading of it: on another thread, which has time.
The notes are copies, and hold nothing of the content."""


class Call:
    """One exchange. The first of `finish`, `fail` and `abandon` records it; the others then do nothing.

    All three return the tracking object of the event, or None where recording failed. They are safe to call from any
    thread, from a finaliser and while the interpreter exits: they only queue the event. What they are given is theirs
    from then on: the event may be made of it later, on another thread.
    """

    __slots__ = (
        "__weakref__",
        "_ended_at",
        "_first_at",
        "_key",
        "_open",
        "_process",
        "_reading",
        "_said",
        "_sink",
        "_started_at",
        "context",
        "metadata",
        "model",
        "provider",
        "streamed",
        "timed",
        "timestamp",
        "tracking",
    )

    def __init__(
        self,
        sink: EventSink,
        provider: str,
        model: str | None,
        context: Mapping[str, Any],
        streamed: bool = False,
        timed: bool = True,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """`model` as asked for; the answer's own name replaces it. `metadata` goes into the event as it is.

        `timed` is False where the exchange does not show how long the model took, as when a batch's results are read.
        """
        self._sink = sink
        self.provider = provider
        self.model = model
        self.context = context
        self.streamed = streamed
        self.timed = timed
        self.metadata = metadata
        self._key = idempotency_key
        self.tracking: CostTrackingResponse | None = None
        # Emptied by the one who ends the call: popping from a list is one step, and takes no lock.
        self._open = [None]
        self._first_at: float | None = None
        self._process = _process
        self.timestamp = time.time()
        self._started_at = time.monotonic()

    @property
    def idempotency_key(self) -> str:
        """Under which the call counts once, however often it is sent. Drawn when the event is made, at the latest."""
        if self._key is None:
            self._key = idempotency_key(int(self.timestamp * 1000), random_bits())
        return self._key

    @idempotency_key.setter
    def idempotency_key(self, key: str) -> None:
        self._key = key

    @property
    def is_finished(self) -> bool:
        return not self._open

    def chunk_arrived(self) -> None:
        """Say that a part of a streamed answer is here; the first one gives the time to the first chunk."""
        if self._first_at is None:
            self._first_at = time.monotonic()

    def finish(self, reading: Reading | Notes) -> CostTrackingResponse | None:
        """The answer is complete."""
        if self._ends():
            self._record(reading, _NOTHING)
        return self.tracking

    def fail(self, error: BaseException, reading: Reading | None = None) -> CostTrackingResponse | None:
        """The call ended with an exception; `reading` is what had been said before it."""
        if not self._ends():
            return self.tracking
        reading = reading or Reading()
        try:
            failure = failure_of(error)
            reading.status, reading.error_message = failure.status, failure.message
            said = {"errorType": failure.error_type, "httpStatus": failure.http_status, "errorCode": failure.code}
        except Exception:  # An exception whose text cannot be had is still an error.
            reading.status, said = "ERROR", {"errorType": type(error).__name__}
        self._record(reading, said)
        return self.tracking

    def abandon(self, reading: Reading) -> CostTrackingResponse | None:
        """The caller stopped reading before the end: no error, but the usage may never have arrived."""
        if self._ends():
            reading.stop_reason = reading.stop_reason or "aborted"
            self._record(reading, _NOTHING)
        return self.tracking

    def _ends(self) -> bool:
        """Whether it is this very time that the call ends."""
        try:
            self._open.pop()
        except IndexError:
            return False
        return True

    def _record(self, reading: Reading | Notes, said: Mapping[str, Any]) -> None:
        if _process is not self._process:
            return  # A forked child ends its copies of the parent's calls; the parent still records them.
        try:
            self._reading, self._said, self._ended_at = reading, said, time.monotonic()
            later: Callable[[Callable[[], dict[str, Any]]], CostTrackingResponse] | None
            later = getattr(self._sink, "_enqueue_later", None)
            self.tracking = self._sink.enqueue(self._event()) if later is None else later(self._event)
        except Exception:
            if self._sink.debug:
                log.debug("[fluxgate] a call to %s was not recorded", self.provider, exc_info=True)

    def _event(self) -> dict[str, Any]:
        """Made on the delivery's thread, of what `_record` has left."""
        said, now = self._said, self._ended_at
        reading = _understood(self._reading) if isinstance(self._reading, tuple) else self._reading
        usage = _usage_of(reading)
        usage["provider"] = self.provider
        usage["is_streamed"] = self.streamed
        if self.timed:
            usage["latency_in_ms"] = round((now - self._started_at) * 1000, 3)
        if model := reading.model or self.model:
            usage["model"] = model
        if self.streamed and self._first_at is not None:
            usage["streaming_duration_in_ms"] = round((now - self._first_at) * 1000, 3)
        if tier := _tier(reading.service_tier) or _tier(self.context.get("service_tier")):
            usage["service_tier"] = tier
        status: Any = reading.status
        if reading.error_message:
            status = {"status": reading.status, "error_message": reading.error_message}
        return {
            "usage": usage,
            "status": status,
            "metadata": self._metadata(reading, said),
            "idempotency_key": self.idempotency_key,
        }

    def _metadata(self, reading: Reading, said: Mapping[str, Any]) -> dict[str, Any]:
        """The caller's own keys win over ours; the labels of the context win over both."""
        first_ms = None if self._first_at is None else round((self._first_at - self._started_at) * 1000, 3)
        ours = {
            **(self.metadata or {}),
            **reading.metadata,
            **said,
            "stopReason": reading.stop_reason,
            "responseId": reading.response_id,
            "timeToFirstChunkInMs": first_ms if self.streamed else None,
            "usageSource": _usage_source(reading),
        }
        if reading.service_tier and _tier(reading.service_tier) is None:
            ours["providerServiceTier"] = reading.service_tier
        metadata = {key: value for key, value in ours.items() if value is not None}
        metadata.update(self.context.get("metadata") or {})
        metadata.update({label: self.context[label] for label in _LABELS if self.context.get(label) is not None})
        metadata["timestamp"] = datetime.fromtimestamp(self.timestamp, timezone.utc).isoformat()
        return metadata


def _understood(notes: Notes) -> Reading:
    read, noted = notes
    try:
        return read(noted)
    except Exception:
        log.debug("[fluxgate] an answer could not be read", exc_info=True)
        return Reading()


def _tier(word: object) -> str | None:
    """The wire's word for a tier; None for one that it has no word for, with which it would refuse the event."""
    return _SERVED_TIERS.get(word.lower()) if isinstance(word, str) else None


def _usage_of(reading: Reading) -> dict[str, Any]:
    if reading.provider_usage is not None:
        return {"provider_usage": reading.provider_usage, "api_flavor": reading.api_flavor or "default"}
    usage: dict[str, Any] = {
        name: value for name in COUNTERS if isinstance(value := getattr(reading, name), int) and value >= 0
    }
    # The wire has no word for an unknown count; `usageSource` beside it says that these are not measured.
    return {"input_tokens": 0, "output_tokens": 0, **usage}


def _usage_source(reading: Reading) -> str | None:
    if reading.usage_is_partial:
        return "partial"
    known = reading.provider_usage is not None or reading.input_tokens is not None or reading.output_tokens is not None
    return None if known else "missing"


class _Closable(Protocol):
    def close_at_exit(self) -> None: ...


_process = object()
"""Another one in every forked child. Asking the system for the process each time takes longer."""
_live: weakref.WeakSet[_Closable] = weakref.WeakSet()
_hook = threading.Lock()


def _after_fork() -> None:
    """The parent's streams are the parent's; a child has hooks of its own to set."""
    global _hook, _process
    _hook, _process = threading.Lock(), object()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def close_at_exit(stream: _Closable) -> None:
    """Have `stream.close_at_exit()` called when the interpreter exits, unless the stream is gone or forgotten."""
    _live.add(stream)
    if _hook.acquire(blocking=False):
        atexit.register(close_live_streams)
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            # A child of multiprocessing ends without atexit. The last events are sent at priority 10, after this.
            sys.modules["multiprocessing.util"].Finalize(None, close_live_streams, exitpriority=20)


def forget(stream: _Closable) -> None:
    """Undo `close_at_exit`: the stream has ended."""
    _live.discard(stream)


def close_live_streams() -> None:
    """End every stream that is still open, so that its call is recorded before the last events are sent."""
    for stream in list(_live):
        try:
            stream.close_at_exit()
        except Exception:
            log.debug("[fluxgate] an open stream could not be closed", exc_info=True)
    _live.clear()
