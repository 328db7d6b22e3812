"""The six figures at the top of the Overview, each with its change and its course."""

from collections.abc import Sequence
from decimal import Decimal

from dashboard.filters import Filters
from dashboard.formats import (
    TOO_EARLY,
    Delta,
    count,
    delta,
    delta_points,
    money,
    money_exact,
    percent,
    sparkline_points,
)
from dashboard.pages.links import costs_href, requests_href
from dashboard.pages.overview_figures import Figures, cost_per_1k, error_rate, margin, why_no_revenue
from dashboard.pages.parts import StatCard

NO_REVENUE = "No revenue"


def cards(figures: Figures, filters: Filters) -> tuple[StatCard, ...]:
    """Spend, revenue, gross margin, requests, cost per 1K requests, error rate."""
    return (
        _spend(figures, filters),
        _revenue(figures, filters),
        _margin(figures, filters),
        _requests(figures, filters),
        _per_1k(figures, filters),
        _error_rate(figures, filters),
    )


def _card(
    figures: Figures,
    label: str,
    value: str,
    href: str,
    change: Delta | None,
    previous: str,
    course: Sequence[int | Decimal],
    title: str = "",
) -> StatCard:
    if figures.previous is None:
        change, previous = None, ""
    return StatCard(label, value, href, title, change, previous, sparkline_points(course))


def _spend(figures: Figures, filters: Filters) -> StatCard:
    now, before = figures.totals.cost_picousd, figures.previous.totals.cost_picousd if figures.previous else None
    course = [one.cost_picousd for one in figures.by_bucket]
    change = delta(now, before, better=None)
    href = requests_href(filters)
    return _card(figures, "Spend", money(now), href, change, money(before), course, money_exact(now))


def _revenue(figures: Figures, filters: Filters) -> StatCard:
    if figures.revenue is None:
        return StatCard("Revenue", money(None), requests_href(filters), why_no_revenue(filters))
    href = costs_href(filters, "user", sort="revenue")
    if not figures.revenue.ever_sent:
        return StatCard("Revenue", NO_REVENUE, href, "No user's monthly revenue was ever sent")
    now, before = figures.revenue_total, figures.previous.revenue_picousd if figures.previous else None
    change, course = delta(now, before, better="up"), figures.revenue.by_bucket
    title = f"{money_exact(now)}: what users pay per month, prorated by the second up to now"
    if used := figures.metered_total:
        title = (
            f"{money_exact(now)}: {money(now - used)} of what users pay per month, prorated by the second up to now,"
            f" and {money(used)} for metered usage"
        )
    return _card(figures, "Revenue", money(now), href, change, money(before), course, title)


def _margin(figures: Figures, filters: Filters) -> StatCard:
    spend, href = figures.totals.cost_picousd, costs_href(filters, "user", sort="-margin")
    now = margin(figures.revenue_total, spend)
    if figures.revenue is None:
        return StatCard("Gross margin", money(None), href, why_no_revenue(filters))
    if now is None and figures.revenue_total:
        return StatCard("Gross margin", "Too early", href, f"{TOO_EARLY}: {money_exact(figures.revenue_total)}")
    if now is None:
        return StatCard("Gross margin", NO_REVENUE, href, "Margin is revenue minus spend, as a share of revenue")
    last = figures.previous
    before = margin(last.revenue_picousd, last.totals.cost_picousd) if last else None
    pairs = zip(figures.revenue.by_bucket, figures.by_bucket, strict=True)
    course = [margin(earned, one.cost_picousd) or Decimal(0) for earned, one in pairs]
    change, was = delta_points(now, before, better="up"), "no revenue" if before is None else percent(before)
    title = f"{money(figures.revenue_total - spend)} left of {money(figures.revenue_total)}"
    return _card(figures, "Gross margin", percent(now), href, change, was, course, title)


def _requests(figures: Figures, filters: Filters) -> StatCard:
    now, before = figures.totals.events, figures.previous.totals.events if figures.previous else None
    change, course = delta(now, before, better=None), [one.events for one in figures.by_bucket]
    return _card(figures, "Requests", count(now), requests_href(filters), change, count(before), course)


def _per_1k(figures: Figures, filters: Filters) -> StatCard:
    now, before = cost_per_1k(figures.totals), cost_per_1k(figures.previous.totals) if figures.previous else None
    change, course = delta(now, before, better="down"), [cost_per_1k(one) or 0 for one in figures.by_bucket]
    title = "Spend per 1,000 requests that have a price"
    href = requests_href(filters)
    return _card(figures, "Cost per 1K requests", money(now), href, change, money(before), course, title)


def _error_rate(figures: Figures, filters: Filters) -> StatCard:
    now, before = error_rate(figures.totals), error_rate(figures.previous.totals) if figures.previous else None
    change, course = (
        delta_points(now, before, better="down"),
        [error_rate(one) or Decimal(0) for one in figures.by_bucket],
    )
    title = f"{count(figures.totals.errors)} of {count(figures.totals.events)} requests failed"
    href = requests_href(filters, status="error")
    return _card(figures, "Error rate", percent(now), href, change, percent(before), course, title)
