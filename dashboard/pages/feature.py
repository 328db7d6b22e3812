"""One feature: what it costs and carries, with which models and for whom, and its latest requests."""

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import compact, count, money, money_exact
from dashboard.pages import overview_cards, value
from dashboard.pages.cost_figures import comparison, spread_over_features
from dashboard.pages.cost_notes import SPREAD
from dashboard.pages.cost_rows import BEING_ADDED_UP, PENDING
from dashboard.pages.links import costs_href, requests_href
from dashboard.pages.overview_figures import Figures, margin
from dashboard.pages.overview_figures import read as read_figures
from dashboard.pages.parts import StatCard
from dashboard.pages.value import TOP, Panel, ValueCosts
from dashboard.pages.value_bars import user_bars
from dashboard.queries import breakdown, revenue, users
from dashboard.queries.reading import snapshot
from dashboard.queries.usage import Usage
from dashboard.visit import Visit


@dataclass(frozen=True)
class Carried:
    """What the feature carries of its users' revenue, in picousd; None while nothing is known."""

    now: int | None = None
    before: int | None = None
    is_pending: bool = False
    """Whether it is still to be added up."""


def build(visit: Visit, filters: Filters, revision: str) -> ValueCosts | None:
    """The feature that the filters name; None when no request of the organization ever named it."""
    organization, name = visit.organization_id, filters.feature
    if not name:
        return None
    with snapshot():
        if not breakdown.has_feature(organization, name):
            return None
        figures = read_figures(organization, filters)
        carried = _carried(visit, filters)
        top_users = users.top(organization, filters, TOP)
        around = value.read(organization, filters)
    bars = user_bars(top_users, {}, filters, total=figures.totals.cost_picousd)
    return value.lay_out(
        visit,
        filters,
        revision,
        word="feature",
        title=name,
        path=reverse("dashboard:feature"),
        figures=figures,
        around=around,
        cards=_cards(figures, carried, filters),
        panel=Panel("users", "Users", bars, costs_href(filters, "user"), "All"),
        foot_note="" if carried.now is None and not carried.is_pending else SPREAD,
        is_partial=carried.is_pending,
    )


def _carried(visit: Visit, filters: Filters) -> Carried:
    """Revenue has a meaning of a feature, not of a part of one, nor of test requests."""
    organization_id = visit.organization_id
    if filters.conditions.keys() != {"feature"} or filters.environment != "live":
        return Carried()
    if visit.first_look and users.are_many(organization_id):
        return Carried(is_pending=True)
    whole = filters.without(("feature",))
    before = comparison(organization_id, whole)
    now = revenue.of_feature(spread_over_features(organization_id, whole, filters.feature))
    if before is None:
        return Carried(now)
    former = spread_over_features(organization_id, before, filters.feature, is_before=True)
    return Carried(now, revenue.of_feature(former))


def _cards(figures: Figures, carried: Carried, filters: Filters) -> tuple[StatCard, ...]:
    spend, _, _, requests, per_1k, errors = overview_cards.cards(figures, filters)
    if carried.is_pending:
        href = costs_href(filters, "user")
        pending = (StatCard(label, PENDING, href, BEING_ADDED_UP) for label in ("Revenue", "Gross margin"))
        return spend, *pending, requests, per_1k, errors
    if carried.now is None:
        tokens_in = _tokens("Tokens in", figures, filters, lambda sums: sums.input_tokens)
        tokens_out = _tokens("Tokens out", figures, filters, lambda sums: sums.output_tokens)
        return spend, requests, per_1k, tokens_in, tokens_out, errors
    return spend, *_earned(figures, carried.now, carried.before, filters), requests, per_1k, errors


def _earned(figures: Figures, now: int, before: int | None, filters: Filters) -> tuple[StatCard, StatCard]:
    cost, href = figures.totals.cost_picousd, costs_href(filters, "user")
    change = formats.delta(now, before, better="up") if before is not None else None
    was = "" if before is None else money(before)
    share, last = margin(now, cost), figures.previous
    share_before = margin(before, last.totals.cost_picousd) if last else None
    left = f"{money(now - cost)} left of {money(now)}"
    return (
        StatCard("Revenue", money(now), href, f"{money_exact(now)}: what its users pay, by cost share", change, was),
        StatCard(
            "Gross margin",
            formats.percent(share),
            href,
            left,
            formats.delta_points(share, share_before, better="up"),
            "" if share_before is None else formats.percent(share_before),
        ),
    )


def _tokens(label: str, figures: Figures, filters: Filters, of: Callable[[Usage], int]) -> StatCard:
    now, course = of(figures.totals), formats.sparkline_points([of(one) for one in figures.by_bucket])
    before = of(figures.previous.totals) if figures.previous else None
    change = formats.delta(now, before, better=None)
    previous = "" if before is None else compact(before)
    return StatCard(label, compact(now), requests_href(filters), count(now), change, previous, course)
