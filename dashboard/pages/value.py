"""The page of one value of a dimension, a user or a feature: what it costs, with what, for whom, and what came last."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.filters import Filters
from dashboard.formats import count
from dashboard.pages import overview_charts
from dashboard.pages.filter_form import FilterForm, filter_form
from dashboard.pages.latency_table import LatencyTable, latency_table
from dashboard.pages.links import chips, costs_href, live_words, period_options, requests_href, views_href
from dashboard.pages.overview_figures import Figures
from dashboard.pages.parts import BarRow, Chart, Chip, Frame, Option, StatCard
from dashboard.pages.request_rows import RequestRow, request_rows
from dashboard.pages.value_bars import model_bars
from dashboard.queries import events, latency, options
from dashboard.queries.events import EventRow
from dashboard.queries.latency import Latency
from dashboard.visit import Visit

TOP = 8
LATEST = 8


@dataclass(frozen=True)
class Panel:
    """A ranked list with the link to all of it."""

    key: str
    """Unique in the page; the element's id derives from it."""
    title: str
    rows: Sequence[BarRow] | None
    """None: still being added up."""
    href: str = ""
    action: str = ""
    sub: str = "spend · share"
    """What the two figures of a row are."""


@dataclass(frozen=True)
class Amount:
    """What a user pays per month from a moment on."""

    since: str
    monthly: str
    is_current: bool


@dataclass(frozen=True)
class ValueCosts:
    """All that `value.html` prints."""

    frame: Frame
    live_href: str
    is_partial: bool
    """Whether this is a first look: the live part follows with what takes long to add up."""
    back_href: str
    back_text: str
    detail: str
    """What stands beside the heading, such as a user's id; '' where the heading says it."""
    periods: Sequence[Option]
    period_text: str
    form: FilterForm
    views_href: str
    chips: Sequence[Chip]
    clear_href: str
    cards: Sequence[StatCard]
    charts: Sequence[Chart]
    panels: Sequence[Panel]
    metered: Panel | None
    """What a user's metered usage is worth, by meter; None where there is none."""
    latest: Sequence[RequestRow]
    requests_href: str
    failed: str
    """How many of the period's requests failed; '' when none did."""
    failed_href: str
    latency: LatencyTable
    amounts: Sequence[Amount] | None
    """A user's monthly amounts, the latest first; None for what pays nothing by itself."""
    foot_note: str


@dataclass(frozen=True)
class Around:
    """What every value's page reads beside its own figures."""

    latest: Sequence[EventRow]
    latency: Latency
    known: dict[str, list[str]]


def read(organization_id: int, filters: Filters) -> Around:
    """The latest requests, how long calls took, and what the filter form offers. Three statements."""
    return Around(
        events.newest(organization_id, filters, LATEST),
        latency.of_period(organization_id, filters),
        options.in_use(organization_id, filters),
    )


def lay_out(
    visit: Visit,
    filters: Filters,
    revision: str,
    *,
    word: str,
    title: str,
    path: str,
    figures: Figures,
    around: Around,
    cards: Sequence[StatCard],
    panel: Panel,
    metered: Panel | None = None,
    detail: str = "",
    amounts: Sequence[Amount] | None = None,
    foot_note: str = "",
    is_partial: bool = False,
) -> ValueCosts:
    """The page at `path` of the value that the filters name by `word`."""
    earned = overview_charts.revenue_and_spend(figures, filters)
    spend = overview_charts.spend_by_model(figures, filters)
    value = filters.conditions[word]
    used = model_bars(figures, filters, TOP) if figures.has_models else None
    models = Panel("models", "Models", used, costs_href(filters, "model"), "All")
    form = filter_form(filters, around.known, path, f"Filter this {word}", without=(word,), compares=True)
    return ValueCosts(
        frame=visit.frame(title, "costs", filters.environment),
        live_href=filters.href(path, **live_words(revision, is_partial=is_partial)),
        is_partial=is_partial,
        back_href=costs_href(filters, word, **{word: None}),
        back_text=f"Costs by {word}",
        detail=detail,
        periods=period_options(filters),
        period_text=filters.period_text,
        form=form,
        views_href=views_href(word, filters),
        chips=tuple(chip for chip in chips(filters) if chip.label != word.capitalize()),
        clear_href=filters.href(path, **(dict.fromkeys(filters.conditions) | {word: value})),
        cards=cards,
        charts=(spend, earned) if earned else (spend,),
        panels=(panel, models),
        metered=metered,
        latest=request_rows(around.latest, filters),
        requests_href=requests_href(filters),
        failed=count(figures.totals.errors) if figures.totals.errors else "",
        failed_href=requests_href(filters, status="error"),
        latency=latency_table(around.latency),
        amounts=amounts,
        foot_note=foot_note,
    )
