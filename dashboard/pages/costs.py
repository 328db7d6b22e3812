"""The Cost Breakdown: what the period cost by one dimension, against the period before, and who pays for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.cost_search import DIMENSIONS, OF_USERS, PAGE_SIZE, By, CostSearch, Sort
from dashboard.filters import Filters
from dashboard.formats import count, money
from dashboard.pages.cost_chart import SHOWN, cost_over_time
from dashboard.pages.cost_rows import CostRow, cost_row, total_row
from dashboard.pages.filter_form import FilterForm, filter_form
from dashboard.pages.links import chips, costs_href, period_options
from dashboard.pages.overview_figures import has_revenue
from dashboard.pages.parts import Chart, Chip, Frame, Option
from dashboard.queries import breakdown, options, revenue, usage
from dashboard.queries.breakdown import Breakdown
from dashboard.queries.conditions import environment_of
from dashboard.queries.reading import Sql, snapshot
from dashboard.visit import Visit

PLURALS: dict[By, str] = {
    "feature": "features",
    "user": "users",
    "model": "models",
    "provider": "providers",
    "step": "steps",
    "tier": "tiers",
    "status": "statuses",
}
PAYING_WORDS = {"short": "cost more than they pay", "unknown": "no revenue known"}


@dataclass(frozen=True)
class Column:
    """A head of the table that sorts by its figure."""

    key: str
    label: str
    href: str
    direction: str
    """'ascending' or 'descending' where the table is in this order, else ''."""
    icon: str
    css: str


@dataclass(frozen=True)
class Note:
    """A figure beside the table that narrows it to the users it counts."""

    text: str
    href: str
    tone: str


@dataclass(frozen=True)
class Costs:
    """All that `costs.html` prints, as a page, its live part, or its next rows."""

    frame: Frame
    live_href: str
    periods: Sequence[Option]
    tabs: Sequence[Option]
    orders: Sequence[Option]
    form: FilterForm
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
    has_unpriced: bool
    compares: bool
    foot_note: str
    rows: Sequence[CostRow]
    page_size: int
    shown: int
    """How many rows the person has seen, where it is more than a page; the next poll asks for as many."""
    total: CostRow
    more_href: str
    chart: Chart | None
    empty_title: str
    empty_href: str
    empty_action: str


def build(visit: Visit, search: CostSearch, revision: str) -> Costs:
    """Read everything in one snapshot: four statements, whatever the amount of data."""
    organization, filters = visit.organization_id, search.filters
    with_revenue = search.by == "user" and has_revenue(filters)
    search = search if with_revenue else search.without_revenue()
    with snapshot():
        before = comparison(organization, filters)
        earned = _revenue(organization, filters) if with_revenue else None
        found = breakdown.by_value(organization, search, before, earned)
        course = breakdown.by_bucket(organization, filters, search.by, SHOWN, hourly=filters.hourly)
        known = options.in_use(organization, filters)
    shown = search.after + len(found.rows)
    own = search.own
    has_unpriced = found.total.usage.unpriced > 0
    columns = _columns(search, with_revenue=with_revenue, compares=before is not None)
    return Costs(
        frame=visit.frame("Costs", "costs", filters.environment),
        live_href=_href(search, after=str(search.after or ""), rev=revision),
        periods=period_options(own),
        tabs=_tabs(search),
        orders=_orders(search, with_revenue=with_revenue, compares=before is not None),
        form=filter_form(own, known, reverse("dashboard:costs"), "Filter costs"),
        chips=_chips(search),
        clear_href=costs_href(filters, search.by, **dict.fromkeys(filters.conditions)),
        period_text=filters.period_text,
        noun=search.by,
        summary=_summary(found, search),
        notes=_notes(found, search) if with_revenue else (),
        columns=columns,
        fine="only-vast" if with_revenue else "only-broad",
        width=len(columns) + 5 + has_unpriced,
        has_revenue=with_revenue,
        has_unpriced=has_unpriced,
        compares=before is not None,
        foot_note=_foot_note(search, before, with_revenue=with_revenue),
        rows=[cost_row(one, search, found.total.usage.cost_picousd) for one in found.rows],
        page_size=PAGE_SIZE,
        shown=shown if shown > PAGE_SIZE else 0,
        total=total_row(found.total, search),
        more_href=_href(search, after=str(shown)) if shown < found.count else "",
        chart=None if search.paying else cost_over_time(search, course, search.by),
        empty_title=_empty_title(search),
        empty_href=_empty_href(search),
        empty_action="Clear all filters" if filters.conditions or search.paying else "Show 90 days",
    )


def comparison(organization_id: int, filters: Filters) -> Filters | None:
    """The period to compare with; None when none is wanted, or the organization is younger than it."""
    first = usage.first_event_at(organization_id, environment_of(filters))
    before = filters.previous()
    return None if filters.compare == "none" or first is None or first > before.start else before


def _revenue(organization_id: int, filters: Filters) -> Sql:
    return revenue.of_each_user(organization_id, filters.start, filters.until, filters.zone, filters.user)


def _href(search: CostSearch, **words: str) -> str:
    return search.own.href(reverse("dashboard:costs"), **words)


def _tabs(search: CostSearch) -> tuple[Option, ...]:
    # An order that every dimension has is kept.
    sort = search.words().get("sort") if search.sort not in OF_USERS else None
    return tuple(
        Option(by.capitalize(), by, costs_href(search.filters, by, sort=sort), selected=by == search.by)
        for by in DIMENSIONS
    )


def _orders(search: CostSearch, *, with_revenue: bool, compares: bool) -> tuple[Option, ...]:
    orders = [("Grew most", "change")] if compares else []
    orders += [("Lowest margin", "-margin")] if with_revenue else []
    orders = [("Costs most", ""), *orders] if orders else []
    current = search.words().get("sort", "")
    own = search.own
    return tuple(
        Option(label, sort, own.href(reverse("dashboard:costs"), sort=sort), selected=sort == current)
        for label, sort in orders
    )


def _columns(search: CostSearch, *, with_revenue: bool, compares: bool) -> dict[str, Column]:
    labels: dict[Sort, tuple[str, str]] = {
        "requests": ("Requests", "only-broad" if with_revenue else "only-wide"),
        "cost": ("Cost", ""),
    }
    if compares:
        labels["change"] = ("Change", "only-broad" if with_revenue else "")
    if with_revenue:
        labels |= {
            "revenue": ("Revenue", "only-broad"),
            "margin": ("Margin", "only-wide"),
            "ratio": ("Spend / revenue", ""),
        }
    return {key: _column(search, key, *texts) for key, texts in labels.items()}


def _column(search: CostSearch, key: Sort, label: str, css: str) -> Column:
    direction = ("ascending" if search.ascending else "descending") if key == search.sort else ""
    icon = {"ascending": "up", "descending": "down"}.get(direction, "")
    href = search.sorted_by(key).own.href(reverse("dashboard:costs"))
    return Column(key, label, href, direction, icon, css)


def _chips(search: CostSearch) -> tuple[Chip, ...]:
    found = chips(search.own)
    if not search.paying:
        return found
    return (*found, Chip("Users", PAYING_WORDS[search.paying], search.own.href(paying=None)))


def _summary(found: Breakdown, search: CostSearch) -> str:
    total = found.total.usage
    noun = search.by if found.count == 1 else PLURALS[search.by]
    requests = "1 request" if total.events == 1 else f"{count(total.events)} requests"
    unpriced = f" · {count(total.unpriced)} without a price" if total.unpriced else ""
    return f"{count(found.count)} {noun} · {money(total.cost_picousd)} · {requests}{unpriced}"


def _notes(found: Breakdown, search: CostSearch) -> tuple[Note, ...]:
    notes = []
    if found.short and search.paying != "short":
        several = f"{count(found.short)} users cost more than they pay"
        text = "1 user costs more than it pays" if found.short == 1 else several
        notes.append(Note(text, _href(search, paying="short"), "bad"))
    if found.unknown and search.paying != "unknown":
        subject = "1 user" if found.unknown == 1 else f"{count(found.unknown)} users"
        text = f"{subject} without known revenue: {money(found.unknown_picousd)}"
        notes.append(Note(text, _href(search, paying="unknown"), ""))
    return tuple(notes)


def _foot_note(search: CostSearch, before: Filters | None, *, with_revenue: bool) -> str:
    notes = []
    if before:
        notes.append(f"Change is against {before.period_text}, up to the same moment of it.")
    elif search.filters.compare != "none":
        notes.append("There is not enough history for a comparison.")
    if with_revenue:
        notes.append("Revenue is what each user pays per month, prorated by the second up to now.")
    elif search.by == "user":
        notes.append("Revenue belongs to users, not to what is filtered here. Remove the other filters to see it.")
    return " ".join(notes)


def _empty_title(search: CostSearch) -> str:
    if search.paying == "short":
        return "No user costs more than it pays"
    if search.paying == "unknown":
        return "The revenue of every user is known"
    return "No requests in this period match" if search.filters.conditions else "No requests in this period"


def _empty_href(search: CostSearch) -> str:
    if search.paying or search.filters.conditions:
        return costs_href(search.filters, search.by, **dict.fromkeys(search.filters.conditions))
    return search.own.href(period="90d")
