"""The lines of a draft: what a customer's billing month comes to by what is known at this moment.

An invoice line is one meter's charge, rounded to cents once; what explains it stands below, exact. Usage that came
after its period was closed is charged as the difference to what was invoiced, on the customer's earliest draft.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from metering import quantities, rate_book
from metering.invoice_document import Detail, DocumentLine
from metering.models import Credit, Invoice, InvoiceLine, InvoiceStatus, LineKind, Meter, Subscription, UsageRecord
from metering.months import month_of
from metering.periods import day_start
from metering.quantities import Span, Used
from metering.rate_book import RateBook
from metering.rating import PRICE_STEP, round_lines

ZERO = Decimal("0.00")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Drafted:
    """The lines, their sum before credits and after, and the meters that have usage but no rate."""

    lines: tuple[DocumentLine, ...]
    subtotal_usd: Decimal
    total_usd: Decimal
    rounding_usd: Decimal
    unrated: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What drafts of one organization have in common, and their usage: read once for all of them."""

    book: RateBook
    meters: dict[int, Meter]
    used: dict[tuple[int, Span], list[Used]]
    """By customer and period."""
    billed: dict[tuple[int, int, datetime], Decimal]
    """What finalized invoices have charged for the same periods, by customer, meter and the period's start."""


def know(organization_id: int, invoices: Sequence[Invoice]) -> Known:
    """All that the drafts need of rates, usage and earlier charges: a statement more for each different period."""
    customers: dict[Span, list[int]] = {}
    for invoice in invoices:
        customers.setdefault(_span(invoice), []).append(invoice.tracked_user_id)
    used: dict[tuple[int, Span], list[Used]] = {}
    for span, ids in customers.items():
        for use in quantities.by_customer(organization_id, [span], customer_ids=ids):
            used.setdefault((use.customer_id, span), []).append(use)
    return Known(
        book=rate_book.load(organization_id),
        meters={meter.pk: meter for meter in Meter.objects.filter(organization_id=organization_id)},
        used=used,
        billed=_all_billed(invoices),
    )


def _all_billed(invoices: Sequence[Invoice]) -> dict[tuple[int, int, datetime], Decimal]:
    """What finalized invoices have charged for these periods, adjustments included."""
    lines = InvoiceLine.objects.filter(
        invoice__tracked_user_id__in={invoice.tracked_user_id for invoice in invoices},
        invoice__status=InvoiceStatus.FINALIZED,
        meter_id__isnull=False,
        period_start__in={invoice.period_start for invoice in invoices},
    ).order_by()
    sums = lines.values_list("invoice__tracked_user_id", "meter_id", "period_start").annotate(Sum("amount_usd"))
    return {(customer_id, meter_id or 0, start): amount for customer_id, meter_id, start, amount in sums}


def draft(invoice: Invoice, now: datetime, *, lock_credits: bool = False, known: Known | None = None) -> Drafted:
    """What the draft comes to now. `lock_credits` holds the customer's credits until the transaction's end; `known` is
    what `know` has read for this draft and others."""
    zone = ZoneInfo(invoice.time_zone)
    known = known or know(invoice.organization_id, [invoice])
    book, meters = known.book, known.meters
    charges = [
        *_usage_lines(invoice, zone, known),
        *_fee_lines(invoice, zone),
        *_adjustments(invoice, book, meters),
    ]
    rounded = round_lines(line.exact_usd for line in charges)
    lines = [replace(line, amount_usd=amount) for line, amount in zip(charges, rounded.lines_usd, strict=True)]
    credits_used = list(_credit_lines(invoice, rounded.total_usd, now, lock=lock_credits))
    total = rounded.total_usd + sum((line.amount_usd for line in credits_used), ZERO)
    unrated = tuple(meters[line.meter_id].name for line in charges if line.meter_id and line.rate_id is None)
    return Drafted((*lines, *credits_used), rounded.total_usd, total, rounded.difference_usd, unrated)


def _usage_lines(invoice: Invoice, zone: ZoneInfo, known: Known) -> Iterator[DocumentLine]:
    book, meters = known.book, known.meters
    month = month_of(invoice.period_start, invoice.period_end, zone)
    charged = {use.meter_id: use for use in known.used.get((invoice.tracked_user_id, _span(invoice)), ())}
    for meter_id in book.own_meters(invoice.tracked_user_id, month) - charged.keys():
        charged[meter_id] = Used(0, invoice.tracked_user_id, meter_id, Decimal(0), 0)
    for use in sorted(charged.values(), key=lambda use: (meters[use.meter_id].name, use.meter_id)):
        rate = book.rate_for(use.meter_id, invoice.tracked_user_id, month)
        line = _usage_line(use, meters[use.meter_id], rate, invoice)
        yield line
        if before := known.billed.get((invoice.tracked_user_id, use.meter_id, invoice.period_start)):
            # The period was closed before, adjusted on a later invoice, and opened again.
            yield replace(
                line, kind=LineKind.ADJUSTMENT, text=f"{line.text}, charged already", exact_usd=-before, details=()
            )


def _usage_line(use: Used, meter: Meter, rate: rate_book.DatedRate | None, invoice: Invoice) -> DocumentLine:
    charged = rate_book.cost_of(rate, use.quantity)
    return DocumentLine(
        kind=LineKind.USAGE,
        text=meter.name,
        amount_usd=ZERO,
        exact_usd=charged.total_usd if charged else ZERO,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        quantity=use.quantity,
        unit=meter.unit,
        records=use.records,
        meter_id=meter.pk,
        rate_id=rate.id if rate else None,
        details=tuple(Detail.of(line) for line in charged.lines) if charged else (),
    )


