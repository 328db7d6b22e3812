"""One feature: what it costs, with which models and for whom, and its latest requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import compact, count
from dashboard.pages import overview_cards, overview_charts
from dashboard.pages.links import chips, costs_href, period_options, requests_href
from dashboard.pages.overview_figures import Figures, read
from dashboard.pages.parts import BarRow, Chart, Chip, Frame, Option, StatCard
from dashboard.pages.request_rows import RequestRow, request_rows
from dashboard.pages.value_bars import model_bars, user_bars
from dashboard.queries import breakdown, events, users
from dashboard.queries.reading import snapshot
from dashboard.queries.usage import Usage
from dashboard.visit import Visit

TOP = 8
LATEST = 8


@dataclass(frozen=True)
class FeatureCosts:
    """All that `feature.html` prints."""

    frame: Frame
    live_href: str
    back_href: str
    periods: Sequence[Option]
    period_text: str
    chips: Sequence[Chip]
    clear_href: str
    cards: Sequence[StatCard]
    spend: Chart
    models: Sequence[BarRow]
    users: Sequence[BarRow]
    users_href: str
    latest: Sequence[RequestRow]
    requests_href: str


def build(visit: Visit, filters: Filters, revision: str) -> FeatureCosts | None:
    """The feature that the filters name; None when no request of the organization ever named it."""
    organization, name = visit.organization_id, filters.feature
    if not name:
        return None
    with snapshot():
        if not breakdown.has_feature(organization, name):
            return None
        figures = read(organization, filters)
        top_users = users.top(organization, filters, TOP)
        latest = events.newest(organization, filters, LATEST)
    return FeatureCosts(
        frame=visit.frame(name, "costs", filters.environment),
        live_href=filters.href(reverse("dashboard:feature"), rev=revision),
        back_href=costs_href(filters, "feature", feature=None),
        periods=period_options(filters),
        period_text=filters.period_text,
        chips=tuple(chip for chip in chips(filters) if chip.label != "Feature"),
        clear_href=filters.href(
            reverse("dashboard:feature"), **(dict.fromkeys(filters.conditions) | {"feature": name})
        ),
        cards=_cards(figures, filters),
        spend=overview_charts.spend_by_model(figures, filters),
        models=model_bars(figures, filters, TOP),
        users=user_bars(top_users, {}, filters, total=figures.totals.cost_picousd),
        users_href=costs_href(filters, "user"),
        latest=request_rows(latest, filters),
        requests_href=requests_href(filters),
    )


def _cards(figures: Figures, filters: Filters) -> tuple[StatCard, ...]:
    spend, _, _, requests, per_1k, errors = overview_cards.cards(figures, filters)
    tokens_in = _tokens("Tokens in", figures, filters, lambda sums: sums.input_tokens)
    tokens_out = _tokens("Tokens out", figures, filters, lambda sums: sums.output_tokens)
    return spend, requests, per_1k, tokens_in, tokens_out, errors


def _tokens(label: str, figures: Figures, filters: Filters, of: Callable[[Usage], int]) -> StatCard:
    now, course = of(figures.totals), formats.sparkline_points([of(one) for one in figures.by_bucket])
    before = of(figures.previous.totals) if figures.previous else None
    change = formats.delta(now, before, better=None)
    previous = "" if before is None else compact(before)
    return StatCard(label, compact(now), requests_href(filters), count(now), change, previous, course)
