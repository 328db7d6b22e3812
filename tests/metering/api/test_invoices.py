"""Invoices over HTTP, from the usage to the credit note."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import Organization, TrackedUser
from metering import invoicing
from metering.models import Invoice
from tests.factories import OrganizationFactory, TrackedUserFactory
from tests.metering.api.conftest import Api, field_errors

NOW = datetime.now(UTC)
LAST_MONTH = (NOW.replace(day=1) - timedelta(days=1)).replace(hour=12)
RATE = {"kind": "graduated", "effective_from": "2020-01-01", "tiers": [
    {"up_to": 2, "unit_price_usd": "1.005"}, {"unit_price_usd": "0.5"}]}  # fmt: skip


@pytest.fixture
def customer(organization: Organization) -> TrackedUser:
    made: TrackedUser = TrackedUserFactory(organization=organization, external_id="cust_1", name="Northwind")
    return made


@pytest.fixture
def billed(admin: Api, customer: TrackedUser) -> int:
    """The id of last month's draft, of three documents."""
    meter = admin.post("meters", {"name": "Documents", "unit": "documents", "rates": [RATE]}).json()["id"]
    usage = {"meter_id": meter, "customer_id": customer.pk, "quantity": 3, "timestamp": LAST_MONTH.isoformat()}
    assert admin.post("usage", usage).status_code == 200
    made = admin.post("invoices", {"customer_id": customer.pk, "moment": f"{LAST_MONTH:%Y-%m-%d}"})
    assert made.status_code == 201
    found: int = made.json()["id"]
    return found


def test_a_draft_follows_the_usage_and_explains_itself(admin: Api, billed: int, customer: TrackedUser) -> None:
    body = admin.get(f"invoices/{billed}").json()
    assert (body["status"], body["number"], body["finalized_at"]) == ("draft", None, None)
    assert (body["customer_id"], body["customer_external_id"]) == (customer.pk, "cust_1")
    assert (body["subtotal_usd"], body["total_usd"], body["due_usd"]) == ("2.51", "2.51", "2.51")
    line = body["lines"][0]
    assert {key: line[key] for key in ("kind", "text", "amount_usd", "exact_usd", "quantity", "unit", "records")} == {
        "kind": "usage",
        "text": "Documents",
        "amount_usd": "2.51",
        "exact_usd": "2.51",
        "quantity": "3",
        "unit": "documents",
        "records": 1,
    }
    assert [(one["quantity"], one["unit_price_usd"], one["over"], one["up_to"]) for one in line["details"]] == [
        ("2", "1.005", "0", "2"),
        ("1", "0.5", "2", None),
    ]
    again = admin.post("invoices", {"customer_id": customer.pk, "moment": LAST_MONTH.isoformat()})
    assert again.json()["id"] == billed


def test_a_draft_is_finalized_credited_and_an_invoice_voided(admin: Api, billed: int) -> None:
    path = f"invoices/{billed}"
    assert admin.post(f"{path}/void", {"reason": "x"}).status_code == 409
    assert admin.post(f"{path}/credit-notes", {"amount_usd": 1, "reason": "x"}).status_code == 409
    done = admin.post(f"{path}/finalize")
    assert (done.status_code, done.json()["status"], done.json()["number"]) == (200, "finalized", "INV-000001")
    refused = admin.post(f"{path}/finalize")
    assert (refused.status_code, set(field_errors(refused))) == (409, {"status"})
    note = admin.post(f"{path}/credit-notes", {"amount_usd": "0.51", "reason": " Late "})
    assert (note.status_code, note.json()["number"]) == (201, "CN-000001")
    assert {key: note.json()[key] for key in ("amount_usd", "reason")} == {"amount_usd": "0.51", "reason": "Late"}
    body = admin.get(path).json()
    assert (body["total_usd"], body["credited_usd"], body["due_usd"]) == ("2.51", "0.51", "2.00")
    assert body["credit_notes"] == [note.json()]
    assert admin.post(f"{path}/credit-notes", {"amount_usd": 3, "reason": "x"}).status_code == 409
    assert admin.post(f"{path}/void", {"reason": "x"}).status_code == 409  # it has a credit note


def test_a_voided_invoice_keeps_its_number_and_opens_its_month(admin: Api, billed: int, customer: TrackedUser) -> None:
    admin.post(f"invoices/{billed}/finalize")
    closed = admin.post("invoices", {"customer_id": customer.pk, "moment": LAST_MONTH.isoformat()})
    assert (closed.status_code, set(field_errors(closed))) == (409, {"period"})
    voided = admin.post(f"invoices/{billed}/void", {"reason": "Wrong address"}).json()
    assert (voided["status"], voided["number"], voided["due_usd"]) == ("void", "INV-000001", "0.00")
    assert voided["void_reason"] == "Wrong address"
    again = admin.post("invoices", {"customer_id": customer.pk, "moment": LAST_MONTH.isoformat()})
    assert again.json()["id"] != billed


