"""Telling an organization's endpoints what happened to its invoices: with the change itself, or not at all."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from django.db import transaction

from metering.models import WebhookDelivery, WebhookEndpoint
from metering.webhook_jobs import defer_send_webhooks

EVENT_TYPES: Final = ("invoice.created", "invoice.finalized", "invoice.voided", "credit_note.created")


def announce(organization_id: int, event_type: str, payload: dict[str, Any], now: datetime) -> None:
    """Queue a message to every active endpoint of the organization, as part of the caller's transaction.

    `payload` is what JSON can hold, amounts as strings; it becomes the message's `data`.
    """
    if event_type not in EVENT_TYPES:
        raise ValueError(f"not a type of event: {event_type}")
    at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {"type": event_type, "timestamp": at, "data": payload}
    with transaction.atomic():
        made = WebhookDelivery.objects.bulk_create(
            WebhookDelivery(
                endpoint=endpoint, message_id=uuid4(), event_type=event_type, payload=message, next_try_at=now
            )
            for endpoint in WebhookEndpoint.objects.filter(organization=organization_id, is_active=True)
        )
        if made:
            defer_send_webhooks()


def send_again(deliveries: Iterable[int], now: datetime) -> int:
    """Send these messages once more, from the first try on and under their old ids; returns how many are sent.

    Those of an endpoint that is switched off are not, nor those that are being sent at this moment.
    """
    with transaction.atomic():
        found = WebhookDelivery.objects.filter(pk__in=list(deliveries), endpoint__is_active=True)
        held = found.select_for_update(skip_locked=True, no_key=True, of=("self",)).values_list("pk", flat=True)
        again = WebhookDelivery.objects.filter(pk__in=list(held))
        count = again.update(tries=0, next_try_at=now, delivered_at=None, http_status=None, problem="")
        if count:
            defer_send_webhooks()
    return count
