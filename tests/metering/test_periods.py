"""Billing months by the clocks of a zone: daylight saving, half hours, midnights that happen twice or never."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.periods import Period, period_at


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "first_day", "start", "end", "hours"),
    [
        ("UTC", "2026-02-01", "2026-02-01T00:00", "2026-03-01T00:00", 28 * 24),
        ("America/New_York", "2026-03-01", "2026-03-01T05:00", "2026-04-01T04:00", 31 * 24 - 1),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00", "2026-12-01T05:00", 30 * 24 + 1),  # changes on day 1
        ("America/New_York", "2026-03-08", "2026-03-08T05:00", "2026-04-08T04:00", 31 * 24 - 1),
        ("Australia/Lord_Howe", "2026-04-01", "2026-03-31T13:00", "2026-04-30T13:30", 30 * 24 + 0.5),
        ("Australia/Lord_Howe", "2026-10-01", "2026-09-30T13:30", "2026-10-31T13:00", 31 * 24 - 0.5),
        ("Asia/Kolkata", "2026-02-01", "2026-01-31T18:30", "2026-02-28T18:30", 28 * 24),
        ("Asia/Kathmandu", "2026-12-28", "2026-12-27T18:15", "2027-01-27T18:15", 31 * 24),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", "2026-05-23T21:00", 30 * 24 - 1),  # no midnight on day 24
        ("America/Havana", "2026-11-01", "2026-11-01T04:00", "2026-12-01T05:00", 30 * 24 + 1),  # two midnights
        ("America/St_Johns", "2009-11-01", "2009-11-01T02:30", "2009-12-01T03:30", 30 * 24 + 1),  # back over midnight
    ],
)
def test_a_month_starts_at_midnight_in_its_zone(zone: str, first_day: str, start: str, end: str, hours: float) -> None:
    period = Period(date.fromisoformat(first_day), ZoneInfo(zone))
    assert (period.start_at, period.end_at) == (at(start), at(end))
    assert period.start_at.tzinfo is UTC
    assert period.end_at - period.start_at == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("moment", "zone", "anchor_day", "first_day"),
    [
        ("2026-03-01T04:59:59.999999", "America/New_York", 1, "2026-02-01"),
        ("2026-03-01T05:00", "America/New_York", 1, "2026-03-01"),
        ("2026-04-01T03:59:59.999999", "America/New_York", 1, "2026-03-01"),
        ("2026-04-01T04:00", "America/New_York", 1, "2026-04-01"),
        ("2026-01-31T18:29:59.999999", "Asia/Kolkata", 1, "2026-01-01"),
        ("2026-01-31T18:30", "Asia/Kolkata", 1, "2026-02-01"),
        ("2026-04-30T13:29:59.999999", "Australia/Lord_Howe", 1, "2026-04-01"),
        ("2026-04-30T13:30", "Australia/Lord_Howe", 1, "2026-05-01"),
        ("2026-03-14T23:59:59.999999", "UTC", 15, "2026-02-15"),
        ("2026-03-15T00:00", "UTC", 15, "2026-03-15"),
        ("2026-01-27T00:00", "UTC", 28, "2025-12-28"),
        ("2026-12-31T23:30", "Asia/Kolkata", 1, "2027-01-01"),
        # Clocks went from 00:01 on the 1st back to 23:01 on the 31st: that is still the month that had begun.
        ("2009-11-01T02:30:59", "America/St_Johns", 1, "2009-11-01"),
        ("2009-11-01T02:31", "America/St_Johns", 1, "2009-11-01"),
    ],
)
def test_the_month_that_holds_a_moment(moment: str, zone: str, anchor_day: int, first_day: str) -> None:
    expected = Period(date.fromisoformat(first_day), ZoneInfo(zone))
    assert period_at(at(moment), ZoneInfo(zone), anchor_day) == expected


def test_a_moment_may_come_in_any_zone_but_not_in_none() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    assert period_at(datetime(2026, 2, 1, tzinfo=kolkata), ZoneInfo("UTC")).first_day == date(2026, 1, 1)
    with pytest.raises(TypeError):
        period_at(datetime(2026, 2, 1), kolkata)  # noqa: DTZ001


@pytest.mark.parametrize("day", [0, 29, 31])
@pytest.mark.parametrize("month", [1, 2])
def test_a_day_that_not_every_month_has_is_refused(day: int, month: int) -> None:
    with pytest.raises(ValueError, match="day"):
        period_at(datetime(2026, month, 15, tzinfo=UTC), ZoneInfo("UTC"), day)


ZONES = st.timezone_keys(allow_prefix=False).map(ZoneInfo) | st.sampled_from(
    [ZoneInfo(key) for key in ("America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns")]
)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ANCHOR_DAYS = st.integers(1, 28)


@given(MOMENTS, ZONES, ANCHOR_DAYS)
def test_periods_tile_time(moment: datetime, zone: ZoneInfo, anchor_day: int) -> None:
    period = period_at(moment, zone, anchor_day)
    assert period.start_at <= moment < period.end_at
    assert period.first_day.day == anchor_day
    assert period.previous().next() == period.next().previous() == period
    assert period.previous().end_at == period.start_at
    assert period.next().start_at == period.end_at
    tick = timedelta(microseconds=1)
    assert period_at(period.start_at, zone, anchor_day) == period
    assert period_at(period.end_at - tick, zone, anchor_day) == period
    assert period_at(period.start_at - tick, zone, anchor_day) == period.previous()
    assert period_at(period.end_at, zone, anchor_day) == period.next()
