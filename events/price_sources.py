"""Where rates were published: the web addresses of rate cards and tier policies, by their ids.

Raw SQL: the pages of the server read through the ORM in threads; a request on this path holds none.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection

_SOURCES = """SELECT 'card', id, source_url FROM pricing_rate_card WHERE id = ANY(%s)
UNION ALL SELECT 'policy', id, source_url FROM pricing_tier_policy WHERE id = ANY(%s)"""


@dataclass(frozen=True, slots=True)
class Sources:
    """Web addresses by rate card id and by tier policy id."""

    cards: Mapping[int, str]
    policies: Mapping[int, str]


@dataclass(slots=True)
class PriceSources:
    """One per process. Rows are never changed or deleted, so what was read once is kept, and there are only so many."""

    connect: Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]
    _cards: dict[int, str] = field(default_factory=dict)
    _policies: dict[int, str] = field(default_factory=dict)

    async def find(self, cards: set[int], policies: set[int]) -> Sources:
        """The sources of at least these rows; at most one query. Raises psycopg.Error and OSError."""
        unknown = list(cards - self._cards.keys()), list(policies - self._policies.keys())
        if any(unknown):
            async with self.connect() as connection:
                rows = await (await connection.execute(_SOURCES, unknown)).fetchall()
            for kind, pk, source_url in rows:
                (self._cards if kind == "card" else self._policies)[pk] = source_url
        return Sources(self._cards, self._policies)
