"""The rows of the Cost Breakdown: one value of the dimension each, as text and links."""

from dataclasses import dataclass
from decimal import Decimal

from dashboard import formats
from dashboard.cost_search import By, CostSearch
from dashboard.filters import Filters
from dashboard.formats import Delta, money, money_exact
from dashboard.pages.links import feature_href, model_name, requests_href, user_href
from dashboard.pages.overview_figures import cost_per_1k
from dashboard.pages.request_rows import STATUS_WORDS
from dashboard.queries.breakdown import Line, ValueCost
from events.models import ServiceTier, Status

RATIO_WATCHED = Decimal("0.8")
"""From this share of their revenue on, a user's cost is worth a look."""
PENDING = "…"
BEING_ADDED_UP = "Being added up"
NO_PRICE = "No price is known for any of these requests"
NOT_GIVEN: dict[By, str] = {
    "feature": "No feature",
    "user": "No user",
    "model": "No model",
    "provider": "No provider",
    "step": "No step",
}


@dataclass(frozen=True)
class Figure:
    """A text with its exact form and, where it means something, its tone: '', 'warn' or 'bad'."""

    text: str
    title: str = ""
    tone: str = ""
    is_words: bool = False
    """Whether it says why there is no figure."""


@dataclass(frozen=True)
class CostRow:
    """One value of the dimension, or the total of all."""

    name: str
    detail: str
    """What tells equal names apart: a user's id."""
    href: str
    requests_href: str
    requests: Figure
    unpriced: str
    """How many requests have no price; '' when all have one."""
    unpriced_href: str
    tokens_in: Figure
    tokens_out: Figure
    cost: Figure
    share: str
    width_percent: float
    """Length of the share's bar, 0 to 100."""
    per_1k: str
    change: Figure
    delta: Delta | None
    revenue: Figure
    metered: Figure
    """Of a user: how much of the revenue is metered usage; the rest is paid per month."""
    margin: Figure
    margin_change: Figure
    ratio: Figure


def cost_row(found: ValueCost, search: CostSearch, total_picousd: int, metered: int = 0) -> CostRow:
    """A value's row; its share is of `total_picousd`. `metered` is the user's metered revenue in picousd."""
    filters = search.filters
    narrowed = condition(search.by, found.value, found.provider)
    return _row(
        value_name(search.by, found.value, found.provider, found.name),
        found.value if search.by == "user" and found.name not in ("", found.value) else "",
        _href(search.by, found.value, filters) or requests_href(filters, **narrowed),
        found.line,
        total_picousd,
        filters,
        narrowed,
        metered,
        nobody=not found.value and search.by in ("user", "feature_user"),
    )


def total_row(line: Line, search: CostSearch, metered: int = 0) -> CostRow:
    """The sums of all rows, those of other pages too."""
    href = requests_href(search.filters)
    return _row("Total", "", "" if search.paying else href, line, line.usage.cost_picousd, search.filters, {}, metered)


def condition(by: By, value: str, provider: str) -> dict[str, str | None]:
    """The words of the filter language that find the requests of a value, and no others."""
    if by == "model":
        return {"model": value, "provider": provider}
    if by == "feature_user":
        return {"feature": provider, "user": value}
    if by == "status":
        return {by: Status(int(value)).name}
    return {by: ServiceTier(int(value)).label if by == "tier" else value}


def value_name(by: By, value: str, provider: str, name: str) -> str:
    """A value as people read it; what was not given is said in words."""
    match by:
        case "model" if value:
            return model_name(provider, value)
        case "model" if provider:
            return f"{NOT_GIVEN[by]} ({provider})"
        case "status":
            return STATUS_WORDS[Status(int(value))]
        case "tier":
            return str(ServiceTier(int(value)).label).capitalize()
        case "feature_user":
            return f"{provider or NOT_GIVEN['feature']} · {name or value or NOT_GIVEN['user']}"
        case _:
            return name or value or NOT_GIVEN.get(by, "Not given")


def _href(by: By, value: str, filters: Filters) -> str:
    """The page of the value; '' where it has none."""
    match by:
        case "user":
            return user_href(filters, value)
        case "feature":
            return feature_href(filters, value)
        case _:
            return ""


