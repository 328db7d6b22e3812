"""What the database says of few things that are asked for often: a cache in one process, bounded in age and in size."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

CACHE_SECONDS = 4.0
"""Below the 5 seconds after which a revoked key must be refused everywhere."""
CACHE_SIZE = 10_000


class FreshCache[KeyT: Hashable, ValueT]:
    """Answers at most CACHE_SECONDS old; that there is no answer (None) is remembered too."""

    def __init__(
        self, load: Callable[[KeyT], Awaitable[ValueT | None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._clock = clock
        self._known: OrderedDict[KeyT, tuple[float, ValueT | None]] = OrderedDict()
        self._loading: dict[KeyT, asyncio.Task[ValueT | None]] = {}

    def known(self, key: KeyT) -> ValueT | None:
        """The value if it is in the cache and fresh, without waiting; None when `find` must be asked."""
        found = self._fresh(key)
        return found[1] if found else None

    async def find(self, key: KeyT) -> ValueT | None:
        """The value, from the cache or the database. Who asks for the same at the same moment shares one look-up."""
        found = self._fresh(key)
        if found is not None:
            return found[1]
        task = self._loading.get(key)
        if task is None:
            task = asyncio.ensure_future(self._refresh(key))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(task)

    def _fresh(self, key: KeyT) -> tuple[float, ValueT | None] | None:
        found = self._known.get(key)
        return found if found is not None and self._clock() - found[0] < CACHE_SECONDS else None

    async def _refresh(self, key: KeyT) -> ValueT | None:
        asked_at = self._clock()
        value = await self._load(key)
        self._known[key] = (asked_at, value)
        self._known.move_to_end(key)
        while len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        return value
