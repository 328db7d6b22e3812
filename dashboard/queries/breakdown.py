"""Costs by one dimension: its values with what they cost now and before, and over time.

Raw SQL: the ORM has neither full joins, nor views over rollups, nor sums over a window of sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.cost_search import By, CostSearch, Paying, Sort
from dashboard.filters import Filters
from dashboard.queries import dearest, names, usage, user_rows
from dashboard.queries.conditions import id_floor, on_events
from dashboard.queries.dearest import Dear
from dashboard.queries.reading import Sql, fetch
from dashboard.queries.usage import NOTHING, OF_USERS, Ids, Usage
from dashboard.queries.user_rows import MEASURES, SUMS, Cover

LATEST_WITH_KEYS = 2_000
"""How many of the latest requests are asked for the keys of their metadata."""
MOST_KEYS = 20
_LINE = (*MEASURES, "before_events", "before_picousd", "revenue", "before_revenue")
_ORDER: dict[Sort, str] = {
    "cost": "cost_picousd",
    "requests": "events",
    "change": "cost_picousd - before_picousd",
    "revenue": "revenue",
    "margin": "revenue - cost_picousd",
    "margin_change": "revenue - cost_picousd - (before_revenue - before_picousd)",
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
    before_revenue_picousd: int | None = None
    is_pending: bool = False
    """Whether the revenue is still to be added up."""

    @classmethod
    def of(cls, columns: Sequence[Any]) -> "Line":
        """From the columns of a statement in the order of `_LINE`."""
        events, cost, *earned = columns[6:]
        revenue, before = (None if one is None else int(one) for one in earned)
        return cls(Usage.of(columns[:6]), int(events), int(cost), revenue, before)


@dataclass(frozen=True)
class ValueCost:
    """One value of the dimension. Of a user `value` is the external id and `name` the name; '' means "not given".

    `provider` is the other half of a model's name; of a feature and user it is the feature.
    """

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
    """Values that cost more than they bring, with and without the condition on it."""
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


@dataclass(frozen=True)
class Earned:
    """Rows (value, provider, picousd): what each value brought in the period and, where compared, in the one before.

    Of features and users: the rates of each user, as `revenue.rates`.
    """

    now: Sql
    before: Sql | None = None


def by_value(
    organization_id: int, search: CostSearch, before: Filters | None, earned: Earned | None, among: Ids = None
) -> Breakdown:
    """One page of the values with sums over all of them; of users, maybe only of those `among` some.

    Index ranges of usage_day, usage_hour, usage_day_user, usage_day_cell or event, as `usage.source_of` says. Paged by
    offset: the order is that of sums, which every page has to make anew, so a keyset would save nothing.
    """
    filters = search.filters
    now = usage.rows(organization_id, filters, search.by, hourly=not filters.whole_days, summed=True, among=among)
    then = usage.compared(organization_id, before, search.by, among) if before else _nothing(search.by)
    line = (_rated if search.by == "feature_user" else _lines)(search.by, now, then, earned)
    shown, user = _PAYING[search.paying], names.join(search.by, organization_id)
    statement = f"""WITH line AS MATERIALIZED ({line.text}),
