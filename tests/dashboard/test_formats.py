from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import formats
from dashboard.formats import Delta

NOW = datetime(2026, 11, 20, 8, 32, 10, tzinfo=UTC)
PICOUSD = st.integers(min_value=-(10**24), max_value=10**24)


def picousd(usd: str) -> int:
    return int(Decimal(usd).scaleb(12))


@pytest.mark.parametrize(
    ("usd", "shown", "exact"),
    [
        ("0", "$0.00", "$0.00"),
        ("0.000000000001", "<$0.000000001", "$0.000000000001"),
        ("0.000000000999", "<$0.000000001", "$0.000000000999"),
        ("0.000000001", "$0.000000001", "$0.000000001"),
        ("0.0000000025", "$0.0000000025", "$0.0000000025"),
        ("0.000000123456", "$0.000000123", "$0.000000123456"),
        ("0.0000123", "$0.0000123", "$0.0000123"),
        ("0.0009995", "$0.0010", "$0.0009995"),
        ("0.001", "$0.0010", "$0.001"),
        ("0.00123", "$0.00123", "$0.00123"),
        ("0.00525", "$0.00525", "$0.00525"),
        ("0.009994", "$0.00999", "$0.009994"),
        ("0.009995", "$0.0100", "$0.009995"),
        ("0.01", "$0.0100", "$0.01"),
        ("0.0123", "$0.0123", "$0.0123"),
        ("0.5", "$0.5000", "$0.50"),
        ("0.99994", "$0.9999", "$0.99994"),
        ("0.99995", "$1.00", "$0.99995"),
        ("1", "$1.00", "$1.00"),
        ("4.995", "$5.00", "$4.995"),
        ("12.345", "$12.35", "$12.345"),
        ("99999.994", "$99,999.99", "$99,999.994"),
        ("99999.995", "$100,000", "$99,999.995"),
        ("123456.5", "$123,457", "$123,456.50"),
        ("1000000", "$1,000,000", "$1,000,000.00"),
        ("-0.0000000001", "−<$0.000000001", "−$0.0000000001"),
        ("-5.2", "−$5.20", "−$5.20"),
        ("-99999.995", "−$100,000", "−$99,999.995"),
    ],
)
def test_money(usd: str, shown: str, exact: str) -> None:
    assert formats.money(picousd(usd)) == shown
    assert formats.money_exact(picousd(usd)) == exact


def test_unknown_is_a_dash_and_never_a_zero() -> None:
    shown = {
        formats.money(None),
        formats.money_exact(None),
        formats.count(None),
        formats.compact(None),
        formats.duration(None),
        formats.percent(None),
    }
    assert shown == {"—"}


def parsed(text: str) -> Decimal:
    return Decimal(text.replace("−", "-").replace("$", "").replace(",", ""))


@given(PICOUSD)
def test_money_is_plain_and_within_half_of_its_last_place(amount: int) -> None:
    shown = formats.money(amount)
    assert "e" not in shown.lower()
    if "<" in shown:
        assert 0 < abs(amount) < 1_000
        return
    fraction = shown.partition(".")[2]
    last_place = Decimal(1).scaleb(-len(fraction))
    assert abs(parsed(shown) - Decimal(amount).scaleb(-12)) <= last_place / 2


@given(PICOUSD, PICOUSD)
def test_money_never_orders_two_amounts_the_other_way_round(one: int, other: int) -> None:
    low, high = sorted((one, other))
    if "<" not in formats.money(low) + formats.money(high):
        assert parsed(formats.money(low)) <= parsed(formats.money(high))


@given(PICOUSD)
def test_exact_money_loses_nothing(amount: int) -> None:
    assert parsed(formats.money_exact(amount)).scaleb(12) == amount


@pytest.mark.parametrize(
    ("picousd_per_token", "shown"),
    [(2_500_000, "$2.50"), (75_000, "$0.075"), (1_250_000, "$1.25"), (0, "$0.00"), (1, "$0.000001")],
)
def test_usd_per_mtok(picousd_per_token: int, shown: str) -> None:
    assert formats.usd_per_mtok(picousd_per_token) == shown


