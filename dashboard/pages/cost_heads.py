"""What orders the Cost Breakdown: its dimensions, its orders, the heads of its columns."""

from dataclasses import dataclass

from django.urls import reverse

from dashboard.cost_search import DIMENSIONS, METADATA, OF_REVENUE, By, CostSearch, Sort
from dashboard.filters import META
from dashboard.pages.cost_figures import CostFigures
from dashboard.pages.links import costs_href
from dashboard.pages.parts import Option

NOUNS: dict[By, tuple[str, str]] = {
    "feature": ("feature", "features"),
    "user": ("user", "users"),
    "feature_user": ("feature × user", "feature–user pairs"),
    "model": ("model", "models"),
    "provider": ("provider", "providers"),
    "step": ("step", "steps"),
    "tier": ("tier", "tiers"),
    "status": ("status", "statuses"),
    METADATA: ("metadata", "values"),
}
"""One value of the dimension, and several."""


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


def noun_of(by: By) -> str:
    """What one value of the dimension is called; of metadata its key."""
    return by.removeprefix(META) if by.startswith(META) else NOUNS[by][0]


def plural_of(by: By) -> str:
    """What several values of the dimension are called."""
    return f"values of {by.removeprefix(META)}" if by.startswith(META) else NOUNS[by][1]


def tabs(search: CostSearch) -> tuple[Option, ...]:
    """The dimensions; an order that every dimension has is kept."""
    sort = search.words().get("sort") if search.sort not in OF_REVENUE else None
    chosen = METADATA if search.by.startswith(METADATA) else search.by
    return tuple(
        Option(NOUNS[by][0].capitalize(), by, costs_href(search.filters, by, sort=sort), selected=by == chosen)
        for by in (*DIMENSIONS, METADATA)
    )


def metadata_options(figures: CostFigures) -> tuple[Option, ...]:
    """The keys of the metadata as links; the one in the address too where the latest requests do not have it."""
    by = figures.search.by
    if not by.startswith(METADATA):
        return ()
    chosen = by.removeprefix(META) if by != METADATA else ""
    names = [*figures.metadata_keys, *([chosen] if chosen and chosen not in figures.metadata_keys else [])]
    filters = figures.search.filters
    return tuple(Option(name, name, costs_href(filters, META + name), selected=name == chosen) for name in names)


def orders(figures: CostFigures) -> tuple[Option, ...]:
    """Orders that answer a question, as links."""
    wanted = [("Grew most", "change")] if figures.before else []
    wanted += [("Lowest margin", "-margin")] if figures.with_revenue else []
    wanted = [("Costs most", ""), *wanted] if wanted else []
    search = figures.search
    current = search.words().get("sort", "")
    return tuple(
        Option(label, sort, search.own.href(reverse("dashboard:costs"), sort=sort), selected=sort == current)
        for label, sort in wanted
    )


def columns(figures: CostFigures, page: str = "dashboard:costs") -> dict[str, Column]:
    """The heads that sort, by their order's name; they lead to the page of this name."""
    rich = figures.with_revenue
    labels: dict[Sort, tuple[str, str]] = {
        "requests": ("Requests", "only-broad" if rich else "only-wide"),
        "cost": ("Cost", ""),
    }
    if figures.before:
        labels["change"] = ("Change", "only-broad" if rich else "")
    if rich:
        labels |= {"revenue": ("Revenue", "only-broad"), "margin": ("Margin", "only-wide")}
        labels |= {"margin_change": ("Margin change", "only-vast")} if figures.before else {}
        labels["ratio"] = ("Spend / revenue", "")
    return {key: _column(figures.search, key, page, *texts) for key, texts in labels.items()}


def _column(search: CostSearch, key: Sort, page: str, label: str, css: str) -> Column:
    direction = ("ascending" if search.ascending else "descending") if key == search.sort else ""
    icon = {"ascending": "up", "descending": "down"}.get(direction, "")
    href = search.sorted_by(key).own.href(reverse(page))
    return Column(key, label, href, direction, icon, css)
