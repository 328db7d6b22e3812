"""When to try again after a failure: full jitter, Retry-After as a minimum, a breaker after five failures. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.5
MOST_SECONDS: Final = 30.0
BREAKER_FAILURES: Final = 5
MOST_RETRY_AFTER_SECONDS: Final = 300.0

Jitter = Callable[[float, float], float]
"""A random number between two."""


class Backoff:
    """The failures in a row of one endpoint. Times are seconds of a monotonic clock."""

    def __init__(self, jitter: Jitter = random.uniform) -> None:
        self._jitter = jitter
        self.failures = 0
        self._due_at = 0.0
        self._not_before = 0.0

    def failed(self, now: float, retry_after: float | None = None) -> None:
        """Wait longer after every failure; from the fifth on, one try in 15 to 30 seconds."""
        self.failures += 1
        most = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(self.failures, BREAKER_FAILURES))
        least = MOST_SECONDS / 2 if self.failures >= BREAKER_FAILURES else 0.0
        self._due_at = now + self._jitter(least, MOST_SECONDS if least else most)
        if retry_after is not None:
            self._not_before = now + min(retry_after, MOST_RETRY_AFTER_SECONDS)

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self._due_at = self._not_before = 0.0

    def left(self, now: float, *, impatient: bool = False) -> float:
        """Seconds until the next try, 0 for now. The impatient wait only for what the server has asked for."""
        return max(0.0, self._not_before - now, 0.0 if impatient else self._due_at - now)

    def is_open(self, now: float) -> bool:
        """Whether the breaker keeps everybody from trying."""
        return self.failures >= BREAKER_FAILURES and self.left(now) > 0