total AS (
    SELECT count(*) FILTER (WHERE {_PAYING["short"]}) AS short,
        count(*) FILTER (WHERE events > 0 AND {_PAYING["unknown"]}) AS unknown,
        coalesce(sum(cost_picousd) FILTER (WHERE {_PAYING["unknown"]}), 0) AS unknown_picousd,
        count(*) FILTER (WHERE {shown}) AS count,
        {", ".join(f"sum({name}) FILTER (WHERE {shown}) AS sum_{name}" for name in _LINE)}
    FROM line
),
page AS (SELECT * FROM line WHERE {shown} ORDER BY {_order(search)} LIMIT %s OFFSET %s)
SELECT {names.label(search.by)}, {", ".join(f"p.{name}" for name in _LINE)}, total.*
FROM page p CROSS JOIN total {user.text} ORDER BY {_order(search)}"""  # noqa: S608
    params = (*line.params, search.rows, search.after, *user.params)
    found = fetch(statement, params)
    return _breakdown(found)


def by_bucket(
    organization_id: int, filters: Filters, by: By, limit: int, *, hourly: bool, top: Sequence[Dear] | None = None
) -> tuple[BucketCost, ...]:
    """Cost per hour or local day of the `limit` dearest values and of the rest, the dearest value first.

    Of users by day, only the dearest are read, which are `top` where they are known already; of anything else, the same
    index range as `by_value`.
    """
    if by in OF_USERS and usage.source_of(filters, by, hourly=hourly) != "events":
        found = dearest.find(organization_id, filters, by, limit) if top is None else top[:limit]
        return _by_day_of_users(organization_id, filters, by, [one for one in found if one.cost_picousd > 0])
    source, user = usage.rows(organization_id, filters, by, hourly=hourly), names.join(by, organization_id)
    statement = f"""WITH used AS MATERIALIZED (
    SELECT at, value, provider, sum(cost_picousd) AS cost FROM ({source.text}) u GROUP BY 1, 2, 3
),
top AS (
    SELECT value, provider, row_number() OVER (ORDER BY sum(cost) DESC, value, provider) AS place
    FROM used GROUP BY 1, 2 HAVING sum(cost) > 0 ORDER BY 3 LIMIT %s
),
placed AS (
    SELECT u.at, t.place, sum(u.cost) AS cost
    FROM used u LEFT JOIN top t ON t.value = u.value AND t.provider = u.provider GROUP BY 1, 2
)
SELECT s.at, {names.label(by)}, p.value IS NULL, s.cost
FROM placed s LEFT JOIN top p ON p.place = s.place {user.text} ORDER BY s.place NULLS LAST, 1"""  # noqa: S608
    params = (*source.params, limit, *user.params)
    return tuple(
        BucketCost(usage.instant(at, filters), value or "", provider or "", name or "", is_other, int(cost))
        for at, value, provider, name, is_other, cost in fetch(statement, params)
    )


def _by_day_of_users(organization_id: int, filters: Filters, by: By, top: Sequence[Dear]) -> tuple[BucketCost, ...]:
    """The rest is what all of them cost that day, without the dearest."""
    days = usage.by_bucket(organization_id, filters, "total", hourly=False)
    rest = {day.start: day.usage.cost_picousd for day in days}
    found = []
    for at, value, feature, name, cost in _days_of(organization_id, filters, by, top):
        start = usage.instant(at, filters)
        rest[start] -= int(cost)
        found.append(BucketCost(start, value, feature, name, False, int(cost)))
    return (*found, *(BucketCost(start, "", "", "", True, cost) for start, cost in rest.items()))


def _days_of(organization_id: int, filters: Filters, by: By, top: Sequence[Dear]) -> list[tuple[Any, ...]]:
    """The days of some users, or users and features: keys of usage_day_user, or of usage_day_user_feature."""
    ids, features = [one.value for one in top], [one.feature for one in top]
    only = [user_rows.one_of(ids)]
    if by == "feature_user":
        only.append(Sql("e.feature = ANY(%s)", (sorted(set(features)),)))
    source = usage.of_users(organization_id, filters, by, Cover(days=filters.days), *only)
    user = names.join(by, organization_id)
    statement = f"""SELECT u.at, {names.label(by)}, sum(u.cost_picousd) FROM ({source.text}) u
JOIN unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS p (value, provider, place) USING (value, provider) {user.text}
GROUP BY p.place, u.at, {names.label(by)} ORDER BY p.place, 1"""  # noqa: S608
    return fetch(statement, (*source.params, ids, features, *user.params))


def has_feature(organization_id: int, feature: str) -> bool:
    """Whether any event of the organization ever named the feature. Index event_feature."""
    statement = "SELECT EXISTS (SELECT FROM event WHERE organization_id = %s AND feature = %s)"
    return bool(fetch(statement, (organization_id, feature))[0][0])


def metadata_keys(organization_id: int, filters: Filters) -> tuple[str, ...]:
    """The keys of the metadata of the period's latest requests, the most frequent first. Index event_newest."""
    wanted = on_events(organization_id, filters, id_floor(filters.start), id_floor(filters.end))
    statement = f"""SELECT key FROM (
    SELECT e.metadata FROM event e WHERE {wanted.text} ORDER BY e.id DESC LIMIT {LATEST_WITH_KEYS}
) m, jsonb_object_keys(m.metadata) AS key GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {MOST_KEYS}"""  # noqa: S608
    return tuple(row[0] for row in fetch(statement, wanted.params))


