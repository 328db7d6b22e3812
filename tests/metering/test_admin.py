"""Billing in the admin: who sees what, what cannot be chosen or changed any more, which field is wrong."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from events.models import Environment, Organization, Role, TrackedUser, User
from metering.models import (
    BillingSettings,
    Credit,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    LineKind,
    Meter,
    MeterRate,
    Plan,
    RateKind,
    RateTier,
    Subscription,
    UsageRecord,
    WebhookDelivery,
    WebhookEndpoint,
)
from metering.webhook_signature import new_secret
from tests.factories import MembershipFactory, OrganizationFactory, TrackedUserFactory, UserFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{32}")
CHANGED = ("meter", "meterrate", "plan", "subscription", "credit", "billingsettings", "webhookendpoint")
READ = ("invoice", "usagerecord", "webhookdelivery")


@dataclass
class Owned:
    """One of everything that belongs to an organization."""

    organization: Organization
    customer: TrackedUser
    objects: dict[str, Any]

    @property
    def meter(self) -> Meter:
        found: Meter = self.objects["meter"]
        return found


@dataclass
class Place:
    ours: Owned
    theirs: Owned
    people: dict[str, User]

    def client(self, actor: str = "owner") -> Client:
        client = Client()
        client.force_login(self.people[actor])
        return client


def record_of(meter: Meter, customer: TrackedUser) -> UsageRecord:
    return UsageRecord.objects.create(
        id=UUID(int=int(NOW.timestamp() * 1000) << 80 | 7 << 76 | uuid4().int & (1 << 76) - 1),
        organization_id=meter.organization_id,
        environment=Environment.LIVE,
        meter_id=meter.pk,
        tracked_user_id=customer.pk,
        quantity=Decimal("2.5"),
        occurred_at=NOW,
        received_at=NOW,
        content_hash=uuid4(),
    )


def owned(organization: Organization) -> Owned:
    customer = TrackedUserFactory(organization=organization, external_id=f"customer-of-{organization.slug}")
    meter = Meter.objects.create(organization=organization, name=f"Documents of {organization.slug}")
    plan = Plan.objects.create(organization=organization, name=f"Team of {organization.slug}", fee_usd=Decimal(29))
    endpoint = WebhookEndpoint.objects.create(
        organization=organization, url=f"https://{organization.slug}.example/hook", secret=new_secret()
    )
    objects = {
        "meter": meter,
        "meterrate": MeterRate.objects.create(
            meter=meter, effective_from=date(2026, 1, 1), unit_price_usd=Decimal("0.05")
        ),
        "plan": plan,
        "subscription": Subscription.objects.create(tracked_user=customer, plan=plan, starts_on=date(2026, 1, 1)),
        "credit": Credit.objects.create(tracked_user=customer, amount_usd=Decimal(5)),
        "billingsettings": BillingSettings.objects.create(organization=organization),
        "webhookendpoint": endpoint,
        "webhookdelivery": WebhookDelivery.objects.create(
            endpoint=endpoint, message_id=uuid4(), event_type="invoice.created", payload={}, problem="Given up"
        ),
        "invoice": Invoice.objects.create(
            organization=organization,
            tracked_user=customer,
            period_start=datetime(2026, 10, 1, tzinfo=UTC),
            period_end=datetime(2026, 11, 1, tzinfo=UTC),
            time_zone="UTC",
        ),
        "usagerecord": record_of(meter, customer),
    }
    return Owned(organization, customer, objects)


@pytest.fixture
def place() -> Place:
    ours, theirs = OrganizationFactory(slug="ours", name="ours"), OrganizationFactory(slug="theirs", name="theirs")
    people: dict[str, User] = {
        role.value: MembershipFactory(organization=ours, role=role, user__is_staff=True).user for role in Role
    }
    people["superuser"] = UserFactory(is_staff=True, is_superuser=True)
    people["stranger"] = MembershipFactory(organization=theirs, role=Role.OWNER, user__is_staff=True).user
    return Place(owned(ours), owned(theirs), people)


def url(model: str, page: str, *args: Any) -> str:
    return reverse(f"admin:metering_{model}_{page}", args=args)


def errors_of(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def form_of(answer: Any) -> Any:
    return answer.context["adminform"].form


# Who sees what


@pytest.mark.parametrize("model", [*CHANGED, *READ])
@pytest.mark.parametrize("actor", ["superuser", "owner", "admin", "member", "viewer", "stranger"])
def test_each_sees_and_opens_only_their_own(place: Place, actor: str, model: str) -> None:
    client = place.client(actor)
    listed = client.get(url(model, "changelist"))
    ours, theirs = (client.get(url(model, "change", of.objects[model].pk)) for of in (place.ours, place.theirs))
    if actor in ("member", "viewer"):
        assert [answer.status_code for answer in (listed, ours, theirs)] == [403, 403, 403]
        return
    seen = set(listed.context["cl"].queryset)
    sees_ours, sees_theirs = actor != "stranger", actor in ("superuser", "stranger")
    assert (place.ours.objects[model] in seen, place.theirs.objects[model] in seen) == (sees_ours, sees_theirs)
    assert (ours.status_code, theirs.status_code) == (200 if sees_ours else 302, 200 if sees_theirs else 302)
    for answer in (listed, ours):
        assert ("theirs" in answer.content.decode()) is sees_theirs or answer is ours


@pytest.mark.parametrize("model", CHANGED)
@pytest.mark.parametrize(("actor", "allowed"), [("superuser", True), ("owner", True), ("member", False)])
def test_who_may_add(place: Place, actor: str, allowed: bool, model: str) -> None:
    assert place.client(actor).get(url(model, "add")).status_code == (200 if allowed else 403)


@pytest.mark.parametrize("model", READ)
@pytest.mark.parametrize("actor", ["superuser", "owner"])
def test_some_are_for_reading_alone(place: Place, actor: str, model: str) -> None:
    client, obj = place.client(actor), place.ours.objects[model]
    assert client.get(url(model, "add")).status_code == 403
    assert client.post(url(model, "change", obj.pk), {"note": "x"}).status_code == 403
    assert client.post(url(model, "delete", obj.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", [each for each in CHANGED if each != "meterrate"])
def test_nothing_is_deleted(place: Place, model: str) -> None:
    obj = place.ours.objects[model]
    assert place.client("superuser").post(url(model, "delete", obj.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("model", "field", "foreign"),
    [
        ("meter", "organization", "organization"),
        ("meterrate", "meter", "meter"),
        ("plan", "organization", "organization"),
        ("subscription", "plan", "plan"),
        ("billingsettings", "organization", "organization"),
        ("webhookendpoint", "organization", "organization"),
    ],
)
def test_what_is_not_ones_own_cannot_be_chosen(place: Place, model: str, field: str, foreign: str) -> None:
    answer = place.client().get(url(model, "add"))
    choices = set(form_of(answer).fields[field].queryset)
    if foreign == "organization":
        assert choices == {place.ours.organization}
    else:
        assert choices == {place.ours.objects[foreign]}


@pytest.mark.parametrize("model", ["meterrate", "subscription", "credit"])
def test_customers_of_others_are_not_found_nor_accepted_nor_named(place: Place, model: str) -> None:
    client = place.client()
    target = {"app_label": "metering", "model_name": model, "field_name": "tracked_user", "term": "customer-of"}
    found = client.get(reverse("admin:autocomplete"), target).json()["results"]
    assert [each["id"] for each in found] == [str(place.ours.customer.pk)]
    answer = client.post(url(model, "add"), {"tracked_user": place.theirs.customer.pk})
    assert "tracked_user" in errors_of(answer)
    assert "customer-of-theirs" not in answer.content.decode()


# Meters


def meter_form(place: Place, **fields: Any) -> dict[str, Any]:
    return {"organization": place.ours.organization.pk, "name": "Seats", "aggregation": "SUM", **fields}


def test_a_meter_is_added(place: Place) -> None:
    posted = meter_form(place, aggregation="UNIQUE_COUNT", unique_key="seat", unit="seats")
    assert place.client().post(url("meter", "add"), posted).status_code == 302
    meter = Meter.objects.get(name="Seats")
    assert (meter.organization, meter.unique_key, meter.archived_at) == (place.ours.organization, "seat", None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "Documents of ours"}, "There is a meter of this name."),
        ({"aggregation": "SUM", "unique_key": "seat"}, "metadata key"),
        ({"aggregation": "UNIQUE_COUNT"}, "metadata key"),
    ],
)
def test_a_wrong_meter_is_refused_with_a_sentence(place: Place, fields: dict[str, str], said: str) -> None:
    answer = place.client().post(url("meter", "add"), meter_form(place, **fields))
    assert said in " ".join(errors_of(answer)["__all__"])


def test_a_meter_cannot_take_anothers_name(place: Place) -> None:
    other = Meter.objects.create(organization=place.ours.organization, name="Other")
    posted = {"name": "Documents of ours", "aggregation": "SUM"}
    answer = place.client().post(url("meter", "change", other.pk), posted)
    assert errors_of(answer)["__all__"] == ["There is a meter of this name."]


def test_meters_are_archived_and_their_name_is_free_again(place: Place) -> None:
    client, meter = place.client(), place.ours.meter
    client.post(url("meter", "change", meter.pk), {"name": meter.name, "archived": "on"})
    meter.refresh_from_db()
    assert meter.archived_at is not None
    assert client.post(url("meter", "add"), meter_form(place, name=meter.name)).status_code == 302
    answer = client.post(url("meter", "change", meter.pk), {"name": meter.name})
    assert errors_of(answer)["__all__"] == ["There is a meter of this name."]


def test_how_a_meter_counts_is_fixed_once_it_has_records(place: Place) -> None:
    client, meter = place.client(), place.ours.meter
    fixed = client.get(url("meter", "change", meter.pk)).context["adminform"].readonly_fields
    assert {"aggregation", "unique_key", "organization"} <= set(fixed)
    client.post(url("meter", "change", meter.pk), {"name": "Renamed", "aggregation": "MAX"})
    meter.refresh_from_db()
    assert (meter.name, meter.aggregation) == ("Renamed", "SUM")
    fresh = Meter.objects.create(organization=place.ours.organization, name="Fresh")
    client.post(url("meter", "change", fresh.pk), {"name": "Fresh", "aggregation": "MAX"})
    fresh.refresh_from_db()
    assert fresh.aggregation == "MAX"


# Rates


def rate_form(place: Place, tiers: list[tuple[str, str, str]] | None = None, **fields: Any) -> dict[str, Any]:
    """A rate as a browser posts it; tiers are up_to, unit price and fee."""
    form: dict[str, Any] = {
        "meter": place.ours.meter.pk,
        "effective_from": "2026-12-01",
        "kind": RateKind.PER_UNIT,
        "allowance": "0",
        "minimum_usd": "0",
        "tiers-TOTAL_FORMS": 3,
        "tiers-INITIAL_FORMS": 0,
        **fields,
    }
    for number, (up_to, price, fee) in enumerate([*(tiers or []), ("", "", "0"), ("", "", ""), ("", "", "0")][:3]):
        row = {"up_to": up_to, "unit_price_usd": price, "flat_fee_usd": fee}
        form |= {f"tiers-{number}-{name}": value for name, value in row.items()}
    return form


def tier_errors(answer: Any) -> list[dict[str, list[str]]]:
    return [dict(errors) for errors in answer.context["inline_admin_formsets"][0].formset.errors]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "flat", "fee_usd": "10"},
        {"kind": "per_unit", "unit_price_usd": "0.000000000001", "allowance": "100.5", "minimum_usd": "5"},
        {"kind": "package", "package_size": "1000", "package_price_usd": "2"},
        {"kind": "graduated", "tiers": [("1000", "0.05", "0"), ("", "0.01", "1")]},
        {"kind": "volume", "tiers": [("", "0.01", "0"), ("10", "0.05", "0"), ("20.5", "0.02", "0")]},
    ],
)
def test_every_kind_of_rate_is_added(place: Place, fields: dict[str, Any]) -> None:
    answer = place.client().post(url("meterrate", "add"), rate_form(place, **fields))
    assert answer.status_code == 302, (errors_of(answer), tier_errors(answer))
    rate = MeterRate.objects.exclude(pk=place.ours.objects["meterrate"].pk).get(meter=place.ours.meter)
    assert rate.rate
    assert rate.tiers.count() == len(fields.get("tiers", []))


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({}, "unit_price_usd", "Is required for per unit."),
        ({"kind": "flat"}, "fee_usd", "Is required for flat fee."),
        ({"kind": "package", "package_price_usd": "1"}, "package_size", "Is required for per started package."),
        (
            {"kind": "package", "package_size": "0", "package_price_usd": "1"},
            "package_size",
            "Must be more than 0.",
        ),
        (
            {"kind": "package", "package_size": "1", "package_price_usd": "-1"},
            "package_price_usd",
            "Must not be negative.",
        ),
        ({"unit_price_usd": "-1"}, "unit_price_usd", "Must not be negative."),
        ({"unit_price_usd": "0.0000000000001"}, "unit_price_usd", "no more than 12 decimal places"),
        ({"unit_price_usd": "NaN"}, "unit_price_usd", "Enter a number."),
        ({"unit_price_usd": "1", "allowance": "-1"}, "allowance", "Must not be negative."),
        ({"kind": "flat", "fee_usd": "1", "allowance": "5"}, "allowance", "does not depend on the quantity"),
        ({"unit_price_usd": "1", "fee_usd": "1"}, "fee_usd", "Is no part of this kind: per unit."),
        ({"unit_price_usd": "1", "effective_from": "2026-01-01"}, "__all__", "There is a rate from this day on"),
        ({"unit_price_usd": "1", "meter": ""}, "meter", "This field is required."),
    ],
)
def test_the_wrong_field_of_a_rate_is_named(place: Place, fields: dict[str, Any], field: str, said: str) -> None:
    answer = place.client().post(url("meterrate", "add"), rate_form(place, **fields))
    assert said in " ".join(errors_of(answer)[field])
    assert MeterRate.objects.filter(meter=place.ours.meter).count() == 1


@pytest.mark.parametrize(
    ("tiers", "row", "field", "said"),
    [
        ([("10", "1", "0"), ("20", "1", "0")], 1, "up_to", "Must be left out, the last tier has no end."),
        ([("0", "1", "0"), ("", "1", "0")], 0, "up_to", "Must be more than 0."),
        ([("", "1", "0"), ("20", "-1", "0")], 1, "unit_price_usd", "Must not be negative."),
        ([("20", "1", "-0.5"), ("", "1", "0")], 0, "flat_fee_usd", "Must not be negative."),
        ([("20", "", "0"), ("", "1", "0")], 0, "unit_price_usd", "This field is required."),
    ],
)
def test_the_wrong_tier_is_named(
    place: Place, tiers: list[tuple[str, str, str]], row: int, field: str, said: str
) -> None:
    answer = place.client().post(url("meterrate", "add"), rate_form(place, kind="graduated", tiers=tiers))
    assert said in " ".join(tier_errors(answer)[row][field])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "graduated"}, "Tiers must have at least one tier."),
        ({"kind": "flat", "fee_usd": "1", "tiers": [("", "1", "0")]}, "not of other kinds"),
    ],
)
def test_tiers_where_they_belong(place: Place, fields: dict[str, Any], said: str) -> None:
    answer = place.client().post(url("meterrate", "add"), rate_form(place, **fields))
    assert said in str(answer.context["inline_admin_formsets"][0].formset.non_form_errors())


@pytest.mark.parametrize("bound", ["10", ""])
def test_two_tiers_to_the_same_bound_are_refused(place: Place, bound: str) -> None:
    tiers = [(bound, "1", "0"), (bound, "2", "0"), ("", "3", "0")]
    answer = place.client().post(url("meterrate", "add"), rate_form(place, kind="volume", tiers=tiers))
    assert answer.status_code == 200
    assert not RateTier.objects.exists()


def test_a_superuser_cannot_give_a_rate_to_another_organizations_customer(place: Place) -> None:
    posted = rate_form(place, unit_price_usd="1", tracked_user=place.theirs.customer.pk)
    answer = place.client("superuser").post(url("meterrate", "add"), posted)
    assert errors_of(answer)["tracked_user"] == ["This customer belongs to another organization."]


def billed(place: Place) -> MeterRate:
    """The rate after a finalized invoice has a line by it."""
    rate: MeterRate = place.ours.objects["meterrate"]
    invoice: Invoice = place.ours.objects["invoice"]
    InvoiceLine.objects.create(
        invoice=invoice,
        position=1,
        kind=LineKind.USAGE,
        text="Documents",
        meter=rate.meter,
        rate=rate,
        credit=place.ours.objects["credit"],
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        exact_usd=Decimal(1),
        amount_usd=Decimal(1),
    )
    Invoice.objects.filter(pk=invoice.pk).update(status=InvoiceStatus.FINALIZED, number="INV-1", finalized_at=NOW)
    return rate


def test_a_rate_that_was_billed_by_stays(place: Place) -> None:
    client, rate = place.client("superuser"), billed(place)
    posted = rate_form(place, unit_price_usd="9", kind="per_unit")
    assert client.get(url("meterrate", "change", rate.pk)).status_code == 200
    assert client.post(url("meterrate", "change", rate.pk), posted).status_code == 403
    assert client.post(url("meterrate", "delete", rate.pk), {"post": "yes"}).status_code == 403
    rate.refresh_from_db()
    assert rate.unit_price_usd == Decimal("0.05")


def test_another_rate_is_changed_or_deleted(place: Place) -> None:
    client, rate = place.client(), place.ours.objects["meterrate"]
    shown = client.get(url("meterrate", "change", rate.pk)).content.decode()
    assert 'value="0.05"' in shown
    posted = rate_form(place, unit_price_usd="0.06")
    assert client.post(url("meterrate", "change", rate.pk), posted).status_code == 302
    rate.refresh_from_db()
    assert rate.unit_price_usd == Decimal("0.06")
    assert client.post(url("meterrate", "delete", rate.pk), {"post": "yes"}).status_code == 302
    assert not MeterRate.objects.filter(pk=rate.pk).exists()


# Plans, subscriptions, credits, settings


def test_the_fee_of_a_plan_is_fixed_once_somebody_subscribed(place: Place) -> None:
    client, plan = place.client(), place.ours.objects["plan"]
    client.post(url("plan", "change", plan.pk), {"name": "Renamed", "fee_usd": "1"})
    plan.refresh_from_db()
    assert (plan.name, plan.fee_usd) == ("Renamed", Decimal(29))
    unsold = Plan.objects.create(organization=place.ours.organization, name="Unsold", fee_usd=1)
    client.post(url("plan", "change", unsold.pk), {"name": "Unsold", "fee_usd": "2"})
    unsold.refresh_from_db()
    assert unsold.fee_usd == 2


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": "Team of ours", "fee_usd": "1"}, "__all__", "There is a plan of this name."),
        ({"name": "X", "fee_usd": "-1"}, "fee_usd", "Must be 0 or more."),
        ({"name": "X", "fee_usd": ""}, "fee_usd", "This field is required."),
    ],
)
def test_a_wrong_plan_is_refused(place: Place, fields: dict[str, str], field: str, said: str) -> None:
    answer = place.client().post(url("plan", "add"), {"organization": place.ours.organization.pk, **fields})
    assert errors_of(answer)[field] == [said]


def test_a_subscription_is_added_and_ended(place: Place) -> None:
    client = place.client()
    posted = {"plan": place.ours.objects["plan"].pk, "tracked_user": place.ours.customer.pk, "starts_on": "2026-12-01"}
    assert client.post(url("subscription", "add"), posted).status_code == 302
    made = Subscription.objects.get(starts_on=date(2026, 12, 1))
    answer = client.post(url("subscription", "change", made.pk), {"ends_on": "2026-11-01"})
    assert errors_of(answer)["__all__"] == ["A subscription ends after the day on which it starts."]
    client.post(url("subscription", "change", made.pk), {"ends_on": "2027-01-01", "starts_on": "2020-01-01"})
    made.refresh_from_db()
    assert (made.starts_on, made.ends_on) == (date(2026, 12, 1), date(2027, 1, 1))


def test_plan_and_customer_are_of_one_organization(place: Place) -> None:
    posted = {
        "plan": place.ours.objects["plan"].pk,
        "tracked_user": place.theirs.customer.pk,
        "starts_on": "2026-12-01",
    }
    answer = place.client("superuser").post(url("subscription", "add"), posted)
    assert errors_of(answer)["tracked_user"] == ["This customer belongs to another organization."]


def test_a_credit_is_granted_and_fixed_once_an_invoice_used_it(place: Place) -> None:
    client, credit = place.client(), place.ours.objects["credit"]
    assert "amount_usd" in errors_of(
        client.post(url("credit", "add"), {"tracked_user": place.ours.customer.pk, "amount_usd": "0.001"})
    )
    answer = client.post(url("credit", "add"), {"tracked_user": place.ours.customer.pk, "amount_usd": "0"})
    assert errors_of(answer)["amount_usd"] == ["Must be 0.01 or more."]
    client.post(url("credit", "change", credit.pk), {"amount_usd": "6"})
    billed(place)
    client.post(url("credit", "change", credit.pk), {"amount_usd": "7"})
    credit.refresh_from_db()
    assert credit.amount_usd == 6


def test_billing_settings_are_one_of_each_organization(place: Place) -> None:
    posted = {"organization": place.ours.organization.pk, "anchor_day": "29", "invoice_prefix": "A-"}
    errors = errors_of(place.client().post(url("billingsettings", "add"), posted))
    assert errors["organization"] == ["This organization has billing settings already."]
    assert "less than or equal to 28" in errors["anchor_day"][0]
    settings = place.ours.objects["billingsettings"]
    changed = {"anchor_day": "15", "invoice_prefix": "A-", "issuer": "Acme\nStreet 1", "last_invoice_number": "99"}
    place.client().post(url("billingsettings", "change", settings.pk), changed)
    settings.refresh_from_db()
    assert (settings.anchor_day, settings.last_invoice_number) == (15, 0)


# Webhooks


def added(place: Place, client: Client, **fields: str) -> Any:
    token = form_of(client.get(url("webhookendpoint", "add"))).initial["form_token"]
    organization = place.ours.organization.pk
    posted = {"organization": organization, "is_active": "on", "url": "https://a.example/x", "form_token": token}
    return client.post(url("webhookendpoint", "add"), posted | fields)


def test_the_secret_is_shown_once(place: Place) -> None:
    client = place.client()
    answer = added(place, client)
    (secret,) = SECRET.findall(answer.content.decode())
    made = WebhookEndpoint.objects.get(url="https://a.example/x")
    assert made.secret == secret
    assert "no-store" in answer["Cache-Control"]
    for page in (url("webhookendpoint", "change", made.pk), url("webhookendpoint", "changelist")):
        assert not SECRET.search(client.get(page).content.decode())
    assert not any("whsec" in entry.change_message for entry in LogEntry.objects.all())


def test_a_reload_makes_no_second_endpoint(place: Place) -> None:
    client = place.client()
    token = form_of(client.get(url("webhookendpoint", "add"))).initial["form_token"]
    first = added(place, client, form_token=token)
    again = added(place, client, form_token=token)
    assert SECRET.search(first.content.decode())
    assert not SECRET.search(again.content.decode())
    assert "This form was sent before" in again.content.decode()
    assert WebhookEndpoint.objects.filter(url="https://a.example/x").count() == 1


@pytest.mark.parametrize("wrong", ["ftp://a.example/", "javascript:alert(1)", "https://me:secret@a.example/", ""])
def test_wrong_addresses(place: Place, wrong: str) -> None:
    assert "url" in errors_of(added(place, place.client(), url=wrong))


def test_the_secret_is_rotated(place: Place) -> None:
    client, endpoint = place.client(), place.ours.objects["webhookendpoint"]
    before = endpoint.secret
    page = url("webhookendpoint", "rotate", endpoint.pk)
    asked = client.get(page)
    assert not SECRET.search(asked.content.decode())
    posted = {"form_token": asked.context["form"].initial["form_token"]}
    answer = client.post(page, posted)
    endpoint.refresh_from_db()
    assert SECRET.findall(answer.content.decode()) == [endpoint.secret] != [before]
    assert not SECRET.search(client.post(page, posted).content.decode())
    assert client.get(url("webhookendpoint", "rotate", place.theirs.objects["webhookendpoint"].pk)).status_code == 404
    assert place.client("member").get(page).status_code == 404


def test_changing_an_endpoint_keeps_its_secret(place: Place) -> None:
    endpoint = place.ours.objects["webhookendpoint"]
    before = endpoint.secret
    place.client().post(url("webhookendpoint", "change", endpoint.pk), {"url": "https://b.example/"})
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.is_active, endpoint.secret) == ("https://b.example/", False, before)


def test_messages_are_sent_again(place: Place) -> None:
    ours, theirs = place.ours.objects["webhookdelivery"], place.theirs.objects["webhookdelivery"]
    posted = {"action": "send_again", "_selected_action": [ours.pk, theirs.pk]}
    answer = place.client().post(url("webhookdelivery", "changelist"), posted, follow=True)
    assert "1 message is sent again." in answer.content.decode()
    ours.refresh_from_db()
    theirs.refresh_from_db()
    assert (ours.next_try_at is None, ours.problem) == (False, "")
    assert (theirs.next_try_at, theirs.problem) == (None, "Given up")


def test_messages_of_an_endpoint_that_is_switched_off_are_not(place: Place) -> None:
    WebhookEndpoint.objects.update(is_active=False)
    posted = {"action": "send_again", "_selected_action": [place.ours.objects["webhookdelivery"].pk]}
    answer = place.client().post(url("webhookdelivery", "changelist"), posted, follow=True)
    assert "1 message is not: the endpoint is switched off" in answer.content.decode()


# Invoices and records


def test_an_invoice_is_shown_with_its_lines(place: Place) -> None:
    billed(place)
    page = place.client().get(url("invoice", "change", place.ours.objects["invoice"].pk)).content.decode()
    assert "INV-1" in page
    assert "Documents" in page


def test_records_are_listed_with_names_and_a_fixed_number_of_queries(
    place: Place, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        record_of(place.ours.meter, place.ours.customer)
    client = place.client()
    with django_assert_max_num_queries(12):
        page = client.get(url("usagerecord", "changelist")).content.decode()
    assert "customer-of-ours" in page
    assert "Documents of ours" in page
    assert "use_" in page
