"""An invoice as rows of CSV: what its PDF says, for programs and spreadsheets. Pure; `csv_text` writes the rows out."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from events.event_columns import guarded
from metering.invoice_document import Detail, DocumentLine, InvoiceDocument

COLUMNS: Final = (
    "invoice",
    "status",
    "customer",
    "row",
    "line",
    "kind",
    "description",
    "period_start",
    "period_end",
    "records",
    "over",
    "up_to",
    "quantity",
    "unit",
    "unit_price_usd",
    "exact_usd",
    "amount_usd",
)
"""`row` is `line`, `detail` (of the line of the same number) or `credit_note`. The period's end is not part of it.

`amount_usd` is in cents; those of the lines add up to the total. `exact_usd` has all digits, and those of a line's
details add up to the line's. Times are UTC.
"""


def csv_rows(document: InvoiceDocument) -> Iterator[tuple[str, ...]]:
    """The head, then every line followed by its details, then the credit notes. Texts cannot begin a formula."""
    yield COLUMNS
    for number, line in enumerate(document.lines, 1):
        yield _row(document, row="line", line=str(number), **_line(line))
        for detail in line.explained:
            yield _row(document, row="detail", line=str(number), kind=line.kind, **_detail(detail, line))
    for note in document.credit_notes:
        text = guarded(f"{note.number}: {note.reason}")
        amount = f"{-note.amount_usd:.2f}"
        yield _row(document, row="credit_note", description=text, exact_usd=amount, amount_usd=amount)


def _row(document: InvoiceDocument, **cells: str) -> tuple[str, ...]:
    of_all = {
        "invoice": guarded(document.number),
        "status": document.status,
        "customer": guarded(document.customer),
    }
    return tuple((of_all | cells).get(column, "") for column in COLUMNS)


def _line(line: DocumentLine) -> dict[str, str]:
    return {
        "kind": line.kind,
        "description": guarded(line.text),
        "period_start": _time(line.period_start),
        "period_end": _time(line.period_end),
        "records": str(line.records),
        "quantity": _number(line.quantity),
        "unit": guarded(line.unit),
        "exact_usd": _number(line.exact_usd),
        "amount_usd": f"{line.amount_usd:.2f}",
    }


def _detail(detail: Detail, line: DocumentLine) -> dict[str, str]:
    return {
        "description": guarded(detail.text),
        "period_start": _time(line.period_start),
        "period_end": _time(line.period_end),
        "over": _number(detail.over),
        "up_to": _number(detail.up_to),
        "quantity": _number(detail.quantity),
        "unit_price_usd": _number(detail.unit_price_usd),
        "exact_usd": _number(detail.amount_usd),
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _number(value: Decimal | None) -> str:
    """All digits, without an exponent and without zeros after the last one; empty when there is none."""
    if value is None:
        return ""
    whole, _, fraction = f"{value:f}".partition(".")
    return f"{whole}.{kept}" if (kept := fraction.rstrip("0")) else whole