def _row(
    name: str,
    detail: str,
    href: str,
    line: Line,
    total_picousd: int,
    filters: Filters,
    narrowed: dict[str, str | None],
    metered: int,
    *,
    nobody: bool = False,
) -> CostRow:
    used = line.usage
    is_unknown = 0 < used.events == used.unpriced
    share = Decimal(used.cost_picousd) / total_picousd if total_picousd and not is_unknown else None
    return CostRow(
        name=name,
        detail=detail,
        href=href,
        requests_href=requests_href(filters, **narrowed) if href else "",
        requests=Figure(formats.count(used.events)),
        unpriced=formats.count(used.unpriced) if used.unpriced else "",
        unpriced_href=requests_href(filters, **narrowed, priced="no") if href else "",
        tokens_in=Figure(formats.compact(used.input_tokens), formats.count(used.input_tokens)),
        tokens_out=Figure(formats.compact(used.output_tokens), formats.count(used.output_tokens)),
        cost=_cost(line, is_unknown=is_unknown),
        share=formats.percent(share),
        width_percent=float(share * 100) if share else 0,
        per_1k=money(cost_per_1k(used)),
        change=_change(line, is_unknown=is_unknown),
        delta=None if is_unknown else formats.delta(used.cost_picousd, line.before_picousd, better=None),
        **_earned(line, metered, nobody=nobody),
    )


def _cost(line: Line, *, is_unknown: bool) -> Figure:
    if is_unknown:
        return Figure("no price", NO_PRICE, is_words=True)
    return Figure(money(line.usage.cost_picousd), money_exact(line.usage.cost_picousd))


def _change(line: Line, *, is_unknown: bool) -> Figure:
    """By how much the cost differs from that of the period before, in USD."""
    if is_unknown:
        return Figure(formats.UNKNOWN, NO_PRICE)
    difference = line.usage.cost_picousd - line.before_picousd
    title = f"{money_exact(line.before_picousd)} in the period before"
    if not difference:
        return Figure(money(0), title)
    return Figure(f"{'+' if difference > 0 else ''}{money(difference)}", title)


def _earned(line: Line, metered: int, *, nobody: bool) -> dict[str, Figure]:
    if line.is_pending:
        names = ("revenue", "metered", "margin", "margin_change", "ratio")
        return dict.fromkeys(names, Figure(PENDING, BEING_ADDED_UP))
    return {
        "revenue": _revenue(line, metered, nobody=nobody),
        "metered": Figure(money(metered), money_exact(metered)) if metered else Figure(""),
        "margin": _margin(line),
        "margin_change": _margin_change(line),
        "ratio": ratio(line.usage.cost_picousd, line.revenue_picousd),
    }


def _revenue(line: Line, metered: int, *, nobody: bool) -> Figure:
    if line.revenue_picousd is not None:
        parts = f": {money(line.revenue_picousd - metered)} per month, {money(metered)} metered" if metered else ""
        return Figure(money(line.revenue_picousd), f"{money_exact(line.revenue_picousd)}{parts}")
    if nobody:
        return Figure(formats.UNKNOWN, "These requests belong to no user")
    return Figure("not known", "Nobody sent what its users pay", is_words=True)


def _margin(line: Line) -> Figure:
    if line.revenue_picousd is None:
        return Figure(formats.UNKNOWN, "Revenue minus cost; no revenue is known")
    left = line.revenue_picousd - line.usage.cost_picousd
    return Figure(money(left), money_exact(left), "bad" if left < 0 else "")


def _margin_change(line: Line) -> Figure:
    """By how much the margin differs from that of the period before, in USD."""
    if line.revenue_picousd is None or line.before_revenue_picousd is None:
        return Figure(formats.UNKNOWN, "No revenue is known of one of the two periods")
    before = line.before_revenue_picousd - line.before_picousd
    difference = line.revenue_picousd - line.usage.cost_picousd - before
    sign = "+" if difference > 0 else ""
    return Figure(f"{sign}{money(difference)}", f"{money_exact(before)} in the period before")


def ratio(cost_picousd: int, revenue_picousd: int | None) -> Figure:
    """Cost as a share of revenue, with a tone from where it is worth a look; words where there is no revenue."""
    if revenue_picousd is None:
        return Figure(formats.UNKNOWN, "No revenue is known")
    if not revenue_picousd:
        return Figure("pays nothing", "", "bad" if cost_picousd else "", is_words=True)
    if revenue_picousd < formats.TINY_REVENUE_PICOUSD:
        return Figure("too early", formats.TOO_EARLY, is_words=True)
    share = Decimal(cost_picousd) / revenue_picousd
    tone = "bad" if share > 1 else "warn" if share >= RATIO_WATCHED else ""
    return Figure(formats.of_revenue(share), formats.percent(share, decimals=2), tone)
