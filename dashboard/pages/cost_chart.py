"""Cost over time, stacked by the dearest values of a dimension."""

from bisect import bisect_right
from collections.abc import Sequence

from dashboard import charts
from dashboard.charts import Series
from dashboard.cost_search import By, CostSearch
from dashboard.filters import Bucket, Filters
from dashboard.formats import money
from dashboard.pages.cost_rows import condition, value_name
from dashboard.pages.links import requests_href
from dashboard.pages.parts import Chart, ChartTable, LegendEntry
from dashboard.queries.breakdown import BucketCost

SHOWN = 9
"""Series with a name of their own; with "Other" there are ten."""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000

Key = tuple[str, str, str]
"""Value, provider and name."""


def cost_over_time(search: CostSearch, found: Sequence[BucketCost], noun: str) -> Chart | None:
    """The chart, None when nothing was spent. `found` has the dearest value first."""
    filters = search.filters
    buckets = [bucket for bucket in filters.buckets() if bucket.start <= filters.until]
    named = _by_value([row for row in found if not row.is_other], buckets)
    rest = _by_value([row for row in found if row.is_other], buckets)
    series = _series(search.by, named, rest)
    if not any(map(any, (one.values_picousd for one in series))):
        return None
    step = "hour" if filters.hourly else "day"
    times = [bucket.start.astimezone(filters.zone).strftime("%Y-%m-%d %H:%M") for bucket in buckets]
    return Chart(
        key="costs",
        title=f"Cost by {noun}",
        subtitle=f"{filters.period_text}, USD",
        description=f"Stacked bars: cost per {step} by {noun}, {filters.period_text}.",
        figure=charts.spend_by_series(times, HOUR_MS if filters.hourly else DAY_MS, series, None, filters.hourly),
        legend=_legend(search.by, filters, list(named), series),
        table=_table(step.capitalize(), buckets, series),
    )


def _by_value(rows: Sequence[BucketCost], buckets: Sequence[Bucket]) -> dict[Key, list[int]]:
    starts = [bucket.start for bucket in buckets]
    costs: dict[Key, list[int]] = {}
    for row in rows:
        series = costs.setdefault((row.value, row.provider, row.name), [0] * len(buckets))
        # What lies outside (an event dated minutes ahead) counts in the nearest bucket.
        series[max(0, bisect_right(starts, row.start) - 1)] += row.cost_picousd
    return costs


def _series(by: By, named: dict[Key, list[int]], rest: dict[Key, list[int]]) -> list[Series]:
    # Coloured by what they are and not by their names, which users may share.
    colors = charts.colors_of([f"{provider}/{value}" for value, provider, _ in named])
    found = [Series(value_name(by, *key), colors[f"{key[1]}/{key[0]}"], costs) for key, costs in named.items()]
    others = [Series("Other", charts.OTHER, costs) for costs in rest.values() if any(costs)]
    return [*found, *others]


def _legend(by: By, filters: Filters, keys: Sequence[Key], series: Sequence[Series]) -> tuple[LegendEntry, ...]:
    entries = []
    for number, one in enumerate(series):
        is_other = number == len(keys)  # no filter finds the rest, so it leads nowhere
        href = "" if is_other else requests_href(filters, **condition(by, *keys[number][:2]))
        entries.append(LegendEntry(one.name, one.color, money(sum(one.values_picousd)), href))
    return tuple(entries)


def _table(step: str, buckets: Sequence[Bucket], series: Sequence[Series]) -> ChartTable:
    rows = []
    for number, bucket in enumerate(buckets):
        parts = [one.values_picousd[number] for one in series]
        rows.append((bucket.label, *map(money, parts), money(sum(parts))))
    return ChartTable((step, *(one.name for one in series), "Total"), rows)
