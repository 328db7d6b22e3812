"""Invoices as the API reads and writes them. Money is text: amounts in cents, the exact ones with all digits."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from metering.api.fields import Id, Incoming, Moment, Number, Outgoing, Reason, plain
from metering.invoice_document import Detail, DocumentLine, InvoiceDocument, Noted
from metering.models import CreditNote, Invoice

type StatusWord = Literal["draft", "finalized", "void"]
_LARGEST = Decimal(10**18)


def _in_cents(value: Decimal) -> Decimal:
    if not 0 < value < _LARGEST:
        raise ValueError("must be more than 0 and less than 1e18")
    if value != round(value, 2):
        raise ValueError("must be in whole cents")
    return value


class InvoiceIn(Incoming):
    """Whose invoice, and a moment or day of its billing month; without one, now."""

    customer_id: Id
    moment: Moment | None = None


class VoidIn(Incoming):
    """Why the invoice is taken back."""

    reason: Reason


class CreditNoteIn(Incoming):
    """What is taken back of an invoice, and why."""

    amount_usd: Annotated[Number, AfterValidator(_in_cents)]
    reason: Reason


class InvoiceFilter(BaseModel):
    """Which invoices."""

    customer_id: Id | None = None
    status: Annotated[StatusWord | None, Field(description="Only these.")] = None


class CreditNoteOut(Outgoing):
    """A credit note."""

    number: str
    amount_usd: str
    reason: str
    created_at: datetime

    @classmethod
    def of(cls, note: Noted | CreditNote) -> "CreditNoteOut":
        return cls(
            number=note.number, amount_usd=cents(note.amount_usd), reason=note.reason, created_at=note.created_at
        )


class DetailOut(Outgoing):
    """quantity × unit_price_usd = amount_usd, exact; of a tier: what is more than `over` and at most `up_to`."""

    text: str
    quantity: str
    unit_price_usd: str
    amount_usd: str
    over: str | None
    up_to: str | None

    @classmethod
    def of(cls, detail: Detail) -> "DetailOut":
        text, *numbers = detail
        values = (None if number is None else plain(number) for number in numbers)
        return cls(text=text, **dict(zip(Detail._fields[1:], values, strict=True)))  # type: ignore[arg-type]


class LineOut(Outgoing):
    """A line: `amount_usd` in cents, `exact_usd` before it was rounded."""

    kind: str
    text: str
    amount_usd: str
    exact_usd: str
    period_start: datetime
    period_end: datetime
    quantity: str | None
    unit: str
    records: int
    meter_id: int | None
    rate_id: int | None
    credit_id: int | None
    details: list[DetailOut]

    @classmethod
    def of(cls, line: DocumentLine) -> "LineOut":
        return cls(
            kind=line.kind,
            text=line.text,
            amount_usd=cents(line.amount_usd),
            exact_usd=plain(line.exact_usd),
            period_start=line.period_start,
            period_end=line.period_end,
            quantity=None if line.quantity is None else plain(line.quantity),
            unit=line.unit,
            records=line.records,
            meter_id=line.meter_id,
            rate_id=line.rate_id,
            credit_id=line.credit_id,
            details=[DetailOut.of(detail) for detail in line.details],
        )


class InvoiceRow(Outgoing):
    """An invoice in a list. A draft's total follows the usage and stands on the invoice itself; here it is null."""

    id: int
    status: StatusWord
    number: str | None
    customer_id: int
    customer_external_id: str
    period_start: datetime
    period_end: datetime
    created_at: datetime
    finalized_at: datetime | None
    voided_at: datetime | None
    total_usd: str | None

    @classmethod
    def of(cls, invoice: Invoice) -> "InvoiceRow":
        """Reads the customer, selected or not."""
        return cls(
            id=invoice.pk,
            status=invoice.status,  # type: ignore[arg-type]  # a word of InvoiceStatus
            number=invoice.number or None,
            customer_id=invoice.tracked_user_id,
            customer_external_id=invoice.tracked_user.external_id,
            period_start=invoice.period_start,
            period_end=invoice.period_end,
            created_at=invoice.created_at,
            finalized_at=invoice.finalized_at,
            voided_at=invoice.voided_at,
            total_usd=cents(invoice.total_usd) if invoice.number else None,
        )


class InvoiceOut(InvoiceRow):
    """All of an invoice: a draft by what is known now, any other as it was finalized. `due_usd` is what is owed."""

    customer_name: str
    customer_email: str
    issuer: str
    note: str
    time_zone: str
    void_reason: str
    lines: list[LineOut]
    credit_notes: list[CreditNoteOut]
    subtotal_usd: str
    rounding_usd: str
    credited_usd: str
    due_usd: str

    @classmethod
    def from_document(cls, found: InvoiceDocument) -> "InvoiceOut":
        """All that the document says."""
        return cls(
            id=found.id,
            status=found.status,  # type: ignore[arg-type]
            number=found.number or None,
            customer_id=found.customer_id,
            customer_external_id=found.customer,
            period_start=found.period_start,
            period_end=found.period_end,
            created_at=found.created_at,
            finalized_at=found.finalized_at,
            voided_at=found.voided_at,
            total_usd=cents(found.total_usd),
            customer_name=found.customer_name,
            customer_email=found.customer_email,
            issuer=found.issuer,
            note=found.note,
            time_zone=found.zone.key,
            void_reason=found.void_reason,
            lines=[LineOut.of(line) for line in found.lines],
            credit_notes=[CreditNoteOut.of(note) for note in found.credit_notes],
            subtotal_usd=cents(found.subtotal_usd),
            rounding_usd=plain(found.rounding_usd),
            credited_usd=cents(found.credited_usd),
            due_usd=cents(found.due_usd),
        )


def cents(amount: object) -> str:
    """An amount that is in cents already, as text with two decimals."""
    assert isinstance(amount, Decimal)
    return f"{amount:.2f}"
