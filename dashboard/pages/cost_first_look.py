"""What is quick to know of the costs by user or feature, where there are many users.

Who pays for a feature, how many users there are and which of them cost more than they pay is known once every user has
been added up. The dearest users are known at once, as are sums over all; so a page begins with these, and its live part
follows with all of it.
"""

from dataclasses import replace

from dashboard.cost_search import CARRIERS, OF_REVENUE, CostSearch
from dashboard.filters import Filters
from dashboard.pages import cost_figures
from dashboard.pages.cost_figures import CostFigures
from dashboard.pages.overview_figures import has_revenue
from dashboard.queries import breakdown, dearest, metered, revenue, users
from dashboard.queries.breakdown import Breakdown, Line
from dashboard.queries.usage import OF_USERS
from dashboard.visit import Visit


def read(visit: Visit, search: CostSearch) -> CostFigures:
    """Read a breakdown inside the caller's snapshot: all of it, or for a first look what is quick."""
    organization = visit.organization_id
    found = None
    if visit.first_look and _may_be_quick(search) and users.are_many(organization):
        found = (_of_users if search.by in OF_USERS else _of_features)(organization, search)
    return found or cost_figures.read(organization, search)


def _may_be_quick(search: CostSearch) -> bool:
    """Whether the first rows are known without all others: these are the dearest, and features are always few."""
    filters = search.filters
    if search.by not in CARRIERS or filters.conditions or not has_revenue(filters) or not filters.whole_days:
        return False
    by_cost = search.sort == "cost" and not search.ascending
    is_first = not search.paying and not search.after
    return is_first and (by_cost if search.by in OF_USERS else search.sort not in OF_REVENUE)


def _of_features(organization_id: int, search: CostSearch) -> CostFigures:
    before = cost_figures.comparison(organization_id, search.filters)
    found = breakdown.by_value(organization_id, search, before, None)
    is_known = revenue.is_known(organization_id)
    rows = tuple(replace(row, line=replace(row.line, is_pending=is_known)) for row in found.rows)
    total = replace(found.total, is_pending=is_known)
    found = replace(found, rows=rows, total=total)
    return CostFigures(search, before, found, with_revenue=is_known, revenue_apart=0, is_partial=is_known)


def _of_users(organization_id: int, search: CostSearch) -> CostFigures | None:
    """The rows are exact: the dearest, with one more that tells whether more follow; None where these are all.

    After them would then come those that only the period before knows, or only what is paid.
    """
    filters, before = search.filters, cost_figures.comparison(organization_id, search.filters)
    top = dearest.find(organization_id, filters, search.by, search.rows + 1)
    if len(top) <= search.rows:
        return None
    among = sorted({0, *(one.value for one in top)})
    used = metered.of_some(organization_id, filters.start, filters.until, among)
    earned = cost_figures.earned(organization_id, search, before, used, among)
    found = breakdown.by_value(organization_id, replace(search, rows=search.rows + 1), before, earned, among)
    total = replace(_total(organization_id, search, before), is_pending=True)
    rows = found.rows[: search.rows]
    return CostFigures(
        search,
        before,
        Breakdown(rows, len(found.rows), total),
        with_revenue=True,
        revenue_apart=0,
        metered=cost_figures.named(organization_id, search, rows, used),
        metered_total=sum(used.values()),
        is_partial=True,
        dearest=top,
    )


def _total(organization_id: int, search: CostSearch, before: Filters | None) -> Line:
    return breakdown.by_value(organization_id, replace(search, by="total"), before, None).total
