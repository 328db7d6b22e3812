"""What the Cost Breakdown reads: the values of a dimension with their costs, and what revenue they carry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dashboard.cost_search import CARRIERS, METADATA, CostSearch
from dashboard.filters import META, Filters
from dashboard.pages import overview_figures
from dashboard.pages.overview_figures import has_revenue
from dashboard.queries import breakdown, metered, revenue, usage
from dashboard.queries.breakdown import Breakdown, Earned, ValueCost
from dashboard.queries.conditions import environment_of
from dashboard.queries.dearest import Dear
from dashboard.queries.reading import Sql
from dashboard.queries.usage import Ids


@dataclass(frozen=True)
class CostFigures:
    """One page of a breakdown, and what is true of all of it."""

    search: CostSearch
    """As it was read: with a key of the metadata, and without what only revenue could answer where there is none."""
    before: Filters | None
    """The period to compare with; None when none is wanted, or the organization is younger than it."""
    breakdown: Breakdown
    with_revenue: bool
    revenue_apart: int
    """Of features: picousd of users who made no request in the period, which belong to no feature."""
    metadata_keys: tuple[str, ...] = ()
    metered: Mapping[str, int] = field(default_factory=dict)
    """Picousd of metered revenue by the external ids of the users shown; empty where there is none."""
    metered_total: int = 0
    is_partial: bool = False
    """Whether this is a first look: what takes long to add up is still to come."""
    dearest: tuple[Dear, ...] | None = None
    """The users that cost most, the dearest first, where they are known already."""


def read(organization_id: int, search: CostSearch) -> CostFigures:
    """Read a breakdown, inside the caller's snapshot. By metadata without a key: by the most frequent one."""
    keys: tuple[str, ...] = ()
    if search.by.startswith(METADATA):
        keys = breakdown.metadata_keys(organization_id, search.filters)
        if search.by == METADATA and keys:
            search = replace(search, by=META + keys[0])
    if search.by == METADATA:
        return CostFigures(search, None, Breakdown(), with_revenue=False, revenue_apart=0)
    can_earn = search.by in CARRIERS and has_revenue(search.filters)
    search = search if can_earn else search.without_revenue()
    before = comparison(organization_id, search.filters)
    used = _metered(organization_id, search.filters) if can_earn else {}
    brought = earned(organization_id, search, before, used) if can_earn else None
    found = breakdown.by_value(organization_id, search, before, brought)
    known = found.total.revenue_picousd
    with_revenue = can_earn and (search.by == "user" or known is not None)
    apart = _apart(organization_id, search, known) if with_revenue and known is not None else 0
    by_name = named(organization_id, search, found.rows, used)
    return CostFigures(search, before, found, with_revenue, apart, keys, by_name, sum(used.values()))


def comparison(organization_id: int, filters: Filters) -> Filters | None:
    """The period to compare with; None when none is wanted, or the organization is younger than it."""
    return overview_figures.comparison(filters, usage.first_event_at(organization_id, environment_of(filters)))


def _metered(organization_id: int, filters: Filters) -> dict[int, int]:
    return metered.of_each_user(organization_id, filters.start, filters.until, filters.user)


def named(
    organization_id: int, search: CostSearch, rows: Sequence[ValueCost], used: Mapping[int, int]
) -> dict[str, int]:
    """The metered revenue of the users shown, by external id."""
    if search.by != "user" or not used:
        return {}
    ids = metered.ids_by_external_id(organization_id, [row.value for row in rows])
    return {external_id: used[user_id] for external_id, user_id in ids.items() if user_id in used}


def earned(
    organization_id: int, search: CostSearch, before: Filters | None, used: Mapping[int, int], among: Ids = None
) -> Earned:
    """What the values bring; of users, maybe only those `among` some. `used` is their metered revenue by their ids."""
    filters = search.filters
    if search.by == "user":
        now = _of_each_user(organization_id, filters, used, among)
        then = _of_each_user(organization_id, before, among=among) if before else None
        return Earned(revenue.of_users(now), revenue.of_users(then) if then else None)
    if search.by == "feature_user":
        now = _rates(organization_id, filters, used=used, among=among)
        return Earned(now, _rates(organization_id, before, is_before=True, among=among) if before else None)
    return Earned(
        spread_over_features(organization_id, filters, used=used),
        spread_over_features(organization_id, before, is_before=True) if before else None,
    )


def spread_over_features(
    organization_id: int,
    filters: Filters,
    feature: str | None = None,
    *,
    is_before: bool = False,
    used: Mapping[int, int] | None = None,
) -> Sql:
    """What features carry of their users' revenue, as `revenue.spread`: of all, or of one; now, or before."""
    rates = _rates(organization_id, filters, is_before=is_before, used=used)
    return revenue.spread(rates, _rows(organization_id, filters, "feature_user", is_before), feature)


def _rates(
    organization_id: int,
    filters: Filters,
    *,
    is_before: bool = False,
    used: Mapping[int, int] | None = None,
    among: Ids = None,
) -> Sql:
    each = _of_each_user(organization_id, filters, used, among)
    return revenue.rates(each, _rows(organization_id, filters, "user", is_before, among))


def _rows(organization_id: int, filters: Filters, kind: usage.Kind, is_before: bool, among: Ids = None) -> Sql:
    if is_before:
        return usage.compared(organization_id, filters, kind, among)
    return usage.rows(organization_id, filters, kind, hourly=not filters.whole_days, summed=True, among=among)


def _of_each_user(
    organization_id: int, filters: Filters, used: Mapping[int, int] | None = None, among: Ids = None
) -> Sql:
    return revenue.of_each_user(organization_id, filters.start, filters.until, filters.zone, filters.user, used, among)


def _apart(organization_id: int, search: CostSearch, known: int) -> int:
    """What all users pay beside what the features carry of it. Less than a cent of it may be rounding."""
    filters = search.filters
    if search.by == "user" or search.paying:
        return 0
    edges = [filters.start, filters.end]
    total = revenue.by_bucket(organization_id, edges, filters.until, filters.zone, filters.user).total
    return max(0, total - known) if total - known > ROUNDING_PICOUSD else 0


ROUNDING_PICOUSD = 10**6
"""A millionth of a dollar: revenue is spread over features in whole picousd."""