def test_a_month_that_lasts_is_not_finalized(admin: Api, customer: TrackedUser) -> None:
    made = admin.post("invoices", {"customer_id": customer.pk}).json()
    assert set(field_errors(admin.post(f"invoices/{made['id']}/finalize"))) == {"period_end"}


def test_what_is_not_there_is_404(admin: Api) -> None:
    foreign = TrackedUserFactory(organization=OrganizationFactory())
    invoice = invoicing.open_draft(foreign.organization_id, foreign.pk, NOW).pk
    assert admin.post("invoices", {"customer_id": foreign.pk}).status_code == 404
    for number in (invoice, 2**63 - 1, 2**63):
        assert admin.get(f"invoices/{number}").status_code == 404
        assert admin.post(f"invoices/{number}/finalize").status_code == 404
        assert admin.post(f"invoices/{number}/void", {"reason": "x"}).status_code == 404
        assert admin.post(f"invoices/{number}/credit-notes", {"amount_usd": 1, "reason": "x"}).status_code == 404
    assert admin.get("invoices").json()["items"] == []


BAD: list[tuple[str, Any, set[str]]] = [
    ("invoices", {}, {"customer_id"}),
    ("invoices", {"customer_id": "1", "moment": "soon", "period": 1}, {"customer_id", "moment", "period"}),
    ("invoices", {"customer_id": 1, "moment": "9999-12-31"}, {"moment"}),
    ("invoices/1/void", {}, {"reason"}),
    ("invoices/1/void", {"reason": " "}, {"reason"}),
    ("invoices/1/void", {"reason": "x" * 501}, {"reason"}),
    ("invoices/1/void", {"reason": "a\0"}, {"reason"}),
    ("invoices/1/credit-notes", {}, {"amount_usd", "reason"}),
    ("invoices/1/credit-notes", {"amount_usd": 0, "reason": 5}, {"amount_usd", "reason"}),
    ("invoices/1/credit-notes", {"amount_usd": "0.001", "reason": "x"}, {"amount_usd"}),
    ("invoices/1/credit-notes", {"amount_usd": 1e300, "reason": "x"}, {"amount_usd"}),
    ("invoices/1/credit-notes", {"amount_usd": -1, "reason": "x"}, {"amount_usd"}),
]


@pytest.mark.parametrize(("path", "sent", "fields"), BAD)
def test_every_wrong_field_is_named(admin: Api, path: str, sent: Any, fields: set[str]) -> None:
    response = admin.post(path, sent)
    assert (response.status_code, set(field_errors(response))) == (422, fields)


def test_invoices_come_in_pages_the_newest_first(admin: Api, organization: Organization, customer: TrackedUser) -> None:
    others = [TrackedUserFactory(organization=organization) for _ in range(3)]
    customers: list[TrackedUser] = [customer, *others]
    for one in customers:
        for months in range(2):
            invoicing.open_draft(organization.pk, one.pk, LAST_MONTH - timedelta(days=31 * months))

    def page(query: str) -> Any:
        with CaptureQueriesContext(connection) as captured:
            found = admin.get(f"invoices?{query}").json()
        assert len(captured) == 3  # the sign-in, the memberships, the invoices
        return found

    seen: list[Any] = []
    after = ""
    while True:
        found = page(f"limit=3{after}")
        seen += found["items"]
        if found["next"] is None:
            break
        after = f"&after={found['next']}"
    expected = Invoice.objects.order_by("-period_start", "-id").values_list("pk", flat=True)
    assert [invoice["id"] for invoice in seen] == list(expected)
    assert {invoice["total_usd"] for invoice in seen} == {None}
    assert len(page(f"customer_id={customer.pk}")["items"]) == 2
    assert page("status=void")["items"] == []
    wrong = admin.get("invoices?status=open&customer_id=x&after=e30&page=2")
    assert set(field_errors(wrong)) == {"status", "customer_id", "page"}
    assert set(field_errors(admin.get("invoices?after=e30"))) == {"after"}


def test_a_finalized_invoice_takes_the_same_queries_for_any_number_of_lines(admin: Api, customer: TrackedUser) -> None:
    counts = set()
    for months, meters in ((1, 1), (2, 6)):
        at = LAST_MONTH - timedelta(days=31 * months)
        for number in range(meters):
            meter = admin.post("meters", {"name": f"{months}-{number}", "rates": [RATE]}).json()["id"]
            usage = {"meter_id": meter, "customer_id": customer.pk, "quantity": 3, "timestamp": at.isoformat()}
            assert admin.post("usage", usage).status_code == 200
        made = admin.post("invoices", {"customer_id": customer.pk, "moment": at.isoformat()}).json()["id"]
        assert admin.post(f"invoices/{made}/finalize").status_code == 200
        with CaptureQueriesContext(connection) as captured:
            assert len(admin.get(f"invoices/{made}").json()["lines"]) == meters
        counts.add(len(captured))
    assert len(counts) == 1
