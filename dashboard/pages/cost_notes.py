"""What the Cost Breakdown says beside its figures."""

from dataclasses import dataclass

from django.urls import reverse

from dashboard.cost_search import CARRIERS, METADATA, CostSearch
from dashboard.formats import count, money
from dashboard.pages.cost_figures import CostFigures
from dashboard.pages.cost_heads import noun_of, plural_of
from dashboard.pages.cost_rows import PENDING
from dashboard.pages.links import costs_href
from dashboard.pages.overview_figures import has_revenue, no_revenue_note
from dashboard.queries.usage import OF_USERS

SPREAD = (
    "What a user pays is spread over the features that it used, by their share of the user's cost in this period;"
    " revenue is what each user pays per month, prorated by the second up to now, and its metered usage."
)


@dataclass(frozen=True)
class Note:
    """A figure beside the table; where it has a link, that narrows the table to what it counts."""

    text: str
    href: str
    tone: str


def summary(figures: CostFigures) -> str:
    """The line above the table: how many values, what they cost, how many requests."""
    found, search = figures.breakdown, figures.search
    total = found.total.usage
    one = f"value of {noun_of(search.by)}" if search.by.startswith(METADATA) else noun_of(search.by)
    noun = one if found.count == 1 else plural_of(search.by)
    requests = "1 request" if total.events == 1 else f"{count(total.events)} requests"
    unpriced = f" · {count(total.unpriced)} without a price" if total.unpriced else ""
    values = PENDING if figures.is_partial and search.by in OF_USERS else count(found.count)
    return f"{values} {noun} · {money(total.cost_picousd)} · {requests}{unpriced}"


def notes(
    figures: CostFigures, page: str = "dashboard:costs", nouns: tuple[str, str] | None = None
) -> tuple[Note, ...]:
    """Who costs more than it brings, of whom no revenue is known, and what no feature carries; links to the page.

    `nouns`: what the page calls one value of the dimension, and several.
    """
    if not figures.with_revenue:
        return ()
    found, search = figures.breakdown, figures.search
    one, many = nouns or (noun_of(search.by), plural_of(search.by))
    if figures.is_partial:
        text = f"Adding up which {many} cost more than they {_brings(search)} …"
        return (Note(text, _href(search, "short", page), ""),)
    noted = []
    if found.short and search.paying != "short":
        several = f"{count(found.short)} {many} cost more than they {_brings(search)}"
        text = f"1 {one} costs more than it {_brings(search)}s" if found.short == 1 else several
        noted.append(Note(text, _href(search, "short", page), "bad"))
    if found.unknown and search.by == "user" and search.paying != "unknown":
        subject = f"1 {one}" if found.unknown == 1 else f"{count(found.unknown)} {many}"
        text = f"{subject} without known revenue: {money(found.unknown_picousd)}"
        noted.append(Note(text, _href(search, "unknown", page), ""))
    if figures.revenue_apart:
        text = f"{money(figures.revenue_apart)} of revenue comes from users without requests here"
        noted.append(Note(text, costs_href(search.filters, "user", sort="revenue"), ""))
    return tuple(noted)


def foot_note(figures: CostFigures, *, compares: bool = True) -> str:
    """By which rules the figures are made; of a page that `compares` also against what."""
    search, said = figures.search, []
    if compares and figures.before:
        said.append(f"Change is against {figures.before.period_text}, up to the same moment of it.")
    elif compares and search.filters.compare != "none":
        said.append("There is not enough history for a comparison.")
    if figures.with_revenue and search.by == "user":
        metered = ", and what their metered usage is worth" if figures.metered_total else ""
        said.append(f"Revenue is what each user pays per month, prorated by the second up to now{metered}.")
    elif figures.with_revenue:
        said.append(SPREAD)
    elif search.by in CARRIERS and not has_revenue(search.filters):
        said.append(no_revenue_note(search.filters))
    elif search.by in CARRIERS:
        said.append("No revenue is known. Send monthlyRevenue with a user, and revenue and margin appear here.")
    if search.by.startswith(METADATA):
        said.append("Requests without the key stand in one row.")
    return " ".join(said)


def empty_title(search: CostSearch) -> str:
    """Why the table is empty."""
    if search.paying == "short":
        return f"No {noun_of(search.by)} costs more than it {_brings(search)}s"
    if search.paying == "unknown":
        return "The revenue of every user is known"
    if search.by == METADATA:
        return "No request of this period carries metadata of its own"
    return "No requests in this period match" if search.filters.conditions else "No requests in this period"


def empty_href(search: CostSearch) -> str:
    """The way out of an empty table."""
    if search.paying or search.filters.conditions:
        return costs_href(search.filters, search.by, **dict.fromkeys(search.filters.conditions))
    return search.own.href(period="90d")


def paying_words(search: CostSearch) -> str:
    """The condition on revenue that is in force."""
    return f"cost more than they {_brings(search)}" if search.paying == "short" else "no revenue known"


def _brings(search: CostSearch) -> str:
    return "pay" if search.by == "user" else "bring"


def _href(search: CostSearch, paying: str, page: str) -> str:
    return search.own.href(reverse(page), paying=paying)
