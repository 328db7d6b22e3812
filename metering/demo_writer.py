"""Writes the demo's billing: meters, rates, plans, usage by COPY, and an invoice for each month and account.

The usage is one transaction, all or nothing. Each month's invoices are one of their own: what a killed command leaves
open, the hourly closing of periods opens and finalizes.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import batched, groupby
from operator import itemgetter
from random import Random
from typing import Final

from django.db import connection, transaction

from events.demo import Traffic, plan_price
from events.demo_company import ACCOUNTS
from events.models import Environment, Organization, TrackedUser
from metering import demo, invoicing
from metering.models import (
    BillingSettings,
    Credit,
    Invoice,
    Meter,
    MeterRate,
    Plan,
    RateKind,
    RateTier,
    Subscription,
)
from metering.months import period_of
from metering.periods import Period
from metering.rating import FlatFee, Graduated, Package, PerUnit, Rate, Volume
from metering.record_store import FENCE_LOCK, RecordRow, give_ids
from metering.schema import IncomingUsage

CHUNK: Final = 5_000
FINALIZED_AFTER: Final = timedelta(days=2, hours=9)
ISSUER: Final = "Paperwork Inc.\n1 Example Street\nSpringfield\nTax number 00-0000000"
NOTE: Final = "Please pay within 30 days, naming the number of the invoice."
_COLUMNS: Final = (
    "id",
    "organization_id",
    "environment",
    "meter_id",
    "tracked_user_id",
    "quantity",
    "occurred_at",
    "received_at",
    "unique_value",
    "metadata",
    "content_hash",
)

Progress = Callable[[int, int], None]
"""Told how many steps are done, of how many."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    records: int
    invoices: int


def write(organization: Organization, traffic: Traffic, *, progress: Progress) -> Written | None:
    """Write the billing that goes with the demo's traffic; None where the organization has meters already.

    The accounts must be there: `events.demo_writer` makes them.
    """
    with transaction.atomic():
        # Two runs at once must not both find nothing.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        if Meter.objects.filter(organization=organization).exists():
            return None
        customers = dict(TrackedUser.objects.filter(organization=organization).values_list("external_id", "pk"))
        meters = _store_meters(organization, traffic, customers)
        _store_plans(organization, traffic, customers)
        BillingSettings.objects.update_or_create(
            organization=organization,
            defaults={"issuer": ISSUER, "note": NOTE, "finalize_after_days": FINALIZED_AFTER.days},
        )
        rows = [_row(record, organization, meters, customers) for record in demo.records(traffic)]
        random = Random(f"{traffic.seed} usage ids {organization.pk}")  # noqa: S311  not a secret
        give_ids(rows, random.randbytes)
        wanted = _wanted_invoices(organization, traffic, rows)
        total = len(rows) + len(wanted)
        _copy(rows, lambda done: progress(done, total))
    done = len(rows)
    for period, month in groupby(wanted, key=itemgetter(0)):
        # One transaction a month: each finalizing waits for the disk, and holds up usage of others until it ends.
        with transaction.atomic():
            for _, customer_id in month:
                _write_invoice(organization, customer_id, period, traffic.now)
                done += 1
                progress(done, total)
    _refund(organization, customers)
    return Written(len(rows), len(wanted))


def _store_meters(organization: Organization, traffic: Traffic, customers: Mapping[str, int]) -> dict[str, int]:
    """The ids of the meters by name."""
    ids = {}
    for each in demo.METERS:
        meter = Meter.objects.create(
            organization=organization,
            name=each.name,
            unit=each.unit,
            aggregation=each.aggregation,
            unique_key=each.unique_key,
        )
        ids[each.name] = meter.pk
        own = ((_customer(account, customers), rate) for account, rate in each.own)
        for customer_id, rate in [(None, each.rate), *own]:
            _store_rate(meter, customer_id, rate, traffic)
    return ids


def _store_rate(meter: Meter, customer_id: int | None, rate: Rate, traffic: Traffic) -> None:
    row = MeterRate(
        meter=meter,
        tracked_user_id=customer_id,
        effective_from=demo.first_day(traffic),
        allowance=rate.allowance,
        minimum_usd=rate.minimum_usd,
    )
    match rate.model:
        case FlatFee(fee):
            row.kind, row.fee_usd = RateKind.FLAT, fee
        case PerUnit(price):
            row.kind, row.unit_price_usd = RateKind.PER_UNIT, price
        case Package(size, price):
            row.kind, row.package_size, row.package_price_usd = RateKind.PACKAGE, size, price
        case Graduated() | Volume():
            row.kind = RateKind.GRADUATED if isinstance(rate.model, Graduated) else RateKind.VOLUME
    row.save()
    if isinstance(rate.model, Graduated | Volume):
        RateTier.objects.bulk_create(
            RateTier(rate=row, up_to=up_to, unit_price_usd=price, flat_fee_usd=fee)
            for up_to, price, fee in ((tier.up_to, tier.unit_price_usd, tier.flat_fee_usd) for tier in rate.model.tiers)
        )


