"""The server's outer callable: ingest paths and health natively, every other path through Django's WSGI handler.

Django's own ASGI handler is 7 to 10 times slower than WSGI in a small thread pool, and an ingest request that waits
for its commit should hold no thread at all.
"""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote_from_bytes

from a2wsgi import WSGIMiddleware

from fluxgate_site.wsgi import application as django_wsgi

# After the line above: the settings must be there before models are imported.
from events.http import CLOSE, Disconnected, HttpError, Receive, Scope, Send, answer, answer_error, read_body  # isort: skip
from events.ingest import Ingest  # isort: skip
from events.native import NativeApp  # isort: skip
from events.runtime import Runtime  # isort: skip
from events.traces import Traces  # isort: skip
from metering.track import Tracking  # isort: skip
from metering.api.errors import MAX_BODY_BYTES  # isort: skip
from fluxgate_site.page_answers import patient_send  # isort: skip

DJANGO_API = ("/api/openapi.json", "/api/docs")
PAGE_THREADS = 6
MAX_PAGE_BODY_BYTES = 1024 * 1024
ASCII = "".join(map(chr, range(128)))


class Application:
    """One per process."""

    def __init__(self) -> None:
        self._runtime = Runtime()
        self._tracking = Tracking(self._runtime)
        ingest = Ingest(self._runtime)
        traces = Traces(self._runtime, ingest)
        self.native = NativeApp(self._runtime, ingest.routes() | traces.routes() | self._tracking.routes())
        # a2wsgi's own, narrower words for what WSGI is
        self._pages = WSGIMiddleware(django_wsgi, workers=PAGE_THREADS)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            path = scope["path"]
            if self._is_native(path):
                await self.native(scope, receive, send)
            elif path in ("/healthz", "/readyz"):
                await self._health(scope, send)
            elif path.startswith("/api/"):
                await self._page(scope, receive, send, MAX_BODY_BYTES)
            else:
                await self._page(scope, receive, send)

    def _is_native(self, path: str) -> bool:
        """`/v1/`, and below `/api/` all but the REST API and its schema; what nobody has is refused natively too."""
        if path.startswith("/v1/") or path.rstrip("/") in self.native.routes:
            return True
        if not path.startswith("/api/"):
            return False
        return not (path.startswith("/api/v1/") or path in DJANGO_API)

    async def _page(self, scope: Scope, receive: Receive, send: Send, limit: int = MAX_PAGE_BODY_BYTES) -> None:
        """Hand a request to Django once its body is there: a slow caller must not hold a thread."""
        try:
            body = await read_body(scope, receive, limit, self._runtime.deadlines)
        except HttpError as error:
            await answer_error(send, error)
        except Disconnected:
            await answer_error(send, HttpError(400, "incomplete_body", "the body ended early", headers=CLOSE))
        else:
            # WSGI knows ASCII only here; browsers send nothing else, others do.
            scope["query_string"] = quote_from_bytes(scope["query_string"], safe=ASCII).encode()
            scope["headers"] = _headers_of(scope, body)
            await self._pages(scope, _replay(body), patient_send(send))  # type: ignore[arg-type]

    async def _health(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            error = HttpError(405, "method_not_allowed", "use GET", headers=[(b"allow", b"GET, HEAD")])
            await answer_error(send, error)
        elif scope["path"] == "/healthz":
            await answer(send, 200, {"status": "ok"})
        else:
            ready = await self._runtime.is_ready()
            good = all(ready.values())
            await answer(send, 200 if good else 503, {"status": "ready" if good else "not ready", **ready})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._runtime.start()
                await self._tracking.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._tracking.stop()
                await self._runtime.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _headers_of(scope: Scope, body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a request whose body has been read and unpacked: WSGI reads as many bytes as they say.

    Cookies that came in several headers, as HTTP/2 may send them, become one: a2wsgi would join them with commas.
    """
    framing = (b"content-length", b"content-encoding", b"transfer-encoding", b"cookie")
    kept = [(name, value) for name, value in scope["headers"] if name not in framing]
    cookies = [value for name, value in scope["headers"] if name == b"cookie"]
    if cookies:
        kept.append((b"cookie", b"; ".join(cookies)))
    return [*kept, (b"content-length", str(len(body)).encode())]


def _replay(body: bytes) -> Receive:
    """A `receive` that has the whole body at once."""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


application = Application()
