"""The lines of an invoice as its page prints them, with what explains each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dashboard.formats import count, days, quantity, usd, usd_exact
from dashboard.pages.margin import behind_href
from dashboard.pages.meter_words import with_unit
from metering.invoice_document import Detail, DocumentLine, InvoiceDocument
from metering.models import LineKind


@dataclass(frozen=True)
class Explained:
    """quantity × price = amount, exact."""

    text: str
    quantity: str
    price: str
    amount: str


@dataclass(frozen=True)
class LineRow:
    """One line. `price` where one explains it, else `details`."""

    text: str
    period: str
    """Where it is another than the invoice's."""
    quantity: str
    price: str
    amount: str
    exact: str
    details: Sequence[Explained]
    records: str
    """"1,204 records"; '' for what has none."""
    records_href: str
    lacks_rate: bool


def line_rows(document: InvoiceDocument, lines: Sequence[DocumentLine], zone: ZoneInfo) -> list[LineRow]:
    """`zone` is the organization's present one, in which pages of usage count days."""
    return [_line(document, line, zone) for line in lines]


def period_text(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """The days of a period in its own zone, the last one included."""
    return days(start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date())


def _line(document: InvoiceDocument, line: DocumentLine, zone: ZoneInfo) -> LineRow:
    is_own_period = (line.period_start, line.period_end) == (document.period_start, document.period_end)
    only = _only(line)
    return LineRow(
        text=line.text,
        period="" if is_own_period else period_text(line.period_start, line.period_end, document.zone),
        quantity="" if line.quantity is None else with_unit(quantity(line.quantity), line.unit),
        price=usd_exact(only.unit_price_usd) if only else "",
        amount=usd(line.amount_usd),
        exact=usd_exact(line.exact_usd),
        details=[] if only else [_explained(detail) for detail in line.details],
        records=f"{count(line.records)} {'record' if line.records == 1 else 'records'}" if line.records else "",
        records_href=_records_href(document, line, zone),
        lacks_rate=line.meter_id is not None and line.rate_id is None,
    )


def _only(line: DocumentLine) -> Detail | None:
    """The one detail that says nothing but quantity × price, which then stands in the line itself."""
    if line.kind != LineKind.USAGE or len(line.details) != 1 or line.details[0].over is not None:
        return None
    only = line.details[0]
    return only if only.amount_usd == line.exact_usd and only.quantity == line.quantity else None


def _explained(detail: Detail) -> Explained:
    return Explained(
        f"{detail.text}{_tier(detail)}",
        quantity(detail.quantity),
        usd_exact(detail.unit_price_usd),
        usd_exact(detail.amount_usd),
    )


def _tier(detail: Detail) -> str:
    if detail.over is None:
        return ""
    over = f" over {quantity(detail.over)}" if detail.over else ""
    up_to = f" up to {quantity(detail.up_to)}" if detail.up_to is not None else ""
    return f",{over}{up_to}" if over or up_to else ""


def _records_href(document: InvoiceDocument, line: DocumentLine, zone: ZoneInfo) -> str:
    if line.meter_id is None or not line.records:
        return ""
    meter = {"meter": str(line.meter_id)}
    return behind_href("usage", document.customer, line.period_start, line.period_end, zone, **meter)
