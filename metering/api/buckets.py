"""Hours, days and months by the clocks of a zone, as edges between buckets. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from metering.periods import day_start

type Granularity = Literal["hour", "day", "month"]
SHORTEST: Final = {"hour": timedelta(hours=1), "day": timedelta(hours=23), "month": timedelta(days=28)}


def edges(start: datetime, until: datetime, granularity: Granularity, zone: ZoneInfo) -> list[datetime]:
    """`start`, each hour, midnight or first of a month by the zone's clocks between, and `until`; all in UTC.

    The first and the last bucket are parts of one where `start` and `until` are not such moments themselves.
    """
    inner: list[datetime] = []
    for moment in _hours(start, zone) if granularity == "hour" else _days(start, granularity, zone):
        if moment >= until:
            break
        if moment > start:
            inner.append(moment)
    return [start.astimezone(UTC), *inner, until.astimezone(UTC)]


def moment_of(sent: date | datetime | None, zone: ZoneInfo) -> datetime | None:
    """A day means its first moment by the zone's clocks."""
    return sent if sent is None or isinstance(sent, datetime) else day_start(sent, zone)


def _hours(start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """In steps of a quarter, which all zones keep to; not all clocks are set by whole hours."""
    utc = start.astimezone(UTC)
    moment = utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)
    while True:
        if moment.astimezone(zone).minute == 0:
            yield moment
        moment += timedelta(minutes=15)


def _days(start: datetime, granularity: Granularity, zone: ZoneInfo) -> Iterator[datetime]:
    day = start.astimezone(zone).date()
    if granularity == "month":
        day = day.replace(day=1)
    while True:
        yield day_start(day, zone)
        day = (day + timedelta(days=32)).replace(day=1) if granularity == "month" else day + timedelta(days=1)