def _fee_lines(invoice: Invoice, zone: ZoneInfo) -> Iterator[DocumentLine]:
    """Plan fees, by the second where a subscription starts or ends within the period."""
    last_day = invoice.period_end.astimezone(zone).date()
    subscriptions = Subscription.objects.filter(tracked_user_id=invoice.tracked_user_id, starts_on__lte=last_day)
    period = invoice.period_end - invoice.period_start
    for one in subscriptions.select_related("plan").order_by("starts_on", "pk"):
        start = max(invoice.period_start, day_start(one.starts_on, zone))
        end = invoice.period_end if one.ends_on is None else min(invoice.period_end, day_start(one.ends_on, zone))
        if start >= end:
            continue
        share = Fraction((end - start) // _MICROSECOND, period // _MICROSECOND)
        whole = share == 1
        exact = one.plan.fee_usd if whole else _decimal(Fraction(one.plan.fee_usd) * share)
        yield DocumentLine(
            kind=LineKind.FEE,
            text=one.plan.name,
            amount_usd=ZERO,
            exact_usd=exact,
            period_start=start,
            period_end=end,
            details=(Detail("Plan fee", Decimal(1), one.plan.fee_usd, one.plan.fee_usd),) if whole else (),
        )


def _adjustments(invoice: Invoice, book: RateBook, meters: dict[int, Meter]) -> Iterator[DocumentLine]:
    """For each closed period into which usage came late: what it comes to now, less what was charged for it."""
    if _has_earlier_draft(invoice):
        return
    late = UsageRecord.objects.filter(
        organization_id=invoice.organization_id,
        tracked_user_id=invoice.tracked_user_id,
        late_for_id__isnull=False,
    )
    concerned: dict[int, set[int]] = {}
    for late_for_id, meter_id in late.values_list("late_for_id", "meter_id").distinct():
        concerned.setdefault(late_for_id or 0, set()).add(meter_id)
    closed = list(Invoice.objects.filter(pk__in=concerned, status=InvoiceStatus.FINALIZED).order_by("period_start"))
    billed = _all_billed(closed)
    for one in closed:
        used = {use.meter_id: use for use in _used(one)}
        for meter_id in sorted(concerned[one.pk], key=lambda pk: meters[pk].name):
            line = _usage_line(used[meter_id], meters[meter_id], _rate_of(one, meter_id, book), one)
            difference = round_lines([line.exact_usd]).total_usd - billed.get(
                (one.tracked_user_id, meter_id, one.period_start), ZERO
            )
            if difference or line.rate_id is None:
                yield replace(
                    line, kind=LineKind.ADJUSTMENT, text=f"{line.text}, late for {one.number}", exact_usd=difference
                )


def _has_earlier_draft(invoice: Invoice) -> bool:
    return Invoice.objects.filter(
        tracked_user_id=invoice.tracked_user_id,
        status=InvoiceStatus.DRAFT,
        period_start__lt=invoice.period_start,
    ).exists()


def _rate_of(closed: Invoice, meter_id: int, book: RateBook) -> rate_book.DatedRate | None:
    """The rate by which the period was charged, or what it would have had where the meter was not on the invoice."""
    line = closed.lines.filter(kind=LineKind.USAGE, meter_id=meter_id).select_related("rate").first()
    if line is not None and line.rate is not None:
        row = line.rate
        return rate_book.DatedRate(row.pk, meter_id, row.tracked_user_id, row.effective_from, row.rate)
    month = month_of(closed.period_start, closed.period_end, ZoneInfo(closed.time_zone))
    return book.rate_for(meter_id, closed.tracked_user_id, month)


def _credit_lines(invoice: Invoice, subtotal: Decimal, now: datetime, *, lock: bool) -> Iterator[DocumentLine]:
    """The customer's credits, what expires first before the rest, until nothing is left to pay."""
    left = subtotal
    for credit, remaining in _credits(invoice.tracked_user_id, now, lock=lock):
        amount = min(left, remaining)
        if amount <= 0:
            return
        left -= amount
        yield DocumentLine(
            kind=LineKind.CREDIT,
            text=credit.note or "Credit",
            amount_usd=-amount,
            exact_usd=-amount,
            period_start=invoice.period_start,
            period_end=invoice.period_end,
            credit_id=credit.pk,
        )


def _credits(customer_id: int, now: datetime, *, lock: bool) -> Sequence[tuple[Credit, Decimal]]:
    """Credits that are in force, each with what is left of it."""
    rows = Credit.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), tracked_user_id=customer_id)
    if lock:
        # Two invoices of one customer must not both use up the same credit.
        list(rows.select_for_update().values_list("pk"))
    used = Coalesce(
        Sum("invoice_lines__amount_usd", filter=Q(invoice_lines__invoice__status=InvoiceStatus.FINALIZED)), ZERO
    )
    ordered = rows.annotate(used=used).order_by(Coalesce("expires_at", datetime.max.replace(tzinfo=UTC)), "pk")
    found: Iterable[Credit] = ordered
    return [(credit, credit.amount_usd + credit.used) for credit in found if credit.amount_usd + credit.used > 0]  # type: ignore[attr-defined]


def _used(invoice: Invoice) -> list[Used]:
    return quantities.by_customer(invoice.organization_id, [_span(invoice)], customer_ids=[invoice.tracked_user_id])


def _span(invoice: Invoice) -> Span:
    return Span(invoice.period_start, invoice.period_end)


def _decimal(value: Fraction) -> Decimal:
    """To 12 decimals, half away from zero: a share of a month need not end."""
    scaled = value / Fraction(PRICE_STEP)
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole).scaleb(-12)
