"""Following an answer that arrives in parts, without keeping it and without changing what the caller sees.

A `Watch` belongs to one exchange and ends it exactly once, whichever comes first: the terminal part, an exception, the
caller closing the stream or the response, the last reference going away, or the interpreter exiting. The provider's own
stream object stays what it is; its class becomes a subclass of itself.
"""

from __future__ import annotations

import enum
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, wraps
from typing import Any, Protocol

from fluxgate_sdk import bodies, calls
from fluxgate_sdk.calls import Call, Notes, Reading
from fluxgate_sdk.tracking import attach


class Verdict(enum.Enum):
    """What happens to a part of the answer on its way to the caller."""

    PASS = 0
    HOLD = 1
    """Give it to the caller only after the next part has been read, so that a caller who stops at it loses nothing."""
    SWALLOW = 2
    """Keep it from the caller, who did not ask for it."""


class Reader(Protocol):
    """Reads usage out of one answer: given part by part (`take`), or as one (`whole`).

    Both understand the provider's models and plain JSON objects. `model` is the one that was asked. `complete` turns
    True with the terminal part; `is_billable` is False while there is nothing to record, as for an answer still being
    made in the background. `wants_body` is False where the bytes say nothing of usage, as those of a sound file.
    `editor` is for a caller who reads the bytes of an answer with these headers, if there is something in them that is
    not meant for him.
    """

    model: str | None
    complete: bool
    is_billable: bool
    wants_body: bool

    @property
    def reading(self) -> Reading: ...

    def is_quiet(self, item: Any) -> bool:
        """Whether a part says nothing that is not known already, as most do: then `take` is spared. Never raises."""

    def take(self, item: Any) -> Verdict: ...

    def whole(self, answer: Any) -> None: ...

    def note(self, answer: Any) -> Reading | Notes:
        """As `whole`, for a thread that has no time: what takes long may be left for later."""

    def key(self) -> str | None:
        """An idempotency key out of the answer itself, where it can be read more than once."""

    def editor(self, headers: Mapping[str, str]) -> bodies.Editor | None: ...


class WatchesItems(Protocol):
    """Who is shown the parts. `pulling` is True while the next part is being read, `closing` once the caller closes."""

    pulling: bool
    closing: bool

    @property
    def is_quiet(self) -> Callable[[Any], bool]:
        """Asked of every part first: those for which it is True need not be shown."""

    def arrived(self, item: Any) -> Verdict: ...

    def end(self) -> None: ...

    def fail(self, error: BaseException) -> None: ...


