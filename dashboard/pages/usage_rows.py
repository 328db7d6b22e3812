"""The rows of the page of metered usage: meters, customers, records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import Delta, count, quantity
from dashboard.pages.cost_rows import Figure
from dashboard.pages.links import user_href
from dashboard.pages.meter_words import aggregation
from dashboard.queries.meter_usage import CustomerUse, MeterFacts, MeterUse, Record
from metering.accrual import Accrued
from metering.models.usage_record import public_id

NO_RATE = Figure("no rate", title="Add a rate to the meter, at 0 if it is free", tone="warn")
NO_USE = MeterUse(Decimal(0), 0, 0)


@dataclass(frozen=True)
class MeterRow:
    """A meter with what it came to in the period."""

    name: str
    href: str
    unit: str
    is_archived: bool
    token: str
    counts: str
    quantity: str
    before: str
    """The quantity of the period of comparison."""
    delta: Delta | None
    records: str
    customers: str
    worth: Figure
    rate_href: str
    """Where a missing rate is added; '' where none is missing or for who may not."""


@dataclass(frozen=True)
class CustomerRow:
    """A customer with what they used of one meter."""

    name: str
    title: str
    href: str
    costs_href: str
    quantity: str
    records: str
    worth: Figure
    latest: str
    latest_title: str


@dataclass(frozen=True)
class RecordRow:
    """One usage record."""

    id: str
    at: str
    at_title: str
    customer: str
    customer_title: str
    customer_href: str
    meter: str
    meter_href: str
    quantity: str
    unit: str
    unique_value: str
    metadata: str
    late: str
    """The number of the invoice that was finalized before it came; '' for most."""


def usage_href(own: Filters, **changes: str | None) -> str:
    """The page of usage with these filters."""
    return own.href(reverse("dashboard:usage"), **changes)


def meter_href(meter_id: int) -> str:
    """The meter in the admin, where its rates are."""
    return reverse("admin:metering_meter_change", args=[meter_id])


def meter_row(
    meter: MeterFacts, uses: Sequence[Mapping[int, MeterUse]], own: Filters, worth: Accrued | None, *, administers: bool
) -> MeterRow:
    """`uses` has the period and, where there is a comparison, the one before."""
    use = uses[0].get(meter.id, NO_USE)
    before = uses[1].get(meter.id, NO_USE) if len(uses) > 1 else None
    lacks_rate = worth is not None and meter.id in worth.unrated
    return MeterRow(
        name=meter.name,
        href=usage_href(own, meter=str(meter.id)),
        unit=meter.unit,
        is_archived=meter.is_archived,
        token=str(meter.token),
        counts=aggregation(meter),
        quantity=quantity(use.quantity),
        before=quantity(before.quantity) if before else "",
        delta=formats.delta(use.quantity, before.quantity, better=None) if before and use.records else None,
        records=count(use.records),
        customers=count(use.customers),
        worth=worth_figure(worth, meter.id, use.records),
        rate_href=meter_href(meter.id) if lacks_rate and administers else "",
    )


def worth_figure(worth: Accrued | None, meter_id: int, records: int) -> Figure:
    """What a meter earned: "no rate" where nothing says what it costs, a dash in the test environment."""
    if worth is None:
        return Figure(formats.UNKNOWN, title="Only live usage is billed")
    amount = worth.by_meter().get(meter_id)
    if amount is None:
        return NO_RATE if meter_id in worth.unrated else usd_figure(Decimal(0)) if records else Figure("")
    partly = " so far, and usage without a rate" if meter_id in worth.unrated else ""
    return usd_figure(amount, partly)


def usd_figure(amount: Decimal, more: str = "") -> Figure:
    """An exact amount as people read it, all its digits in the title."""
    return Figure(formats.usd_short(amount), title=f"{formats.usd_exact(amount)}{more}")


def customer_rows(
    found: Iterable[CustomerUse], meter: MeterFacts, own: Filters, worth: Accrued | None
) -> list[CustomerRow]:
    """The customers of a meter, each leading to their own records of it."""
    rows = []
    for one in found:
        amount = None if worth is None else worth.by_customer_meter.get((one.customer_id, meter.id))
        none = NO_RATE if worth is not None else worth_figure(None, meter.id, one.records)
        rows.append(
            CustomerRow(
                name=one.name or one.external_id,
                title=one.external_id,
                href=usage_href(own, user=one.external_id),
                costs_href=user_href(_only_period(own), one.external_id),
                quantity=quantity(one.quantity),
                records=count(one.records),
                worth=none if amount is None else usd_figure(amount),
                latest=formats.ago(one.latest, own.now),
                latest_title=formats.moment(one.latest, own.zone),
            )
        )
    return rows


def record_rows(found: Iterable[Record], meters: Mapping[int, MeterFacts], own: Filters) -> list[RecordRow]:
    """Records as they were sent."""
    return [_record_row(one, meters[one.meter_id], own) for one in found]


def _record_row(one: Record, meter: MeterFacts, own: Filters) -> RecordRow:
    return RecordRow(
        id=public_id(one.id),
        at=_short(one.occurred_at, own.zone),
        at_title=f"{formats.moment(one.occurred_at, own.zone)}; received {formats.moment(one.received_at, own.zone)}"
        f"; {public_id(one.id)}",
        customer=one.name or one.external_id,
        customer_title=one.external_id,
        customer_href=usage_href(own, user=one.external_id),
        meter=meter.name,
        meter_href=usage_href(own, meter=str(meter.id)),
        quantity=quantity(one.quantity),
        unit=meter.unit,
        unique_value=one.unique_value or "",
        metadata=one.metadata,
        late=one.late_for,
    )


def _only_period(own: Filters) -> Filters:
    return Filters(own.zone, own.now, own.period, own.start, own.end, own.environment, own.compare)


def _short(at: datetime, zone: ZoneInfo) -> str:
    return f"{formats.short_day(at.astimezone(zone))} {formats.clock(at, zone)}"
