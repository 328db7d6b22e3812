"""The Cost Breakdown: what the period cost by one dimension, against the period before, and who pays for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.cost_search import PAGE_SIZE, CostSearch
from dashboard.pages import cost_first_look, cost_heads, cost_notes
from dashboard.pages.cost_chart import SHOWN, cost_over_time
from dashboard.pages.cost_heads import Column
from dashboard.pages.cost_notes import Note
from dashboard.pages.cost_rows import CostRow, cost_row, total_row
from dashboard.pages.filter_form import FilterForm, filter_form
from dashboard.pages.links import chips, costs_href, live_words, period_options, views_href
from dashboard.pages.parts import Chart, Chip, Frame, Option
from dashboard.queries import breakdown, options
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit


@dataclass(frozen=True)
class Costs:
    """All that `costs.html` prints, as a page, its live part, or its next rows."""

    frame: Frame
    live_href: str
    is_partial: bool
    """Whether this is a first look: the live part follows with what takes long to add up."""
    periods: Sequence[Option]
    tabs: Sequence[Option]
    metadata: Sequence[Option]
    """The keys of the metadata to choose from, where that is the dimension."""
    orders: Sequence[Option]
    form: FilterForm
    views_href: str
    chips: Sequence[Chip]
    clear_href: str
    period_text: str
    noun: str
    summary: str
    notes: Sequence[Note]
    columns: dict[str, Column]
    fine: str
    """The style class of columns that only wide screens have room for."""
    width: int
    """How many columns the table has."""
    has_revenue: bool
    has_metered: bool
    """Whether users pay for metered usage, which has a column of its own."""
    has_unpriced: bool
    compares: bool
    foot_note: str
    rows: Sequence[CostRow]
    page_size: int
    shown: int
    """How many rows the person has seen, where it is more than a page; the next poll asks for as many."""
    total: CostRow
    more_href: str
    export_href: str
    """All rows as CSV."""
    chart: Chart | None
    empty_title: str
    empty_href: str
    empty_action: str


def build(visit: Visit, search: CostSearch, revision: str) -> Costs:
    """Read everything in one snapshot: at most six statements, whatever the amount of data."""
    organization = visit.organization_id
    with snapshot():
        figures = cost_first_look.read(visit, search)
        search = figures.search
        filters, found = search.filters, figures.breakdown
        by, top = search.by, figures.dearest
        course = (
            breakdown.by_bucket(organization, filters, by, SHOWN, hourly=filters.hourly, top=top) if found.rows else ()
        )
        known = options.in_use(organization, filters)
    shown = search.after + len(found.rows)
    has_unpriced = found.total.usage.unpriced > 0
    has_metered = search.by == "user" and figures.metered_total != 0
    columns = cost_heads.columns(figures)
    return Costs(
        frame=visit.frame("Costs", "costs", filters.environment),
        live_href=_href(search, after=str(search.after or ""), **live_words(revision, is_partial=figures.is_partial)),
        is_partial=figures.is_partial,
        periods=period_options(search.own),
        tabs=cost_heads.tabs(search),
        metadata=cost_heads.metadata_options(figures),
        orders=cost_heads.orders(figures),
        form=filter_form(search.own, known, reverse("dashboard:costs"), "Filter costs", compares=True),
        views_href=views_href("costs", search.own),
        chips=_chips(search),
        clear_href=costs_href(filters, search.by, **dict.fromkeys(filters.conditions)),
        period_text=filters.period_text,
        noun=cost_heads.noun_of(search.by),
        summary=cost_notes.summary(figures),
        notes=cost_notes.notes(figures),
        columns=columns,
        fine="only-vast" if figures.with_revenue else "only-broad",
        width=len(columns) + 5 + has_unpriced + has_metered,
        has_revenue=figures.with_revenue,
        has_metered=has_metered,
        has_unpriced=has_unpriced,
        compares=figures.before is not None,
        foot_note=cost_notes.foot_note(figures),
        rows=[
            cost_row(one, search, found.total.usage.cost_picousd, figures.metered.get(one.value, 0))
            for one in found.rows
        ],
        page_size=PAGE_SIZE,
        shown=shown if shown > PAGE_SIZE else 0,
        total=total_row(found.total, search, 0 if search.paying else figures.metered_total),
        more_href=_href(search, after=str(shown)) if shown < found.count else "",
        export_href=search.own.href(reverse("dashboard:costs_csv")),
        chart=None if search.paying else cost_over_time(search, course, cost_heads.noun_of(search.by)),
        empty_title=cost_notes.empty_title(search),
        empty_href=cost_notes.empty_href(search),
        empty_action="Clear all filters" if filters.conditions or search.paying else "Show 90 days",
    )


def _href(search: CostSearch, **words: str) -> str:
    return search.own.href(reverse("dashboard:costs"), **words)


def _chips(search: CostSearch) -> tuple[Chip, ...]:
    found = chips(search.own)
    if not search.paying:
        return found
    label = cost_heads.plural_of(search.by).capitalize()
    return (*found, Chip(label, cost_notes.paying_words(search), search.own.href(paying=None)))
