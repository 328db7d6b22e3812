"""Text of every figure on every page: money, counts, durations, shares, changes, times. Pure; rules in one place.

Amounts come in as integers of 1e-12 USD ("picousd") and leave as text; rounding is half up, at the last moment, and
the band that decides how many digits are shown is chosen after rounding. What is unknown is a dash, never a zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal

UNKNOWN = "—"
MINUS = "\N{MINUS SIGN}"
SMALLEST_SHOWN_PICOUSD = 1_000
"""1e-9 USD: below it only "<$0.000000001" is said."""

Direction = Literal["up", "down", "flat"]
Tone = Literal["", "good", "bad"]

# Wide enough for any sum of amounts: Python's default of 28 digits would round a very large total without a word.
_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COMPACT_UNITS = ("", "K", "M", "B", "T")
_FILE_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def _round(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)


def _usd(picousd: int) -> Decimal:
    return Decimal(picousd).scaleb(-12, context=_EXACT)


# Money


def money(picousd: int | None) -> str:
    """The amount in USD as people read it: $0.0000123, $0.0123, $12.35, $123,457; a dash when unknown."""
    if picousd is None:
        return UNKNOWN
    sign = MINUS if picousd < 0 else ""
    return sign + _unsigned_money(abs(picousd))


def _unsigned_money(picousd: int) -> str:
    if picousd == 0:
        return "$0.00"
    if picousd < SMALLEST_SHOWN_PICOUSD:
        return "<$0.000000001"
    amount = _usd(picousd)
    if (small := _three_digits(amount)) < Decimal("0.01"):
        return f"${_without_zeros(small, at_least=4)}"
    if (rounded := _round(amount, 4)) < 1:
        return f"${rounded:f}"
    if (rounded := _round(amount, 2)) < 100_000:
        return f"${rounded:,f}"
    return f"${_round(amount, 0):,f}"


def _three_digits(amount: Decimal) -> Decimal:
    return _round(amount, 2 - amount.adjusted())


def _without_zeros(amount: Decimal, *, at_least: int) -> str:
    """Plain decimal text without trailing zeros, but with `at_least` digits after the point."""
    whole, _, fraction = f"{amount:,f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(at_least, '0')}"


def money_exact(picousd: int | None) -> str:
    """The amount in USD with every digit that it has ("$0.00525", "$5.00"); a dash when unknown."""
    if picousd is None:
        return UNKNOWN
    sign = MINUS if picousd < 0 else ""
    return f"{sign}${_without_zeros(_usd(abs(picousd)), at_least=2)}"


def usd_per_mtok(picousd_per_token: int) -> str:
    """A rate as price lists print it: exact USD per one million tokens ("$2.50", "$0.075")."""
    return money_exact(picousd_per_token * 1_000_000)


# Amounts and quantities of billing, which are Decimals


def usd(amount: Decimal) -> str:
    """An amount of whole cents as invoices print it: "$1,234.50", "−$5.00"."""
    return f"{MINUS if amount < 0 else ''}${_round(abs(amount), 2):,f}"


def usd_exact(amount: Decimal) -> str:
    """An amount with every digit that it has, at least two after the point: "$0.00525", "$5.00"."""
    return f"{MINUS if amount < 0 else ''}${_without_zeros(abs(amount), at_least=2)}"


def usd_short(amount: Decimal) -> str:
    """An amount of any size as `money` writes it."""
    return money(int(_round(amount.scaleb(12, context=_EXACT), 0)))


def quantity(value: Decimal | None) -> str:
    """A quantity with every digit that it has and thousands separators: "1,234.5"; a dash when there is none."""
    if value is None:
        return UNKNOWN
    whole, _, fraction = f"{value:,f}".replace("-", MINUS).partition(".")
    return f"{whole}.{kept}" if (kept := fraction.rstrip("0")) else whole


# Counts, durations, shares


def count(n: int | None) -> str:
    """A whole number with thousands separators."""
    if n is None:
        return UNKNOWN
    return f"{n:,}".replace("-", MINUS)


def compact(n: int | None) -> str:
    """A count in a tight place: 999, 1.2K, 12K, 1.2M. Never used for money."""
    if n is None:
        return UNKNOWN
    value, unit = Decimal(abs(n)), 0
    shown = _compact_digits(value, unit)
    while shown >= 1000 and unit + 1 < len(_COMPACT_UNITS):
        value, unit = value.scaleb(-3, context=_EXACT), unit + 1
        shown = _compact_digits(value, unit)
    text = f"{shown:,f}".removesuffix(".0") + _COMPACT_UNITS[unit]
    return MINUS + text if n < 0 else text


def _compact_digits(value: Decimal, unit: int) -> Decimal:
    one_decimal = _round(value, 1)
    return one_decimal if unit and one_decimal < 10 else _round(value, 0)


def file_size(size_bytes: int) -> str:
    """The size of a file: 812 bytes, 1.2 KB, 12 MB, 5 GB; a thousand of each make one of the next."""
    value, unit = Decimal(size_bytes), 0
    shown = _compact_digits(value, unit)
    while shown >= 1000 and unit + 1 < len(_FILE_UNITS):
        value, unit = value.scaleb(-3, context=_EXACT), unit + 1
        shown = _compact_digits(value, unit)
    return f"{f'{shown:,f}'.removesuffix('.0')} {_FILE_UNITS[unit]}"


def duration(ms: float | Decimal | None) -> str:
    """A latency: 812 ms, 1.24 s, 12.4 s, 2 m 05 s, 1 h 02 m."""
    if ms is None:
        return UNKNOWN
    exact = Decimal(str(ms))
    if 0 < exact < 1:
        return "<1 ms"
    if (rounded := _round(exact, 0)) < 1000:
        return f"{rounded:f} ms"
    seconds = exact.scaleb(-3, context=_EXACT)
    if (rounded := _round(seconds, 2)) < 10:
        return f"{rounded:f} s"
    if (rounded := _round(seconds, 1)) < 60:
        return f"{rounded:f} s"
    return _long_duration(int(_round(seconds, 0)))


def _long_duration(seconds: int) -> str:
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60:02d} s"
    minutes = (seconds + 30) // 60
    return f"{minutes // 60:,} h {minutes % 60:02d} m"


def percent(ratio: Decimal | None, *, decimals: int = 1) -> str:
    """A ratio as a percentage: 0.329 → "32.9%"; whole percents from 100 on; a dash when unknown."""
    if ratio is None:
        return UNKNOWN
    sign = MINUS if ratio < 0 else ""
    return f"{sign}{_unsigned_percent(abs(ratio).scaleb(2, context=_EXACT), decimals)}"


TINY_REVENUE_PICOUSD = 10**10
"""A cent. Revenue is counted by the second: of less than this, any share says nothing."""
TOO_EARLY = "Less than a cent of revenue so far: a share of it would say nothing"


def of_revenue(share: Decimal) -> str:
    """Cost as a share of revenue in whole percents, at most ">999%": just after a first payment it can be anything."""
    return ">999%" if _round(share.scaleb(2, context=_EXACT), 0) > 999 else percent(share, decimals=0)


def _unsigned_percent(value: Decimal, decimals: int) -> str:
    if value == 0:
        return "0%"
    rounded = _round(value, decimals)
    if rounded == 0:
        return f"<{Decimal(1).scaleb(-decimals):f}%"
    return f"{rounded if rounded < 100 else _round(value, 0):,f}%"


# Changes


@dataclass(frozen=True)
class Delta:
    """A change against the comparison period. `tone` is '' where neither direction is clearly good."""

    text: str
    direction: Direction
    tone: Tone


_NO_CHANGE = Delta("no change", "flat", "")


def delta(
    current: int | Decimal | None, previous: int | Decimal | None, *, better: Literal["up", "down"] | None
) -> Delta | None:
    """The change in percent of the previous value's size; "new" after a zero; None when either side is unknown."""
    if current is None or previous is None:
        return None
    if previous == 0:
        return _NO_CHANGE if current == 0 else Delta("new", "up" if current > 0 else "down", "")
    difference = Decimal(current) - Decimal(previous)
    size = _EXACT.divide(abs(difference) * 100, abs(Decimal(previous)))
    if _round(size, 1) == 0:
        return _NO_CHANGE
    return _directed(">999%" if _round(size, 0) > 999 else f"{_one_decimal(size)}%", difference, better)


