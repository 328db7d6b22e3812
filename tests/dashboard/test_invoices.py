"""The list of invoices: what is due, what it cost to serve, and opening a draft."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.queries import invoices
from dashboard.queries.invoices import Served, ServingCost
from events.models import Role
from metering import invoicing
from metering.models import CreditNote, Invoice, InvoiceStatus
from tests.dashboard.conftest import SignIn, htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events
from tests.metering.billing import Billing, at

MARCH = at("2026-03-10")


@pytest.fixture
def billing(db: None) -> Billing:
    return Billing()


@pytest.fixture
def viewer(billing: Billing, sign_in: SignIn) -> Client:
    return sign_in(billing.organization, Role.VIEWER)


@pytest.fixture
def admin(billing: Billing, sign_in: SignIn) -> Client:
    return sign_in(billing.organization, Role.ADMIN)


def page(client: Client, query: str = "") -> Any:
    response = client.get(f"/invoices/{query}")
    assert response.status_code == 200
    return response.context["page"]


def draft(billing: Billing, customer: str = "cust_1", moment: datetime = MARCH) -> Invoice:
    return invoicing.open_draft(billing.organization.pk, billing.customer(customer).pk, moment)


def finalized(billing: Billing, customer: str = "cust_1", moment: datetime = MARCH) -> Invoice:
    made = draft(billing, customer, moment)
    return invoicing.finalize(made.pk, billing.organization.pk, timezone.now())


def summed(client: Client, href: str) -> str:
    return text_of(client.get(href).content.decode())


def test_a_row_says_what_is_due_and_what_it_cost(billing: Billing, viewer: Client) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "2")
    billing.used(meter, "10")
    store_events(
        billing.organization,
        [
            Call(at=at("2026-03-01"), user="cust_1", cost=3 * USD),
            Call(at=at("2026-03-31T23:59"), user="cust_1", cost=2 * USD),
            Call(at=at("2026-04-01"), user="cust_1", cost=100 * USD),
            Call(at=at("2026-03-05"), user="other", cost=100 * USD),
        ],
    )
    one = finalized(billing)
    invoicing.credit(one.pk, billing.organization.pk, Decimal("1.50"), "sorry", timezone.now())
    (row,) = page(viewer).rows
    assert (row.name, row.status, row.customer) == (one.number, "Finalized", "cust_1")
    assert row.period == "1 Mar – 31 Mar 2026"
    assert (row.total, row.credited, row.due) == ("$20.00", "$1.50", "$18.50")
    assert (row.margin.cost.text, row.margin.amount.text, row.margin.share.text) == ("$5.00", "$13.50", "73.0%")
    assert "2 requests · $5.00" in summed(viewer, row.requests_href)


def test_a_margin_that_is_not_known_or_negative_says_so(billing: Billing, viewer: Client) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1")
    billing.used(meter)
    billing.used(meter, customer=billing.customer("dear"))
    calls = [Call(at=MARCH, user="cust_1", cost=None), Call(at=MARCH, user="dear", cost=3 * USD)]
    calls += [Call(at=MARCH, user="dear", cost=None)]
    store_events(billing.organization, calls)
    finalized(billing)
    finalized(billing, "dear")
    dear, unknown = page(viewer).rows
    assert (dear.margin.amount.text, dear.margin.amount.tone, dear.margin.share.text) == ("−$2.00", "bad", "−200%")
    assert (dear.margin.cost.text, dear.margin.unpriced) == ("$3.00", "1 unpriced")
    assert "1 without a price left out" in dear.margin.amount.title
    margin = unknown.margin
    assert (margin.cost.text, margin.amount.text, margin.unpriced) == ("no price", "—", "1 unpriced")


def test_the_summary_adds_up_all_that_is_found(billing: Billing, viewer: Client) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1")
    for number in range(4):
        billing.used(meter, str(number + 1), customer=billing.customer(f"c{number}"))
    numbered = [finalized(billing, f"c{number}") for number in range(3)]
    draft(billing, "c3")
    invoicing.void(numbered[0].pk, billing.organization.pk, "wrong", timezone.now())
    invoicing.credit(numbered[1].pk, billing.organization.pk, Decimal(1), "sorry", timezone.now())
    found = page(viewer)
    total = Invoice.objects.filter(status=InvoiceStatus.FINALIZED).aggregate(sum=Sum("total_usd"))["sum"]
    credited = CreditNote.objects.aggregate(sum=Sum("amount_usd"))["sum"]
    assert found.summary == f"4 invoices · ${total - credited:.2f} due"
    assert found.note == "1 draft follows the usage and is not due yet."
    assert sum(Decimal(row.due[1:]) for row in found.rows if row.status == "Finalized") == total - credited
    assert [row.status for row in page(viewer, "?status=void").rows] == ["Void"]
    assert [(row.name, row.total) for row in page(viewer, "?status=draft").rows] == [("Draft", "$4.00")]
    of_one = page(viewer, "?user=c2")
    assert [row.customer for row in of_one.rows] == ["c2"]
    assert of_one.tabs[1].href == "/invoices/?status=draft&user=c2"


def test_the_list_continues_where_it_ended(billing: Billing, viewer: Client) -> None:
    for number in range(120):
        draft(billing, f"c-{number}", MARCH + timedelta(days=31 * (number % 3)))
    found: list[str] = []
    href = "/invoices/"
    while href:
        markup = viewer.get(href, headers=htmx() if found else {}).content.decode()
        assert ("<html" in markup) is not bool(found)
        found += re.findall(r'class="row-link nowrap" href="([^"]+)"', markup)
        more = re.search(r'href="([^"]*after=[^"]*)"', markup)
        href = unescape(more[1]) if more else ""
    assert len(found) == len(set(found)) == 120


def test_no_invoice_yet(viewer: Client) -> None:
    found = page(viewer)
    assert (found.rows, found.summary, found.empty_title) == ([], "0 invoices", "No invoices yet")
    assert page(viewer, "?status=void&after=x").empty_title == "No invoices match"


def test_an_admin_opens_a_draft(billing: Billing, admin: Client, viewer: Client) -> None:
    billing.customer("cust_9")
    assert page(viewer).form is None
    form = page(admin, "?user=cust_9").form
    assert form.fields[0].value == "cust_9"
    month = form.fields[1].groups[0].options[1].value
    sent = {"customer": "cust_9", "month": month}
    assert viewer.post("/invoices/", sent).status_code == 403
    response = admin.post("/invoices/", sent)
    made = Invoice.objects.get()
    assert response["Location"] == f"/invoices/{made.pk}/"
    assert made.period_start.date().isoformat() == month
    assert admin.post("/invoices/", sent)["Location"] == f"/invoices/{made.pk}/"


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({}, {"Customer id": "Give the customer's id", "Billing month": "Choose a billing month"}),
        ({"customer": "nobody", "month": "now"}, {"Customer id": "There is no customer with this id."}),
        ({"customer": "cust_1", "month": "1999-01-01"}, {"Billing month": "Choose a billing month from the list."}),
    ],
)
def test_a_draft_that_cannot_be_opened_says_why(
    billing: Billing, admin: Client, sent: dict[str, str], wrong: dict[str, str]
) -> None:
    billing.customer()
    if sent.get("month") == "now":
        sent = sent | {"month": page(admin).form.fields[1].groups[0].options[0].value}
    response = admin.post("/invoices/", sent)
    assert response.status_code == 422
    errors = {field.label: field.error for field in response.context["page"].form.fields if field.error}
    assert errors.keys() == wrong.keys()
    assert all(wrong[label] in errors[label] for label in wrong)


def test_a_month_that_was_finalized_is_not_opened_again(billing: Billing, admin: Client) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1")
    month = page(admin).form.fields[1].groups[0].options[2].value
    billing.used(meter, when=month)
    one = finalized(billing, moment=at(month))
    response = admin.post("/invoices/", {"customer": "cust_1", "month": month})
    (error,) = [field.error for field in response.context["page"].form.fields if field.error]
    assert error == f"This month was finalized as {one.number}; void that invoice to open the period again."


def test_another_organizations_invoices_are_not_seen(billing: Billing, viewer: Client, admin: Client) -> None:
    theirs = Billing()
    theirs.customer("theirs")
    one = draft(theirs)
    found = page(viewer)
    assert (found.rows, found.summary) == ([], "0 invoices")
    assert page(viewer, f"?after={one.pk}").rows == []
    month = page(admin).form.fields[1].groups[0].options[0].value
    assert admin.post("/invoices/", {"customer": "theirs", "month": month}).status_code == 422


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_cost_to_serve_is_the_same_from_days_and_from_events(db: None, zone: str) -> None:
    """Whole days come from the rollup; seen from another zone, the same span comes from the events."""
    billing = Billing(zone)
    made = [draft(billing, customer) for customer in ("a", "b")]
    edge = made[0].period_start
    times = [edge - timedelta(milliseconds=1), edge, made[0].period_end - timedelta(milliseconds=1), made[0].period_end]
    calls = [Call(at=time, user=user, cost=cost) for time in times for user in "ab" for cost in (USD, 3 * USD)]
    store_events(billing.organization, [*calls, Call(at=MARCH, user="a", cost=None)])
    spans = [Served(one.pk, one.tracked_user_id, one.period_start, one.period_end) for one in made]
    by_day = invoices.serving_costs(billing.organization.pk, ZoneInfo(zone), spans)
    by_event = invoices.serving_costs(billing.organization.pk, ZoneInfo("America/St_Johns"), spans)
    assert by_day == by_event == {made[0].pk: ServingCost(5, 1, 8 * USD), made[1].pk: ServingCost(4, 0, 8 * USD)}


def test_many_finalized_invoices_take_the_same_queries(billing: Billing, admin: Client) -> None:
    """Of each draft fees, late usage and credits are read by themselves, so it takes some more."""
    meter = billing.meter()
    billing.per_unit(meter, "1")
    counts = []
    for size in (2, 40):
        for number in range(size):
            customer = billing.customer(f"{size}-{number}")
            billing.used(meter, customer=customer)
            finalized(billing, customer.external_id)
        with CaptureQueriesContext(connection) as queries:
            assert len(page(admin).rows) >= size
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 12