def _nothing(by: By) -> Sql:
    value = "0::bigint" if by in OF_USERS else "''"
    return Sql(
        f"SELECT {value} AS value, '' AS provider, 0 AS events, 0::numeric AS cost_picousd, 0 AS picousd WHERE false"
    )


def _lines(by: By, now: Sql, then: Sql, earned: Earned | None) -> Sql:
    """Everything about each value, added up in one pass: joins of as many sums take several times as long."""
    revenue, former = (earned and earned.now) or _nothing(by), (earned and earned.before) or _nothing(by)
    zeros = ", ".join("0" for _ in MEASURES)
    text = f"""SELECT value, {"''" if by == "user" else "provider"} AS provider, {SUMS},
    sum(before_events) AS before_events, sum(before_picousd) AS before_picousd,
    round(sum(revenue)) AS revenue, round(sum(before_revenue)) AS before_revenue
FROM (
    SELECT value, provider, {", ".join(MEASURES)}, 0 AS before_events, 0 AS before_picousd,
        NULL::numeric AS revenue, NULL::numeric AS before_revenue FROM ({now.text}) n
    UNION ALL SELECT value, provider, {zeros}, events, cost_picousd, NULL, NULL FROM ({then.text}) b
    UNION ALL SELECT value, provider, {zeros}, 0, 0, picousd, NULL FROM ({revenue.text}) r
    UNION ALL SELECT value, provider, {zeros}, 0, 0, NULL, picousd FROM ({former.text}) f
) u
GROUP BY 1, 2
HAVING sum(events) > 0 OR sum(before_events) > 0 OR sum(revenue) <> 0 OR sum(before_revenue) <> 0"""  # noqa: S608
    return Sql(text, (*now.params, *then.params, *revenue.params, *former.params))


def _rated(by: By, now: Sql, then: Sql, earned: Earned | None) -> Sql:
    """The same of features and users, whose revenue is the user's rate times what they cost."""
    sums = _lines(by, now, then, None)
    nobody = Sql("SELECT 0 AS tracked_user_id, 0 AS per_picousd, 0 AS per_event LIMIT 0")
    rates, former = (earned and earned.now) or nobody, (earned and earned.before) or nobody
    text = f"""SELECT value, provider, {", ".join(_LINE[:8])},
    CASE WHEN events > 0 THEN round(coalesce(cost_picousd * n.per_picousd, events * n.per_event)) END AS revenue,
    CASE WHEN before_events > 0
        THEN round(coalesce(before_picousd * f.per_picousd, before_events * f.per_event)) END AS before_revenue
FROM ({sums.text}) s
LEFT JOIN ({rates.text}) n ON n.tracked_user_id = s.value LEFT JOIN ({former.text}) f ON f.tracked_user_id = s.value"""  # noqa: S608
    return Sql(text, (*sums.params, *rates.params, *former.params))


def _order(search: CostSearch) -> str:
    direction = "ASC" if search.ascending else "DESC"
    return f"{_ORDER[search.sort]} {direction} NULLS LAST, cost_picousd DESC, events DESC, value, provider"


def _breakdown(found: Sequence[tuple[Any, ...]]) -> Breakdown:
    if not found:
        return Breakdown()
    end = 3 + len(_LINE)
    rows = tuple(ValueCost(str(row[0]), str(row[1]), str(row[2]), Line.of(row[3:end])) for row in found)
    short, unknown, unknown_picousd, count = (int(one) for one in found[0][end : end + 4])
    return Breakdown(rows, count, Line.of(found[0][end + 4 :]), short, unknown, unknown_picousd)
