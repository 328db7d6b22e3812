"""The two charts of the Overview, with their legends and tables."""

from collections.abc import Sequence

from django.urls import reverse

from dashboard import charts
from dashboard.charts import Series
from dashboard.filters import Filters
from dashboard.formats import money
from dashboard.pages.links import model_name, requests_href
from dashboard.pages.overview_figures import Figures, ModelKey
from dashboard.pages.parts import Chart, ChartTable, LegendEntry
from dashboard.queries.revenue import Revenue

SHOWN_MODELS = 6
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def spend_by_model(figures: Figures, filters: Filters) -> Chart:
    """Stacked bars of the dearest models and the rest, with the period before as a dotted line."""
    series = _series(figures)
    previous = figures.previous.cost_by_bucket if figures.previous else None
    figure = charts.spend_by_series(
        _times(figures, filters), HOUR_MS if figures.hourly else DAY_MS, series, previous, figures.hourly
    )
    step = "hour" if figures.hourly else "day"
    return Chart(
        key="spend",
        title="Spend by model",
        subtitle=f"{filters.period_text}, USD{_no_comparison(figures, filters)}",
        description=f"Stacked bars: spend per {step} by model, {filters.period_text}.",
        figure=figure if series or any(previous or ()) else None,
        legend=_legend(figures, filters, series),
        table=_spend_table(figures, series) if series else None,
    )


def revenue_and_spend(figures: Figures, filters: Filters) -> Chart | None:
    """Two lines whose gap is the margin; None when no revenue was ever sent or the filters have none."""
    if figures.revenue is None or not figures.revenue.ever_sent:
        return None
    earned, spent = figures.revenue.by_bucket, [one.cost_picousd for one in figures.by_bucket]
    step_ms = HOUR_MS if figures.hourly else DAY_MS
    rows = [
        (bucket.label, money(one), money(other), money(one - other))
        for bucket, one, other in zip(figures.buckets, earned, spent, strict=True)
    ]
    return Chart(
        key="revenue",
        title="Revenue and spend",
        subtitle="The gap between the lines is the gross margin",
        description=f"Two lines: revenue and spend, {filters.period_text}.",
        figure=charts.revenue_and_spend(_times(figures, filters), step_ms, earned, spent),
        legend=(
            LegendEntry("Revenue", charts.REVENUE_COLOR, money(figures.revenue.total)),
            *_parts(figures.revenue),
            LegendEntry("Spend", charts.SPEND_COLOR, money(sum(spent)), requests_href(filters)),
        ),
        table=ChartTable((_step_name(figures), "Revenue", "Spend", "Margin"), rows),
    )


def _parts(revenue: Revenue) -> tuple[LegendEntry, ...]:
    """What the revenue is made of, where it is not only what users pay per month."""
    used = sum(revenue.metered)
    if not used:
        return ()
    monthly = LegendEntry("of it per month", None, money(revenue.total - used))
    return monthly, LegendEntry("of it metered usage", None, money(used), reverse("dashboard:customers"))


def _no_comparison(figures: Figures, filters: Filters) -> str:
    missing = figures.previous is None and filters.compare != "none" and figures.first_event_at is not None
    return " · not enough history to compare" if missing else ""


def _times(figures: Figures, filters: Filters) -> list[str]:
    """Bucket starts on the organization's clock, without an offset."""
    return [bucket.start.astimezone(filters.zone).strftime("%Y-%m-%d %H:%M") for bucket in figures.buckets]


def _shown(figures: Figures) -> tuple[list[ModelKey], list[ModelKey]]:
    """The models with a series of their own, and the rest. A rest of one is shown by its name."""
    keys = list(figures.by_model)
    if not figures.has_models:
        return [], keys
    split = len(keys) if len(keys) == SHOWN_MODELS + 1 else SHOWN_MODELS
    return keys[:split], keys[split:]


def _series(figures: Figures) -> list[Series]:
    shown, rest = _shown(figures)
    colors = charts.colors_of([model_name(*key) for key in shown])
    found = [Series(model_name(*key), colors[model_name(*key)], _costs(figures, [key])) for key in shown]
    others = f"Other ({len(rest)})" if figures.has_models else "All models"
    return [*found, Series(others, charts.OTHER, _costs(figures, rest))] if rest else found


def _costs(figures: Figures, keys: Sequence[ModelKey]) -> list[int]:
    return [sum(column) for column in zip(*(_cost(figures, key) for key in keys), strict=True)]


def _cost(figures: Figures, key: ModelKey) -> list[int]:
    return [one.cost_picousd for one in figures.by_model[key]]


def _legend(figures: Figures, filters: Filters, series: Sequence[Series]) -> tuple[LegendEntry, ...]:
    shown, rest = _shown(figures)
    entries = []
    for key, one in zip(shown, series, strict=False):
        provider, model = key
        href = requests_href(filters, model=model, provider=provider or None)
        unpriced = all(part.events == part.unpriced for part in figures.by_model[key])
        entries.append(
            LegendEntry(one.name, one.color, "no price" if unpriced else money(sum(one.values_picousd)), href)
        )
    if rest:
        entries.append(
            LegendEntry(series[-1].name, None, money(sum(series[-1].values_picousd)), requests_href(filters))
        )
    if figures.previous is not None:
        entries.append(LegendEntry("Previous period", charts.PREVIOUS, ""))
    return tuple(entries)


def _spend_table(figures: Figures, series: Sequence[Series]) -> ChartTable:
    columns = (_step_name(figures), *(one.name for one in series), "Total")
    rows = []
    for number, (bucket, total) in enumerate(zip(figures.buckets, figures.by_bucket, strict=True)):
        parts = (money(one.values_picousd[number]) for one in series)
        rows.append((bucket.label, *parts, money(total.cost_picousd)))
    return ChartTable(columns, rows)


def _step_name(figures: Figures) -> str:
    return "Hour" if figures.hourly else "Day"
