"""The bytes of a chat stream that was asked for its usage unseen: as they would be had nobody asked.

Who reads the parts never sees what was injected, because `ChatReader` keeps it back. This is for who reads the bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_WORD: Final = b'"usage"'
_NOTHING: Final = re.compile(rb',\s*"usage":\s*null|"usage":\s*null\s*,\s*')
"""Only outside of strings: in them, a quote has a backslash before it."""


class UsageEraser:
    """Takes the chunk that has nothing but the usage out of server-sent events, and `"usage": null` out of the others.

    `saw` is given what that chunk says. Bytes are kept back until their line is complete.
    """

    def __init__(self, saw: Callable[[Any], object]) -> None:
        self._saw = saw
        self._unfinished: list[bytes] = []
        self._after_usage = False

    def take(self, piece: bytes) -> bytes:
        """What the caller gets for this piece: no byte, one line, or many."""
        first, *others = piece.split(b"\n")
        self._unfinished.append(first)
        passed = []
        for other in others:
            passed.append(self._line(b"".join(self._unfinished)))
            self._unfinished = [other]
        return b"".join(passed)

    def rest(self) -> bytes:
        """What is left of a stream that was cut off inside a line."""
        rest, self._unfinished = b"".join(self._unfinished), []
        return rest

    def _line(self, line: bytes) -> bytes:
        was_usage, self._after_usage = self._after_usage, False
        if was_usage and not line.strip():
            return b""  # The blank line that ends an event which is not there.
        if _WORD in line and line.startswith(b"data:"):
            if self._is_usage(line[len(b"data:") :]):
                self._after_usage = True
                return b""
            line = _NOTHING.sub(b"", line, count=1)
        return line + b"\n"

    def _is_usage(self, data: bytes) -> bool:
        try:
            chunk = json.loads(data)
        except ValueError:
            return False
        if not isinstance(chunk, Mapping) or chunk.get("choices") or chunk.get("usage") is None:
            return False
        self._saw(chunk)
        return True
