"""Plotly figures as plain dictionaries, ready for `json_script`. Pure: amounts in picousd in, drawing numbers out.

The figures hold data only. Colours, fonts and grid lines are added in the browser from the CSS tokens, so that a theme
change is a redraw: every trace carries `meta: {"c": index}`, the index of its colour as in `parts.LegendEntry`.
Numbers are rounded to six significant digits, because they become pixels; tables beside the charts hold exact values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from html import escape
from typing import Any

USD = 10**12
"""One dollar in picousd."""
COLORS = 10
"""How many series colours the style sheet has (`--c0` … `--c9`)."""
SPEND_COLOR = 0
REVENUE_COLOR = 2
OTHER: None = None
"""Colour of the rest of the series, which is always grey."""
PREVIOUS = -1
"""Colour of the dotted line of the comparison period."""
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Series:
    """One stack of the bars: its name as stored, its colour, and an amount for each bucket."""

    name: str
    color: int | None
    """0 to 9 from `color_of`; None for "Other"."""
    values_picousd: Sequence[int]


def color_of(name: str) -> int:
    """The colour index that belongs to a name, 0 to 9: the same on every page, whatever its rank."""
    return blake2b(name.encode(), digest_size=2).digest()[0] % COLORS


def colors_of(names: Sequence[str]) -> dict[str, int]:
    """A colour for each name of one chart: its own where free, else the next free one, given in the names' own order.

    The order is alphabetical and not by rank, so a name keeps its colour while the same names are shown.
    """
    taken: dict[str, int] = {}
    for name in sorted(set(names)):
        own = color_of(name)
        free = [color for step in range(COLORS) if (color := (own + step) % COLORS) not in taken.values()]
        taken[name] = free[0] if free else own
    return taken


def spend_by_series(
    buckets: Sequence[str], bucket_ms: int, series: Sequence[Series], previous: Sequence[int] | None, hourly: bool
) -> dict[str, Any]:
    """Stacked bars of spend, one stack of series a bucket, and the comparison period's total as a dotted line.

    `buckets` are ISO times on the organization's clock without an offset, `bucket_ms` apart.
    """
    axis = _x(buckets, bucket_ms)
    series = series or [Series("No spend", OTHER, [0] * len(buckets))]  # without a trace plotly invents an axis
    traces = [
        {"type": "bar", "name": _text(one.name), "meta": {"c": one.color}, **axis, **_y(one.values_picousd)}
        for one in series
    ]
    if previous is not None:
        traces.append(_line("Previous period", PREVIOUS, axis, previous, dash="dot", width=1.5))
    highest = max([*map(sum, zip(*(one.values_picousd for one in series), strict=True)), *(previous or ())], default=0)
    return {"data": traces, "layout": _layout(hourly, axis, highest) | {"barmode": "stack"}}


def revenue_and_spend(
    buckets: Sequence[str], bucket_ms: int, revenue: Sequence[int], spend: Sequence[int]
) -> dict[str, Any]:
    """Two lines over the same buckets, in the order of the legend: revenue, then spend with the area below filled."""
    axis = _x(buckets, bucket_ms)
    traces = [
        _line("Revenue", REVENUE_COLOR, axis, revenue),
        _line("Spend", SPEND_COLOR, axis, spend) | {"fill": "tozeroy"},
    ]
    return {"data": traces, "layout": _layout(bucket_ms < DAY_MS, axis, max([*revenue, *spend], default=0))}


def quantity_by_bucket(
    buckets: Sequence[str], bucket_ms: int, name: str, quantities: Sequence[Decimal], hourly: bool
) -> dict[str, Any]:
    """Bars of one quantity, which is no money."""
    axis = _x(buckets, bucket_ms)
    bars = {
        "type": "bar",
        "name": _text(name),
        "meta": {"c": SPEND_COLOR},
        **axis,
        "y": [_float(f"{value:.6g}") for value in quantities],
        "hovertemplate": "%{y:,~r}",
    }
    return {"data": [bars], "layout": _time_layout(hourly, axis) | {"yaxis": dict(_PLAIN_AXIS)}}


def _line(name: str, color: int, axis: dict[str, Any], values: Sequence[int], **style: Any) -> dict[str, Any]:
    line = {"width": 2, **style}
    return {"type": "scatter", "mode": "lines", "name": name, "meta": {"c": color}, "line": line, **axis, **_y(values)}


def _x(buckets: Sequence[str], bucket_ms: int) -> dict[str, Any]:
    if bucket_ms < DAY_MS and not _is_even(buckets, bucket_ms):
        return {"x": _hours(buckets)}
    return {"x0": buckets[0] if buckets else None, "dx": bucket_ms}


def _is_even(buckets: Sequence[str], bucket_ms: int) -> bool:
    """Whether the clock went its usual way: over a night in which it is changed, an hour is missing or comes twice."""
    times = [datetime.fromisoformat(bucket) for bucket in buckets]
    return all(time == times[0] + timedelta(milliseconds=bucket_ms * n) for n, time in enumerate(times))


def _hours(buckets: Sequence[str]) -> list[str]:
    """The buckets as names, all different: what an axis of categories shows in their order."""
    times, names = [datetime.fromisoformat(bucket) for bucket in buckets], list[str]()
    several_days = len({time.date() for time in times}) > 1
    for time in times:
        name = f"{time.day} {time:%b} {time:%H:%M}" if several_days else f"{time:%H:%M}"
        names.append(f"{name} again" if name in names else name)
    return names


def _y(values_picousd: Sequence[int]) -> dict[str, Any]:
    """As many digits as the hover shows: more cannot be seen, and would be most of what the page weighs."""
    usd = [Decimal(value).scaleb(-12) for value in values_picousd]
    if max(map(abs, values_picousd), default=0) >= USD:
        return {"y": [_float(f"{value:.2f}") for value in usd], "hovertemplate": "%{y:$,.2f}"}
    return {"y": [_float(f"{value:.3g}") for value in usd], "hovertemplate": "%{y:$,.3~r}"}


def _float(text: str) -> float:
    """A float, because it is only ever drawn."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _text(name: str) -> str:
    """The name as plotly prints it unchanged: plotly reads `<b>` and `&lt;` in texts as markup."""
    return escape(name, quote=False)


_PLAIN_AXIS: dict[str, Any] = {"exponentformat": "none", "separatethousands": True, "rangemode": "tozero"}


def _layout(hourly: bool, axis: dict[str, Any], highest_picousd: int) -> dict[str, Any]:
    # Steps of this range have at most two decimals: all of them are shown, so that $0.50 stands below $1.00.
    cents = {"tickformat": ",.2f"} if USD // 10 <= highest_picousd < 10 * USD else {}
    return _time_layout(hourly, axis) | {"yaxis": {"tickprefix": "$"} | _PLAIN_AXIS | cents}


def _time_layout(hourly: bool, axis: dict[str, Any]) -> dict[str, Any]:
    time = {"type": "date", "tickformat": "%-d %b", "hoverformat": "%a %-d %b %Y"}
    if hourly:
        time |= {"tickformat": "%H:%M\n%-d %b", "hoverformat": "%-d %b, %H:%M"}
    if "x" in axis:
        time = {"type": "category"}
    return {"meta": {"bucket": "hour" if hourly else "day"}, "xaxis": time}
