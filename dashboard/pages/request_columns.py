"""The columns that the list of requests can show beside the time, and how a person's choice of them is kept."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from dashboard import formats
from dashboard.filters import Filters
from dashboard.pages.links import model_name, named, requests_href
from dashboard.pages.request_rows import NO_PRICE, STATUS_WORDS
from dashboard.queries.events import EventRow
from dashboard.request_search import RequestSearch, Sort

PICOUSD_PER_USD = Decimal(10**12)


@dataclass(frozen=True)
class Cell:
    """What a row shows in one column; `href` narrows the list to it."""

    text: str
    href: str = ""
    title: str = ""
    below: str = ""
    """A second line for screens that lack the column of it."""
    css: str = ""


@dataclass(frozen=True)
class Column:
    """One column: its head, and how an event is shown in it."""

    label: str
    cell: Callable[[EventRow, Filters], Cell]
    css: str = "num"
    sort: Sort | None = None
    what: str = ""
    """What the head alone does not say."""


type Word = str
"""A column's name in the cookie."""


def _model(row: EventRow, filters: Filters) -> Cell:
    href = requests_href(filters, model=row.model, provider=row.provider or None)
    return Cell(model_name(row.provider, row.model), href, below=named(row.feature))


def _user(row: EventRow, filters: Filters) -> Cell:
    return Cell(row.user_name or named(row.user), requests_href(filters, user=row.user), title=row.user)


def _of(word: str, read: Callable[[EventRow], str]) -> Callable[[EventRow, Filters], Cell]:
    """A name that the filter `word` knows; nothing where the call has none."""

    def cell(row: EventRow, filters: Filters) -> Cell:
        value = read(row)
        return Cell(value, requests_href(filters, **{word: value})) if value else Cell("—", css="muted")

    return cell


def _status(row: EventRow, filters: Filters) -> Cell:
    return Cell(STATUS_WORDS[row.status], requests_href(filters, status=row.status.name))


def _count(read: Callable[[EventRow], int]) -> Callable[[EventRow, Filters], Cell]:
    return lambda row, _: Cell(formats.count(read(row)))


def _input(row: EventRow, _: Filters) -> Cell:
    cached = f"{formats.count(row.cached_tokens)} of them cached" if row.cached_tokens else ""
    return Cell(formats.count(row.input_tokens), title=cached)


def _revenue(row: EventRow, _: Filters) -> Cell:
    if row.monthly_revenue_usd is None:
        return Cell("—", title="Nobody has said what this user paid then." if row.user else "The call has no user.")
    picousd = int(row.monthly_revenue_usd * PICOUSD_PER_USD)
    return Cell(formats.money(picousd), title=formats.money_exact(picousd))


def _cost(row: EventRow, _: Filters) -> Cell:
    title = NO_PRICE if row.cost_picousd is None else formats.money_exact(row.cost_picousd)
    return Cell(formats.money(row.cost_picousd), title=title)


