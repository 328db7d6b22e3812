"""What the list of requests shows beside the filters, as its URL says it: the order, and the place in it.

Pure: query parameters in, an immutable value out. Bad input falls back to a default, because a link that somebody kept
must never lead to an error page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from dashboard.filters import Filters

Sort = Literal["time", "cost", "tokens", "latency"]
SORTS: tuple[Sort, ...] = get_args(Sort)
_PLACE = re.compile(r"(?:(?P<value>\d{1,38}(?:\.\d{1,330})?)?~)?evt_(?P<id>[0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True)
class Place:
    """The last event that was shown: a list goes on behind it. `value` is what the list is ordered by.

    The value stands in the link, not the event's own at the time of reading: a call that is priced anew between two
    pages must not move the place where the next one starts.
    """

    id: UUID
    value: Decimal | None = None
    """None: the event has none, so it stands among the last; or the list is ordered by time."""

    def text(self) -> str:
        """How links write it: `evt_…`, `5250000000~evt_…`, or `~evt_…` where the value is unknown."""
        value = "" if self.value is None else format(self.value, "f")
        return f"{value}~evt_{self.id.hex}"


@dataclass(frozen=True)
class RequestSearch:
    """One look at the list: which events, in which order, from which place on."""

    filters: Filters
    sort: Sort = "time"
    ascending: bool = False
    after: Place | None = None

    @classmethod
    def from_query(cls, params: Mapping[str, str], now: datetime, zone: ZoneInfo) -> "RequestSearch":
        """Read the query parameters; what is missing, unknown or malformed takes its default."""
        given = params.get("sort", "")
        sort = next((one for one in SORTS if one == given.removeprefix("-")), None)
        return cls(
            filters=Filters.from_query(params, now, zone),
            sort=sort or "time",
            ascending=sort is not None and given.startswith("-"),
            after=_place(params.get("after", "")),
        )

    @property
    def word(self) -> str:
        """The order as the URL says it: `cost` the largest first, `-cost` the smallest; '' the newest first."""
        found = f"{'-' if self.ascending else ''}{self.sort}"
        return "" if found == "time" else found

    @property
    def own(self) -> Filters:
        """The filters for links that stay on this page: they carry its order on."""
        return replace(self.filters, page_words=(("sort", self.word),) if self.word else ())

    def sorted_by(self, sort: Sort) -> "RequestSearch":
        """The same in another order: the largest first, or turned round where it is in that order already."""
        turned = sort == self.sort and not self.ascending
        return replace(self, sort=sort, ascending=turned, after=None)


def _place(text: str) -> Place | None:
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    return Place(UUID(found["id"]), Decimal(found["value"]) if found["value"] else None)
