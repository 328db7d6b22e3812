"""The life of an invoice: opened as a draft, finalized with a number, voided, credited. And how it reads at any time.

A draft holds no figures: they follow the usage. Finalizing takes the billing fence alone, so that every usage record is
either on the invoice or knows that it came late.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction
from django.db.models import Sum

from events.models import TrackedUser
from metering import drafting, invoice_events
from metering.invoice_document import Detail, DocumentLine, InvoiceDocument, Noted
from metering.models import CreditNote, Invoice, InvoiceLine, InvoiceStatus
from metering.months import locked_settings, period_of, settings_of
from metering.record_store import CLOSED_AFTER, FENCE_LOCK

NUMBER_DIGITS = 6


class Refused(Exception):
    """The invoice is not in a state for this; `field` names what stands against it, the text is for people."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class NoSuchInvoice(LookupError):
    """The organization has no such invoice, or no such customer."""


def open_draft(organization_id: int, tracked_user_id: int, moment: datetime) -> Invoice:
    """The draft of the customer's billing month that holds the moment, made where there is none.

    Where other invoices of the customer reach into the month, because the organization's zone or anchor day has
    changed, it lasts between them. Raises Refused where the month was finalized, NoSuchInvoice for an unknown customer.
    """
    customer = (
        TrackedUser.objects.select_related("organization")
        .filter(pk=tracked_user_id, organization_id=organization_id)
        .first()
    )
    if customer is None:
        raise NoSuchInvoice
    period = period_of(customer.organization, moment)
    standing = Invoice.objects.filter(tracked_user=customer).exclude(status=InvoiceStatus.VOID)
    there = standing.filter(period_start__lte=moment, period_end__gt=moment).first()
    if there is not None:
        return _still_draft(there)
    before = standing.filter(period_end__lte=moment).order_by("-period_end").first()
    after = standing.filter(period_start__gt=moment).order_by("period_start").first()
    start = max(period.start_at, before.period_end) if before else period.start_at
    end = min(period.end_at, after.period_start) if after else period.end_at
    try:
        with transaction.atomic():
            made = Invoice.objects.create(
                organization=customer.organization,
                tracked_user=customer,
                period_start=start,
                period_end=end,
                time_zone=customer.organization.time_zone,
            )
            invoice_events.announce("invoice.created", made, made.created_at)
            return made
    except IntegrityError:
        # Somebody opened it at the same moment.
        return _still_draft(standing.get(period_start=start))


def _still_draft(invoice: Invoice) -> Invoice:
    if invoice.status != InvoiceStatus.DRAFT:
        raise Refused("period", f"was finalized as {invoice.number}; void that invoice to open the period again")
    return invoice


def finalize(invoice_id: int, organization_id: int, now: datetime) -> Invoice:
    """Give the draft its number and keep its lines for good.

    Raises Refused while its period lasts, where usage has no rate, where there is nothing on it, or where it is no
    draft; NoSuchInvoice.
    """
    with transaction.atomic():
        settings = locked_settings(organization_id)
        invoice = _locked(invoice_id, organization_id)
        if invoice.status != InvoiceStatus.DRAFT:
            raise Refused("status", f"is {invoice.status}; only a draft can be finalized")
        if invoice.period_end + CLOSED_AFTER > now:
            raise Refused("period_end", "the period is not over; usage may still come in")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FENCE_LOCK])
        drafted = drafting.draft(invoice, now, lock_credits=True)
        _check_complete(drafted)
        InvoiceLine.objects.bulk_create(_stored(invoice, drafted.lines))
        settings.last_invoice_number += 1
        settings.save(update_fields=["last_invoice_number"])
        invoice.number = f"{settings.invoice_prefix}{settings.last_invoice_number:0{NUMBER_DIGITS}}"
        invoice.status, invoice.finalized_at = InvoiceStatus.FINALIZED, now
        invoice.subtotal_usd, invoice.total_usd = drafted.subtotal_usd, drafted.total_usd
        invoice.rounding_usd = drafted.rounding_usd
        invoice.customer_name, invoice.customer_email = invoice.tracked_user.name, invoice.tracked_user.email
        invoice.issuer, invoice.note = settings.issuer, settings.note
        invoice.save()
        invoice_events.announce("invoice.finalized", invoice, now)
    return invoice


def _check_complete(drafted: drafting.Drafted) -> None:
    if drafted.unrated:
        meters = ", ".join(drafted.unrated)
        raise Refused("lines", f"usage of {meters} has no rate in this period; add one, at 0 if it is free")
    if not drafted.lines:
        raise Refused("lines", "there is nothing to charge")


def void(invoice_id: int, organization_id: int, reason: str, now: datetime) -> Invoice:
    """Take back a finalized invoice: it keeps its number, and its period is open again.

    Raises Refused where it is not finalized or has credit notes, or without a reason; NoSuchInvoice.
    """
    with transaction.atomic():
        invoice = _locked(invoice_id, organization_id)
        if invoice.status != InvoiceStatus.FINALIZED:
            raise Refused("status", f"is {invoice.status}; only a finalized invoice can be voided")
        if invoice.credit_notes.exists():
            raise Refused("credit_notes", "there are some; credit the rest instead")
        invoice.status, invoice.voided_at, invoice.void_reason = InvoiceStatus.VOID, now, _reason(reason)
        invoice.save(update_fields=["status", "voided_at", "void_reason"])
        invoice_events.announce("invoice.voided", invoice, now)
    return invoice


