"""What stands between Django's answers and the socket: files sent without a thread, and readers that stall.

a2wsgi waits for each piece to be sent, for ever if need be, in one of the few threads that answer pages.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

from events.http import Send

FILE_HEADER = b"x-fluxgate-file"
"""Names a file to be sent as the body of an answer (dashboard/downloads.py); it never leaves the server."""
STALLED_SECONDS = 60.0

type Message = MutableMapping[str, Any]


def patient_send(send: Send) -> Send:
    """A `send` for a2wsgi that never raises and never waits longer than STALLED_SECONDS for the reader.

    After that the rest is thrown away; since the answer's end is never sent, the reader sees that it is cut short.
    """
    lost = False

    async def sent(message: Message) -> None:
        nonlocal lost
        if lost:
            return
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)
        except (TimeoutError, OSError, RuntimeError):
            lost = True

    return _with_files(sent)


def _with_files(send: Send) -> Send:
    """A `send` that replaces the body of an answer with FILE_HEADER by the file, read by the server itself."""
    path = ""

    async def sent(message: Message) -> None:
        nonlocal path
        if message["type"] == "http.response.start":
            path = _file_of(message)
            await send(message)
            if path:
                await send({"type": "http.response.pathsend", "path": path})
        elif not path:
            await send(message)

    return sent


def _file_of(message: Message) -> str:
    """The path in the headers of the answer, which is taken out of them; '' when there is none."""
    named = [value for name, value in message["headers"] if name == FILE_HEADER]
    message["headers"] = [(name, value) for name, value in message["headers"] if name != FILE_HEADER]
    return unquote(named[0].decode()) if named else ""
