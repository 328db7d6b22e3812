"""Just enough HTTP for the ingest paths: bounded reading of bodies, JSON answers, the wire contract's error bodies."""

import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import msgspec

from events.deadlines import Deadlines
from events.wire import FieldError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

READ_SECONDS = 10.0
"""A body that takes longer than this to arrive is given up."""

CLOSE: tuple[Header, ...] = ((b"connection", b"close"),)

current_request: ContextVar[str] = ContextVar("current_request", default="")
"""The name of the request that Django answers: the log, error pages and errors of the REST API share it."""

_encode = msgspec.json.encode


class HttpError(Exception):
    """An answer other than 200. `type` is a stable word for programs, `message` a sentence for people."""

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002  the wire contract's name
        message: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Iterable[Header] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message
        self.errors = errors
        self.headers = tuple(headers)
        self.request_id = current_request.get() or uuid4().hex

    def body(self) -> dict[str, Any]:
        """The contract's error body."""
        return {
            "status": "ERROR",
            "id": None,
            "createdAt": None,
            "cost": None,
            "error": {
                "type": self.type,
                "message": self.message,
                "errors": self.errors,
                "requestId": self.request_id,
            },
        }


class Disconnected(Exception):
    """The caller went away before its body was complete; nobody is there to answer."""


def header(scope: Scope, name: bytes) -> str:
    """The first header of that (lower-case) name, or ''. Bytes outside of Latin-1 cannot occur."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1").strip()
    return ""


async def read_body(scope: Scope, receive: Receive, limit: int, deadlines: Deadlines) -> bytes:
    """The body, unpacked if it was sent with gzip, refused as soon as it proves larger than `limit` bytes.

    Raises HttpError 400, 413 or 415, and Disconnected.
    """
    encoding = header(scope, b"content-encoding").lower()
    if encoding not in ("", "identity", "gzip"):
        raise HttpError(415, "unsupported_encoding", f"Content-Encoding {encoding[:40]!r} is not supported; use gzip")
    length = header(scope, b"content-length")
    if length.isdigit() and int(length[:20]) > limit:
        raise too_large(limit)
    try:
        with deadlines.within(READ_SECONDS):
            return await _read(receive, limit, _Gunzip(limit) if encoding == "gzip" else None)
    except TimeoutError:
        raise HttpError(400, "slow_body", f"the body did not arrive within {READ_SECONDS:.0f} seconds") from None


async def _read(receive: Receive, limit: int, gunzip: "_Gunzip | None") -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        if gunzip is not None:
            chunk = gunzip.feed(chunk)
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
    if gunzip is not None and not gunzip.complete:
        raise HttpError(400, "bad_encoding", "the gzip body is incomplete")
    return b"".join(chunks)


class _Gunzip:
    """Unpacks gzip, of one member or several, never by more than one byte beyond the limit: a bomb costs nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._received = 0
        self._left = limit + 1
        self._member = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> bytes:
        self._received += len(chunk)
        if self._received > self._limit:
            raise too_large(self._limit)
        unpacked: list[bytes] = []
        while chunk and self._left > 0:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            try:
                part = self._member.decompress(chunk, self._left)
            except zlib.error:
                raise HttpError(400, "bad_encoding", "the body is not valid gzip") from None
            self._left -= len(part)
            unpacked.append(part)
            chunk = self._member.unused_data
        return b"".join(unpacked)

    @property
    def complete(self) -> bool:
        return self._member.eof


def too_large(limit: int) -> HttpError:
    """413, closing the connection: the rest of the body is not read."""
    size = f"{limit // 1024} KiB" if limit < 1024 * 1024 else f"{limit // 1024 // 1024} MiB"
    message = f"the body is larger than {size} (after decompression)"
    return HttpError(413, "too_large", message, headers=CLOSE)


def check_content_type(scope: Scope, accepted: Sequence[str]) -> str:
    """The media type without parameters; '' when none was sent. Raises HttpError 415 for one not in `accepted`."""
    media_type = header(scope, b"content-type").partition(";")[0].strip().lower()
    if media_type in ("", "text/plain") or media_type in accepted or media_type.endswith("+json"):
        return media_type
    raise HttpError(415, "unsupported_media_type", f"Content-Type must be {' or '.join(accepted)}")


async def answer(send: Send, status: int, body: Any, headers: Iterable[Header] = ()) -> None:
    """Send a JSON answer."""
    await answer_bytes(send, status, _encode(body), b"application/json", headers)


async def answer_bytes(
    send: Send, status: int, payload: bytes, media_type: bytes, headers: Iterable[Header] = ()
) -> None:
    """Send an answer in any encoding."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type),
                (b"content-length", str(len(payload)).encode()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": payload})


async def answer_error(send: Send, error: HttpError) -> None:
    """Send the contract's error body."""
    headers = [*error.headers, (b"x-request-id", error.request_id.encode())]
    await answer(send, error.status, error.body(), headers)
