"""One invoice: the document, what it cost to serve, its files, and what may be done to it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Role
from metering import invoicing
from metering.models import BillingSettings, Credit, CreditNote, Invoice, WebhookDelivery, WebhookEndpoint
from tests.dashboard.conftest import SignIn
from tests.dashboard.test_invoices import MARCH, draft, finalized, summed
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events
from tests.metering.billing import Billing, at


@pytest.fixture
def billing(db: None) -> Billing:
    return Billing()


@pytest.fixture
def viewer(billing: Billing, sign_in: SignIn) -> Client:
    return sign_in(billing.organization, Role.VIEWER)


@pytest.fixture
def admin(billing: Billing, sign_in: SignIn) -> Client:
    return sign_in(billing.organization, Role.ADMIN)


@pytest.fixture
def used(billing: Billing) -> Billing:
    """Thirty documents in two tiers, in March."""
    meter = billing.meter(unit="documents")
    billing.rate(meter, "graduated", tiers=[("10", "0.105", "0"), (None, "0.05", "2")])
    billing.used(meter, "25")
    billing.used(meter, "5", "2026-03-31T23:59:59.999999")
    billing.used(meter, "1", "2026-04-01")
    return billing


def page(client: Client, invoice: Invoice) -> Any:
    response = client.get(f"/invoices/{invoice.pk}/")
    assert response.status_code == 200
    return response.context["page"]


def test_the_document_explains_every_line(used: Billing, viewer: Client) -> None:
    BillingSettings.objects.create(organization=used.organization, issuer="Biller Inc\nStreet 1", note="Pay soon")
    Credit.objects.create(tracked_user=used.customer(), amount_usd=Decimal(1), note="Welcome")
    one = finalized(used)
    found = page(viewer, one)
    assert (found.heading, found.status, found.banner) == (f"Invoice {one.number}", "Finalized", None)
    (line,) = found.lines
    assert (line.text, line.quantity, line.amount, line.exact) == ("Documents", "30 documents", "$4.05", "$4.05")
    assert [(detail.quantity, detail.price, detail.amount) for detail in line.details] == [
        ("10", "$0.105", "$1.05"),
        ("20", "$0.05", "$1.00"),
        ("1", "$2.00", "$2.00"),
    ]
    assert [(credit.text, credit.amount) for credit in found.credits] == [("Welcome", "−$1.00")]
    assert (found.subtotal, found.total, found.due) == ("$4.05", "$3.05", "$3.05")
    text = text_of(viewer.get(f"/invoices/{one.pk}/").content.decode())
    assert "Street 1" in text
    assert "Pay soon" in text
    assert "half a cent away from zero" in text


def test_a_lines_records_are_exactly_those_behind_it(used: Billing, viewer: Client) -> None:
    (line,) = page(viewer, finalized(used)).lines
    records = viewer.get(line.records_href).context["page"].records
    assert line.records == "2 records"
    assert [row.quantity for row in records] == ["5", "25"]


def test_what_it_cost_to_serve_leads_to_the_requests(used: Billing, viewer: Client) -> None:
    calls = [Call(at=at("2026-03-31T23:59"), user="cust_1", cost=USD), Call(at=at("2026-04-01"), user="cust_1")]
    store_events(used.organization, calls)
    found = page(viewer, finalized(used))
    assert (found.margin.cost.text, found.margin.amount.text) == ("$1.00", "$3.05")
    assert "1 request · $1.00" in summed(viewer, found.requests_href)


def test_a_draft_of_the_running_month_follows_and_cannot_be_finalized(billing: Billing, admin: Client) -> None:
    meter, now = billing.meter(), timezone.now()
    billing.per_unit(meter, "1")
    billing.used(meter, "1", occurred_at=now)
    one = draft(billing, moment=now)
    assert page(admin, one).total == "$1.00"
    billing.used(meter, "2", occurred_at=now)
    found = page(admin, one)
    assert found.total == "$3.00"
    assert "follows the usage" in found.banner.text
    assert "usage may still come in" in found.actions[0].why_not
    assert "so far" in found.serving_text
    asked = admin.get(found.actions[0].href)
    assert "usage may still come in" in text_of(asked.content.decode())
    refused = admin.post(found.actions[0].href)
    assert refused.status_code == 422
    assert "Not yet: the period is not over; usage may still come in." in text_of(refused.content.decode())


def test_an_admin_finalizes_a_draft(used: Billing, admin: Client) -> None:
    one = draft(used)
    href = page(admin, one).actions[0].href
    asked = text_of(admin.get(href).content.decode())
    assert "fixed for good" in asked
    assert "$4.05" in asked
    response = admin.post(href)
    assert response["Location"] == f"/invoices/{one.pk}/"
    one.refresh_from_db()
    assert f"Finalized as {one.number}." in text_of(admin.get(response["Location"]).content.decode())
    assert admin.post(href).status_code == 422


def test_usage_without_a_rate_is_not_finalized(billing: Billing, admin: Client) -> None:
    billing.used(billing.meter())
    one = draft(billing)
    found = page(admin, one)
    assert found.lines[0].lacks_rate
    assert "no rate" in found.banner.text
    refused = admin.post(found.actions[0].href)
    assert "usage of Documents has no rate in this period" in text_of(refused.content.decode())


def test_an_admin_voids_an_invoice(used: Billing, admin: Client) -> None:
    one = finalized(used)
    href = f"/invoices/{one.pk}/void/"
    refused = admin.post(href, {"reason": " "})
    assert refused.status_code == 422
    assert refused.context["page"].form.fields[0].error == "Say why; the customer reads it."
    assert admin.post(href, {"reason": "wrong customer"})["Location"] == f"/invoices/{one.pk}/"
    found = page(admin, one)
    assert (found.due, found.banner.text, found.actions) == ("$0.00", "Void: wrong customer", ())
    assert found.margin.amount.text == "—"


def test_a_credit_note_is_made_once(used: Billing, admin: Client) -> None:
    one = finalized(used)
    href = f"/invoices/{one.pk}/credit/"
    token = admin.get(href).context["page"].form.hidden[0][1]
    sent = {"amount_usd": "1.05", "reason": "two were late", "form_token": token}
    assert admin.post(href, sent).status_code == 302
    assert admin.post(href, sent).status_code == 302
    note = CreditNote.objects.get()
    found = page(admin, one)
    assert [(row.number, row.amount, row.reason) for row in found.notes] == [(note.number, "$1.05", "two were late")]
    assert (found.total, found.due) == ("$4.05", "$3.00")
    assert found.actions[1].why_not == "There are credit notes; credit the rest instead."


@pytest.mark.parametrize(
    ("amount", "error"),
    [
        ("", "Give an amount."),
        ("x", "This is not an amount; write it like 12.50."),
        ("0.001", "Give at most two decimals: credit notes are in whole cents."),
        ("0", "Must be a positive amount in whole cents."),
        ("4.06", "Must be at most 4.05, what is left of the invoice."),
    ],
)
def test_a_credit_note_that_cannot_be_made_says_why(used: Billing, admin: Client, amount: str, error: str) -> None:
    href = f"/invoices/{finalized(used).pk}/credit/"
    token = admin.get(href).context["page"].form.hidden[0][1]
    refused = admin.post(href, {"amount_usd": amount, "reason": "x", "form_token": token})
    assert refused.status_code == 422
    assert refused.context["page"].form.fields[0].error == error
    assert not CreditNote.objects.exists()
    again = dict(refused.context["page"].form.hidden) | {"amount_usd": "1", "reason": "x"}
    assert admin.post(href, again).status_code == 302


def test_files_are_named_and_private(used: Billing, viewer: Client) -> None:
    BillingSettings.objects.create(organization=used.organization, invoice_prefix='A/"; b-')
    one = finalized(used)
    pdf, csv = viewer.get(f"/invoices/{one.pk}/invoice.pdf"), viewer.get(f"/invoices/{one.pk}/lines.csv")
    assert pdf.content.startswith(b"%PDF")
    assert pdf["Content-Disposition"] == 'attachment; filename="A-b-000001.pdf"'
    assert csv["Content-Disposition"] == 'attachment; filename="A-b-000001.csv"'
    assert csv.content.decode().splitlines()[1].endswith("4.05,4.05")
    assert {answer["Cache-Control"] for answer in (pdf, csv)} == {"private, no-store"}
    assert viewer.get(f"/invoices/{draft(used, 'other').pk}/invoice.pdf").status_code == 200


def test_webhooks_of_the_invoice_are_listed(used: Billing, viewer: Client) -> None:
    WebhookEndpoint.objects.create(organization=used.organization, url="https://x.example/hook", secret="s")
    draft(used, "other")
    one, now = finalized(used), timezone.now()
    invoicing.credit(one.pk, used.organization.pk, Decimal(1), "sorry", now)
    sent = WebhookDelivery.objects.order_by("pk")
    sent.filter(event_type="invoice.created").update(next_try_at=None, tries=9, problem="no answer")
    sent.filter(event_type="invoice.finalized").update(delivered_at=now, tries=1, http_status=200)
    sent.filter(event_type="credit_note.created").update(next_try_at=now + timedelta(hours=1), tries=2)
    assert [(row.event_type, row.tone, row.tries, row.title[-9:]) for row in page(viewer, one).deliveries] == [
        ("credit_note.created", "warn", 2, f"{now:%M:%S} UTC"),
        ("invoice.finalized", "good", 1, " HTTP 200"),
        ("invoice.created", "bad", 9, "no answer"),
    ]


def test_those_who_only_read_are_offered_nothing(used: Billing, viewer: Client) -> None:
    one = draft(used)
    assert page(viewer, one).actions == ()
    for action in ("finalize", "void", "credit"):
        assert viewer.get(f"/invoices/{one.pk}/{action}/").status_code == 403
        assert viewer.post(f"/invoices/{one.pk}/{action}/").status_code == 403


def test_another_organizations_invoice_is_not_found(billing: Billing, admin: Client) -> None:
    theirs = Billing()
    one = draft(theirs)
    for path in ("", "invoice.pdf", "lines.csv", "finalize/", "void/", "credit/"):
        assert admin.get(f"/invoices/{one.pk}/{path}").status_code == 404
    for path in ("finalize/", "void/", "credit/"):
        assert admin.post(f"/invoices/{one.pk}/{path}", {"reason": "x", "amount_usd": "1"}).status_code == 404
    assert admin.get("/invoices/99999999999999999999999/").status_code == 404


def test_many_records_take_the_same_queries(billing: Billing, admin: Client) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1")
    page(admin, draft(billing, "first"))
    counts = []
    for size in (2, 100):
        for number in range(size):
            billing.used(meter, customer=billing.customer(f"cust_{number % 2}"))
        store_events(billing.organization, [Call(at=MARCH, user="cust_1", cost=USD) for _ in range(size)])
        one = draft(billing)
        with CaptureQueriesContext(connection) as queries:
            page(admin, one)
        counts.append(len(queries))
    assert counts[0] == counts[1]
