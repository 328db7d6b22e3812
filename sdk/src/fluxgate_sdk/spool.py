"""Events on disk that could not be delivered: JSON lines in one directory, sent at the next opportunity.

A file is written whole under another name and renamed, readable by its owner alone, and removed when the server has
answered for each of its lines. Whoever dies in between leaves it to the next start: the lines keep their keys, so the
server counts each of them once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from fluxgate_sdk.lanes import QUEUED, Item
from fluxgate_sdk.tracking import CostTrackingResponse

try:
    import fcntl
except ImportError:  # Windows: two processes may then send the same file, and the server counts it once.
    fcntl = None  # type: ignore[assignment]

MAX_BYTES: Final = 100 * 1024 * 1024
SUFFIX: Final = ".jsonl"


class Spool:
    """One directory, for the keys of one FluxGate organization; several processes may share it."""

    def __init__(self, directory: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> None:
        self._directory = Path(directory)
        self._max_bytes = max_bytes
        self._open: dict[Path, int] = {}

    def has_files(self) -> bool:
        """Whether there is something to be sent."""
        return bool(self._waiting())

    def write(self, items: Sequence[Item]) -> bool:
        """Keep encoded items. False when the directory is full or cannot be written."""
        lines = b"".join(
            b'{"lane":"%s","body":%s}\n' % (item.lane.name.encode(), item.payload) for item in items if item.payload
        )
        path = self._directory / f"{time.time_ns():020}-{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}"
        unfinished = path.with_suffix(".part")
        try:
            if self._size() + len(lines) > self._max_bytes:
                return False
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError:
            # What a full disk has taken would count against the room for ever.
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return False
        return True

    def take(self) -> list[Item]:
        """The items of the oldest file that nobody else is sending; [] without. The file goes when all are settled."""
        for path in self._waiting():
            if not self._claim(path):
                continue
            try:
                items = _items(path)
            except OSError:
                self._let_go(path)
                continue
            if items:
                self._watch(path, items)
                return items
            self._done(path)
        return []

    def release(self) -> None:
        """Let go of the files that are being sent; they stay."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open = {}

    def _watch(self, path: Path, items: list[Item]) -> None:
        left = len(items)

        def one_settled() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self._done(path)

        for item in items:
            item.on_settled = one_settled

    def _done(self, path: Path) -> None:
        # What cannot be removed is sent again by the next start, and counted once.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        self._let_go(path)

    def _let_go(self, path: Path) -> None:
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)

    def _claim(self, path: Path) -> bool:
        """Lock the file, so that of several processes one sends it; the lock ends with its process."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have sent and removed it between the two calls.
            if not path.exists():
                raise OSError(path)
        except OSError:
            os.close(descriptor)
            return False
        self._open[path] = descriptor
        return True

    def _waiting(self) -> list[Path]:
        try:
            return sorted(path for path in self._directory.glob(f"*{SUFFIX}") if path not in self._open)
        except OSError:
            return []

    def _size(self) -> int:
        size = 0
        for path in self._directory.glob("*"):
            with suppress(OSError):  # Removed meanwhile.
                size += path.stat().st_size
        return size


def _items(path: Path) -> list[Item]:
    """The lines that can be read; a line that cannot is left out."""
    items = []
    for line in path.read_bytes().splitlines():
        try:
            found = json.loads(line)
            lane = QUEUED[found["lane"]]
        except (ValueError, TypeError, KeyError):
            continue
        item = Item(lane, None, CostTrackingResponse())
        item.payload = line[line.index(b'"body":') + 7 : -1]
        items.append(item)
    return items
