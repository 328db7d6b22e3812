"""What was sent, what was dropped and why: counted always, said at most once a minute."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SAY_SECONDS: Final = 60.0

logger = logging.getLogger("fluxgate")


@dataclass(frozen=True)
class Stats:
    """What has become of everything that was handed over in this process.

    `sent`: stored by the server. `pending`: still queued. `spooled`: written to disk, to be sent later. `retries`:
    requests that had to be sent again. `last_error`: the newest trouble, '' without. `dropped`: given up, by reason:
    `queue_full`, `rejected` (the server refused the event), `unauthorized` (it refuses the key), `failed` (it failed on
    the event six times), `invalid` (not an event at all), `too_large` (more than 256 KiB), `unencodable` (cannot become
    JSON), `undelivered` (at close or exit), `closed` (came afterwards).
    """

    sent: int = 0
    pending: int = 0
    retries: int = 0
    spooled: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    last_error: str = ""


_SENTENCES: Final = {
    "queue_full": "the queue is full: the server does not take events as fast as they come",
    "rejected": "the server refused them",
    "failed": "the server failed on them again and again",
    "invalid": "they are not events",
    "too_large": "they are too large",
    "unencodable": "they cannot be written as JSON",
    "undelivered": "the program ended before the server took them",
    "closed": "they came after close()",
}


class Ledger:
    """Counts from any thread, also from a finalizer. One who may log calls `say` now and then."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked child."""
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._unsaid: Counter[str] = Counter()
        self._said_at: dict[str, float] = {}
        self._details: dict[str, str] = {}
        self._last_error = ""

    def sent(self, count: int) -> None:
        self._add("sent", count)

    def retried(self) -> None:
        self._add("retries", 1)

    def spooled(self, count: int) -> None:
        self._add("spooled", count)

    def dropped(self, reason: str, count: int = 1, detail: str = "") -> None:
        """Count what is given up. `detail` says more than the reason, without any content of the events."""
        with self._lock:
            self._dropped[reason] += count
            if reason in _SENTENCES:
                self._unsaid[reason] += count
                self._details[reason] = detail
            self._last_error = detail or _SENTENCES.get(reason, reason)

    def trouble(self, message: str) -> None:
        """Remember why something has to be sent again."""
        self._last_error = message
        logger.debug("[fluxgate] %s", message)

    def warn(self, message: str) -> None:
        """Say something that is said once."""
        self._last_error = message
        logger.warning("[fluxgate] %s", message)

    def say(self, now: float, *, at_once: bool = False) -> None:
        """Log what was dropped since the last time: one warning a minute for each reason. `now` in seconds."""
        if not self._unsaid:
            return
        for reason in list(self._unsaid):
            if not at_once and now - self._said_at.get(reason, now - SAY_SECONDS) < SAY_SECONDS:
                continue
            with self._lock:
                count = self._unsaid.pop(reason, 0)
                detail = self._details.pop(reason, "")
            if count:
                self._said_at[reason] = now
                what = f"{count} {'events were' if count > 1 else 'event was'} dropped"
                logger.warning("[fluxgate] %s: %s%s", what, _SENTENCES[reason], f" ({detail})" if detail else "")

    def stats(self, pending: int) -> Stats:
        """The figures of this moment."""
        with self._lock:
            counts, dropped = dict(self._counts), dict(self._dropped)
        return Stats(
            sent=counts.get("sent", 0),
            pending=pending,
            retries=counts.get("retries", 0),
            spooled=counts.get("spooled", 0),
            dropped=dropped,
            last_error=self._last_error,
        )

    def _add(self, name: str, count: int) -> None:
        with self._lock:
            self._counts[name] += count
