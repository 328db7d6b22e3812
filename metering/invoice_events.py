"""What webhooks say of invoices: the keys that the REST API's lists have."""

from datetime import UTC, datetime
from typing import Any

from metering import webhooks
from metering.models import CreditNote, Invoice


def announce(event_type: str, invoice: Invoice, now: datetime) -> None:
    """Tell the organization's endpoints of the invoice as it is now, as part of the caller's transaction."""
    webhooks.announce(invoice.organization_id, event_type, of_invoice(invoice), now)


def announce_credit_note(note: CreditNote, now: datetime) -> None:
    """Tell them of a new credit note, and of the invoice that it is against."""
    found = {
        "number": note.number,
        "amount_usd": f"{note.amount_usd:.2f}",
        "reason": note.reason,
        "created_at": _time(note.created_at),
        "invoice": of_invoice(note.invoice),
    }
    webhooks.announce(note.organization_id, "credit_note.created", found, now)


def of_invoice(invoice: Invoice) -> dict[str, Any]:
    """The invoice without its lines. A draft's total follows the usage: here it is null."""
    return {
        "id": invoice.pk,
        "status": str(invoice.status),
        "number": invoice.number or None,
        "customer_id": invoice.tracked_user_id,
        "customer_external_id": invoice.tracked_user.external_id,
        "period_start": _time(invoice.period_start),
        "period_end": _time(invoice.period_end),
        "created_at": _time(invoice.created_at),
        "finalized_at": _time(invoice.finalized_at),
        "voided_at": _time(invoice.voided_at),
        "total_usd": f"{invoice.total_usd:.2f}" if invoice.number else None,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
