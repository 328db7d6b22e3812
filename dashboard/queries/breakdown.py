"""Costs by one dimension: its values with what they cost now and before, and over time.

Raw SQL: the ORM has neither full joins, nor views over rollups, nor sums over a window of sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.cost_search import By, CostSearch, Paying, Sort
from dashboard.filters import Filters
from dashboard.queries import usage
from dashboard.queries.reading import Sql, fetch
from dashboard.queries.usage import Usage

NOTHING = Usage()
_MEASURES = ("events", "errors", "unpriced", "input_tokens", "output_tokens", "cost_picousd")
_SUMS = ", ".join(f"sum({name}) AS {name}" for name in _MEASURES)
_NOW = ", ".join(f"coalesce(n.{name}, 0) AS {name}" for name in _MEASURES)
_LINE = (*_MEASURES, "before_events", "before_picousd", "revenue")
_NO_REVENUE = Sql("SELECT 0::bigint AS tracked_user_id, NULL::numeric AS picousd WHERE false")
_ORDER: dict[Sort, str] = {
    "cost": "cost_picousd",
    "requests": "events",
    "change": "cost_picousd - before_picousd",
    "revenue": "revenue",
    "margin": "revenue - cost_picousd",
    # A user who pays nothing and costs something is beyond every ratio.
    "ratio": """CASE WHEN revenue > 0 THEN cost_picousd / revenue
        WHEN revenue = 0 AND cost_picousd > 0 THEN 'Infinity'::numeric END""",
}
_PAYING: dict[Paying, str] = {
    "": "true",
    "short": "revenue < cost_picousd",
    "unknown": "revenue IS NULL AND value::text <> '0'",
}


@dataclass(frozen=True)
class Line:
    """Sums of one value, or of all: of the period, and of the comparable part of the one before. Money in picousd."""

    usage: Usage = NOTHING
    before_events: int = 0
    before_picousd: int = 0
    revenue_picousd: int | None = None
    """None: no revenue is known."""

    @classmethod
    def of(cls, columns: Sequence[object]) -> "Line":
        """From the columns of a statement in the order of `_LINE`."""
        events, cost, revenue = columns[6:]
        known = None if revenue is None else int(str(revenue))
        return cls(Usage.of(columns[:6]), int(str(events)), int(str(cost)), known)


@dataclass(frozen=True)
class ValueCost:
    """One value of the dimension. Of a user `value` is the external id and `name` the name; '' means "not given"."""

    value: str
    provider: str
    name: str
    line: Line


@dataclass(frozen=True)
class Breakdown:
    """One page of the values, and what is true of all of them."""

    rows: tuple[ValueCost, ...] = ()
    count: int = 0
    """How many values there are."""
    total: Line = Line()
    short: int = 0
    """Users who cost more than they pay, with and without the condition on it."""
    unknown: int = 0
    """Users with requests of whom no revenue is known."""
    unknown_picousd: int = 0


@dataclass(frozen=True)
class BucketCost:
    """Cost of one value in one bucket; `is_other`: of all values that are not among the dearest."""

    start: datetime
    value: str
    provider: str
    name: str
    is_other: bool
    cost_picousd: int


def by_value(organization_id: int, search: CostSearch, before: Filters | None, revenue: Sql | None) -> Breakdown:
    """One page of the values with sums over all of them.

    Index ranges of usage_day, usage_hour, usage_day_user, usage_day_cell or event, as `usage.source_of` says. Paged by
    offset: the order is that of sums, which every page has to make anew, so a keyset would save nothing.
    """
    filters = search.filters
    now = usage.rows(organization_id, filters, search.by, hourly=not filters.whole_days)
    then = usage.compared(organization_id, before, search.by) if before else _none_before(search.by)
    earned = revenue or _NO_REVENUE
    statement = f"""WITH line AS ({_lines(search.by, now, then, earned)}),
marked AS (
    SELECT *, count(*) FILTER (WHERE {_PAYING["short"]}) OVER () AS short,
        count(*) FILTER (WHERE events > 0 AND {_PAYING["unknown"]}) OVER () AS unknown,
        coalesce(sum(cost_picousd) FILTER (WHERE {_PAYING["unknown"]}) OVER (), 0) AS unknown_picousd FROM line
),
page AS (
    SELECT *, count(*) OVER () AS count, {", ".join(f"sum({name}) OVER () AS sum_{name}" for name in _LINE)}
    FROM marked WHERE {_PAYING[search.paying]}
    ORDER BY {_order(search)} LIMIT %s OFFSET %s
)
SELECT {_label(search.by)}, {", ".join(_LINE)}, short, unknown, unknown_picousd, count,
    {", ".join(f"sum_{name}" for name in _LINE)}
