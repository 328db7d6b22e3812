"""HTTP to one FluxGate server, by the standard library: kept-alive connections, gzip, a time limit for each request."""

from __future__ import annotations

import codecs
import gzip
import http.client
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 2.0
GZIP_FROM_BYTES: Final = 1024
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
MAX_IDLE_CONNECTIONS: Final = 4
USER_AGENT: Final = "fluxgate-sdk-python/0.1.0"


class Unreachable(Exception):
    """No answer: refused, cut off, or not in time. The server may have stored what was sent all the same."""


class Reply(NamedTuple):
    """An answer of whatever status; `retry_after` is in seconds."""

    status: int
    body: bytes
    retry_after: float | None = None


class Transport:
    """Posts bodies to paths below an endpoint. Every method may be called from any thread."""

    def __init__(self, endpoint: str, api_key: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ValueError with a sentence when the address or the key cannot be used."""
        parts = urlsplit(endpoint.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"endpoint: must be an address such as http://localhost:8000, got {endpoint!r}")
        # Looked up here, once: a thread that imports it later could be caught holding the import's lock by a fork.
        codecs.lookup("idna")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._base = parts.path.rstrip("/")
        self._clock = clock
        self._headers = {
            "Authorization": f"Bearer {_checked_key(api_key)}",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
        self.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self._base}"
        self.packs = True
        # Lists and sets change in single steps of the interpreter: no lock that a fork could copy while it is held.
        self._idle: list[http.client.HTTPConnection] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self._tls: ssl.SSLContext | None = None
        self._left_behind: list[http.client.HTTPConnection] = []

    def post(self, path: str, payload: bytes, timeout: float) -> Reply:
        """Send `payload`, JSON, and return the answer within about `timeout` seconds. Raises Unreachable."""
        deadline = self._clock() + timeout
        headers = dict(self._headers)
        if self.packs and len(payload) >= GZIP_FROM_BYTES:
            payload = gzip.compress(payload, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        while True:
            connection, is_kept = self._connection()
            self._busy.add(connection)
            try:
                return self._exchange(connection, path, payload, headers, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                # A server may close a kept connection at any moment; a new one tells whether it is there.
                if not (is_kept and isinstance(error, (ConnectionError, http.client.BadStatusLine))):
                    raise Unreachable(_said(error)) from error
            finally:
                self._busy.discard(connection)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def forget(self) -> None:
        """In a forked child: let go of the parent's connections, which the parent goes on using."""
        for connection in [*self._idle, *self._busy]:
            # Not close(): it waits for the lock of a reader that a thread of the parent may have held in the fork.
            with suppress(OSError, AttributeError):
                os.close(connection.sock.detach())
        self._left_behind = [*self._idle, *self._busy]
        self._idle = []
        self._busy = set()

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        with suppress(IndexError):
            return self._idle.pop(), True
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port), False
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return http.client.HTTPSConnection(self._host, self._port, context=self._tls), False

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        payload: bytes,
        headers: dict[str, str],
        deadline: float,
    ) -> Reply:
        if connection.sock is None:
            connection.timeout = min(CONNECT_SECONDS, self._left(deadline))
            connection.connect()
        sock = connection.sock
        sock.settimeout(self._left(deadline))
        connection.request("POST", self._base + path, payload, headers)
        sock.settimeout(self._left(deadline))
        response = connection.getresponse()
        body = bytearray()
        # Where the server closes after its answer, the socket is gone with the last byte.
        while not response.isclosed() and len(body) <= MAX_ANSWER_BYTES:
            sock.settimeout(self._left(deadline))
            body += response.read(65536)
        self._put_back(connection, response)
        return Reply(response.status, bytes(body), _seconds(response.getheader("Retry-After")))

    def _put_back(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        reusable = response.isclosed() and not response.will_close and len(self._idle) < MAX_IDLE_CONNECTIONS
        response.close()
        if reusable:
            self._idle.append(connection)
        else:
            connection.close()

    def _left(self, deadline: float) -> float:
        left = deadline - self._clock()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left


def _checked_key(api_key: object) -> str:
    key = api_key.strip() if isinstance(api_key, str) else ""
    if not key:
        raise ValueError("api_key: is required; create one in FluxGate under Admin, API keys")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("api_key: holds characters that no key has; was it copied whole?")
    return key


def _said(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _seconds(header: str | None) -> float | None:
    """Retry-After as seconds from now: a number, or a date."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None
