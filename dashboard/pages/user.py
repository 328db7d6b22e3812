"""One user: what it costs and pays, with what and for what, its metered usage, and its latest requests."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.pages import overview_cards, value
from dashboard.pages.cost_rows import ratio
from dashboard.pages.links import costs_href, usage_href
from dashboard.pages.overview_figures import Figures
from dashboard.pages.overview_figures import read as read_figures
from dashboard.pages.parts import BarRow, StatCard
from dashboard.pages.value import TOP, Amount, Panel, ValueCosts
from dashboard.pages.value_bars import feature_bars
from dashboard.queries import metered, revenue, usage, users
from dashboard.queries.metered import MeterUse
from dashboard.queries.reading import snapshot
from dashboard.queries.revenue import Change
from dashboard.visit import Visit

CHANGES = 50
MANY_REQUESTS = 20_000
"""So many read one by one are noticed: a first look leaves them to what follows."""


def build(visit: Visit, filters: Filters, revision: str) -> ValueCosts | None:
    """The user that the filters name; None when the organization has none of this id."""
    organization, external_id = visit.organization_id, filters.user
    if not external_id:
        return None
    with snapshot():
        name = users.name_of(organization, external_id)
        if name is None:
            return None
        is_partial = visit.first_look and _has_many_requests(organization, filters)
        figures = read_figures(organization, filters, with_models=not is_partial)
        features = usage.by_value(organization, filters, "feature", TOP)
        history = revenue.history(organization, external_id, CHANGES)
        used = metered.of_user(organization, filters.start, filters.until, external_id)
        around = value.read(organization, filters)
    bars = feature_bars(features, figures.totals.cost_picousd, filters)
    return value.lay_out(
        visit,
        filters,
        revision,
        word="user",
        title=name or external_id,
        path=reverse("dashboard:user"),
        figures=figures,
        around=around,
        cards=_cards(figures, filters),
        panel=Panel("features", "Features", bars, costs_href(filters, "feature"), "All"),
        metered=_metered(used, filters),
        detail=external_id if name not in ("", external_id) else "",
        amounts=_amounts(history, filters),
        is_partial=is_partial,
    )


def _has_many_requests(organization_id: int, filters: Filters) -> bool:
    """Whether its models take long to add up: no rollup has them by user, but one has everything else."""
    is_quick = usage.source_of(filters, hourly=filters.hourly) != "events"
    return is_quick and usage.totals(organization_id, filters).events > MANY_REQUESTS


def _cards(figures: Figures, filters: Filters) -> tuple[StatCard, ...]:
    spend, earned, margin, requests, per_1k, _ = overview_cards.cards(figures, filters)
    known = figures.revenue is not None and figures.revenue.ever_sent
    if figures.revenue is not None and not known:
        earned = replace(earned, value="Not known", title="Nobody sent what this user pays")
        margin = replace(margin, value=formats.UNKNOWN, title="Margin is revenue minus spend; no revenue is known")
    return spend, earned, margin, _of_revenue(figures, filters, known=known), requests, per_1k


def _of_revenue(figures: Figures, filters: Filters, *, known: bool) -> StatCard:
    cost, earned, last = figures.totals.cost_picousd, figures.revenue_total, figures.previous
    share = ratio(cost, earned if known else None)
    title = f"{formats.money(cost)} of {formats.money(earned)}" if known else share.title
    card = StatCard("Spend / revenue", share.text.capitalize(), costs_href(filters, "user"), title)
    earned_before = (last and last.revenue_picousd) or 0
    if not last or min(earned, earned_before) < formats.TINY_REVENUE_PICOUSD:
        return card
    now, before = Decimal(cost) / earned, Decimal(last.totals.cost_picousd) / earned_before
    change = formats.delta_points(now, before, better="down")
    return replace(card, delta=change, previous=formats.of_revenue(before))


def _metered(used: Sequence[MeterUse], filters: Filters) -> Panel | None:
    """What the user's metered usage is worth, by meter; None where there is none."""
    if not used:
        return None
    most = max(one.worth or 0 for one in used)
    rows = tuple(
        BarRow(
            name=one.name,
            href=usage_href(filters, meter=str(one.meter_id)),
            value="no rate" if one.worth is None else formats.money(one.worth),
            title=f"{formats.count(one.records)} records",
            share=f"{formats.quantity(one.quantity)} {one.unit}".strip(),
            width_percent=100 * (one.worth or 0) / most if most > 0 else 0,
        )
        for one in used
    )
    return Panel("metered", "Metered usage", rows, usage_href(filters), "All", "worth · quantity")


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
