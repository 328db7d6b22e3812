"""Time limits for very many short waits.

`asyncio.timeout` puts a timer on the loop's heap for each wait, which cost more than parsing the event. Here a wait is
noted in a dictionary, and one task looks a few times a second for those that took too long.
"""

import asyncio
from types import TracebackType

SWEEP_SECONDS = 0.25


class Deadlines:
    """The waits of one process that have a limit; `sweep` is the task that ends them."""

    def __init__(self) -> None:
        self._open: dict[Limit, None] = {}

    def within(self, seconds: float) -> "Limit":
        """A context that raises TimeoutError when its body takes longer, to the nearest SWEEP_SECONDS."""
        return Limit(self._open, asyncio.get_running_loop().time() + seconds)

    async def sweep(self) -> None:
        """End what is overdue, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = clock()
            for limit in [limit for limit in self._open if limit.at <= now]:
                limit.expire()


class Limit:
    """One wait. Ends by cancelling its task, which is turned into TimeoutError where the limit was set."""

    __slots__ = ("_expired", "_open", "_task", "at")

    def __init__(self, open_limits: "dict[Limit, None]", at: float) -> None:
        self._open = open_limits
        self._expired = False
        self._task: asyncio.Task[object] | None = None
        self.at = at

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._open[self] = None

    def expire(self) -> None:
        """End the wait."""
        self._open.pop(self, None)
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.pop(self, None)
        if self._expired and self._task is not None:
            others = self._task.uncancel()
            if kind is asyncio.CancelledError and others <= 0:
                raise TimeoutError from error
