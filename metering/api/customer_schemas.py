"""Customers as the API reads and writes them. A customer is a tracked user: it has LLM cost and metered usage."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator

from events.schema import MAX_MONTHLY_REVENUE_USD
from metering.api.fields import Identifier, Incoming, Label, Number, Outgoing, plain


def _revenue(value: Decimal) -> Decimal:
    if not 0 <= value <= MAX_MONTHLY_REVENUE_USD:
        raise ValueError(f"must be from 0 to {MAX_MONTHLY_REVENUE_USD}")
    if value != round(value, 6):
        raise ValueError("must have at most 6 decimals")
    return value


Revenue = Annotated[Number, AfterValidator(_revenue)]


class CustomerIn(Incoming):
    """A new customer, known by your own id for it, which stays. `monthly_revenue_usd` is what it pays from now on."""

    external_id: Identifier
    name: Label = ""
    email: Label = ""
    monthly_revenue_usd: Revenue | None = None


class CustomerPatch(Incoming):
    """What is to change."""

    name: Label = ""
    email: Label = ""
    monthly_revenue_usd: Revenue = Decimal(0)


class CustomerOut(Outgoing):
    """A customer; `monthly_revenue_usd` is what it pays at this time, null when nobody has said."""

    id: int
    external_id: str
    name: str
    email: str
    created_at: datetime
    monthly_revenue_usd: str | None

    @classmethod
    def of(cls, row: Any) -> "CustomerOut":
        """From a row of `customer_store`."""
        revenue: Decimal | None = row.current_revenue_usd
        return cls(
            id=row.pk,
            external_id=row.external_id,
            name=row.name,
            email=row.email,
            created_at=row.created_at,
            monthly_revenue_usd=None if revenue is None else plain(revenue),
        )