def credit(invoice_id: int, organization_id: int, amount_usd: Decimal, reason: str, now: datetime) -> CreditNote:
    """Take back a part of a finalized invoice, or all that is left of it.

    Raises Refused where it is not finalized, for an amount that is not in cents, not positive or more than is left, or
    without a reason; NoSuchInvoice.
    """
    with transaction.atomic():
        settings = locked_settings(organization_id)
        invoice = _locked(invoice_id, organization_id)
        if invoice.status != InvoiceStatus.FINALIZED:
            raise Refused("status", f"is {invoice.status}; only a finalized invoice can be credited")
        if amount_usd <= 0 or amount_usd != round(amount_usd, 2):
            raise Refused("amount_usd", "must be a positive amount in whole cents")
        credited: Decimal = invoice.credit_notes.aggregate(sum=Sum("amount_usd"))["sum"] or drafting.ZERO
        if amount_usd > invoice.total_usd - credited:
            raise Refused("amount_usd", f"must be at most {invoice.total_usd - credited}, what is left of the invoice")
        settings.last_credit_note_number += 1
        settings.save(update_fields=["last_credit_note_number"])
        note = CreditNote.objects.create(
            organization_id=organization_id,
            invoice=invoice,
            number=f"CN-{settings.last_credit_note_number:0{NUMBER_DIGITS}}",
            amount_usd=amount_usd,
            reason=_reason(reason),
            created_at=now,
        )
        invoice_events.announce_credit_note(note, now)
        return note


def document(invoice: Invoice, now: datetime) -> InvoiceDocument:
    """How the invoice reads: a draft by what is known now, any other as it was finalized."""
    customer = invoice.tracked_user
    notes = invoice.credit_notes.order_by("pk")
    if invoice.status == InvoiceStatus.DRAFT:
        drafted = drafting.draft(invoice, now)
        settings = settings_of(invoice.organization_id)
        figures: dict[str, Any] = {
            "lines": drafted.lines,
            "subtotal_usd": drafted.subtotal_usd,
            "total_usd": drafted.total_usd,
            "rounding_usd": drafted.rounding_usd,
            "customer_name": customer.name,
            "customer_email": customer.email,
            "issuer": settings.issuer,
            "note": settings.note,
        }
    else:
        figures = {
            "lines": tuple(_read(line) for line in invoice.lines.all()),
            "subtotal_usd": invoice.subtotal_usd,
            "total_usd": invoice.total_usd,
            "rounding_usd": invoice.rounding_usd,
            "customer_name": invoice.customer_name,
            "customer_email": invoice.customer_email,
            "issuer": invoice.issuer,
            "note": invoice.note,
        }
    return InvoiceDocument(
        id=invoice.pk,
        status=invoice.status,
        number=invoice.number,
        customer_id=customer.pk,
        customer=customer.external_id,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        zone=ZoneInfo(invoice.time_zone),
        created_at=invoice.created_at,
        finalized_at=invoice.finalized_at,
        voided_at=invoice.voided_at,
        void_reason=invoice.void_reason,
        credit_notes=tuple(Noted(note.number, note.amount_usd, note.reason, note.created_at) for note in notes),
        **figures,
    )


def find(invoice_id: int, organization_id: int) -> Invoice:
    """The organization's invoice. Raises NoSuchInvoice."""
    rows = Invoice.objects.select_related("tracked_user", "organization")
    found = rows.filter(pk=invoice_id, organization_id=organization_id).first()
    if found is None:
        raise NoSuchInvoice
    return found


def _locked(invoice_id: int, organization_id: int) -> Invoice:
    rows = Invoice.objects.select_for_update(of=("self",)).select_related("tracked_user", "organization")
    found = rows.filter(pk=invoice_id, organization_id=organization_id).first()
    if found is None:
        raise NoSuchInvoice
    return found


def _reason(text: str) -> str:
    if not text.strip():
        raise Refused("reason", "must not be empty")
    if len(text.strip()) > 500 or "\x00" in text:
        raise Refused("reason", "must be text of at most 500 characters")
    return text.strip()


def _stored(invoice: Invoice, lines: Sequence[DocumentLine]) -> list[InvoiceLine]:
    return [
        InvoiceLine(
            invoice=invoice,
            position=position,
            kind=line.kind,
            text=line.text,
            meter_id=line.meter_id,
            rate_id=line.rate_id,
            credit_id=line.credit_id,
            period_start=line.period_start,
            period_end=line.period_end,
            quantity=line.quantity,
            unit=line.unit,
            records=line.records,
            exact_usd=line.exact_usd,
            amount_usd=line.amount_usd,
            detail=[detail.as_json() for detail in line.details],
        )
        for position, line in enumerate(lines, start=1)
    ]


def _read(line: InvoiceLine) -> DocumentLine:
    return DocumentLine(
        kind=line.kind,
        text=line.text,
        amount_usd=line.amount_usd,
        exact_usd=line.exact_usd,
        period_start=line.period_start,
        period_end=line.period_end,
        quantity=line.quantity,
        unit=line.unit,
        records=line.records,
        meter_id=line.meter_id,
        rate_id=line.rate_id,
        credit_id=line.credit_id,
        details=tuple(Detail.from_json(stored) for stored in line.detail),
    )
