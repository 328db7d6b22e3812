"""A meter's quantity over time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from dashboard import charts
from dashboard.filters import Bucket, Filters
from dashboard.formats import quantity
from dashboard.pages.cost_chart import DAY_MS, HOUR_MS
from dashboard.pages.meter_words import ADDS_UP, with_unit
from dashboard.pages.parts import Chart, ChartTable, LegendEntry
from dashboard.queries.meter_usage import MeterFacts, MeterUse

ZERO = Decimal(0)


def steps(filters: Filters) -> tuple[Bucket, ...]:
    """The steps of the time axis that have begun; what is dated minutes ahead counts in the last one."""
    return tuple(bucket for bucket in filters.buckets() if bucket.start <= filters.until)


def edges(buckets: Sequence[Bucket], filters: Filters) -> list[datetime]:
    """Where the buckets meet, with both ends of the period."""
    return [*(bucket.start for bucket in buckets), filters.end]


def quantity_over_time(
    meter: MeterFacts, buckets: Sequence[Bucket], found: Mapping[int, Decimal], use: MeterUse, own: Filters, href: str
) -> Chart:
    """Bars of the quantity; `use` is the whole period's, which only sums and counts of the bars add up to."""
    values = [found.get(number, ZERO) for number in range(len(buckets))]
    times = [bucket.start.astimezone(own.zone).strftime("%Y-%m-%d %H:%M") for bucket in buckets]
    step = "hour" if own.hourly else "day"
    apart = "" if meter.aggregation in ADDS_UP else f"; each {step} by itself, so they do not add up to the period"
    return Chart(
        key="usage-quantity",
        title=with_unit("Quantity,", meter.unit) if meter.unit else "Quantity",
        subtitle=f"{own.period_text}{apart}",
        description=f"Bars: quantity of {meter.name} per {step}, {own.period_text}.",
        figure=charts.quantity_by_bucket(
            times, HOUR_MS if own.hourly else DAY_MS, meter.name, values, hourly=own.hourly
        ),
        legend=(LegendEntry(meter.name, charts.SPEND_COLOR, quantity(use.quantity), href),),
        table=ChartTable(
            (step.capitalize(), "Quantity"),
            [(bucket.label, quantity(value)) for bucket, value in zip(buckets, values, strict=True)],
        ),
    )
