"""An invoice as people and programs read it, draft or not: what its page, its PDF, its CSV and the API are made from.

Pure. Money is Decimal USD: amounts of lines in cents, exact amounts and prices with all their digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from metering.rating import Line as Explained


class Detail(NamedTuple):
    """Why a line is what it is: quantity × unit_price_usd = amount_usd, exact. A tier: more than `over`, to `up_to`."""

    text: str
    quantity: Decimal
    unit_price_usd: Decimal
    amount_usd: Decimal
    over: Decimal | None = None
    up_to: Decimal | None = None

    @classmethod
    def of(cls, line: Explained) -> "Detail":
        """A line of a charge."""
        return cls(*line)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Detail":
        """As `as_json` wrote it."""
        numbers = {
            name: None if stored.get(name) is None else Decimal(stored[name]) for name in cls._fields if name != "text"
        }
        return cls(stored["text"], **numbers)  # type: ignore[arg-type]  # what is required is there

    def as_json(self) -> dict[str, Any]:
        """Numbers as strings with all their digits; what is None is left out."""
        found = self._asdict()
        return {
            name: f"{value:f}" if isinstance(value, Decimal) else value
            for name, value in found.items()
            if value is not None
        }


@dataclass(frozen=True)
class DocumentLine:
    """One line. `kind` is a word of `LineKind`; credits and most adjustments in the customer's favour are negative."""

    kind: str
    text: str
    amount_usd: Decimal
    exact_usd: Decimal
    period_start: datetime
    period_end: datetime
    quantity: Decimal | None = None
    unit: str = ""
    records: int = 0
    """How many usage records are behind the quantity."""
    meter_id: int | None = None
    rate_id: int | None = None
    credit_id: int | None = None
    details: Sequence[Detail] = ()

    @property
    def explained(self) -> Sequence[Detail]:
        """The details, with what is taken off their sum, if anything: an adjustment charges the rest of its period."""
        rest = self.exact_usd - sum((detail.amount_usd for detail in self.details), Decimal(0))
        if not self.details or not rest:
            return self.details
        return (*self.details, Detail("Charged before, in cents", Decimal(1), rest, rest))


@dataclass(frozen=True)
class Noted:
    """A credit note against the invoice."""

    number: str
    amount_usd: Decimal
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class InvoiceDocument:
    """All of one invoice. `number` is '' while it is a draft, `finalized_at` is None."""

    id: int
    status: str
    number: str
    customer_id: int
    customer: str
    """The customer's external id."""
    customer_name: str
    customer_email: str
    issuer: str
    note: str
    period_start: datetime
    period_end: datetime
    zone: ZoneInfo
    created_at: datetime
    finalized_at: datetime | None
    voided_at: datetime | None
    void_reason: str
    lines: Sequence[DocumentLine]
    credit_notes: Sequence[Noted]
    subtotal_usd: Decimal
    """Before credits."""
    total_usd: Decimal
    rounding_usd: Decimal
    """How much more the total is than the exact sum of the lines."""

    @property
    def credited_usd(self) -> Decimal:
        """What credit notes have taken back."""
        return sum((note.amount_usd for note in self.credit_notes), Decimal("0.00"))

    @property
    def due_usd(self) -> Decimal:
        """What the customer owes: nothing once the invoice is void."""
        return Decimal("0.00") if self.status == "void" else self.total_usd - self.credited_usd

    @property
    def title(self) -> str:
        """The invoice's number, or that it is a draft."""
        return self.number or "Draft"
