"""The paths that are answered natively in ASGI, without Django: who calls, what is refused, and how it is said.

What a path does is its handler's: `events/ingest.py`, `metering/track.py`. A handler gets a call whose key has been
looked at, before its body is.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import NamedTuple

import psycopg

from events import http, keys, rejections
from events.group_commit import now
from events.http import HttpError, Receive, Scope, Send
from events.keys import KeyRecord
from events.rejections import Rejection
from events.runtime import Runtime

logger = logging.getLogger("fluxgate.ingest")

DATABASE_SECONDS = 3.0


class Call:
    """What is known of one request on its way."""

    __slots__ = ("at", "body", "key", "key_prefix", "organization_id", "path", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, at: datetime) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.at = at
        self.path: str = scope["path"].rstrip("/")
        self.body = b""
        self.key: KeyRecord | None = None
        self.key_prefix = ""
        self.organization_id: int | None = None


class Route(NamedTuple):
    """What answers a POST to a path, and which scopes of a key open it: any of them."""

    handle: Callable[[Call], Awaitable[None]]
    scopes: tuple[str, ...]
    lists_refusals: bool = True
    """Whether a refused call is one that people should see: it lost something."""


class NativeApp:
    """ASGI application for the paths below `/api/` that have a route; every other one is 404."""

    def __init__(self, runtime: Runtime, routes: Mapping[str, Route]) -> None:
        self._runtime = runtime
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send, now())
        route = self.routes.get(call.path)
        try:
            if route is None:
                raise HttpError(404, "not_found", f"there is no {call.path[:100]}; events go to /api/events")
            if scope["method"] != "POST":
                raise HttpError(405, "method_not_allowed", "use POST", headers=[(b"allow", b"POST")])
            call.key = await self._authorized(call, route.scopes)
            await route.handle(call)
        except HttpError as error:
            # Wrong paths and methods, without a key, are any stranger's.
            if route is not None and route.lists_refusals and error.status != 405:
                list_refusal(self._runtime, call, error)
            await http.answer_error(send, error)
        except http.Disconnected:
            # Somebody who only framed the body wrongly is still there to read this.
            gone = HttpError(400, "incomplete_body", "the body ended before it was complete", headers=http.CLOSE)
            await http.answer_error(send, gone)
        except Exception:
            failure = HttpError(503, "internal", "the call could not be answered; send it again", headers=_RETRY)
            logger.exception("request %s failed", failure.request_id)
            await http.answer_error(send, failure)

    async def _authorized(self, call: Call, scopes: tuple[str, ...]) -> KeyRecord:
        """The key of the call, with one of the scopes, looked at before its body is. Raises HttpError 401, 403, 503."""
        key = _key_of(call.scope)
        if not key:
            raise _unauthorized("no API key: send it as `Authorization: Bearer org_live_…`")
        call.key_prefix = key[: keys.SHOWN_CHARACTERS] if key.startswith(keys.PREFIXES) else ""
        record = self._runtime.keys.known(key) or await self._looked_up(key)
        call.organization_id = record.organization_id
        if refusal := record.refusal(call.at):
            raise _unauthorized(refusal)
        if record.scopes.isdisjoint(scopes):
            raise HttpError(403, "missing_scope", f"this API key lacks the scope {' or '.join(scopes)}")
        return record

    async def _looked_up(self, key: str) -> KeyRecord:
        if not keys.is_well_formed(key):
            raise _unauthorized("this is not an API key of FluxGate: its form or its checksum is wrong")
        try:
            with self._runtime.deadlines.within(DATABASE_SECONDS):
                record = await self._runtime.keys.find(key)
        except (psycopg.Error, OSError) as error:
            logger.warning("a key could not be looked up: %s", str(error).strip().partition("\n")[0])
            raise unavailable("the API key could not be looked up in time") from None
        if record is None:
            raise _unauthorized("there is no such API key")
        return record


def list_refusal(runtime: Runtime, call: Call, error: HttpError) -> None:
    """Show the refusal to people. Outages are not the caller's doing and stand in the log."""
    if error.status < 500:
        runtime.rejections.add(
            Rejection(
                at=call.at,
                endpoint=call.path,
                http_status=error.status,
                error_type=error.type,
                message=error.message,
                organization_id=call.organization_id,
                key_prefix=call.key_prefix,
                body=call.body[: rejections.READ_BYTES],
            )
        )


_RETRY = [(b"retry-after", b"1")]


def unavailable(reason: str = "the event could not be stored in time") -> HttpError:
    """503: it may be sent again."""
    return HttpError(503, "unavailable", f"{reason}; send it again", headers=_RETRY)


def _unauthorized(message: str) -> HttpError:
    return HttpError(401, "unauthorized", message, headers=[(b"www-authenticate", b"Bearer")])


def _key_of(scope: Scope) -> str:
    """The key from either header; '' when there is none, or when two different ones contradict each other."""
    sent = [value for name, value in scope["headers"] if name in (b"authorization", b"x-api-key")]
    if len(sent) > 2:
        return ""
    kind, _, bearer = http.header(scope, b"authorization").partition(" ")
    bearer = bearer.strip() if kind.lower() == "bearer" else ""
    api_key = http.header(scope, b"x-api-key")
    return bearer or api_key if not (bearer and api_key) or bearer == api_key else ""
