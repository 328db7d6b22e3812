"""One user: what it costs and pays, with what and for what, and its latest requests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.pages import overview_cards, overview_charts
from dashboard.pages.cost_rows import ratio
from dashboard.pages.links import chips, costs_href, period_options, requests_href
from dashboard.pages.overview_figures import Figures, read
from dashboard.pages.parts import BarRow, Chart, Chip, Frame, Option, StatCard
from dashboard.pages.request_rows import RequestRow, request_rows
from dashboard.pages.value_bars import feature_bars, model_bars
from dashboard.queries import events, revenue, usage, users
from dashboard.queries.reading import snapshot
from dashboard.queries.revenue import Change
from dashboard.visit import Visit

TOP = 8
LATEST = 8
CHANGES = 50


@dataclass(frozen=True)
class Amount:
    """What the user pays per month from a moment on."""

    since: str
    monthly: str
    is_current: bool


@dataclass(frozen=True)
class UserCosts:
    """All that `user.html` prints."""

    frame: Frame
    live_href: str
    back_href: str
    external_id: str
    """'' where it is the heading already."""
    periods: Sequence[Option]
    period_text: str
    chips: Sequence[Chip]
    clear_href: str
    cards: Sequence[StatCard]
    spend: Chart
    revenue: Chart | None
    models: Sequence[BarRow]
    features: Sequence[BarRow]
    amounts: Sequence[Amount]
    latest: Sequence[RequestRow]
    requests_href: str


def build(visit: Visit, filters: Filters, revision: str) -> UserCosts | None:
    """The user that the filters name; None when the organization has none of this id."""
    organization, external_id = visit.organization_id, filters.user
    if not external_id:
        return None
    with snapshot():
        name = users.name_of(organization, external_id)
        if name is None:
            return None
        figures = read(organization, filters)
        features = usage.by_value(organization, filters, "feature", TOP)
        history = revenue.history(organization, external_id, CHANGES)
        latest = events.newest(organization, filters, LATEST)
    return UserCosts(
        frame=visit.frame(name or external_id, "costs", filters.environment),
        live_href=filters.href(reverse("dashboard:user"), rev=revision),
        back_href=costs_href(filters, "user", user=None),
        external_id=external_id if name not in ("", external_id) else "",
        periods=period_options(filters),
        period_text=filters.period_text,
        chips=tuple(chip for chip in chips(filters) if chip.label != "User"),
        clear_href=filters.href(
            reverse("dashboard:user"), **(dict.fromkeys(filters.conditions) | {"user": external_id})
        ),
        cards=_cards(figures, filters),
        spend=overview_charts.spend_by_model(figures, filters),
        revenue=overview_charts.revenue_and_spend(figures, filters),
        models=model_bars(figures, filters, TOP),
        features=feature_bars(features, figures.totals.cost_picousd, filters),
        amounts=_amounts(history, filters),
        latest=request_rows(latest, filters),
        requests_href=requests_href(filters),
    )


def _cards(figures: Figures, filters: Filters) -> tuple[StatCard, ...]:
    spend, earned, margin, requests, per_1k, _ = overview_cards.cards(figures, filters)
    known = figures.revenue is not None and figures.revenue.ever_sent
    if figures.revenue is not None and not known:
        earned = replace(earned, value="Not known", title="Nobody sent what this user pays")
        margin = replace(margin, value=formats.UNKNOWN, title="Margin is revenue minus spend; no revenue is known")
    share = ratio(figures.totals.cost_picousd, figures.revenue_total if known else None)
    title = f"{formats.money(figures.totals.cost_picousd)} of {formats.money(figures.revenue_total)}" if known else ""
    of_revenue = StatCard("Spend / revenue", share.text.capitalize(), requests_href(filters), title or share.title)
    return spend, earned, margin, of_revenue, requests, per_1k


def _amounts(history: Sequence[Change], filters: Filters) -> tuple[Amount, ...]:
    found, current = [], True
    for change in history:
        in_force = change.effective_at <= filters.now
        found.append(
            Amount(
                formats.moment(change.effective_at, filters.zone),
                formats.money_exact(int(change.monthly_usd.scaleb(12))),
                is_current=in_force and current,
            )
        )
        current = current and not in_force
    return tuple(found)
