"""What the records of a meter come to: its aggregation over a span of time, exact.

Raw SQL: the ORM has neither joins of spans nor ordered aggregates with a filter. Times are the records' own; MAX and
LATEST go by them, and of records of the same moment the one that came last is the latest. A span without records has
no row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from events.models import Environment

_LATEST = """(array_agg(r.quantity ORDER BY r.occurred_at DESC, r.id DESC)
    FILTER (WHERE m.aggregation = 'LATEST'))[1]"""
QUANTITY = f"""CASE m.aggregation
    WHEN 'SUM' THEN sum(r.quantity)
    WHEN 'COUNT' THEN count(*)
    WHEN 'MAX' THEN max(r.quantity)
    WHEN 'LATEST' THEN {_LATEST}
    ELSE count(DISTINCT r.unique_value) END"""
"""The quantity of a group of records `r` of one meter `m`."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to before `until`."""

    start: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """What one customer used of one meter in the span with this number."""

    span: int
    customer_id: int
    meter_id: int
    quantity: Decimal
    records: int


def by_customer(
    organization_id: int,
    spans: Sequence[Span],
    *,
    customer_ids: Iterable[int] | None = None,
    meter_id: int | None = None,
) -> list[Used]:
    """Quantities of each span, customer and meter in the live environment; of all customers or of some.

    Index usage_record_of_customer for one customer, usage_record_by_time for all.
    """
    if not spans:
        return []
    wanted = None if customer_ids is None else list(customer_ids)
    statement = f"""SELECT s.n - 1, r.tracked_user_id, r.meter_id, {QUANTITY}, count(*)
FROM unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS s (start, until, n)
JOIN usage_record r ON r.organization_id = %s AND r.environment = {Environment.LIVE.value}
    AND r.occurred_at >= s.start AND r.occurred_at < s.until
JOIN meter m ON m.id = r.meter_id
WHERE (%s::bigint[] IS NULL OR r.tracked_user_id = ANY(%s)) AND (%s::bigint IS NULL OR r.meter_id = %s)
GROUP BY s.n, r.tracked_user_id, r.meter_id, m.aggregation ORDER BY 1, 2, 3"""  # noqa: S608
    columns = [[span.start for span in spans], [span.until for span in spans]]
    params = [*columns, organization_id, wanted, wanted, meter_id, meter_id]
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [Used(int(row[0]), row[1], row[2], Decimal(row[3]), row[4]) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Bucket:
    """What a meter comes to in the bucket with this number: the sum of what each customer comes to, or that of one."""

    number: int
    meter_id: int
    quantity: Decimal
    records: int
    customers: int


def by_bucket(
    organization_id: int,
    edges: Sequence[datetime],
    *,
    environment: int = Environment.LIVE,
    meter_id: int | None = None,
    customer_id: int | None = None,
) -> list[Bucket]:
    """Each meter's quantity between neighbouring edges, summed over the customers: one's seats are not another's.

    Index usage_record_by_time, or usage_record_of_customer for one customer.
    """
    if len(edges) < 2:
        return []
    statement = f"""SELECT bucket - 1, meter_id, sum(quantity), sum(records), count(*) FROM (
    SELECT width_bucket(r.occurred_at, %s::timestamptz[]) AS bucket, r.meter_id, {QUANTITY} AS quantity,
        count(*) AS records
    FROM usage_record r JOIN meter m ON m.id = r.meter_id
    WHERE r.organization_id = %s AND r.environment = %s AND r.occurred_at >= %s AND r.occurred_at < %s
    AND (%s::bigint IS NULL OR r.meter_id = %s) AND (%s::bigint IS NULL OR r.tracked_user_id = %s)
    GROUP BY 1, r.meter_id, r.tracked_user_id, m.aggregation
) c GROUP BY bucket, meter_id ORDER BY 1, 2"""  # noqa: S608
    bounds = (list(edges), organization_id, environment, edges[0], edges[-1])
    params = (*bounds, meter_id, meter_id, customer_id, customer_id)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [Bucket(int(row[0]), row[1], Decimal(row[2]), int(row[3]), row[4]) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Part:
    """What the records of one customer and meter in a part of a month add to what the month has come to before."""

    customer_id: int
    meter_id: int
    records: int
    sum: Decimal
    max: Decimal
    latest: Decimal
    new_values: int


def by_part(
    organization_id: int,
    edges: Sequence[datetime],
    months: Sequence[int],
    *,
    customer_ids: Sequence[int] | None = None,
    counts_values: bool = True,
    takes_latest: bool = True,
) -> dict[int, list[Part]]:
    """The parts between neighbouring edges, by number; `months` says for each of them in which month it lies.

    Whatever the aggregation, a month's quantity after any of its parts follows from these. `counts_values` and
    `takes_latest`: whether there are meters of these kinds, which need the records sorted.
    """
    wanted = None if customer_ids is None else list(customer_ids)
    mine = f"""r.organization_id = %s AND r.environment = {Environment.LIVE.value} AND r.occurred_at >= %s
    AND r.occurred_at < %s AND (%s::bigint[] IS NULL OR r.tracked_user_id = ANY(%s))"""
    bounds = (organization_id, edges[0], edges[-1], wanted, wanted)
    found: dict[tuple[int, int, int], int] = {}
    with connection.cursor() as cursor:
        if counts_values:
            cursor.execute(_NEW_VALUES.format(mine=mine), (list(edges), list(months), *bounds))
            found = {(row[0], row[1], row[2]): row[3] for row in cursor.fetchall()}
        cursor.execute(_PARTS.format(mine=mine, latest=_LATEST if takes_latest else "0"), (list(edges), *bounds))
        parts: dict[int, list[Part]] = {}
        for number, customer_id, meter_id, records, total, most, latest in cursor.fetchall():
            new_values = found.get((number, customer_id, meter_id), 0)
            part = Part(customer_id, meter_id, records, total, most, Decimal(latest), new_values)
            parts.setdefault(number, []).append(part)
    return parts


_PARTS = """SELECT width_bucket(r.occurred_at, %s::timestamptz[]) - 1, r.tracked_user_id, r.meter_id, count(*),
    sum(r.quantity), max(r.quantity), coalesce({latest}, 0)
FROM usage_record r JOIN meter m ON m.id = r.meter_id WHERE {mine}
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
_NEW_VALUES = """SELECT part - 1, tracked_user_id, meter_id, count(*) FROM (
    SELECT min(r.part) AS part, r.tracked_user_id, r.meter_id FROM (
        SELECT r.*, width_bucket(r.occurred_at, %s::timestamptz[]) AS part, %s::int[] AS months FROM usage_record r
    ) r JOIN meter m ON m.id = r.meter_id AND m.aggregation = 'UNIQUE_COUNT' WHERE {mine}
    GROUP BY r.months[r.part], r.tracked_user_id, r.meter_id, r.unique_value
) v GROUP BY 1, 2, 3"""