NAME, TEXT = "clip", ""
COLUMNS: dict[Word, Column] = {
    "model": Column("Model", _model, NAME),
    "provider": Column("Provider", _of("provider", lambda row: row.provider), NAME),
    "feature": Column(
        "Feature", lambda row, own: Cell(named(row.feature), requests_href(own, feature=row.feature)), NAME
    ),
    "step": Column("Step", _of("step", lambda row: row.step), NAME),
    "user": Column("User", _user, NAME),
    "session": Column("Session", _of("session", lambda row: row.session_id), NAME),
    "conversation": Column("Conversation", _of("conversation", lambda row: row.conversation_id), NAME),
    "tier": Column("Tier", _of("tier", lambda row: row.service_tier.label), TEXT),
    "status": Column("Status", _status, TEXT),
    "key": Column("API key", lambda row, _: Cell(row.api_key or "—"), NAME),
    "in": Column("Tokens in", _input),
    "cached": Column("Cached", _count(lambda row: row.cached_tokens), what="Input tokens read from a cache"),
    "out": Column("Tokens out", _count(lambda row: row.output_tokens)),
    "reasoning": Column("Reasoning", _count(lambda row: row.reasoning_tokens), what="Output tokens spent on reasoning"),
    "tokens": Column(
        "Tokens", _count(lambda row: row.input_tokens + row.output_tokens), sort="tokens", what="In and out together"
    ),
    "latency": Column("Latency", lambda row, _: Cell(formats.duration(row.latency_ms)), sort="latency"),
    "streaming": Column(
        "Streaming",
        lambda row, _: Cell(formats.duration(row.streaming_duration_ms)),
        what="From the first token of a streamed answer to its last",
    ),
    "revenue": Column("Paid a month", _revenue, what="What the call's user paid per month at that time"),
    "price": Column("Price version", _count(lambda row: row.pricing_revision), what="Revision of the price catalog"),
    "cost": Column("Cost", _cost, sort="cost"),
}
"""In the order in which they stand."""
USUAL: tuple[Word, ...] = ("model", "feature", "user", "in", "out", "latency", "cost")
ON_PHONES: frozenset[Word] = frozenset({"model", "cost"})
"""Those of the usual ones that phones have room for; what somebody chose beyond them is shown everywhere."""
ON_DESKTOPS: frozenset[Word] = frozenset({"in", "out"})
"""Those of the usual ones that a small laptop has no room for beside the side bar."""
SORT_COLUMNS: dict[Sort, Word] = {"cost": "cost", "tokens": "tokens", "latency": "latency"}
MOST_FITTING, MOST_NAMES = 8, 4
"""So many columns, and so many names among them, fit beside each other on a desktop."""
NO_COLUMNS = "none"


@dataclass(frozen=True)
class Look:
    """How a person wants the list: which columns, and whether rows are low."""

    columns: tuple[Word, ...] = USUAL
    compact: bool = False

    @classmethod
    def read(cls, columns: str, density: str) -> "Look":
        """What the two cookies say; what is unknown in them is passed over."""
        chosen = ordered(columns.split("."))
        return cls(chosen if chosen or columns == NO_COLUMNS else USUAL, density == "compact")

    def cookie(self) -> str:
        """The columns as the cookie says them; '' for the usual ones."""
        return "" if self.columns == USUAL else ".".join(self.columns) or NO_COLUMNS

    def showing(self, sort: Sort) -> tuple[Word, ...]:
        """The columns to show: those chosen, and the one that the list is ordered by."""
        return ordered((*self.columns, SORT_COLUMNS.get(sort, "")))


def ordered(words: Iterable[str]) -> tuple[Word, ...]:
    """Those of the words that name a column, in the columns' order."""
    wanted = set(words)
    return tuple(word for word in COLUMNS if word in wanted)


def css_of(word: Word, sort: Sort) -> str:
    """The style classes of a column's head and cells, in a list that is in this order."""
    spared = word in USUAL and word not in ON_PHONES and word != SORT_COLUMNS.get(sort)
    room = "only-broad" if word in ON_DESKTOPS else "only-wide"
    return " ".join(filter(None, (COLUMNS[word].css, room if spared else "")))


def is_wide(words: Sequence[Word]) -> bool:
    """Whether a table of these columns is wider than a desktop's panel, so that it scrolls in its box."""
    names = sum(COLUMNS[word].css == NAME for word in words)
    return len(words) > MOST_FITTING or names > MOST_NAMES


def cells(row: EventRow, words: Sequence[Word], search: RequestSearch) -> tuple[Cell, ...]:
    """The event in these columns; links narrow the search."""
    found, own = [], search.own
    for word in words:
        cell = COLUMNS[word].cell(row, own)
        css = " ".join(filter(None, (css_of(word, search.sort), cell.css)))
        found.append(replace(cell, below=cell.below if "feature" in words else "", css=css))
    return tuple(found)
