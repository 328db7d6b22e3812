"""An invoice as PDF, for the customer: what they owe and why, never what it cost to serve them. Pure.

The page is `metering/typst/invoice.typ`. What it prints is passed as data, so that no text of a customer is read as
markup; its root is a folder with nothing else in it, and its fonts are those of the compiler: the same everywhere.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import typst

from metering.invoice_document import Detail, DocumentLine, InvoiceDocument

TEMPLATE: Final = Path(__file__).parent / "typst" / "invoice.typ"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def pdf(document: InvoiceDocument) -> bytes:
    """A tagged PDF of A4 pages; the same document gives the same bytes."""
    return typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        ignore_system_fonts=True,
        sys_inputs={"invoice": json.dumps(printed(document))},
        timestamp=int((document.voided_at or document.finalized_at or document.created_at).timestamp()),
    )


def printed(document: InvoiceDocument) -> dict[str, Any]:
    """All that the page says, as texts."""
    charges = [line for line in document.lines if line.kind != "credit"]
    return {
        "title": f"Invoice {document.number}" if document.number else "Draft invoice",
        "author": next(iter(_lines(document.issuer)), ""),
        "description": f"{_customer(document)[0]}, {_days(document.period_start, document.period_end, document.zone)}",
        "heading": "Draft invoice" if document.status == "draft" else "Invoice",
        "number": document.number,
        "stamp": {"draft": "DRAFT", "void": "VOID"}.get(document.status, ""),
        "notice": _notice(document),
        "issuer": _lines(document.issuer),
        "customer": _customer(document),
        "facts": list(_facts(document)),
        "lines": [_line(line, document) for line in charges],
        "sums": list(_sums(document)),
        "credit_notes": [
            f"{note.number}, {_day(note.created_at, document.zone)}: {_usd(note.amount_usd)} taken back. {note.reason}"
            for note in document.credit_notes
        ],
        "remarks": list(_remarks(document)),
        "note": _lines(document.note),
        "footer": " · ".join(part for part in (document.title, _customer(document)[0]) if part),
    }


def _notice(document: InvoiceDocument) -> str:
    if document.status == "draft":
        return "This is a draft: it follows the usage and is not an invoice until it is finalized."
    if document.status == "void" and document.voided_at:
        return f"Void since {_day(document.voided_at, document.zone)}: nothing is owed. {document.void_reason}".strip()
    return ""


def _customer(document: InvoiceDocument) -> list[str]:
    found = (document.customer_name, document.customer, document.customer_email)
    return [text for text in dict.fromkeys(found) if text]


def _facts(document: InvoiceDocument) -> Iterator[tuple[str, str]]:
    zone = document.zone
    if document.finalized_at:
        yield "Date of issue", _day(document.finalized_at, zone)
    else:
        yield "Drawn up", _day(document.created_at, zone)
    yield "Billing period", _days(document.period_start, document.period_end, zone)
    yield "Time zone", zone.key
    yield ("Amount so far" if document.status == "draft" else "Amount due"), _usd(document.due_usd)


def _line(line: DocumentLine, document: InvoiceDocument) -> dict[str, Any]:
    is_same_period = (line.period_start, line.period_end) == (document.period_start, document.period_end)
    only = line.explained[0] if len(line.explained) == 1 and line.explained[0].over is None else None
    # A plan's fee has no quantity but the one in its detail.
    is_simple = only is not None and line.quantity in (None, only.quantity)
    return {
        "heads": bool(line.details) and not is_simple,
        "text": line.text,
        "period": "" if is_same_period else _days(line.period_start, line.period_end, document.zone),
        "quantity": "" if line.quantity is None else f"{_number(line.quantity)} {line.unit}".strip(),
        "rate": _exact_usd(only.unit_price_usd) if only and is_simple and line.quantity is not None else "",
        "amount": _cents(line.amount_usd),
        "details": [] if is_simple else [_explained(detail) for detail in line.explained],
    }


def _explained(detail: Detail) -> dict[str, str]:
    return {
        "text": f"{detail.text}{_tier(detail)}",
        "quantity": _number(detail.quantity),
        "rate": f"× {_exact_usd(detail.unit_price_usd)}",
        "amount": f"= {_exact_usd(detail.amount_usd)}",
    }


def _tier(detail: Detail) -> str:
    if detail.over is None:
        return ""
    over = f" over {_number(detail.over)}" if detail.over else ""
    up_to = f" up to {_number(detail.up_to)}" if detail.up_to is not None else ""
    return f",{over}{up_to}" if over or up_to else ""


def _sums(document: InvoiceDocument) -> Iterator[dict[str, Any]]:
    credits_used = [line for line in document.lines if line.kind == "credit"]
    if credits_used:
        yield _sum("Subtotal", document.subtotal_usd)
        for line in credits_used:
            yield _sum(line.text, line.amount_usd)
    yield _sum("Total (USD)", document.total_usd, strong=True)
    for note in document.credit_notes:
        yield _sum(f"Credit note {note.number}", -note.amount_usd)
    if document.due_usd != document.total_usd:
        yield _sum("Amount due (USD)", document.due_usd, strong=True)


def _sum(text: str, amount: Decimal, *, strong: bool = False) -> dict[str, Any]:
    return {"text": text, "amount": _cents(amount), "strong": strong}


def _remarks(document: InvoiceDocument) -> Iterator[str]:
    yield "All amounts are in US dollars. Each line is rounded to cents, half a cent away from zero; nothing else is."
    if document.rounding_usd:
        exact = document.total_usd - document.rounding_usd
        yield f"The exact sum of the lines is {_exact_usd(exact)}: rounding {_signed(document.rounding_usd)}."


def _signed(amount: Decimal) -> str:
    return f"adds {_exact_usd(amount)}" if amount > 0 else f"takes {_exact_usd(-amount)} off"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _day(at: datetime, zone: ZoneInfo) -> str:
    return _date(at.astimezone(zone).date())


def _date(day: date) -> str:
    """Not `strftime("%b")`, which follows the server's locale."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """The days of a period, the last one included."""
    first, last = start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    return _date(first) if first == last else f"{_date(first)} – {_date(last)}"


def _cents(amount: Decimal) -> str:
    return f"{amount:,.2f}".replace("-", "−")


def _usd(amount: Decimal) -> str:
    return f"−${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"


def _exact_usd(amount: Decimal) -> str:
    """With every digit that it has, at least two after the point."""
    whole, _, fraction = f"{abs(amount):,f}".partition(".")
    return f"{'−' if amount < 0 else ''}${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _number(value: Decimal) -> str:
    """With every digit that it has, and no zeros after the last one."""
    whole, _, fraction = f"{value:,f}".replace("-", "−").partition(".")
    return f"{whole}.{kept}" if (kept := fraction.rstrip("0")) else whole
