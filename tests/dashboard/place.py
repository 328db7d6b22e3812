"""An organization with one of everything that an address can name, for the tests that walk all addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from dashboard import export_files
from dashboard.models import Export, ExportFormat, ExportState, SavedView
from events.models import Membership, Organization, Role, TrackedUser, User
from events.models.event import public_id
from metering import invoicing
from metering.models import (
    BillingSettings,
    Credit,
    Meter,
    MeterRate,
    Plan,
    Subscription,
    UsageRecord,
    WebhookDelivery,
    WebhookEndpoint,
)
from metering.months import period_of
from metering.webhook_signature import new_secret
from pricing.models import PricingRevision
from tests.events_table import Call, store_events
from tests.factories import ApiKeyFactory, MembershipFactory, OrganizationFactory
from tests.metering.billing import Billing

SECRET = "secret"
"""Part of every name and id below: whoever must not see the organization must not read it."""


@dataclass(frozen=True)
class Place:
    """The organization, a person of each role, and what addresses name it by."""

    organization: Organization
    people: Mapping[str, User]
    """By role, and `stranger`: the owner of another organization."""
    named: Mapping[str, str | int]


def build(now: datetime) -> Place:
    """One of everything in one organization, and a stranger in another, which has an event of its own."""
    organization = OrganizationFactory(name=f"{SECRET} organization", slug=f"{SECRET}-organization")
    members = {role: _member(organization, role) for role in Role}
    elsewhere = OrganizationFactory(name="Elsewhere", slug="elsewhere")
    store_events(elsewhere, [Call(at=now)])
    stranger = _member(elsewhere, Role.OWNER)
    people = {role.value: member.user for role, member in members.items()} | {"stranger": stranger.user}
    return Place(organization, people, _named(organization, members, now))


def _member(organization: Organization, role: Role) -> Membership:
    staff = role in (Role.OWNER, Role.ADMIN)
    name = f"{SECRET} {role.value}" if SECRET in organization.slug else "Somebody Else"
    made: Membership = MembershipFactory(organization=organization, role=role, user__is_staff=staff, user__name=name)
    return made


def _named(organization: Organization, members: Mapping[Role, Membership], now: datetime) -> dict[str, str | int]:
    words = {name: f"{SECRET}-{name}" for name in ("feature", "user", "step", "session", "conversation")}
    call = Call(
        at=now - timedelta(minutes=1),
        feature=words["feature"],
        user=words["user"],
        step=words["step"],
        session_id=words["session"],
        conversation_id=words["conversation"],
    )
    return words | {
        "event": public_id(store_events(organization, [call])[0]),
        "organization": organization.pk,
        "viewers_membership": members[Role.VIEWER].pk,
        "viewer_id": members[Role.VIEWER].user.pk,
        "tracked_user": TrackedUser.objects.get(external_id=words["user"]).pk,
        "key": ApiKeyFactory(organization=organization, name=f"{SECRET}-key").pk,
        "export": _export(organization, members[Role.OWNER].user, now),
        "view": SavedView.objects.create(
            organization=organization,
            owner=members[Role.OWNER].user,
            page="costs",
            name=f"{SECRET}-view",
            query=f"feature={SECRET}-feature",
            is_shared=True,
            created_at=now,
        ).pk,
        **_billing(organization, words["user"], now),
        "first_revision": PricingRevision.objects.order_by("pk")[0].pk,
    }


def _billing(organization: Organization, external_id: str, now: datetime) -> dict[str, str | int]:
    """A meter with usage in two months that have ended: one has a draft, the later one an invoice."""
    billing, moments = Billing(of=organization), (now - timedelta(days=70), now - timedelta(days=35))
    customer, meter = billing.customer(external_id), billing.meter(f"{SECRET}-meter")
    billing.per_unit(meter, "1")
    for moment in moments:
        billing.used(meter, customer=customer, occurred_at=moment)
    draft, invoice = (invoicing.open_draft(organization.pk, customer.pk, moment) for moment in moments)
    invoicing.finalize(invoice.pk, organization.pk, now)
    # Not part of the secret: a form that is refused shows again what was typed.
    found = {"customer": billing.customer("cust_1").external_id, "month": f"{period_of(organization, now).first_day}"}
    return (
        found
        | {"meter": meter.pk, "draft": draft.pk, "invoice": invoice.pk}
        | _administered(organization, customer, meter)
    )


def _administered(organization: Organization, customer: TrackedUser, meter: Meter) -> dict[str, str | int]:
    """What only the admin names: among it a rate by which an invoice was made, and one by which none was."""
    unused = MeterRate.objects.create(meter=meter, effective_from=date(2099, 1, 1), unit_price_usd=Decimal(2))
    plan = Plan.objects.create(organization=organization, name=f"{SECRET}-plan", fee_usd=Decimal(29))
    endpoint = WebhookEndpoint.objects.create(
        organization=organization, url=f"https://{SECRET}.example/", secret=new_secret()
    )
    made = {
        "rate": unused,
        "billed_rate": MeterRate.objects.exclude(pk=unused.pk).get(meter=meter),
        "plan": plan,
        "subscription": Subscription.objects.create(tracked_user=customer, plan=plan, starts_on=date(2099, 1, 1)),
        "credit": Credit.objects.create(tracked_user=customer, amount_usd=Decimal(5), note=f"{SECRET}-credit"),
        "billing_settings": BillingSettings.objects.get(organization=organization),
        "endpoint": endpoint,
        "delivery": WebhookDelivery.objects.create(
            endpoint=endpoint, message_id=uuid4(), event_type="invoice.created", payload={"customer": SECRET}
        ),
    }
    record = UsageRecord.objects.filter(organization_id=organization.pk)[0]
    return {name: found.pk for name, found in made.items()} | {"record": str(record.pk)}


def _export(organization: Organization, owner: User, now: datetime) -> int:
    export = Export.objects.create(
        organization=organization,
        created_by=owner,
        created_at=now - timedelta(minutes=1),
        format=ExportFormat.CSV,
        query=f"feature={SECRET}-feature",
        start_at=now - timedelta(days=7),
        end_at=now,
        state=ExportState.READY,
        finished_at=now,
        expires_at=now + timedelta(days=1),
    )
    path = export_files.path_of(export)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{SECRET}\r\n")
    return export.pk
