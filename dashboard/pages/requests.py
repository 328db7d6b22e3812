"""The list of requests: what the filters find, newest first, by keyset pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from dashboard import formats
from dashboard.filters import DIMENSIONS, NONE, STATUSES, Filters
from dashboard.formats import count, money
from dashboard.pages.links import chips, named, period_options
from dashboard.pages.parts import Chip, Frame, Option
from dashboard.pages.request_rows import STATUS_WORDS, RequestRow, request_rows
from dashboard.queries import events, options, usage
from dashboard.queries.conditions import id_floor
from dashboard.queries.events import COUNT_CAP
from dashboard.queries.reading import snapshot
from dashboard.queries.usage import Usage
from dashboard.visit import Visit
from events.models import Status
from events.models.event import public_id

PAGE_SIZE = 50
MORE = ("provider", "user", "min_cost", "max_cost")
FORM_WORDS = ("q", "model", "feature", "status", *MORE)
NEWS_CAP = 1_000


@dataclass(frozen=True)
class Menu:
    """One drop-down of the filter form; the first option stands for "any"."""

    name: str
    label: str
    options: Sequence[Option]


@dataclass(frozen=True)
class Requests:
    """All that `requests.html` prints, as a page, its results, or its next rows."""

    frame: Frame
    href: str
    """The canonical address of these filters."""
    action: str
    zone: str
    period_text: str
    periods: Sequence[Option]
    menus: Sequence[Menu]
    more_menus: Sequence[Menu]
    more_open: bool
    fields: dict[str, str]
    """Values of the form's text fields."""
    hidden: Sequence[tuple[str, str]]
    """What the form must carry on although it has no field for it."""
    chips: Sequence[Chip]
    clear_href: str
    summary: str
    rows: Sequence[RequestRow]
    more_href: str
    """The next page; '' after the last one."""
    news: "News"
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


def build(visit: Visit, filters: Filters, revision: str, after: UUID | None) -> Requests:
    """Read one page of the list in one snapshot; `after` continues it behind that event."""
    organization = visit.organization_id
    with snapshot():
        found = events.newest(organization, filters, PAGE_SIZE + 1, after)
        totals, exact = _totals(organization, filters)
        known = options.in_use(organization, filters)
    rows = request_rows(found[:PAGE_SIZE], filters)
    newest = found[0].id if found else id_floor(filters.start)
    href = filters.href(reverse("dashboard:requests"))
    return Requests(
        frame=visit.frame("Requests", "requests", filters.environment),
        href=href,
        action=reverse("dashboard:requests"),
        zone=filters.zone.key,
        period_text=filters.period_text,
        periods=period_options(filters),
        menus=(*(_menu(name, known.get(name, ()), filters) for name in ("model", "feature")), _statuses(filters)),
        more_menus=(_menu("provider", known.get("provider", ()), filters),),
        more_open=filters.period == "custom" or not filters.conditions.keys().isdisjoint(MORE),
        fields=_fields(filters),
        hidden=_hidden(filters),
        chips=chips(filters),
        clear_href=filters.without_conditions(),
        summary=_summary(totals, exact=exact),
        rows=rows,
        more_href=_with(href, f"after={rows[-1].id}") if len(found) > PAGE_SIZE else "",
        news=_news(href, revision, newest, 0),
        empty_text=_empty_text(filters),
        empty_href=filters.without_conditions() if filters.conditions else filters.href(period="90d"),
        empty_action="Clear all filters" if filters.conditions else "Show 90 days",
    )


def news(visit: Visit, filters: Filters, revision: str, newest: UUID | None) -> NewsPage:
    """How many requests the filters find that are newer than `newest`."""
    since = newest or id_floor(filters.start)
    found = events.count_after(visit.organization_id, filters, since, NEWS_CAP)
    return NewsPage(_news(filters.href(reverse("dashboard:requests")), revision, since, found))


def _totals(organization_id: int, filters: Filters) -> tuple[Usage, bool]:
    """Sums of the filters, and whether they are exact: rollups always are, a scan of events up to its cap."""
    if usage.source_of(filters) != "events":
        return usage.totals(organization_id, filters), True
    found = events.capped_totals(organization_id, filters)
    return found, found.events <= COUNT_CAP


def _summary(totals: Usage, *, exact: bool) -> str:
    if not exact:
        return f"{count(COUNT_CAP)}+ requests"
    noun = "request" if totals.events == 1 else "requests"
    tokens = f"{formats.compact(totals.input_tokens)} in / {formats.compact(totals.output_tokens)} out"
    unpriced = f" · {count(totals.unpriced)} without a price" if totals.unpriced else ""
    return f"{count(totals.events)} {noun} · {money(totals.cost_picousd)} · {tokens}{unpriced}"


def _news(href: str, revision: str, newest: UUID, found: int) -> News:
    noun = "1 new request" if found == 1 else f"{count(found)}{'+' if found == NEWS_CAP else ''} new requests"
    return News(_with(href, f"rev={revision}&newest={public_id(newest)}"), href, noun if found else "")


def _with(href: str, more: str) -> str:
    return f"{href}{'&' if '?' in href else '?'}{more}"


def _menu(name: str, values: Sequence[str], filters: Filters) -> Menu:
    chosen = filters.conditions.get(name)
    every = sorted({*values, *([] if chosen is None else [chosen])})
    return Menu(
        name,
        name.capitalize(),
        [Option(f"All {name}s", ""), *(Option(named(one), one or NONE, selected=one == chosen) for one in every)],
    )


def _statuses(filters: Filters) -> Menu:
    words = {"ok": "Succeeded or max tokens", "error": "Failed"}
    words |= {status: STATUS_WORDS[Status[status]] for status in STATUSES}
    chosen = [Option(label, word, selected=filters.status == word) for word, label in words.items()]
    return Menu("status", "Status", [Option("Any status", ""), *chosen])


def _fields(filters: Filters) -> dict[str, str]:
    custom = filters.period == "custom"
    return {
        "q": filters.q or "",
        "user": NONE if filters.user == "" else filters.user or "",
        "min_cost": filters.min_cost or "",
        "max_cost": filters.max_cost or "",
        "from": filters.days[0].isoformat() if custom else "",
        "to": filters.days[-1].isoformat() if custom else "",
    }


def _hidden(filters: Filters) -> tuple[tuple[str, str], ...]:
    carried = ("environment", "period", "compare", *(word for word in DIMENSIONS if word not in FORM_WORDS), "priced")
    words = filters.words()
    return tuple((word, words[word]) for word in carried if word in words)


def _empty_text(filters: Filters) -> str:
    if filters.conditions:
        return f"Nothing in {filters.period_text} meets all of them."
    return f"There is none in {filters.period_text}."
