"""What the Cost Breakdown shows beside the filters, as its URL says it: the dimension, the order, the place.

Pure: query parameters in, an immutable value out. Bad input falls back to a default, because a link that somebody kept
must never lead to an error page.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from dashboard.filters import MAX_TEXT, META, Filters

type By = str
"""One of `DIMENSIONS`, or `meta.` and a key of the metadata; `meta` alone leaves the key to the page."""
Sort = Literal["cost", "requests", "change", "revenue", "margin", "margin_change", "ratio"]
Paying = Literal["", "short", "unknown"]
DIMENSIONS = ("feature", "user", "feature_user", "model", "provider", "step", "tier", "status")
SORTS: tuple[Sort, ...] = get_args(Sort)
PAYING: tuple[Paying, ...] = get_args(Paying)
OF_REVENUE: tuple[Sort, ...] = ("revenue", "margin", "margin_change", "ratio")
"""Orders that only those have who carry revenue."""
CARRIERS = ("user", "feature", "feature_user")
"""Revenue belongs to users; features carry that of their users."""
METADATA = "meta"
PAGE_SIZE = 50
MOST_ROWS = 1_000
"""How many rows one answer holds at most, however often more were asked for."""
MOST_BEFORE = 1_000_000


@dataclass(frozen=True)
class CostSearch:
    """One look at the breakdown: which events, told apart by what, in which order, from which row on."""

    filters: Filters
    by: By = "feature"
    sort: Sort = "cost"
    ascending: bool = False
    paying: Paying = ""
    """'short': only what costs more than it brings; of users, 'unknown': only those whose revenue nobody sent."""
    after: int = 0
    """How many rows come before."""
    rows: int = PAGE_SIZE
    """How many rows are shown."""

    @classmethod
    def from_query(cls, params: Mapping[str, str], now: datetime, zone: ZoneInfo) -> "CostSearch":
        """Read the query parameters; what is missing, unknown or malformed takes its default."""
        by = _dimension(params.get("by", ""))
        given = params.get("sort", "")
        known = [one for one in SORTS if by in CARRIERS or one not in OF_REVENUE]
        sort = next((one for one in known if one == given.removeprefix("-")), None)
        paying = next((one for one in _paying_of(by) if one == params.get("paying")), None)
        return cls(
            filters=Filters.from_query(params, now, zone),
            by=by,
            sort=sort or "cost",
            ascending=sort is not None and given.startswith("-"),
            paying=paying or "",
            after=_number(params, "after", MOST_BEFORE) or 0,
            rows=max(PAGE_SIZE, _number(params, "rows", MOST_ROWS) or PAGE_SIZE),
        )

    def words(self) -> dict[str, str]:
        """The words of the query string that are not the filters', where they are not at their defaults."""
        sort = f"{'-' if self.ascending else ''}{self.sort}"
        found = {"by": self.by, "sort": sort, "paying": self.paying}
        return {word: value for word, value in found.items() if value not in ("", "feature", "cost")}

    @property
    def own(self) -> Filters:
        """The filters for links that stay on this page: they carry its words on."""
        return replace(self.filters, page_words=tuple(self.words().items()))

    def without_revenue(self) -> "CostSearch":
        """The same without what only revenue can answer."""
        return replace(self, paying="", sort="cost" if self.sort in OF_REVENUE else self.sort)

    def sorted_by(self, sort: Sort) -> "CostSearch":
        """The same in another order: the largest first, or turned round where it is in that order already."""
        turned = sort == self.sort and not self.ascending
        return replace(self, sort=sort, ascending=turned, after=0, rows=PAGE_SIZE)


def _dimension(given: str) -> By:
    if given == METADATA or (given.startswith(META) and "\0" not in given and given != META):
        return given[: len(META) + MAX_TEXT]
    return given if given in DIMENSIONS else "feature"


def _paying_of(by: By) -> tuple[Paying, ...]:
    return PAYING if by == "user" else ("", "short") if by in CARRIERS else ("",)


def _number(params: Mapping[str, str], word: str, most: int) -> int | None:
    text = params.get(word, "")
    return min(int(text), most) if text.isdecimal() and text.isascii() and len(text) < 10 else None
