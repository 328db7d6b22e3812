"""The native application in this process, with a real database behind it."""

import asyncio
import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection

from events import keys
from events.models import ApiKey, Organization
from events.native import NativeApp, Route
from events.runtime import Runtime
from pricing.catalog import Catalog


@dataclass
class Response:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def field_errors(self) -> dict[str, str]:
        return {error["field"]: error["message"] for error in self.body["error"]["errors"]}


class NativeClient:
    """Calls the application as a server would; every call runs until its answer is complete."""

    def __init__(
        self,
        runner: asyncio.Runner,
        runtime: Runtime,
        routes: Mapping[str, Route],
        key: str,
        organization: Organization,
    ) -> None:
        self.runner = runner
        self.runtime = runtime
        self.app = NativeApp(runtime, routes)
        self.key = key
        self.organization = organization

    def post(self, path: str, body: Any, **options: Any) -> Response:
        """One POST; see `call`."""
        return self.runner.run(self.call(path, body, **options))

    def post_together(self, path: str, bodies: list[Any], **options: Any) -> list[Response]:
        """All at the same moment."""

        async def all_of_them() -> list[Response]:
            return list(await asyncio.gather(*(self.call(path, body, **options) for body in bodies)))

        return self.runner.run(all_of_them())

    async def call(
        self,
        path: str,
        body: Any,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        method: str = "POST",
        chunk: int = 65_536,
        compress: bool = False,
    ) -> Response:
        """`body` is JSON unless it is bytes; a header with the value "" is left out."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        if compress:
            payload = gzip.compress(payload)
        sent = {"content-type": "application/json", "authorization": f"Bearer {key or self.key}"} | (headers or {})
        sent |= {"content-encoding": "gzip"} if compress else {}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value],
        }
        chunks = [payload[start : start + chunk] for start in range(0, len(payload), chunk)] or [b""]
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            part = chunks.pop(0) if chunks else b""
            return {"type": "http.request", "body": part, "more_body": bool(chunks)}

        async def send(message: Any) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        return Response(messages[0]["status"], head, b"".join(part["body"] for part in messages[1:]))

    def flush_rejections(self) -> None:
        """Write the refused calls that wait."""
        self.runner.run(self.runtime.list_rejections())


def make_key(organization: Organization, **fields: Any) -> str:
    """A new key, by default with scope events:write for the live environment."""
    key = keys.generate("live")
    ApiKey.objects.create(
        organization=organization, name="tests", prefix=key[:15], last4=key[-4:], sha256=keys.digest(key), **fields
    )
    return key


@contextmanager
def opened(catalog: Catalog) -> Iterator[tuple[asyncio.Runner, Runtime]]:
    """A runtime that takes rows, and the loop that it lives in."""
    with asyncio.Runner() as runner:

        async def started() -> Runtime:
            runtime = Runtime()
            runtime.catalog = catalog
            await runtime.open()
            return runtime

        runtime = runner.run(started())
        yield runner, runtime
        runner.run(runtime.stop())
        # The thread in which a newer catalog was loaded keeps its connection.
        runner.run(sync_to_async(lambda: connection.close())())
