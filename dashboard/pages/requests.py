"""The list of requests: what the filters find, in the order that is asked for, by keyset pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import count, money
from dashboard.pages.exports import ExportLink, export_links
from dashboard.pages.filter_form import FilterForm, filter_form
from dashboard.pages.links import chips, period_options, views_href
from dashboard.pages.parts import Chip, Frame, Option
from dashboard.pages.request_columns import COLUMNS, Cell, Look, Word, cells, css_of, is_wide
from dashboard.pages.request_rows import RequestRow, request_rows
from dashboard.queries import events, options, usage
from dashboard.queries.conditions import id_floor
from dashboard.queries.events import COUNT_CAP, EventRow, TooManyToOrder
from dashboard.queries.reading import snapshot
from dashboard.queries.usage import Usage
from dashboard.request_search import Place, RequestSearch, Sort
from dashboard.visit import Visit
from events.models.event import public_id

PAGE_SIZE = 50
NEWS_CAP = 1_000
ORDERS = {"": "Newest", "cost": "Costliest", "tokens": "Most tokens", "latency": "Slowest"}
TOO_MANY = (
    "These are too many requests to put them in order of {order} within a few seconds, so the newest come first. "
    "Choose a shorter period, or narrow the filters."
)


@dataclass(frozen=True)
class Head:
    """The head of a column (`components/sort_head.html`); `href` is '' where the list cannot be ordered by it."""

    key: str
    label: str
    href: str
    direction: str
    """'ascending' or 'descending' where the list is in this order, else ''."""
    icon: str
    css: str
    what: str


@dataclass(frozen=True)
class ListedRow:
    """One request: who it is and when, and its cells in the columns that are shown."""

    row: RequestRow
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Requests:
    """All that `requests.html` prints, as a page, its results, or its next rows."""

    frame: Frame
    href: str
    """The canonical address of these filters and this order."""
    zone: str
    period_text: str
    periods: Sequence[Option]
    orders: Sequence[Option]
    form: FilterForm
    chips: Sequence[Chip]
    clear_href: str
    exports: Sequence[ExportLink]
    views_href: str
    choices: Sequence[Option]
    """Every column beside the time; selected: shown."""
    compact: bool
    table_css: str
    summary: str
    time_head: Head
    heads: Sequence[Head]
    rows: Sequence[ListedRow]
    more_href: str
    """The next page; '' after the last one."""
    width: int
    """How many columns the table has."""
    news: "News"
    problem: str
    """Why the list is not in the order that was asked for; '' when it is."""
    empty_text: str
    empty_href: str
    empty_action: str


@dataclass(frozen=True)
class News:
    """How many requests came since the list was made: said, never pushed under the pointer."""

    poll_href: str
    href: str
    text: str
    """'' when there are none."""


@dataclass(frozen=True)
class NewsPage:
    """The variable of the `news` fragment when it is asked for alone."""

    news: News


def build(visit: Visit, search: RequestSearch, look: Look, revision: str) -> Requests:
    """Read one page of the list in one snapshot; by time where there are too many requests for another order."""
    try:
        return _build(visit, search, look, revision)
    except TooManyToOrder:
        by_time = _build(visit, RequestSearch(search.filters), look, revision)
        return replace(by_time, problem=TOO_MANY.format(order=search.sort))


def _build(visit: Visit, search: RequestSearch, look: Look, revision: str) -> Requests:
    organization, filters, own = visit.organization_id, search.filters, search.own
    with snapshot():
        totals, exact = _totals(organization, filters)
        known = options.in_use(organization, filters)
        newest = events.newest_id(organization, filters)
        found = events.listed(organization, search, PAGE_SIZE + 1)
    words = look.showing(search.sort)
    shown = found[:PAGE_SIZE]
    href = own.href(reverse("dashboard:requests"))
    return Requests(
        frame=visit.frame("Requests", "requests", filters.environment),
        href=href,
        zone=filters.zone.key,
        period_text=filters.period_text,
        periods=period_options(own),
        orders=_orders(search),
        form=_form(own, known),
        chips=chips(own),
        clear_href=own.without_conditions(),
        exports=export_links(filters),
        views_href=views_href("requests", own),
        choices=[Option(column.label, word, selected=word in look.columns) for word, column in COLUMNS.items()],
        compact=look.compact,
        table_css=f"{' compact' if look.compact else ''}{' many' if is_wide(words) else ''}",
        summary=_summary(totals, exact=exact),
        time_head=_head(search, "time", "Time", "time", "", ""),
        heads=[_column_head(search, word) for word in words],
        rows=[
            ListedRow(row, cells(one, words, search)) for row, one in zip(request_rows(shown, own), shown, strict=True)
        ],
        more_href=_with(href, f"after={_place(shown[-1], search.sort).text()}") if len(found) > PAGE_SIZE else "",
        width=1 + len(words),
        news=_news(href, revision, newest, 0),
        problem="",
        empty_text=_empty_text(filters),
        empty_href=own.without_conditions() if filters.conditions else own.href(period="90d"),
        empty_action="Clear all filters" if filters.conditions else "Show 90 days",
    )


def news(visit: Visit, search: RequestSearch, revision: str, newest: UUID | None) -> NewsPage:
    """How many requests the filters find that are newer than `newest`."""
    since = newest or id_floor(search.filters.start)
    found = events.count_after(visit.organization_id, search.filters, since, NEWS_CAP)
    return NewsPage(_news(search.own.href(reverse("dashboard:requests")), revision, since, found))


def _form(own: Filters, known: dict[str, list[str]]) -> FilterForm:
    main = ("q", "model", "feature", "status")
    return filter_form(own, known, reverse("dashboard:requests"), "Filter requests", main=main, target="results")


def _place(row: EventRow, sort: Sort) -> Place:
    match sort:
        case "cost":
            return Place(row.id, None if row.cost_picousd is None else Decimal(row.cost_picousd))
        case "tokens":
            return Place(row.id, Decimal(row.input_tokens + row.output_tokens))
        case "latency":
            return Place(row.id, None if row.latency_ms is None else Decimal(repr(row.latency_ms)))
    return Place(row.id)


def _orders(search: RequestSearch) -> tuple[Option, ...]:
    own = search.filters
    path = reverse("dashboard:requests")
    return tuple(
        Option(label, word, own.href(path, sort=word), selected=word == search.word) for word, label in ORDERS.items()
    )


def _column_head(search: RequestSearch, word: Word) -> Head:
    column = COLUMNS[word]
    return _head(search, word, column.label, column.sort, css_of(word, search.sort), column.what)


def _head(search: RequestSearch, key: str, label: str, sort: Sort | None, css: str, what: str) -> Head:
    if sort is None:
        return Head(key, label, "", "", "", css, what)
    direction = ("ascending" if search.ascending else "descending") if sort == search.sort else ""
    icon = {"ascending": "up", "descending": "down"}.get(direction, "")
    href = search.sorted_by(sort).own.href(reverse("dashboard:requests"))
    return Head(key, label, href, direction, icon, css, what)


def _totals(organization_id: int, filters: Filters) -> tuple[Usage, bool]:
    """Sums of the filters, and whether they are exact: rollups always are, a scan of events up to its cap."""
    if usage.source_of(filters) != "events":
        return usage.totals(organization_id, filters), True
    found = events.capped_totals(organization_id, filters)
    return found, found.events <= COUNT_CAP


def _summary(totals: Usage, *, exact: bool) -> str:
    tokens_in, tokens_out = formats.compact(totals.input_tokens), formats.compact(totals.output_tokens)
    if not exact:
        return f"{count(COUNT_CAP)}+ requests · {money(totals.cost_picousd)}+ · {tokens_in}+ in / {tokens_out}+ out"
    noun = "request" if totals.events == 1 else "requests"
    unpriced = f" · {count(totals.unpriced)} without a price" if totals.unpriced else ""
    return f"{count(totals.events)} {noun} · {money(totals.cost_picousd)} · {tokens_in} in / {tokens_out} out{unpriced}"


def _news(href: str, revision: str, newest: UUID, found: int) -> News:
    noun = "1 new request" if found == 1 else f"{count(found)}{'+' if found == NEWS_CAP else ''} new requests"
    return News(_with(href, f"rev={revision}&newest={public_id(newest)}"), href, noun if found else "")


def _with(href: str, more: str) -> str:
    return f"{href}{'&' if '?' in href else '?'}{more}"


def _empty_text(filters: Filters) -> str:
    if filters.conditions:
        return f"Nothing in {filters.period_text} meets all of them."
    return f"There is none in {filters.period_text}."
