"""Invoices as documents, for the tests of what is made from them."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from metering.invoice_document import Detail, DocumentLine, InvoiceDocument, Noted

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 9, 30, 22, tzinfo=UTC)
END = datetime(2026, 10, 31, 23, tzinfo=UTC)
BEFORE = datetime(2026, 8, 31, 22, tzinfo=UTC)


def line(kind: str, text: str, amount: str, **fields: Any) -> DocumentLine:
    """A line of October 2026 in Berlin whose exact amount is `exact_usd`, or the amount itself."""
    values = {"exact_usd": Decimal(amount), "period_start": START, "period_end": END, **fields}
    return DocumentLine(kind, text, Decimal(amount), **values)


def detail(text: str, quantity: str, price: str, *bounds: str | None) -> Detail:
    """A line of a charge; bounds are what the tier begins above, and its `up_to`."""
    over, up_to = (None if bound is None else Decimal(bound) for bound in (*bounds, None, None)[:2])
    return Detail(text, Decimal(quantity), Decimal(price), Decimal(quantity) * Decimal(price), over, up_to)


DOCUMENTS = line(
    "usage",
    "Documents processed",
    "182.22",
    exact_usd=Decimal("182.219"),
    quantity=Decimal("12345.500000000"),
    unit="documents",
    records=812,
    details=[
        detail("Free allowance", "1000", "0"),
        detail("Units", "1000", "0.05", "0", "1000"),
        detail("Units", "9000", "0.012000000000", "1000", "10000"),
        detail("Units", "1345.5", "0.018", "10000", None),
    ],
)
SEATS = line("usage", "Active seats", "96.00", quantity=Decimal(12), unit="seats", details=[detail("Units", "12", "8")])
LATE = line(
    "adjustment",
    "Active seats, late for INV-0003",
    "16.00",
    period_start=BEFORE,
    period_end=START,
    quantity=Decimal(14),
    unit="seats",
    details=[detail("Units", "14", "8")],
)
FEE = line("fee", "Team plan", "29.00", details=[detail("Plan fee", "1", "29.00")])
CREDIT = line("credit", "Goodwill", "-25.00")


def document(**changes: Any) -> InvoiceDocument:
    """A finalized invoice of Northwind over 298.22 USD, of which a credit note takes 10.00 back."""
    found = InvoiceDocument(
        id=1,
        status="finalized",
        number="INV-0007",
        customer_id=1,
        customer="user-northwind",
        customer_name="Northwind",
        customer_email="ai@northwind.example",
        issuer="Flux & Söhne GmbH\nHafenstraße 12\n20457 Hamburg",
        note="Please pay within 14 days.",
        period_start=START,
        period_end=END,
        zone=BERLIN,
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        finalized_at=datetime(2026, 11, 3, 23, 30, tzinfo=UTC),
        voided_at=None,
        void_reason="",
        lines=[FEE, DOCUMENTS, SEATS, LATE, CREDIT],
        credit_notes=[Noted("CN-0001", Decimal("10.00"), "Seats counted twice", datetime(2026, 11, 20, tzinfo=UTC))],
        subtotal_usd=Decimal("323.22"),
        total_usd=Decimal("298.22"),
        rounding_usd=Decimal("0.001"),
    )
    return replace(found, **changes)
