"""Billing months of an organization: from an anchor day's midnight in its time zone to the next month's. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

LAST_ANCHOR_DAY: Final = 28  # every month has it


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the local day begins; midnight, or the first moment after a gap that swallowed it."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """A billing month; its start is included, its end is the next one's start. Raises ValueError after day 28.

    It starts with its first day by the clocks of the zone: at the earlier of two midnights where they are set back, at
    what they are set forward to where they have none.
    """

    first_day: date
    zone: ZoneInfo

    def __post_init__(self) -> None:
        if self.first_day.day > LAST_ANCHOR_DAY:
            raise ValueError(f"a billing month starts on day 1 to {LAST_ANCHOR_DAY}, got {self.first_day.day}")

    @property
    def start_at(self) -> datetime:
        """The first moment, in UTC."""
        return day_start(self.first_day, self.zone)

    @property
    def end_at(self) -> datetime:
        """The first moment after it, in UTC."""
        return self.next().start_at

    def next(self) -> "Period":
        """The billing month after this one."""
        return self._months_later(1)

    def previous(self) -> "Period":
        """The billing month before this one."""
        return self._months_later(-1)

    def _months_later(self, months: int) -> "Period":
        years, month = divmod(self.first_day.month - 1 + months, 12)
        return Period(self.first_day.replace(year=self.first_day.year + years, month=month + 1), self.zone)


def period_at(moment: datetime, zone: ZoneInfo, anchor_day: int = 1) -> Period:
    """The billing month that holds an aware moment. Raises ValueError for an anchor day outside of 1 to 28."""
    period = Period(moment.astimezone(zone).date().replace(day=anchor_day), zone)
    if moment < period.start_at:
        return period.previous()
    # Clocks that are set back from just after midnight show the day before once more.
    return period.next() if moment >= period.end_at else period
