"""Weekly windows: peak and off-peak hours of a price list. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class WeeklyWindow:
    """Days (ISO, Monday is 1) and time ranges of a zone in which a price applies; start included, end excluded."""

    tz: str
    days: tuple[int, ...]
    ranges: tuple[tuple[str, str], ...]  # "HH:MM"; an end at or before its start means the range crosses midnight

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> "WeeklyWindow":
        """A window from its stored form {"tz": "UTC", "days": [1, …], "ranges": [["01:00", "04:00"]]}."""
        ranges = tuple((str(start), str(end)) for start, end in stored["ranges"])
        window = cls(str(stored["tz"]), tuple(int(day) for day in stored["days"]), ranges)
        window.covers(0)  # an unknown zone or an unreadable time must fail here, not when an event is priced
        return window

    def stored(self) -> dict[str, Any]:
        """The JSON form that parse reads."""
        return {"tz": self.tz, "days": list(self.days), "ranges": [list(span) for span in self.ranges]}

    def covers(self, at_ms: int) -> bool:
        """Whether the window is open at this moment (milliseconds since the epoch)."""
        seconds, milliseconds = divmod(at_ms, 1000)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)
        local = moment.astimezone(ZoneInfo(self.tz))
        today = local.isoweekday()
        yesterday = (today - 2) % 7 + 1
        now = local.time()
        return any(self._covers_range(start, end, now, today, yesterday) for start, end in self.ranges)

    def edges(self, start_ms: int, end_ms: int) -> Iterator[int]:
        """The moments between the two at which the window may open or close, ascending."""
        zone = ZoneInfo(self.tz)
        day = datetime.fromtimestamp(start_ms / 1000, UTC).astimezone(zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(end_ms / 1000, UTC).astimezone(zone).date()
        times = sorted({time(), *(time.fromisoformat(text) for span in self.ranges for text in span)})
        while day <= last:
            for local in times:
                edge = int(datetime.combine(day, local, zone).timestamp() * 1000)
                if start_ms < edge < end_ms:
                    yield edge
            day += timedelta(days=1)

    def _covers_range(self, start: str, end: str, now: time, today: int, yesterday: int) -> bool:
        opens, closes = time.fromisoformat(start), time.fromisoformat(end)
        if opens < closes:
            return today in self.days and opens <= now < closes
        # The part after midnight belongs to the day on which the range began.
        return (today in self.days and now >= opens) or (yesterday in self.days and now < closes)