@pytest.mark.parametrize(("n", "shown"), [(0, "0"), (999, "999"), (647_755, "647,755"), (-1234, "−1,234")])
def test_count(n: int, shown: str) -> None:
    assert formats.count(n) == shown


@pytest.mark.parametrize(
    ("n", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (1234, "1.2K"),
        (9949, "9.9K"),
        (9950, "10K"),
        (12_345, "12K"),
        (210_000, "210K"),
        (999_499, "999K"),
        (999_500, "1M"),
        (1_234_567, "1.2M"),
        (5_000_000_000, "5B"),
        (10**15, "1,000T"),
        (-1500, "−1.5K"),
    ],
)
def test_compact(n: int, shown: str) -> None:
    assert formats.compact(n) == shown


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "0 ms"),
        (0.4, "<1 ms"),
        (1, "1 ms"),
        (812.4, "812 ms"),
        (999.4, "999 ms"),
        (999.5, "1.00 s"),
        (1240, "1.24 s"),
        (9994, "9.99 s"),
        (9995, "10.0 s"),
        (59_940, "59.9 s"),
        (59_950, "1 m 00 s"),
        (125_000, "2 m 05 s"),
        (3_599_400, "59 m 59 s"),
        (3_599_500, "1 h 00 m"),
        (3_720_000, "1 h 02 m"),
        (Decimal("1240"), "1.24 s"),
    ],
)
def test_duration(ms: float | Decimal, shown: str) -> None:
    assert formats.duration(ms) == shown


@pytest.mark.parametrize(
    ("ratio", "decimals", "shown"),
    [
        ("0", 1, "0%"),
        ("0.0004", 1, "<0.1%"),
        ("0.0005", 1, "0.1%"),
        ("0.029", 1, "2.9%"),
        ("0.32", 1, "32.0%"),
        ("0.9994", 1, "99.9%"),
        ("0.9995", 1, "100%"),
        ("1.345", 1, "135%"),
        ("12.5", 1, "1,250%"),
        ("-0.052", 1, "−5.2%"),
        ("0.004", 0, "<1%"),
        ("0.456", 0, "46%"),
        ("1.35", 0, "135%"),
    ],
)
def test_percent(ratio: str, decimals: int, shown: str) -> None:
    assert formats.percent(Decimal(ratio), decimals=decimals) == shown


@pytest.mark.parametrize(
    ("current", "previous", "better", "expected"),
    [
        (None, 1, "up", None),
        (1, None, "up", None),
        (0, 0, "up", Delta("no change", "flat", "")),
        (5, 5, "up", Delta("no change", "flat", "")),
        (100_049, 100_000, "up", Delta("no change", "flat", "")),
        (100_050, 100_000, "up", Delta("0.1%", "up", "good")),
        (5, 0, "up", Delta("new", "up", "")),
        (-5, 0, "up", Delta("new", "down", "")),
        (113, 100, None, Delta("13.0%", "up", "")),
        (113, 100, "down", Delta("13.0%", "up", "bad")),
        (87, 100, "down", Delta("13.0%", "down", "good")),
        (87, 100, "up", Delta("13.0%", "down", "bad")),
        (0, 100, "up", Delta("100%", "down", "bad")),
        (199_949, 100_000, "up", Delta("99.9%", "up", "good")),
        (199_950, 100_000, "up", Delta("100%", "up", "good")),
        (250, 100, "up", Delta("150%", "up", "good")),
        (1_099, 100, "up", Delta("999%", "up", "good")),
        (1_100, 100, "up", Delta(">999%", "up", "good")),
        (Decimal("1.5"), Decimal(1), "up", Delta("50.0%", "up", "good")),
        (-50, -100, "up", Delta("50.0%", "up", "good")),
        (50, -100, "up", Delta("150%", "up", "good")),
    ],
)
def test_delta(
    current: int | Decimal | None, previous: int | Decimal | None, better: str | None, expected: Delta | None
) -> None:
    assert formats.delta(current, previous, better=better) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("current", "previous", "better", "expected"),
    [
        (None, "0.3", "up", None),
        ("0.32", None, "up", None),
        ("0.32", "0.311", "up", Delta("0.9 pt", "up", "good")),
        ("0.029", "0.033", "down", Delta("0.4 pt", "down", "good")),
        ("0.3", "0.35", "up", Delta("5.0 pt", "down", "bad")),
        ("0.3", "0.35", None, Delta("5.0 pt", "down", "")),
        ("0.3", "0.3004", "up", Delta("no change", "flat", "")),
        ("-0.5", "0.6", "up", Delta("110 pt", "down", "bad")),
        ("-20", "0.6", "up", Delta(">999 pt", "down", "bad")),
    ],
)
def test_delta_points(current: str | None, previous: str | None, better: str | None, expected: Delta | None) -> None:
    values = [None if text is None else Decimal(text) for text in (current, previous)]
    assert formats.delta_points(*values, better=better) == expected  # type: ignore[arg-type]


