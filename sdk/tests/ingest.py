"""A FluxGate server on this machine, by its wire contract. It stores by idempotency key and fails on demand."""

from __future__ import annotations

import gzip
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

KEY = "org_live_0123456789abcdefghijklmnopqrstuv012345"
COST = "0.00525"


@dataclass(frozen=True)
class Fault:
    """What happens to one request in place of its answer.

    `commits`: it is stored all the same. `until`: nothing is answered before that event. `hangs_up`: the connection is
    cut without an answer. Otherwise `status`, `headers` and `body` are the answer; status 0 is the usual one.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    commits: bool = False
    hangs_up: bool = False
    until: threading.Event | None = None


@dataclass(frozen=True)
class Request:
    """What arrived; `body` unpacked and parsed, `keys` the idempotency keys in it."""

    path: str
    headers: Mapping[str, str]
    body: Any
    keys: tuple[str, ...]
    connection: int


class IngestServer:
    """`stored` maps idempotency keys to what was stored under them; storing twice counts in `replayed`."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.replayed = 0
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        self.refuses: Callable[[Mapping[str, Any]], str] = lambda event: ""
        self.arrived = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> IngestServer:
        """Listen, on the same port as before if there was one."""
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.ingest = self
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="ingest", daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.cut_connections()
            self._server.server_close()
            self._server = None

    def cut_idle_connections(self) -> None:
        """As a server does with connections that were kept long enough."""
        assert self._server is not None
        self._server.cut_connections()

    def fail(self, *faults: Fault) -> None:
        """What the next requests meet, one each."""
        self.faults.extend(faults)

    def take(self, request: Request) -> Fault | bytes:
        with self._lock:
            self.requests.append(request)
            fault = self.faults.popleft() if self.faults else None
            answer = b"" if fault is not None and not fault.commits and fault.until is None else self._store(request)
        self.arrived.release()
        return answer if fault is None else fault

    def answer_to(self, request: Request) -> bytes:
        with self._lock:
            return self._store(request)

    def _store(self, request: Request) -> bytes:
        if request.path.endswith("/batch"):
            results = [self._stored(event, "idempotencyKey", "evt_") for event in request.body["events"]]
            return json.dumps({"accepted": len(results), "rejected": 0, "results": results}).encode()
        if request.path.endswith("/track"):
            return json.dumps(self._stored(request.body, "idempotency_key", "use_")).encode()
        return json.dumps(self._stored(request.body, "idempotencyKey", "evt_")).encode()

    def _stored(self, body: dict[str, Any], word: str, prefix: str) -> dict[str, Any]:
        if why := self.refuses(body):
            return {"status": "ERROR", "id": None, "error": {"type": why, "message": f"{why}: no"}}
        key = body[word]
        self.replayed += key in self.stored
        self.stored.setdefault(key, body)
        at = "2026-05-05T10:00:00.123Z"
        return {"id": prefix + key, "createdAt": at, "timestamp": at, "cost": float(COST), "status": "SUCCESS"}

    def __enter__(self) -> IngestServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 64
    allow_reuse_address = True
    ingest: IngestServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        for connection in list(self.connections):
            try:
                connection.shutdown(2)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is what tests do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        parsed = json.loads(body)
        events = parsed.get("events", [parsed])
        keys = tuple(event.get("idempotencyKey") or event.get("idempotency_key") for event in events)
        request = Request(self.path, headers, parsed, keys, self.client_address[1])
        taken = self.server.ingest.take(request)
        if isinstance(taken, bytes):
            self._answer(200, {}, taken)
            return
        if taken.until is not None:
            taken.until.wait(30)
        if taken.hangs_up:
            self.close_connection = True
            return
        if taken.status:
            self._answer(taken.status, taken.headers, taken.body)
        else:
            self._answer(200, {}, self.server.ingest.answer_to(request))

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        """Silence on standard error."""


def an_event(number: int = 0, **metadata: Any) -> dict[str, Any]:
    """The contract's example, by Python's names."""
    return {
        "usage": {
            "provider": "openai",
            "model": "gpt-4o",
            "input_tokens": 1200,
            "output_tokens": 350,
            "cached_tokens": 1000,
            "latency_in_ms": 812.4,
        },
        "status": "SUCCESS",
        "metadata": {"feature": "chat-assistant", "user": "user-123", "number": number, **metadata},
    }
