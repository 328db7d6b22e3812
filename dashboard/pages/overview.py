"""The Overview: six figures against the period before, two charts, who and what costs most, what came last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.pages import overview_cards, overview_charts, settings_time_zone
from dashboard.pages.filter_form import FilterForm, filter_form
from dashboard.pages.latency_table import LatencyTable, latency_table
from dashboard.pages.links import chips, costs_href, live_words, model_name, period_options, requests_href, views_href
from dashboard.pages.overview_figures import Figures, has_revenue, no_revenue_note, read
from dashboard.pages.parts import Banner, BarRow, Chart, Chip, Frame, Option, StatCard
from dashboard.pages.request_rows import RequestRow, request_rows
from dashboard.pages.settings_time_zone import Progress
from dashboard.pages.value_bars import feature_bars, user_bars
from dashboard.queries import events, latency, options, rejected, revenue, usage, users
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit

TOP = 8
LATEST = 8
MANY_TO_SEARCH = 200_000
"""Requests of the period: to find those that match among so many takes long enough to be noticed."""


@dataclass(frozen=True)
class Overview:
    """All that `overview.html` prints."""

    frame: Frame
    live_href: str
    is_partial: bool
    """Whether this is a first look: the live part follows with what takes long to add up."""
    periods: Sequence[Option]
    compare: Option
    form: FilterForm
    views_href: str
    period_text: str
    chips: Sequence[Chip]
    clear_href: str
    banners: Sequence[Banner]
    cards: Sequence[StatCard]
    spend: Chart
    revenue: Chart | None
    """None: no revenue was ever sent, so the page says how to send it."""
    revenue_note: str
    revenue_snippet: str
    features: Sequence[BarRow]
    features_href: str
    users: Sequence[BarRow] | None
    """None: still being added up."""
    users_href: str
    users_sub: str
    latest: Sequence[RequestRow]
    requests_href: str
    latency: LatencyTable
    zone_change: Progress
    """How far the usage of another time zone is counted."""


def build(visit: Visit, filters: Filters, revision: str) -> Overview:
    """Read everything in one snapshot and lay it out. Twelve statements at most, whatever the amount of data."""
    organization = visit.organization_id
    with snapshot():
        figures = read(organization, filters)
        features = usage.by_value(organization, filters, "feature", TOP)
        is_partial = visit.first_look and _is_users_slow(organization, filters)
        top_users = () if is_partial else users.top(organization, filters, TOP)
        ids = [one.tracked_user_id for one in top_users if one.tracked_user_id]
        earned = revenue.by_user(organization, ids, filters.start, filters.until, filters.zone)
        latest = events.newest(organization, filters, LATEST)
        times = latency.of_period(organization, filters)
        known = options.in_use(organization, filters)
        hour_ago = visit.now - timedelta(hours=1)
        refused = rejected.count_since(organization, hour_ago, with_unknown=visit.sees_unknown_keys)
    return Overview(
        frame=visit.frame("Overview", "overview", filters.environment),
        live_href=filters.href(reverse("dashboard:overview"), **live_words(revision, is_partial=is_partial)),
        is_partial=is_partial,
        periods=period_options(filters),
        compare=_compare(filters),
        form=filter_form(filters, known, reverse("dashboard:overview"), "Filter the overview", compares=True),
        views_href=views_href("overview", filters),
        period_text=filters.period_text,
        chips=chips(filters),
        clear_href=filters.without_conditions(),
        banners=_banners(figures, filters, refused),
        cards=overview_cards.cards(figures, filters),
        spend=overview_charts.spend_by_model(figures, filters),
        revenue=overview_charts.revenue_and_spend(figures, filters),
        revenue_note=_revenue_note(filters),
        revenue_snippet=REVENUE_SNIPPET if figures.revenue else "",
        features=feature_bars(features, figures.totals.cost_picousd, filters),
        features_href=costs_href(filters, "feature"),
        users=None if is_partial else user_bars(top_users, earned, filters),
        users_href=costs_href(filters, "user"),
        users_sub="spend · % of revenue" if has_revenue(filters) else "spend",
        latest=request_rows(latest, filters),
        requests_href=requests_href(filters),
        latency=latency_table(times),
        zone_change=settings_time_zone.progress(visit),
    )


def _is_users_slow(organization_id: int, filters: Filters) -> bool:
    """Whether users are read from the requests, and there are many among which those that match are looked for."""
    if usage.source_of(filters, "user") != "events":
        return False
    return usage.totals(organization_id, filters.without(filters.conditions)).events > MANY_TO_SEARCH


REVENUE_SNIPPET = '"metadata": {"user": {"id": "user-123", "monthlyRevenue": 49.0}}'


def _compare(filters: Filters) -> Option:
    on = filters.compare != "none"
    return Option("Compare", "prev", filters.href(compare="none" if on else "prev"), selected=on)


def _banners(figures: Figures, filters: Filters, refused: int) -> tuple[Banner, ...]:
    found = []
    if figures.first_event_at is None:
        other = "test" if filters.environment == "live" else "live"
        text = f"No {filters.environment} events yet. The {other} environment has some."
        found.append(Banner(text, "info", filters.href(environment=other), f"Show {other}"))
    elif not figures.totals.events:
        found.append(Banner("No requests in this period match.", "info", filters.href(period="90d"), "Show 90 days"))
    if figures.totals.unpriced:
        href = requests_href(filters, priced="no")
        found.append(Banner(_unpriced_text(figures), "warn", href, "Show them"))
    if refused:
        calls = "1 call was" if refused == 1 else f"{formats.count(refused)} calls were"
        text = f"{calls} rejected in the last hour."
        found.append(Banner(text, "bad", reverse("dashboard:rejected"), "See why"))
    return tuple(found)


def _unpriced_text(figures: Figures) -> str:
    count = figures.totals.unpriced
    subject = (
        "1 request has no price and is" if count == 1 else f"{formats.count(count)} requests have no price and are"
    )
    models = [model_name(*key) for key in figures.unpriced_models]
    named_ones = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    return f"{subject} left out of every total. Model{'s' if len(models) > 1 else ''}: {named_ones}."


def _revenue_note(filters: Filters) -> str:
    if not has_revenue(filters):
        return no_revenue_note(filters)
    return "Send what each user pays per month with any event, and the gross margin appears here."
