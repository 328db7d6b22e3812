"""Usage by one dimension and bucket of time, of the dearest values, with what all of them come to.

Raw SQL: the ORM has neither views over rollups, nor sums over sums, nor `width_bucket`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from dashboard.filters import Filters, local_day
from dashboard.queries import names, usage
from dashboard.queries.reading import Sql, fetch
from dashboard.queries.usage import NOTHING, Usage
from dashboard.queries.user_rows import MEASURES, SUMS

By = Literal["feature", "user", "model", "provider", "status", "step"]


@dataclass(frozen=True)
class GroupUsage:
    """Usage of one value in the bucket `bucket`, counted from 0. Of a user `value` is the external id, with its name.

    '' means "not given"; of a status, `value` is the stored number. `provider` is the other half of a model's name.
    """

    bucket: int
    value: str
    provider: str
    name: str
    usage: Usage


@dataclass(frozen=True)
class Grouped:
    """Rows by bucket and then by cost over the whole period; only of values and buckets that have events."""

    rows: tuple[GroupUsage, ...] = ()
    values: int = 0
    """How many values there are, with those that are left out."""
    total: Usage = NOTHING


def grouped(organization_id: int, filters: Filters, by: By, edges: Sequence[datetime], limit: int) -> Grouped:
    """The `limit` values that cost most in the period, in the buckets between `edges`, of which two are one bucket.

    Index ranges of usage_day, usage_hour, usage_day_user, usage_day_cell or event, as `usage.source_of` says.
    """
    (source, bucket), user = _source(organization_id, filters, by, edges), names.join(by, organization_id)
    statement = f"""WITH used AS MATERIALIZED (
    SELECT {bucket.text} AS bucket, value, provider, {SUMS} FROM ({source.text}) u GROUP BY 1, 2, 3
),
line AS MATERIALIZED (SELECT value, provider, {SUMS} FROM used GROUP BY 1, 2 HAVING sum(events) > 0),
top AS (
    SELECT value, provider, row_number() OVER (ORDER BY cost_picousd DESC, events DESC, value, provider) AS place
    FROM line ORDER BY place LIMIT %s
),
shown AS (
    SELECT u.*, top.place FROM used u JOIN top ON top.value = u.value AND top.provider = u.provider WHERE u.events > 0
),
total AS (SELECT count(*) AS count, {", ".join(f"sum({name}) AS sum_{name}" for name in MEASURES)} FROM line)
SELECT total.*, p.bucket, {names.label(by)}, {", ".join(f"p.{name}" for name in MEASURES)}
FROM total LEFT JOIN shown p ON true {user.text} ORDER BY p.bucket, p.place"""  # noqa: S608
    params = (*bucket.params, *source.params, limit, *user.params)
    return _read(fetch(statement, params))


def _source(organization_id: int, filters: Filters, by: By, edges: Sequence[datetime]) -> tuple[Sql, Sql]:
    """Rows of usage, and the number of the bucket of each."""
    zone, summed = filters.zone, len(edges) == 2
    hourly = not all(local_day(edge, zone) == edge for edge in edges)
    if summed:
        bucket = Sql("0")
    elif hourly:
        # The hour in which the period begins may have begun before it.
        bucket = Sql("greatest(width_bucket(at, %s::timestamptz[]) - 1, 0)", (list(edges),))
    else:
        bucket = Sql("width_bucket(at, %s::date[]) - 1", ([edge.astimezone(zone).date() for edge in edges],))
    if hourly and not (_is_hour(filters.start, zone) and _is_hour(filters.end, zone)):
        return usage.of_events(organization_id, filters, by, hourly=True), bucket
    return usage.rows(organization_id, filters, by, hourly=hourly, summed=summed), bucket


def _is_hour(at: datetime, zone: ZoneInfo) -> bool:
    local = at.astimezone(zone)
    return (local.minute, local.second, local.microsecond) == (0, 0, 0)


def _read(found: Sequence[tuple[Any, ...]]) -> Grouped:
    measures = len(MEASURES)
    values, *total = found[0][: measures + 1]
    rows = (columns[measures + 1 :] for columns in found)
    return Grouped(
        rows=tuple(
            GroupUsage(bucket, value, provider, name, Usage.of(sums))
            for bucket, value, provider, name, *sums in rows
            if bucket is not None
        ),
        values=values,
        total=Usage.of(total),
    )
