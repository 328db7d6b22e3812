"""The end of a billing month: drafts for everybody who owes something, finalized where the settings say so.

Run every hour, as often as anybody likes: what is there already is left alone.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q

from events.models import Environment, Organization
from metering import invoicing, rate_book
from metering.models import BillingSettings, Invoice, InvoiceStatus, Subscription
from metering.months import month_of, period_of
from metering.periods import Period
from metering.record_store import CLOSED_AFTER
from metering.schema import OLDEST

logger = logging.getLogger("fluxgate.billing")

Stop = Callable[[], bool]


def run(now: datetime, stop: Stop = lambda: False) -> None:
    """Open what is missing and finalize what is due, of all organizations; between two invoices `stop` may end it."""
    billing = Q(meters__isnull=False) | Q(plans__isnull=False)
    for organization in Organization.objects.filter(billing).distinct().order_by("pk"):
        for customer_id, moment in _missing(organization, now):
            if stop():
                return
            invoicing.open_draft(organization.pk, customer_id, moment)
        for invoice_id in _due(organization.pk, now):
            if stop():
                return
            _finalize(invoice_id, organization.pk, now)


def _missing(organization: Organization, now: datetime) -> Iterator[tuple[int, datetime]]:
    """Customers and moments of billing months, up to the present one, that have something to charge but no invoice."""
    periods = _periods(organization, now)
    edges = [period.start_at for period in periods]
    yield from _with_usage(organization.pk, [*edges, periods[-1].end_at])
    for customer_id in _with_late_usage(organization.pk):
        yield customer_id, now
    for customer_id, number in sorted(_with_fees(organization, periods)):
        if not _has_invoice(customer_id, periods[number]):
            yield customer_id, edges[number]


def _periods(organization: Organization, now: datetime) -> list[Period]:
    """The billing months that can have usage, the present one last."""
    periods = [period_of(organization, now - OLDEST)]
    while periods[-1].end_at <= now:
        periods.append(periods[-1].next())
    return periods


def _with_usage(organization_id: int, edges: list[datetime]) -> list[tuple[int, datetime]]:
    """Customers with usage that no invoice covers, and when: its first moment in each month. Index
    usage_record_by_time."""
    statement = """SELECT r.tracked_user_id, min(r.occurred_at)
FROM usage_record r JOIN tracked_user t ON t.id = r.tracked_user_id AND t.organization_id = r.organization_id
WHERE r.organization_id = %s AND r.environment = %s AND r.occurred_at >= %s AND r.occurred_at < %s
AND NOT EXISTS (SELECT FROM invoice i WHERE i.tracked_user_id = r.tracked_user_id AND i.status <> 'void'
    AND r.occurred_at >= i.period_start AND r.occurred_at < i.period_end)
GROUP BY r.tracked_user_id, width_bucket(r.occurred_at, %s::timestamptz[]) ORDER BY 2, 1"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [organization_id, Environment.LIVE, edges[0], edges[-1], edges])
        return [(int(row[0]), row[1]) for row in cursor.fetchall()]


def _with_late_usage(organization_id: int) -> list[int]:
    """Customers without a draft whose usage came late, after all that was finalized. Index usage_record_late."""
    statement = """SELECT DISTINCT r.tracked_user_id FROM usage_record r
JOIN invoice closed ON closed.id = r.late_for_id AND closed.status = 'finalized'
WHERE r.organization_id = %s AND r.late_for_id IS NOT NULL
AND NOT EXISTS (SELECT FROM invoice i WHERE i.tracked_user_id = r.tracked_user_id
    AND (i.status = 'draft' OR i.status = 'finalized' AND i.finalized_at > r.received_at + interval '10 seconds'))
ORDER BY 1"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [organization_id])
        return [int(row[0]) for row in cursor.fetchall()]


def _with_fees(organization: Organization, periods: list[Period]) -> set[tuple[int, int]]:
    """Customers and months with a plan's fee or a rate of the customer's own."""
    found = set()
    book = rate_book.load(organization.pk)
    subscriptions = list(Subscription.objects.filter(plan__organization=organization))
    for number, period in enumerate(periods):
        month = month_of(period.start_at, period.end_at, organization.zone)
        for one in subscriptions:
            ended = one.ends_on is not None and one.ends_on <= month.first_day
            if one.starts_on < month.next_first_day and not ended:
                found.add((one.tracked_user_id, number))
        for customer_id in book.customers_with_own():
            if book.own_meters(customer_id, month):
                found.add((customer_id, number))
    return found


def _has_invoice(customer_id: int, period: Period) -> bool:
    overlapping = Invoice.objects.filter(
        tracked_user_id=customer_id, period_start__lt=period.end_at, period_end__gt=period.start_at
    )
    return overlapping.exclude(status=InvoiceStatus.VOID).exists()


def _due(organization_id: int, now: datetime) -> list[int]:
    """Drafts that are to be finalized by themselves, the oldest first."""
    settings = BillingSettings.objects.filter(organization_id=organization_id).first()
    if settings is None or settings.finalize_after_days is None:
        return []
    ended = now - timedelta(days=settings.finalize_after_days) - CLOSED_AFTER
    drafts = Invoice.objects.filter(organization_id=organization_id, status=InvoiceStatus.DRAFT, period_end__lte=ended)
    return list(drafts.order_by("period_start", "pk").values_list("pk", flat=True))


def _finalize(invoice_id: int, organization_id: int, now: datetime) -> None:
    try:
        invoicing.finalize(invoice_id, organization_id, now)
    except (invoicing.Refused, invoicing.NoSuchInvoice) as error:
        logger.warning("draft %d of organization %d was not finalized: %s", invoice_id, organization_id, error)
