"""The filter language, as tables: periods in awkward zones, words, and what bad input turns into."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import filters
from dashboard.filters import Filters
from events import rollups
from events.models import ServiceTier, Status
from metering.periods import day_start

NOW = datetime(2026, 11, 21, 9, 40, 30, tzinfo=UTC)


MOMENTS = st.integers(1_577_836_800, 2_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def read(query: str = "", *, now: datetime = NOW, zone: str = "UTC") -> Filters:
    params = {word: values[-1] for word, values in parse_qs(query, keep_blank_values=True).items()}
    return Filters.from_query(params, now, ZoneInfo(zone))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "zone", "start", "end"),
    [
        ("", "UTC", "2026-10-23T00:00", "2026-11-22T00:00"),
        ("period=7d", "UTC", "2026-11-15T00:00", "2026-11-22T00:00"),
        ("period=90d", "UTC", "2026-08-24T00:00", "2026-11-22T00:00"),
        ("period=mtd", "UTC", "2026-11-01T00:00", "2026-11-22T00:00"),
        ("period=24h", "UTC", "2026-11-20T10:00", "2026-11-21T10:00"),
        ("period=24h", "Asia/Kolkata", "2026-11-20T10:30", "2026-11-21T10:30"),
        ("period=7d", "Asia/Kolkata", "2026-11-14T18:30", "2026-11-21T18:30"),
        # Clocks went back on 1 November: the period starts at 00:00 EDT and ends at 00:00 EST.
        ("", "America/New_York", "2026-10-23T04:00", "2026-11-22T05:00"),
        ("period=mtd", "Australia/Lord_Howe", "2026-10-31T13:00", "2026-11-21T13:00"),
        ("from=2026-11-03&to=2026-11-05", "Asia/Kolkata", "2026-11-02T18:30", "2026-11-05T18:30"),
        ("from=2026-11-05&to=2026-11-03", "UTC", "2026-11-03T00:00", "2026-11-06T00:00"),
        ("from=2026-11-20", "UTC", "2026-11-20T00:00", "2026-11-22T00:00"),
        ("from=2026-11-20&to=2099-01-01", "UTC", "2026-11-20T00:00", "2026-11-22T00:00"),
        ("to=2026-11-10", "UTC", "2026-10-12T00:00", "2026-11-11T00:00"),
        ("from=2001-01-01", "UTC", "2024-11-21T00:00", "2026-11-22T00:00"),
    ],
)
def test_periods_are_whole_local_days_or_hours(query: str, zone: str, start: str, end: str) -> None:
    found = read(query, zone=zone)
    assert (found.start, found.end) == (utc(start), utc(end))


@pytest.mark.parametrize(
    ("query", "zone", "now", "start", "end", "until"),
    [
        ("", "UTC", NOW, "2026-09-23T00:00", "2026-10-23T00:00", "2026-10-22T09:40:30"),
        ("period=24h", "UTC", NOW, "2026-11-19T10:00", "2026-11-20T10:00", "2026-11-20T09:40:30"),
        ("period=mtd", "UTC", NOW, "2026-10-01T00:00", "2026-10-22T00:00", "2026-10-21T09:40:30"),
        # March has more days than February: the comparison ends with February.
        ("period=mtd", "UTC", utc("2026-03-30T12:00"), "2026-02-01T00:00", "2026-03-01T00:00", "2026-03-01T00:00"),
        ("from=2026-11-03&to=2026-11-04", "UTC", NOW, "2026-11-01T00:00", "2026-11-03T00:00", "2026-11-03T00:00"),
        ("period=7d", "America/New_York", utc("2026-11-07T17:00"), "2026-10-25T04:00", "2026-11-01T04:00", None),
    ],
)
def test_the_comparison_is_the_period_before_up_to_the_same_moment(
    query: str, zone: str, now: datetime, start: str, end: str, until: str | None
) -> None:
    before = read(query, zone=zone, now=now).previous()
    assert (before.start, before.end) == (utc(start), utc(end))
    assert until is None or before.until == utc(until)


@pytest.mark.parametrize(
    ("query", "zone", "now", "count", "lengths"),
    [
        ("period=24h", "UTC", NOW, 24, {60}),
        ("period=24h", "Asia/Kolkata", NOW, 24, {60}),
        ("from=2026-11-01&to=2026-11-01", "America/New_York", NOW, 25, {60}),
        ("from=2026-03-08&to=2026-03-08", "America/New_York", NOW, 23, {60}),
        # Lord Howe: one hour of 90 minutes in April, one of 30 in October.
        ("from=2026-04-05&to=2026-04-05", "Australia/Lord_Howe", NOW, 24, {60, 90}),
        ("from=2026-10-04&to=2026-10-04", "Australia/Lord_Howe", NOW, 24, {30, 60}),
        ("period=7d", "America/New_York", utc("2026-11-03T17:00"), 7, {1440, 1500}),
        ("period=7d", "America/New_York", utc("2026-03-10T17:00"), 7, {1380, 1440}),
    ],
)
def test_buckets_are_local_hours_or_days(query: str, zone: str, now: datetime, count: int, lengths: set[int]) -> None:
    found = read(query, zone=zone, now=now)
    buckets = found.buckets()
    assert len(buckets) == count
    assert {int((bucket.end - bucket.start).total_seconds() // 60) for bucket in buckets} == lengths
    assert (buckets[0].start, buckets[-1].end) == (found.start, found.end)
    assert all(one.end == other.start for one, other in pairwise(buckets))


def test_a_midnight_that_does_not_exist_is_the_first_moment_after_it() -> None:
    # Cairo skipped from 24 April 00:00 to 01:00.
    assert day_start(date(2026, 4, 24), ZoneInfo("Africa/Cairo")) == utc("2026-04-23T22:00")


@given(
    MOMENTS,
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu", "America/St_Johns"]),
)
def test_hours_are_those_of_the_rollups(at: datetime, zone: str) -> None:
    assert filters.local_hour(at, ZoneInfo(zone)) == rollups.local_hour(at, ZoneInfo(zone))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "period=7d",
        "environment=test&period=24h&compare=none&feature=chat&user=u-1&status=error&q=a+b",
        "feature=%28none%29",
        "from=2026-11-03&to=2026-11-05&model=gpt-4o&provider=openai",
        "status=ERROR&tier=batch&session=s&conversation=c&priced=no&min_cost=0.5&max_cost=2",
    ],
)
def test_a_canonical_query_is_written_as_it_was_read(query: str) -> None:
    assert read(query).query() == query


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("period=30d&environment=live&compare=prev", ""),
        ("period=nonsense&environment=prod&compare=x&status=odd&tier=gold&priced=maybe", ""),
        ("from=yesterday&to=2026-13-40", ""),
        ("from=2026-12-24", ""),
        ("from=0001-01-01", ""),
        ("min_cost=NaN&max_cost=1e9", ""),
        ("min_cost=-1", ""),
        ("min_cost=0.50", "min_cost=0.5"),
        ("q=%00&feature=a%00b", ""),
        ("feature=&model=++", ""),
        ("status=blocked", "status=BLOCKED"),
        ("status=Error", "status=error"),
        ("q=x&feature=f", "feature=f&q=x"),
        ("unknown=1&rev=5&after=evt_1", ""),
        ("from=2026-11-05&to=2026-11-03&period=7d", "from=2026-11-03&to=2026-11-05"),
    ],
)
def test_bad_input_falls_back_and_order_does_not_matter(query: str, canonical: str) -> None:
    assert read(query).query() == canonical


def test_changes_add_replace_and_remove_words() -> None:
    found = read("from=2026-11-03&to=2026-11-05&model=m&q=x")
    assert found.query(period="7d") == "period=7d&model=m&q=x"
    assert found.query(model=None, q="") == "from=2026-11-03&to=2026-11-05"
    assert read("period=7d").query(**{"from": "2026-11-03", "to": "2026-11-03"}) == "from=2026-11-03&to=2026-11-03"
    assert read().href("/requests/", feature="a&b") == "/requests/?feature=a%26b"
    assert read("feature=a").href(feature=None) == "?"
    assert read().href("/requests/") == "/requests/"


def test_chips_name_each_condition_and_lead_to_the_page_without_it() -> None:
    found = read("period=7d&feature=%28none%29&status=error&q=x")
    assert found.chips() == (
        ("Feature", "(none)", "?period=7d&status=error&q=x"),
        ("Status", "failed", "?period=7d&feature=%28none%29&q=x"),
        ("Text", "x", "?period=7d&feature=%28none%29&status=error"),
    )
    assert found.without_conditions() == "?period=7d"


@pytest.mark.parametrize(
    ("query", "zone", "text"),
    [
        ("", "Asia/Kolkata", "23 Oct – 21 Nov 2026, Asia/Kolkata"),
        ("from=2026-11-03&to=2026-11-03", "UTC", "3 Nov 2026, UTC"),
        ("from=2025-12-30&to=2026-01-02", "UTC", "30 Dec 2025 – 2 Jan 2026, UTC"),
        ("period=24h", "Asia/Kolkata", "20 Nov 16:00 – 21 Nov 16:00, Asia/Kolkata"),
    ],
)
def test_the_period_is_said_with_its_zone(query: str, zone: str, text: str) -> None:
    assert read(query, zone=zone).period_text == text


def test_words_are_those_of_the_wire() -> None:
    assert set(filters.STATUSES) == set(Status.labels)
    assert set(filters.TIERS) == set(ServiceTier.labels)


@given(
    st.dictionaries(st.sampled_from(filters.WORDS), st.text(max_size=300)),
    MOMENTS,
)
def test_no_input_breaks_anything(params: dict[str, str], now: datetime) -> None:
    found = Filters.from_query(params, now, ZoneInfo("America/New_York"))
    assert found.start < found.end
    assert read(found.query(), now=now, zone="America/New_York").query() == found.query()
    assert found.previous().end - found.previous().start > timedelta()
    assert found.buckets()
