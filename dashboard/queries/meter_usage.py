"""Metered usage as its page shows it: meters, customers and records of a period, by the records' own time.

Raw SQL, because the quantity of a meter is one expression of SQL (`metering.quantities.QUANTITY`). Of several customers
it is the sum of what each comes to, so that rows of customers add up to their meter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from dashboard.queries.reading import Sql, fetch
from metering import quantities
from metering.quantities import QUANTITY, Span


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose usage: the organization and environment, perhaps of one meter or one customer alone."""

    organization_id: int
    environment: int
    meter_id: int | None = None
    customer_id: int | None = None

    def within(self, start: object, until: object) -> Sql:
        """Records `r` of the scope from `start` to before `until`, which are SQL or values."""
        wanted = Sql(
            "r.organization_id = %s AND r.environment = %s AND r.occurred_at >= %s AND r.occurred_at < %s",
            (self.organization_id, self.environment, start, until),
        )
        return Sql.all_of([wanted, *self.narrowed()])

    def narrowed(self) -> list[Sql]:
        """The conditions on meter and customer, where there are any."""
        found = (("r.meter_id", self.meter_id), ("r.tracked_user_id", self.customer_id))
        return [Sql(f"{column} = %s", (value,)) for column, value in found if value is not None]


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """A meter of the organization."""

    id: int
    name: str
    token: UUID
    unit: str
    aggregation: str
    unique_key: str
    is_archived: bool


@dataclass(frozen=True, slots=True)
class MeterUse:
    """What a meter comes to in a span."""

    quantity: Decimal
    records: int
    customers: int


@dataclass(frozen=True, slots=True)
class CustomerUse:
    """What one customer used of a meter."""

    customer_id: int
    external_id: str
    name: str
    quantity: Decimal
    records: int
    latest: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """One usage record. `late_for` is the number of the invoice after whose finalization it came, or ''."""

    id: UUID
    occurred_at: datetime
    received_at: datetime
    quantity: Decimal
    unique_value: str | None
    metadata: str
    """As JSON, cut; '' for none."""
    late_for: str
    meter_id: int
    external_id: str
    name: str


def meters(organization_id: int) -> dict[int, MeterFacts]:
    """All meters of the organization by id, in alphabetical order."""
    statement = """SELECT id, name, token, unit, aggregation, unique_key, archived_at IS NOT NULL FROM meter
WHERE organization_id = %s ORDER BY name, id"""
    return {row[0]: MeterFacts(*row) for row in fetch(statement, (organization_id,))}


def by_meter(scope: Scope, spans: Sequence[Span]) -> list[dict[int, MeterUse]]:
    """For each span the meters with usage in it. Index usage_record_by_time, or usage_record_of_customer."""
    own = Sql("r.organization_id = %s AND r.environment = %s", (scope.organization_id, scope.environment))
    wanted = Sql.all_of([own, *scope.narrowed()])
    statement = f"""SELECT n, meter_id, sum(quantity), sum(records), count(*) FROM (
    SELECT s.n - 1 AS n, r.meter_id, r.tracked_user_id, {QUANTITY} AS quantity, count(*) AS records
    FROM unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS s (start, until, n)
    JOIN usage_record r ON r.occurred_at >= s.start AND r.occurred_at < s.until AND {wanted.text}
    JOIN meter m ON m.id = r.meter_id
    GROUP BY s.n, r.meter_id, r.tracked_user_id, m.aggregation
) c GROUP BY n, meter_id"""  # noqa: S608
    bounds = ([span.start for span in spans], [span.until for span in spans])
    found: list[dict[int, MeterUse]] = [{} for _ in spans]
    for number, meter_id, quantity, records, customers in fetch(statement, (*bounds, *wanted.params)):
        found[number][meter_id] = MeterUse(Decimal(quantity), int(records), customers)
    return found


def by_customer(scope: Scope, span: Span, limit: int, offset: int) -> list[CustomerUse]:
    """The customers of the scope's meter, who used most first. Index usage_record_of_customer."""
    wanted = scope.within(span.start, span.until)
    statement = f"""SELECT c.tracked_user_id, coalesce(u.external_id, ''), coalesce(u.name, ''), c.quantity, c.records,
    c.latest
FROM (
    SELECT r.tracked_user_id, {QUANTITY} AS quantity, count(*) AS records, max(r.occurred_at) AS latest
    FROM usage_record r JOIN meter m ON m.id = r.meter_id WHERE {wanted.text}
    GROUP BY r.tracked_user_id, m.aggregation
) c LEFT JOIN tracked_user u ON u.id = c.tracked_user_id
ORDER BY c.quantity DESC, c.tracked_user_id LIMIT %s OFFSET %s"""  # noqa: S608
    rows = fetch(statement, (*wanted.params, limit, offset))
    return [
        CustomerUse(customer_id, external_id, name, Decimal(quantity), records, latest)
        for customer_id, external_id, name, quantity, records, latest in rows
    ]


def by_bucket(scope: Scope, edges: Sequence[datetime]) -> dict[int, Decimal]:
    """What the scope's meter comes to between neighbouring edges, by number; without those that have no record."""
    found = quantities.by_bucket(
        scope.organization_id,
        edges,
        environment=scope.environment,
        meter_id=scope.meter_id,
        customer_id=scope.customer_id,
    )
    return {bucket.number: bucket.quantity for bucket in found}


def records(scope: Scope, span: Span, limit: int, before: tuple[datetime, UUID] | None = None) -> list[Record]:
    """The records of the span, newest first by their own time; `before` (time and id, excluded) continues.

    Index usage_record_by_time read backwards, or usage_record_of_customer for one customer of one meter.
    """
    pieces = [scope.within(span.start, span.until)]
    if before is not None:
        pieces.append(Sql("r.occurred_at <= %s AND (r.occurred_at, r.id) < (%s, %s)", (before[0], *before)))
    wanted = Sql.all_of(pieces)
    statement = f"""SELECT r.id, r.occurred_at, r.received_at, r.quantity, r.unique_value,
    coalesce(left(r.metadata::text, 200), ''), coalesce(i.number, ''), r.meter_id, coalesce(u.external_id, ''),
    coalesce(u.name, '')
FROM usage_record r LEFT JOIN tracked_user u ON u.id = r.tracked_user_id
LEFT JOIN invoice i ON i.id = r.late_for_id AND i.status = 'finalized'
WHERE {wanted.text} ORDER BY r.occurred_at DESC, r.id DESC LIMIT %s"""  # noqa: S608
    return [Record(*row) for row in fetch(statement, (*wanted.params, limit))]


def has_records(organization_id: int) -> bool:
    """Whether the organization has ever sent usage. Index usage_record_newest."""
    statement = "SELECT EXISTS (SELECT FROM usage_record WHERE organization_id = %s)"
    return bool(fetch(statement, (organization_id,))[0][0])