@given(st.integers(0, 10**24), st.integers(0, 10**24))
def test_delta_points_the_way_the_values_went(current: int, previous: int) -> None:
    change = formats.delta(current, previous, better="up")
    assert change is not None
    if change.direction != "flat":
        assert (change.direction == "up") == (current > previous)
    assert change.tone in {"", "good" if current > previous else "bad"}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (0.4, "just now"),
        (12, "12 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (364 * 86_400, "364 d ago"),
        (800 * 86_400, "2 y ago"),
        (-300, "in 5 min"),
    ],
)
def test_ago(seconds: float, shown: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "20 Nov 2026, 08:32:10 UTC"),
        ("Europe/Berlin", "20 Nov 2026, 09:32:10 CET"),
        ("Asia/Kolkata", "20 Nov 2026, 14:02:10 IST"),
        ("America/Sao_Paulo", "20 Nov 2026, 05:32:10 UTC-03"),
        ("Pacific/Auckland", "20 Nov 2026, 21:32:10 NZDT"),
    ],
)
def test_moment(zone: str, shown: str) -> None:
    assert formats.moment(NOW, ZoneInfo(zone)) == shown
    assert formats.clock(NOW, ZoneInfo(zone)) == shown.split(", ")[1].split(" ")[0]


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        (date(2026, 10, 22), date(2026, 11, 20), "22 Oct – 20 Nov 2026"),
        (date(2025, 12, 31), date(2026, 1, 1), "31 Dec 2025 – 1 Jan 2026"),
        (date(2026, 2, 3), date(2026, 2, 3), "3 Feb 2026"),
    ],
)
def test_days(first: date, last: date, shown: str) -> None:
    assert formats.days(first, last) == shown


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ([], ""),
        ([7], ""),
        ([0, 0], "0,22 100,22"),
        ([5, 5], "0,2 100,2"),
        ([1, 2, 4], "0,17 50,12 100,2"),
        ([-1, 1], "0,22 100,2"),
        ([Decimal("0.1"), Decimal("0.2")], "0,12 100,2"),
    ],
)
def test_sparkline_points(values: list[int | Decimal], points: str) -> None:
    assert formats.sparkline_points(values) == points


@given(st.lists(PICOUSD, min_size=2, max_size=100))
def test_sparkline_stays_in_its_box(values: list[int]) -> None:
    points = [tuple(map(Decimal, point.split(","))) for point in formats.sparkline_points(values).split()]
    assert len(points) == len(values)
    assert all(0 <= x <= 100 and 2 <= y <= 22 for x, y in points)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1 KB"),
        (1_249, "1.2 KB"),
        (12_500, "13 KB"),
        (999_600, "1 MB"),
        (163_084_228, "163 MB"),
        (5 * 10**9, "5 GB"),
        (10**16, "10,000 TB"),
    ],
)
def test_a_file_s_size_is_said_in_one_unit(size: int, text: str) -> None:
    assert formats.file_size(size) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [("0", "0%"), ("0.002", "<1%"), ("0.345", "35%"), ("1", "100%"), ("9.994", "999%"), ("9.995", ">999%")],
)
def test_spend_as_a_share_of_revenue_has_an_end(share: str, text: str) -> None:
    assert formats.of_revenue(Decimal(share)) == text
