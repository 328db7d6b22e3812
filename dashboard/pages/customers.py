"""Customers: what each used, cost and paid. The same figures as Costs by user, with the two kinds of revenue apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.urls import reverse

from dashboard import formats
from dashboard.cost_search import PAGE_SIZE, CostSearch
from dashboard.filters import Filters
from dashboard.formats import count, money, money_exact
from dashboard.pages import cost_first_look, cost_heads, cost_notes
from dashboard.pages.cost_figures import CostFigures
from dashboard.pages.cost_heads import Column
from dashboard.pages.cost_notes import Note
from dashboard.pages.cost_rows import BEING_ADDED_UP, PENDING, CostRow, Figure, cost_row, total_row
from dashboard.pages.filter_form import FilterForm, filter_form
from dashboard.pages.links import chips, live_words, period_options, usage_href, views_href
from dashboard.pages.parts import Chip, Frame, Option
from dashboard.queries import metered, options
from dashboard.queries.breakdown import Line, ValueCost
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit

PAGE = "dashboard:customers"


@dataclass(frozen=True)
class CustomerRow:
    """One customer, or the total of all: its costs, and what its usage is worth."""

    costs: CostRow
    records: str
    """How many usage records of the period are behind the metered revenue; '' for none."""
    usage_href: str
    monthly: Figure
    metered: Figure


@dataclass(frozen=True)
class Customers:
    """All that `customers.html` prints, as a page, its live part, or its next rows."""

    frame: Frame
    live_href: str
    is_partial: bool
    """Whether this is a first look: the live part follows with what takes long to add up."""
    periods: Sequence[Option]
    form: FilterForm
    views_href: str
    chips: Sequence[Chip]
    clear_href: str
    period_text: str
    summary: str
    notes: Sequence[Note]
    columns: dict[str, Column]
    has_unpriced: bool
    width: int
    """How many columns the table has."""
    rows: Sequence[CustomerRow]
    total: CustomerRow
    page_size: int
    shown: int
    """How many rows the person has seen, where it is more than a page; the next poll asks for as many."""
    more_href: str
    export_href: str
    foot_note: str


def build(visit: Visit, search: CostSearch, revision: str) -> Customers:
    """Read everything in one snapshot; `search` is by user."""
    organization = visit.organization_id
    with snapshot():
        figures = cost_first_look.read(visit, search)
        filters = figures.search.filters
        records = metered.records_of(
            organization, filters.start, filters.until, [row.value for row in figures.breakdown.rows]
        )
        known = options.in_use(organization, filters)
    search, found = figures.search, figures.breakdown
    has_unpriced = found.total.usage.unpriced > 0
    shown = search.after + len(found.rows)
    return Customers(
        frame=visit.frame("Customers", "customers", filters.environment),
        live_href=_href(search, after=str(search.after or ""), **live_words(revision, is_partial=figures.is_partial)),
        is_partial=figures.is_partial,
        periods=period_options(_own(search)),
        form=filter_form(_own(search), known, reverse(PAGE), "Filter customers"),
        views_href=views_href("customers", _own(search)),
        chips=_chips(search),
        clear_href=_href(search, paying=None, **dict.fromkeys(filters.conditions)),
        period_text=filters.period_text,
        summary=_summary(figures),
        notes=cost_notes.notes(figures, PAGE, ("customer", "customers")),
        columns=cost_heads.columns(figures, PAGE),
        has_unpriced=has_unpriced,
        width=9 + has_unpriced,
        rows=[_row(row, figures, records) for row in found.rows],
        total=_total(figures, records),
        page_size=PAGE_SIZE,
        shown=shown if shown > PAGE_SIZE else 0,
        more_href=_href(search, after=str(shown)) if shown < found.count else "",
        export_href=search.own.href(reverse("dashboard:costs_csv")),
        foot_note=cost_notes.foot_note(figures, compares=False),
    )


def _row(found: ValueCost, figures: CostFigures, records: Mapping[str, int]) -> CustomerRow:
    used, number = figures.metered.get(found.value, 0), records.get(found.value, 0)
    return CustomerRow(
        costs=cost_row(found, figures.search, figures.breakdown.total.usage.cost_picousd, used),
        records=count(number) if number else "",
        usage_href=usage_href(figures.search.filters, user=found.value),
        monthly=_monthly(found.line, used, is_nobody=not found.value),
        metered=Figure(money(used), money_exact(used)) if number or used else Figure(""),
    )


def _total(figures: CostFigures, records: Mapping[str, int]) -> CustomerRow:
    used = 0 if figures.search.paying else figures.metered_total
    line = figures.breakdown.total
    costs = total_row(line, figures.search, used)
    is_all = len(figures.breakdown.rows) == figures.breakdown.count
    return CustomerRow(
        costs=costs,
        records=count(sum(records.values())) if is_all and records else "",
        usage_href=usage_href(figures.search.filters),
        monthly=Figure("") if figures.search.paying else _monthly(line, used),
        metered=costs.metered,
    )


def _monthly(line: Line, used: int, *, is_nobody: bool = False) -> Figure:
    """What is paid per month: the revenue without its metered part."""
    if line.is_pending:
        return Figure(PENDING, BEING_ADDED_UP)
    if line.revenue_picousd is None and is_nobody:
        return Figure(formats.UNKNOWN, "These requests belong to no customer")
    if line.revenue_picousd is None:
        return Figure("not known", "Nobody sent what this customer pays", is_words=True)
    monthly = line.revenue_picousd - used
    return Figure(money(monthly), money_exact(monthly))


def _summary(figures: CostFigures) -> str:
    found = figures.breakdown
    noun = "customer" if found.count == 1 else "customers"
    if figures.is_partial:
        return f"{PENDING} customers · {money(found.total.usage.cost_picousd)} to serve"
    earned = found.total.revenue_picousd
    revenue = "" if earned is None else f" · {money(earned)} revenue"
    return f"{count(found.count)} {noun}{revenue} · {money(found.total.usage.cost_picousd)} to serve"


def _chips(search: CostSearch) -> tuple[Chip, ...]:
    found = chips(_own(search))
    if not search.paying:
        return found
    return (*found, Chip("Customers", cost_notes.paying_words(search), _href(search, paying=None)))


def _own(search: CostSearch) -> Filters:
    """The filters with this page's words; that it is by user goes without saying."""
    words = {word: text for word, text in search.words().items() if word != "by"}
    return replace(search.filters, page_words=tuple(words.items()))


def _href(search: CostSearch, **words: str | None) -> str:
    return _own(search).href(reverse(PAGE), **words)