class Watch:
    """Sees to it that one exchange is recorded once, by what its reader has understood until then. Never raises."""

    def __init__(self, call: Call, reader: Reader) -> None:
        self.call = call
        self.reader = reader
        self.is_quiet = reader.is_quiet
        self.pulling = False
        self.closing = False
        self.kept: bodies.Kept | None = None
        self.editor: bodies.Editor | None = None
        self._has_begun = False
        self._subjects: list[weakref.ref[Any]] = []
        self._response: weakref.ref[Any] | None = None

    def follow(self, subject: object, response: Any) -> None:
        """`subject` will carry the tracking once the call has ended; `response` is closed at the interpreter's exit."""
        self._subjects.append(weakref.ref(subject))
        self._response = weakref.ref(response)
        if self.call.is_finished:
            attach(subject, self.call.tracking)
        else:
            calls.close_at_exit(self)

    def watch_body(self, response: Any) -> None:
        """Be told how reading the response ends, and keep its bytes until a part of it is read in another way."""
        if self.kept is None and self.reader.wants_body:
            self.kept = bodies.Kept(response)
        bodies.watch_body(response, self)

    def arrived(self, item: Any) -> Verdict:
        """A part of the answer has arrived. Runs for every part: what is done once is not called again."""
        if not self._has_begun:
            self._has_begun = True
            self.kept = None
            self.call.chunk_arrived()
        verdict = self._take(item)
        if self.reader.complete:
            self.end()
        return verdict

    def _take(self, item: Any) -> Verdict:
        try:
            return self.reader.take(item)
        except Exception:
            calls.log.debug("[fluxgate] a part of an answer could not be read", exc_info=True)
            return Verdict.PASS

    def read(self, answer: Any) -> None:
        """The whole answer is here."""
        try:
            self.reader.whole(answer)
        except Exception:
            calls.log.debug("[fluxgate] an answer could not be read", exc_info=True)
        self.end()

    def end(self) -> None:
        """The answer has been read to its end."""
        self._finish(self.call.finish)

    def fail(self, error: BaseException) -> None:
        """Reading the answer raised."""
        if self.closing:
            self.closed()
        else:
            self._finish(lambda reading: self.call.fail(error, reading))

    def closed(self) -> None:
        """The caller has stopped reading, or dropped the answer."""
        reader = self.reader
        ended = reader.complete or reader.reading.stop_reason is not None
        self._finish(self.call.finish if ended else self.call.abandon)

    def body_failed(self, error: BaseException) -> None:
        """Reading the bytes raised. While a part is being read, the provider's own exception follows, and counts."""
        if not self.pulling:
            self._read_kept()
            self.fail(error)

    def body_closed(self) -> None:
        """The response has been closed: by the caller, or by the provider's code after its end or an exception."""
        if self.pulling:
            return
        is_whole = self.kept is not None and self.kept.is_whole
        self._read_kept()
        if is_whole:
            self.end()
        else:
            self.closed()

    def _read_kept(self) -> None:
        kept, self.kept = self.kept, None
        if kept is None or self.call.is_finished:
            return
        try:
            events, answer = kept.parts()
            for event in events:
                self._take(event)
                self._note_error(event)
            if answer is not None:
                self.reader.whole(answer)
        except Exception:
            calls.log.debug("[fluxgate] an answer could not be read", exc_info=True)

    def _note_error(self, event: Any) -> None:
        """An error among the events, which nobody raises for a caller who reads the bytes."""
        error = event.get("error") if isinstance(event, dict) else None
        if isinstance(error, dict):
            self.reader.reading.status = "ERROR"
            self.reader.reading.error_message = str(error.get("message") or error)

    def close_at_exit(self) -> None:
        """Record the call, and close a response that would crash CPython 3.13 if it were left open."""
        self.closed()
        response = self._response() if self._response is not None else None
        if response is not None and not response.is_closed and not hasattr(response.stream, "aclose"):
            response.close()

    def _finish(self, how: Callable[[Reading], Any]) -> None:
        if self.call.is_finished:
            return
        if self._response is not None:
            calls.forget(self)
        if not self.reader.is_billable:
            return
        if (key := self.reader.key()) is not None:
            self.call.idempotency_key = key
        how(self.reader.reading)
        for subject in self._subjects:
            attach(subject(), self.call.tracking)

    def __del__(self) -> None:
        try:
            if not self.call.is_finished:
                self.closed()
        except Exception:  # Half of the module may be gone while the interpreter exits.
            return


def followed(source: Any, watch: WatchesItems) -> Iterator[Any]:
    """A provider's iterator of parts, each of them shown to `watch` before the caller gets it.

    A part that the watch holds goes to the caller after the next one has been read, one that it swallows never does.
    Runs for every part of every stream: those that are quiet are let through without another call.
    """
    is_quiet = watch.is_quiet
    held: list[Any] = []
    watch.pulling = True
    try:
        for item in source:
            watch.pulling = False
            if is_quiet(item) and not held:
                yield item
            else:
                verdict = watch.arrived(item)
                yield from held
                held.clear()
                if verdict is Verdict.HOLD:
                    held.append(item)
                elif verdict is Verdict.PASS:
                    yield item
            watch.pulling = True
    except BaseException as end:
        if not watch.pulling:
            _close(source)
            raise  # By the caller, who stops reading.
        watch.pulling = False
        watch.fail(end)
        if isinstance(end, Exception):  # A cancellation he gets at once.
            yield from held
        raise
    watch.pulling = False
    watch.end()
    yield from held


