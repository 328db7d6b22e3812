"""Customers in the database. Every function keeps to one organization and raises HttpError."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery

from events.models import RevenueChange, TrackedUser
from events.wire import FieldError
from metering.api.customer_schemas import CustomerIn, CustomerPatch
from metering.api.errors import invalid, not_found


def listed(organization_id: int, after: tuple[str] | None, limit: int, now: datetime) -> Sequence[Any]:
    """Customers with their revenue at `now`, by external id. One query."""
    customers = _with_revenue(organization_id, now)
    if after is not None:
        customers = customers.filter(external_id__gt=after[0])
    return list(customers.order_by("external_id")[:limit])


def get(organization_id: int, customer_id: int, now: datetime) -> Any:
    """A customer with its revenue at `now`. 404."""
    customer = _with_revenue(organization_id, now).filter(pk=customer_id).first()
    if customer is None:
        raise not_found("customer")
    return customer


@transaction.atomic
def create(organization_id: int, incoming: CustomerIn, now: datetime) -> Any:
    """A new customer. 422 when there is one of this external id."""
    if TrackedUser.objects.filter(organization_id=organization_id, external_id=incoming.external_id).exists():
        raise invalid([FieldError("external_id", "there is a customer of this id")])
    made = TrackedUser.objects.create(
        organization_id=organization_id,
        external_id=incoming.external_id,
        name=incoming.name,
        email=incoming.email,
        described_at=now,
        created_at=now,
    )
    if incoming.monthly_revenue_usd is not None:
        _set_revenue(made.pk, incoming.monthly_revenue_usd, now)
    return get(organization_id, made.pk, now)


@transaction.atomic
def change(organization_id: int, customer_id: int, patch: CustomerPatch, now: datetime) -> Any:
    """Only the fields that were sent; older events do not describe the customer any more. 404."""
    customer = get(organization_id, customer_id, now)
    sent = patch.model_dump(exclude_unset=True)
    revenue = sent.pop("monthly_revenue_usd", None)
    if sent:
        TrackedUser.objects.filter(pk=customer_id).update(**sent, described_at=now)
    if revenue is not None and revenue != customer.current_revenue_usd:
        _set_revenue(customer_id, revenue, now)
    return get(organization_id, customer_id, now)


def _with_revenue(organization_id: int, now: datetime) -> Any:
    changes = RevenueChange.objects.filter(tracked_user=OuterRef("pk"), effective_at__lte=now).order_by("-effective_at")
    return TrackedUser.objects.filter(organization_id=organization_id).annotate(
        current_revenue_usd=Subquery(changes.values("monthly_revenue_usd")[:1])
    )


def _set_revenue(customer_id: int, amount: Decimal, now: datetime) -> None:
    RevenueChange.objects.update_or_create(
        tracked_user_id=customer_id, effective_at=now, defaults={"monthly_revenue_usd": amount}
    )
