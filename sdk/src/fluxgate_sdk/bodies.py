"""The bytes of an answer on their way to the caller: how reading them ended, and a copy of them where one is needed.

The wrapper is of the kind of the body that it wraps (synchronous, asynchronous or both, of httpx or httpx2), because
the HTTP library checks for that, and passes every other question on to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Protocol

MAX_KEPT_BYTES: Final = 8 * 1024 * 1024
_KINDS: Final = ("SyncByteStream", "AsyncByteStream")


class Editor(Protocol):
    """Changes the bytes on their way to the caller; `rest` is what it has kept back when they end."""

    def take(self, piece: bytes) -> bytes: ...

    def rest(self) -> bytes: ...


class BodyWatch(Protocol):
    """Who wants to know. `kept` is None where the bytes are not needed, `editor` where they pass as they are."""

    kept: Kept | None
    editor: Editor | None

    def body_failed(self, error: BaseException) -> None: ...

    def body_closed(self) -> None: ...


class Kept:
    """A copy of the first bytes of a body, as they came over the wire; of none of them once there are too many."""

    def __init__(self, response: Any, most: int = MAX_KEPT_BYTES) -> None:
        self._response_class = type(response)
        self._headers = {
            name: value for name, value in response.headers.items() if name in ("content-type", "content-encoding")
        }
        self._chunks: list[bytes] = []
        self._room = most
        self.is_whole = False

    def add(self, chunk: bytes) -> None:
        self._room -= len(chunk)
        if self._room >= 0:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def parts(self) -> tuple[list[Any], Any]:
        """What the bytes say: the events of an event stream, or else the one answer; each as JSON values.

        Raises ValueError for what is not JSON, and what the HTTP library raises for bytes that it cannot decompress.
        """
        if not self._chunks:
            return [], None
        # The HTTP library decompresses, whatever it has agreed on with the server.
        content: bytes = self._response_class(200, headers=self._headers, content=b"".join(self._chunks)).content
        if "event-stream" in self._headers.get("content-type", ""):
            return list(_server_sent(content)), None
        return [], json.loads(content)


def _server_sent(content: bytes) -> Iterator[Any]:
    """The JSON values of server-sent events; what is cut off at the end is left out."""
    for line in content.splitlines():
        if not line.startswith(b"data:"):
            continue
        try:
            yield json.loads(line[5:])
        except ValueError:  # `[DONE]`, or the last line of an answer that was broken off.
            continue


class _Body:
    def __init__(self, inner: Any, watch: BodyWatch) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_inner"], name)

    def _passing(self, chunk: bytes) -> bytes:
        if (kept := self._watch.kept) is not None:
            kept.add(chunk)
        editor = self._watch.editor
        return chunk if editor is None else editor.take(chunk)

    def _ended(self, error: BaseException) -> bytes:
        """What was kept back, if the bytes are at their end; asked again, there is nothing, and the end is the end."""
        if not isinstance(error, (StopIteration, StopAsyncIteration)):
            self._watch.body_failed(error)
            return b""
        if (kept := self._watch.kept) is not None:
            kept.is_whole = True
        editor = self._watch.editor
        return b"" if editor is None else editor.rest()


class _SyncBody(_Body):
    def __iter__(self) -> Iterator[bytes]:
        return _Chunks(iter(self._inner), self)

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._watch.body_closed()


class _AsyncBody(_Body):
    def __aiter__(self) -> _AsyncChunks:
        return _AsyncChunks(self._inner.__aiter__(), self)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._watch.body_closed()


class _Chunks:
    # An iterator and no generator: dropping it drops the body's own one at once, with nothing in between.
    def __init__(self, source: Iterator[bytes], body: _Body) -> None:
        self._source = source
        self._body = body

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> bytes:
        try:
            return self._body._passing(next(self._source))
        except BaseException as error:
            if rest := self._body._ended(error):
                return rest
            raise


class _AsyncChunks:
    def __init__(self, source: Any, body: _Body) -> None:
        self._source = source
        self._body = body

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            return self._body._passing(await self._source.__anext__())
        except BaseException as error:
            if rest := self._body._ended(error):
                return rest
            raise

    async def aclose(self) -> None:
        """Close the body's own iterator, if it is one that can be closed."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()


def watch_body(response: Any, watch: BodyWatch) -> None:
    """Have `watch` told how reading the body of an HTTP response ends. A body of an unknown kind stays as it is."""
    if isinstance(response.stream, _Body):
        return
    body_class = _body_class(response.stream.__class__)
    if body_class is not None:
        response.stream = body_class(response.stream, watch)


@lru_cache(maxsize=64)
def _body_class(inner: Any) -> Any:
    kinds = {kind.__name__: kind for kind in inner.__mro__ if kind.__name__ in _KINDS}
    ours = [part for part, name in ((_SyncBody, _KINDS[0]), (_AsyncBody, _KINDS[1])) if name in kinds]
    return type("WatchedBody", (*ours, *kinds.values()), {}) if ours else None