def _store_plans(organization: Organization, traffic: Traffic, customers: Mapping[str, int]) -> None:
    plans = {
        name: Plan.objects.create(
            organization=organization, name=f"{name.title()} plan", fee_usd=plan_price(name, traffic) or Decimal(0)
        )
        for name in demo.PLANS
    }
    Subscription.objects.bulk_create(
        Subscription(
            tracked_user_id=customers[each.external_id],
            plan=plans[each.plan],
            starts_on=each.starts_on,
            ends_on=each.ends_on,
        )
        for each in demo.subscriptions(traffic)
    )
    account, amount, note = demo.CREDITED
    granted_at = datetime.combine(demo.first_day(traffic), time(12), UTC)
    Credit.objects.create(
        tracked_user_id=_customer(account, customers), amount_usd=amount, note=note, granted_at=granted_at
    )


def _customer(account: str, customers: Mapping[str, int]) -> int:
    return customers[next(each.external_id for each in ACCOUNTS if each.name == account)]


def _row(
    record: demo.DemoRecord, organization: Organization, meters: Mapping[str, int], customers: Mapping[str, int]
) -> RecordRow:
    meter_id, customer_id = meters[record.meter], customers[record.external_id]
    return RecordRow(
        usage=IncomingUsage(
            meter=meter_id,
            customer=customer_id,
            quantity=record.quantity,
            occurred_at=record.occurred_at,
            metadata=record.metadata,
        ),
        organization_id=organization.pk,
        environment=Environment.LIVE,
        meter_id=meter_id,
        received_at=record.occurred_at,
        tracked_user_id=customer_id,
        unique_value=record.seat,
    )


def _copy(rows: Sequence[RecordRow], progress: Callable[[int], None]) -> None:
    done = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [FENCE_LOCK])
        for chunk in batched(rows, CHUNK):
            with cursor.copy(f"COPY usage_record ({', '.join(_COLUMNS)}) FROM STDIN") as copy:
                for row in chunk:
                    copy.write_row(_values(row))
            done += len(chunk)
            progress(done)


def _values(row: RecordRow) -> tuple[object, ...]:
    usage = row.usage
    return (
        row.id,
        row.organization_id,
        row.environment,
        row.meter_id,
        row.tracked_user_id,
        usage.quantity,
        usage.occurred_at,
        row.received_at,
        row.unique_value,
        usage.metadata,
        usage.content_hash,
    )


def _wanted_invoices(
    organization: Organization, traffic: Traffic, rows: Sequence[RecordRow]
) -> list[tuple[Period, int]]:
    """The months with usage and who used it, the oldest first."""
    periods = [period_of(organization, traffic.at(0))]
    while periods[-1].end_at < traffic.now:
        periods.append(periods[-1].next())
    starts = [period.start_at for period in periods]
    found = {(bisect_right(starts, row.received_at) - 1, row.tracked_user_id or 0) for row in rows}
    return [(periods[number], customer_id) for number, customer_id in sorted(found)]


def _write_invoice(organization: Organization, customer_id: int, period: Period, now: datetime) -> None:
    """A draft of the month, finalized on a day after its end, if that has come."""
    draft = invoicing.open_draft(organization.pk, customer_id, period.start_at)
    finalized_at = period.end_at + FINALIZED_AFTER
    Invoice.objects.filter(pk=draft.pk).update(created_at=min(period.start_at + timedelta(hours=1), now))
    if finalized_at <= now:
        invoicing.finalize(draft.pk, organization.pk, finalized_at)


def _refund(organization: Organization, customers: Mapping[str, int]) -> None:
    """A credit note against an account's newest finalized invoice, two days after it."""
    account, amount, reason = demo.REFUNDED
    found = Invoice.objects.filter(tracked_user_id=_customer(account, customers), status="finalized").first()
    if found and found.finalized_at and found.total_usd >= amount:
        at = found.finalized_at + timedelta(days=2)
        invoicing.credit(found.pk, organization.pk, amount, reason, at)