def delta_points(
    current: Decimal | None, previous: Decimal | None, *, better: Literal["up", "down"] | None
) -> Delta | None:
    """The difference of two ratios in percentage points ("0.9 pt"); None when either side is unknown."""
    if current is None or previous is None:
        return None
    difference = (current - previous) * 100
    size = abs(difference)
    if _round(size, 1) == 0:
        return _NO_CHANGE
    return _directed(">999 pt" if _round(size, 0) > 999 else f"{_one_decimal(size)} pt", difference, better)


def _one_decimal(size: Decimal) -> str:
    rounded = _round(size, 1)
    return f"{rounded if rounded < 100 else _round(size, 0):f}"


def _directed(text: str, difference: Decimal, better: Literal["up", "down"] | None) -> Delta:
    direction: Literal["up", "down"] = "up" if difference > 0 else "down"
    if better is None:
        return Delta(text, direction, "")
    return Delta(text, direction, "good" if direction == better else "bad")


# Times


def ago(at: datetime, now: datetime) -> str:
    """How long before `now`: "just now", "12 s ago", "5 min ago", "3 h ago", "2 d ago"; "in 5 min" for the future."""
    seconds = round((now - at).total_seconds())
    if seconds == 0:
        return "just now"
    text = _span(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def _span(seconds: int) -> str:
    for size, unit in ((365 * 86_400, "y"), (86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:,} {unit}"
    return f"{seconds} s"


def moment(at: datetime, zone: tzinfo) -> str:
    """The instant on the zone's clock, with the zone's name: "20 Nov 2026, 08:32:10 UTC"."""
    local = at.astimezone(zone)
    return f"{day(local)}, {local:%H:%M:%S} {_zone_name(local)}"


def clock(at: datetime, zone: tzinfo) -> str:
    """The time of day on the zone's clock: "08:32:10"."""
    return f"{at.astimezone(zone):%H:%M:%S}"


def _zone_name(local: datetime) -> str:
    name = local.tzname() or ""
    return f"UTC{name}" if name[:1] in "+-" else name  # many zones have no letters, only an offset such as "+03"


def day(at: date) -> str:
    """A date: "20 Nov 2026". Not `strftime("%b")`, which follows the server's locale."""
    return f"{short_day(at)} {at.year}"


def short_day(at: date) -> str:
    """A date whose year is said elsewhere: "20 Nov"."""
    return f"{at.day} {_MONTHS[at.month - 1]}"


def days(first: date, last: date) -> str:
    """A range of dates, both inclusive: "22 Oct – 20 Nov 2026"; one day is said once."""
    if first == last:
        return day(last)
    if first.year != last.year:
        return f"{day(first)} – {day(last)}"
    return f"{short_day(first)} – {day(last)}"


# Sparklines

_SPARKLINE_WIDTH = 100
_SPARKLINE_TOP, _SPARKLINE_BOTTOM = Decimal(2), Decimal(22)


def sparkline_points(values: Sequence[int | Decimal]) -> str:
    """`points` of an SVG polyline in a view box of 100 × 24; the scale starts at zero, so that small changes look
    small. Empty for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(0, *values), max(0, *values)
    span = Decimal(high - low) or Decimal(1)
    step = Decimal(_SPARKLINE_WIDTH) / (len(values) - 1)
    return " ".join(
        f"{_coordinate(step * index)},{_coordinate(_height(Decimal(value - low) / span))}"
        for index, value in enumerate(values)
    )


def _height(share: Decimal) -> Decimal:
    return _SPARKLINE_BOTTOM - share * (_SPARKLINE_BOTTOM - _SPARKLINE_TOP)


def _coordinate(value: Decimal) -> str:
    return f"{_round(value, 1):f}".removesuffix(".0")
