"""What the page of metered usage shows, as its URL says it: period, environment, customer, meter, and the place.

Pure: query parameters in, an immutable value out. Bad input falls back to a default, because a link that somebody kept
must never lead to an error page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from dashboard.filters import Filters

PAGE_SIZE = 50
MOST_ROWS = 1_000
"""How many rows of a list one answer holds at most, however often more were asked for."""
MOST_BEFORE = 1_000_000
_PLACE = re.compile(r"(\d{1,17})-([0-9a-f]{32})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class UsageSearch:
    """One look at usage: which records, and how many rows of which list."""

    filters: Filters
    """Links that stay on the page carry its words on; of the conditions only `user` is left."""
    meter: int | None = None
    after: tuple[datetime, UUID] | None = None
    """Records before this one, which was the last one seen."""
    customers_after: int = 0
    """How many customers come before."""
    seen: int = 0
    """How many records have been shown before."""
    records: int = PAGE_SIZE
    customers: int = PAGE_SIZE

    @classmethod
    def from_query(cls, params: Mapping[str, str], now: datetime, zone: ZoneInfo) -> "UsageSearch":
        """Read the query parameters; what is missing, unknown or malformed takes its default."""
        given = Filters.from_query(params, now, zone)
        meter = _number(params, "meter", 2**31)
        words = () if meter is None else (("meter", str(meter)),)
        return cls(
            Filters(
                zone=zone,
                now=now,
                period=given.period,
                start=given.start,
                end=given.end,
                environment=given.environment,
                compare=given.compare,
                user=given.user,
                page_words=words,
            ),
            meter,
            place_of(params.get("after", "")),
            _number(params, "customers_after", MOST_BEFORE) or 0,
            _number(params, "seen", MOST_BEFORE) or 0,
            max(PAGE_SIZE, _number(params, "records", MOST_ROWS) or 0),
            max(PAGE_SIZE, _number(params, "customers", MOST_ROWS) or 0),
        )


def place(at: datetime, record_id: UUID) -> str:
    """A record's place in the list, as a word of the URL: exact to the microsecond."""
    return f"{(at - _EPOCH) // timedelta(microseconds=1)}-{record_id.hex}"


def place_of(text: str) -> tuple[datetime, UUID] | None:
    """What `place` wrote; None for anything else."""
    found = _PLACE.fullmatch(text)
    try:
        return (_EPOCH + timedelta(microseconds=int(found[1])), UUID(found[2])) if found else None
    except OverflowError:
        return None


def _number(params: Mapping[str, str], word: str, most: int) -> int | None:
    text = params.get(word, "")
    return min(int(text), most) if text.isdecimal() and text.isascii() and len(text) < 11 else None
