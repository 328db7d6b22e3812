"""What a meter's usage came to, in buckets of the organization's zone, by the meter's aggregation."""

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from events.models import TrackedUser
from events.wire import FieldError
from metering import quantities
from metering.api import buckets
from metering.api.access import Caller
from metering.api.buckets import Granularity
from metering.api.errors import invalid, not_found
from metering.models import Aggregation, Meter
from metering.periods import day_start
from metering.quantities import Bucket

MAX_BUCKETS: Final = 1000
NOTHING: Final = {Aggregation.SUM: Decimal(0), Aggregation.COUNT: Decimal(0), Aggregation.UNIQUE_COUNT: Decimal(0)}
"""What no records come to; they have no largest and no latest."""

type Bounds = tuple[date | datetime | None, date | datetime | None]


@dataclass(frozen=True, slots=True)
class Part:
    """A bucket as it is answered."""

    start: str
    end: str
    quantity: Decimal | None
    records: int
    customers: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole answer."""

    meter_id: int
    customer_id: int | None
    aggregation: str
    unit: str
    granularity: str
    time_zone: str
    items: list[Part]
    total: Part


def build(caller: Caller, meter_id: int, customer_id: int | None, bounds: Bounds, granularity: Granularity) -> Summary:
    """Raises HttpError 404 for a meter or customer that is not there, 422 for a span that is empty or too long."""
    meter = _meter(caller, meter_id, customer_id)
    edges = _edges(caller, bounds, granularity)
    return Summary(
        meter_id=meter_id,
        customer_id=customer_id,
        aggregation=meter.aggregation,
        unit=meter.unit,
        granularity=granularity,
        time_zone=str(caller.zone),
        items=_parts(caller, meter, customer_id, edges),
        total=_parts(caller, meter, customer_id, [edges[0], edges[-1]])[0],
    )


def _meter(caller: Caller, meter_id: int, customer_id: int | None) -> Meter:
    meter = Meter.objects.filter(organization_id=caller.organization_id, pk=meter_id).first()
    if meter is None:
        raise not_found("meter")
    customers = TrackedUser.objects.filter(organization_id=caller.organization_id)
    if customer_id is not None and not customers.filter(pk=customer_id).exists():
        raise not_found("customer")
    return meter


def _edges(caller: Caller, bounds: Bounds, granularity: Granularity) -> list[datetime]:
    start, until = (buckets.moment_of(bound, caller.zone) for bound in bounds)
    until = until or caller.now
    start = start or day_start(until.astimezone(caller.zone).date().replace(day=1), caller.zone)
    if start >= until:
        raise invalid([FieldError("from", "must be before to")])
    if (until - start) / buckets.SHORTEST[granularity] > MAX_BUCKETS:
        longest = timedelta(seconds=buckets.SHORTEST[granularity].total_seconds() * MAX_BUCKETS).days
        raise invalid(
            [FieldError("from", f"must be at most {longest} days before to, for the granularity {granularity}")]
        )
    return buckets.edges(start, until, granularity, caller.zone)


def _parts(caller: Caller, meter: Meter, customer_id: int | None, edges: list[datetime]) -> list[Part]:
    found = quantities.by_bucket(
        caller.organization_id, edges, environment=caller.environment, meter_id=meter.pk, customer_id=customer_id
    )
    used = {bucket.number: bucket for bucket in found}
    empty = NOTHING.get(Aggregation(meter.aggregation))
    return [_part(start, end, used.get(n), empty) for n, (start, end) in enumerate(itertools.pairwise(edges))]


def _part(start: datetime, end: datetime, used: Bucket | None, empty: Decimal | None) -> Part:
    quantity = empty if used is None else used.quantity
    # Without an exponent, which would be read as a float by some.
    exact = None if quantity is None else Decimal(f"{quantity.normalize():f}")
    return Part(
        _text(start), _text(end), exact, 0 if used is None else used.records, 0 if used is None else used.customers
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