def _close(source: Any) -> None:
    """Close the provider's iterator, which is a generator, or what somebody has put around it."""
    close = getattr(source, "close", None)
    if close is not None:
        close()


class AsyncItems:
    """As `followed`, of an asynchronous iterator: a generator would be known to the event loop, and closed by it."""

    def __init__(self, source: Any, watch: WatchesItems) -> None:
        self._source = source
        self._pull = source.__anext__
        self._watch = watch
        self._is_quiet = watch.is_quiet
        self._ready: deque[Any] = deque()
        self._held: list[Any] = []
        self._end: BaseException | None = None

    def __aiter__(self) -> AsyncItems:
        return self

    async def __anext__(self) -> Any:
        watch, ready = self._watch, self._ready
        while not ready:
            if self._end is not None:
                self._raise_end()
            watch.pulling = True
            try:
                item = await self._pull()
            except BaseException as end:
                self._ended(end)
                continue
            finally:
                watch.pulling = False
            if (self._is_quiet(item) and not self._held) or self._passes(item):
                return item
        return ready.popleft()

    async def aclose(self) -> None:
        """Close the provider's iterator, which is a generator."""
        await self._source.aclose()

    def _passes(self, item: Any) -> bool:
        """Take in the next part. True if the caller gets it at once; otherwise it waits, or has been swallowed."""
        verdict = self._watch.arrived(item)
        if verdict is Verdict.PASS and not self._held:
            return True
        self._release()
        if verdict is Verdict.HOLD:
            self._held.append(item)
        elif verdict is Verdict.PASS:
            self._ready.append(item)
        return False

    def _ended(self, end: BaseException) -> None:
        """The source has raised `end`. The caller gets it after what was held back; a cancellation, at once."""
        if isinstance(end, StopAsyncIteration):
            self._watch.end()
        else:
            self._watch.fail(end)
        self._release()
        self._end = end
        if not isinstance(end, Exception):
            self._raise_end()

    def _raise_end(self) -> None:
        end, self._end = self._end, None
        assert end is not None
        try:
            raise end
        finally:
            del end  # An exception that its own frame refers to would wait for the garbage collector.

    def _release(self) -> None:
        self._ready.extend(self._held)
        self._held.clear()


def adopt(stream: Any, watch: WatchesItems, response: Any) -> None:
    """Have every part of a provider's stream shown to `watch`, and `watch` told how it ends.

    The stream keeps its identity and its type: its class becomes a cached subclass of its class.
    """
    original = stream.__class__
    stream._fluxgate_watch = watch
    stream.__class__ = watched_class(original)
    if not isinstance(stream, original):
        # Older versions of Anthropic's package have a metaclass that denies subclasses.
        stream.__class__ = original
    if "_iterator" in vars(stream):
        # Made by the stream's constructor; newer ones make it on first use, by `__stream__`.
        stream._iterator = _watched(stream._iterator, watch)
    if isinstance(watch, Watch):
        watch.watch_body(response)
        watch.follow(stream, response)


def _watched(source: Any, watch: WatchesItems) -> Any:
    return AsyncItems(source, watch) if hasattr(source, "__anext__") else followed(source, watch)


@lru_cache(maxsize=256)
def watched_class(cls: Any) -> Any:
    """A subclass of a provider's class of streams or of decoders whose instances have a watch."""
    namespace: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    for name, wrapped in (("__stream__", _making), ("__decode__", _making), ("close", _closing), ("aclose", _closing)):
        if hasattr(cls, name):
            namespace[name] = wrapped(cls, name)
    return type(cls.__name__, (cls,), namespace)


# The originals are looked up when they are called: an instrumentor may replace them after this class was made.


def _making(cls: Any, name: str) -> Callable[[Any], Any]:
    return lambda self: _watched(getattr(cls, name)(self), self._fluxgate_watch)


def _closing(cls: Any, name: str) -> Callable[[Any], Any]:
    @wraps(getattr(cls, name))
    def closing(self: Any) -> Any:
        self._fluxgate_watch.closing = True
        return getattr(cls, name)(self)

    return closing
