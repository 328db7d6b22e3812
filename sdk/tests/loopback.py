"""A provider on this machine: answers what a test wrote down, in the provider's own wire format, over real sockets.

Nothing here waits for a clock. A stream is cut where the test says, also inside an event; one that is to stay open does
so until its reader goes away or the server stops.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

GENERATED_MODEL = "gemini-2.5-flash"


make_tls_context = ssl.create_default_context


@cache
def shared_tls_context(*arguments: Any, **named: Any) -> ssl.SSLContext:
    """In place of `ssl.create_default_context`: each client would load all certificates, for nothing."""
    return make_tls_context(*arguments, **named)


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `path` has no query, `body` is None where it was not JSON."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """One answer. `pieces` go out as one HTTP chunk each; without them `body` goes out whole.

    `end` says what follows the last piece: "close" ends the stream as HTTP demands, "reset" drops the connection in the
    middle of it, "open" leaves it open until the reader has gone or the server stops.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    end: str = "close"


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A whole JSON answer."""
    return Reply(body=json.dumps(value).encode(), status=status, headers=headers or {})


def sse_reply(events: Iterable[object], *, cut: int = 7, end: str = "close", last: str = "") -> Reply:
    """Server-sent events, `data: …` each, in pieces of `cut` bytes; `last` is a final text event such as `[DONE]`.

    An event may be a pair (name, value), which adds an `event:` line.
    """
    text = "".join(_event_text(event) for event in events) + (f"data: {last}\n\n" if last else "")
    return Reply(content_type="text/event-stream", pieces=cut_into(text.encode(), cut), end=end)


def cut_into(data: bytes, size: int) -> tuple[bytes, ...]:
    """The data in pieces of `size` bytes."""
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def _event_text(event: object) -> str:
    if isinstance(event, tuple):
        name, value = event
        return f"event: {name}\ndata: {json.dumps(value)}\n\n"
    return f"data: {json.dumps(event)}\n\n"


class Loopback:
    """A provider at `url`. `answer` says in order what comes back; `requests` is what arrived. A context manager.

    A request that nothing was written down for is answered with 501 and the word "unscripted".
    """

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[Request] = []
        self._replies: deque[Reply] = deque(replies)
        self._by_path: dict[str, Reply | Callable[[Request], Reply]] = {}
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.loopback = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="loopback", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, *replies: Reply) -> None:
        """What the next requests get, one each, after what was written down before."""
        self._replies.extend(replies)

    def always(self, path: str, reply: Reply | Callable[[Request], Reply]) -> None:
        """What every request for a path that ends like this gets, when no other answer is left."""
        self._by_path[path] = reply

    def reply_to(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            if self._replies:
                return self._replies.popleft()
        found = next((reply for path, reply in self._by_path.items() if request.path.endswith(path)), None)
        if found is None:
            return json_reply({"error": {"code": 501, "message": f"unscripted: {request.path}"}}, 501)
        return found if isinstance(found, Reply) else found(request)

    def settle(self) -> None:
        """Wait until every connection is closed here as well. Fails when a client still holds one."""
        for thread in list(vars(self._server).get("_threads", ())):
            thread.join(10)
            assert not thread.is_alive(), "a connection is still open"

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64
    loopback: Loopback

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Kept-alive connections would hold their threads, and `server_close` waits for these."""
        for connection in list(self.connections):
            try:
                connection.shutdown(2)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that goes away in the middle is what tests do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small pieces would wait 40 ms for each other.
    disable_nagle_algorithm = True
    server: _Server

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(
            self.server.loopback.reply_to(Request(self.command, parts.path, parts.query, headers, _json_or_none(body)))
        )

    do_GET = do_POST = do_DELETE = do_PATCH = handle_request

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if not reply.pieces:
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in reply.pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self._finish(reply)

    def _finish(self, reply: Reply) -> None:
        if reply.end == "close":
            self.wfile.write(b"0\r\n\r\n")
            return
        self.close_connection = True
        if reply.end == "open":
            self._wait_for_the_reader_to_go()

    def _wait_for_the_reader_to_go(self) -> None:
        """An empty read: the reader has closed, or the server has shut the connection down."""
        try:
            self.connection.recv(1)
        except OSError:
            return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        """Silence on standard error."""


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


# What Gemini's REST interface says.


def gemini_usage(prompt: int = 100, candidates: int = 20, thoughts: int = 0, **more: Any) -> dict[str, Any]:
    """`usageMetadata` of one answer; `more` are further fields under the names of the wire."""
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": candidates}
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    total = prompt + candidates + thoughts + more.get("toolUsePromptTokenCount", 0)
    return usage | {"totalTokenCount": total} | more


def gemini_content(
    text: str = "Hello", *, finish: str | None = "STOP", usage: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """One GenerateContentResponse, or one chunk of its stream (`finish=None` for those before the last)."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    answer = {"candidates": [candidate], "modelVersion": GENERATED_MODEL, "responseId": "resp-1"}
    return answer | {"usageMetadata": gemini_usage() if usage is None else dict(usage)} | more


def gemini_function_call(name: str, **arguments: Any) -> dict[str, Any]:
    """An answer that asks for a function to be called."""
    answer = gemini_content(usage=gemini_usage(50, 5))
    answer["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": name, "args": arguments}}]
    return answer


def gemini_stream(*, parts: int = 3, usage: Mapping[str, Any] | None = None, cut: int = 7, end: str = "close") -> Reply:
    """A stream of text whose chunks carry running totals, as Gemini's do: the last one has the final counters."""
    final = gemini_usage() if usage is None else dict(usage)
    chunks = [
        gemini_content(f"part {number} ", finish=None, usage={"promptTokenCount": final["promptTokenCount"]})
        for number in range(parts - 1)
    ]
    return sse_reply([*chunks, gemini_content("end", usage=final)], cut=cut, end=end)


def gemini_error(status: int = 429, message: str = "Resource exhausted", word: str = "RESOURCE_EXHAUSTED") -> Reply:
    """An error answer of Google's interfaces."""
    return json_reply({"error": {"code": status, "message": message, "status": word}}, status)