FROM page p {_names(search.by)} ORDER BY {_order(search)}"""  # noqa: S608
    params = (*now.params, *then.params, *earned.params, search.rows, search.after)
    found = fetch(statement, (*params, *_names_params(search.by, organization_id)))
    return _breakdown(found)


def by_bucket(organization_id: int, filters: Filters, by: By, limit: int, *, hourly: bool) -> tuple[BucketCost, ...]:
    """Cost per hour or local day of the `limit` dearest values and of the rest. The same index range as `by_value`."""
    source = usage.rows(organization_id, filters, by, hourly=hourly)
    statement = f"""WITH used AS MATERIALIZED (
    SELECT at, value, provider, sum(cost_picousd) AS cost FROM ({source.text}) u GROUP BY 1, 2, 3
),
top AS (
    SELECT value, provider, sum(cost) AS cost FROM used GROUP BY 1, 2 HAVING sum(cost) > 0
    ORDER BY 3 DESC, 1, 2 LIMIT %s
)
SELECT u.at, {_label(by)}, p.value IS NULL, sum(u.cost)
FROM used u LEFT JOIN top p ON p.value = u.value AND p.provider = u.provider {_names(by)}
GROUP BY 1, 2, 3, 4, 5, p.cost ORDER BY p.cost DESC NULLS LAST, 2, 3, 1"""  # noqa: S608
    params = (*source.params, limit, *_names_params(by, organization_id))
    return tuple(
        BucketCost(usage.instant(at, filters), value or "", provider or "", name or "", is_other, int(cost))
        for at, value, provider, name, is_other, cost in fetch(statement, params)
    )


def has_feature(organization_id: int, feature: str) -> bool:
    """Whether any event of the organization ever named the feature. Index event_feature."""
    statement = "SELECT EXISTS (SELECT FROM event WHERE organization_id = %s AND feature = %s)"
    return bool(fetch(statement, (organization_id, feature))[0][0])


def _none_before(by: By) -> Sql:
    value = "0::bigint" if by == "user" else "''"
    return Sql(f"SELECT {value} AS value, '' AS provider, 0 AS events, 0 AS cost_picousd WHERE false")


def _lines(by: By, now: Sql, then: Sql, earned: Sql) -> str:
    user = "tracked_user_id" if by == "user" else "tracked_user_id::text"
    return f"""SELECT coalesce(n.value, b.value, r.value) AS value, coalesce(n.provider, b.provider, '') AS provider,
    {_NOW}, coalesce(b.events, 0) AS before_events, coalesce(b.cost_picousd, 0) AS before_picousd, r.revenue
FROM (SELECT value, provider, {_SUMS} FROM ({now.text}) u GROUP BY 1, 2 HAVING sum(events) > 0) n
FULL JOIN (
    SELECT value, provider, sum(events) AS events, sum(cost_picousd) AS cost_picousd FROM ({then.text}) u
    GROUP BY 1, 2 HAVING sum(events) > 0
) b ON b.value = n.value AND b.provider = n.provider
FULL JOIN (SELECT {user} AS value, picousd AS revenue FROM ({earned.text}) u) r
    ON r.value = coalesce(n.value, b.value)
WHERE coalesce(n.value, b.value) IS NOT NULL OR r.revenue > 0"""  # noqa: S608


def _order(search: CostSearch) -> str:
    direction = "ASC" if search.ascending else "DESC"
    return f"{_ORDER[search.sort]} {direction} NULLS LAST, cost_picousd DESC, events DESC, value, provider"


def _label(by: By) -> str:
    """Value, provider and name of the row `p`: of a user its external id and its name."""
    return "coalesce(t.external_id, ''), '', coalesce(t.name, '')" if by == "user" else "p.value, p.provider, ''"


def _names(by: By) -> str:
    return "LEFT JOIN tracked_user t ON t.id = p.value AND t.organization_id = %s" if by == "user" else ""


def _names_params(by: By, organization_id: int) -> tuple[int, ...]:
    return (organization_id,) if by == "user" else ()


def _breakdown(found: Sequence[tuple[object, ...]]) -> Breakdown:
    if not found:
        return Breakdown()
    end = 3 + len(_LINE)
    rows = tuple(ValueCost(str(row[0]), str(row[1]), str(row[2]), Line.of(row[3:end])) for row in found)
    short, unknown, unknown_picousd, count = (int(str(one)) for one in found[0][end : end + 4])
    return Breakdown(rows, count, Line.of(found[0][end + 4 :]), short, unknown, unknown_picousd)
