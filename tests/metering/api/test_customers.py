"""Customers over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import Organization, RevenueChange, TrackedUser
from tests.factories import OrganizationFactory, TrackedUserFactory
from tests.metering.api.conftest import Api, field_errors


def test_a_customer_is_made_read_and_changed(admin: Api) -> None:
    sent = {"external_id": "cust_1", "name": "Northwind", "email": "a@example.com", "monthly_revenue_usd": "49.50"}
    made = admin.post("customers", sent)
    body = made.json()
    assert made.status_code == 201
    assert {key: body[key] for key in sent} == sent | {"monthly_revenue_usd": "49.5"}
    path = f"customers/{body['id']}"
    assert admin.get(path).json() == body
    changed = admin.patch(path, {"name": "Southwind", "monthly_revenue_usd": 0})
    assert (changed.status_code, changed.json()) == (200, body | {"name": "Southwind", "monthly_revenue_usd": "0"})
    assert admin.patch(path, {"monthly_revenue_usd": 0}).status_code == 200
    assert RevenueChange.objects.count() == 2  # the history of what it paid; the same again is no change
    assert admin.get("customers").json() == {"items": [changed.json()], "next": None}


def test_a_customer_of_events_is_described_by_the_newest(admin: Api, organization: Organization) -> None:
    customer = TrackedUserFactory(organization=organization)
    admin.patch(f"customers/{customer.pk}", {"email": "new@example.com"})
    described_at = TrackedUser.objects.get().described_at
    assert described_at is not None
    assert described_at > datetime.now(UTC) - timedelta(minutes=1)


def test_the_revenue_is_that_of_now(admin: Api, organization: Organization) -> None:
    customer, now = TrackedUserFactory(organization=organization), datetime.now(UTC)
    assert admin.get(f"customers/{customer.pk}").json()["monthly_revenue_usd"] is None
    for days, amount in ((-60, 10), (-1, 20), (1, 30)):
        RevenueChange.objects.create(
            tracked_user=customer, effective_at=now + timedelta(days), monthly_revenue_usd=amount
        )
    assert admin.get(f"customers/{customer.pk}").json()["monthly_revenue_usd"] == "20"


BAD: list[tuple[Any, dict[str, str]]] = [
    ({}, {"external_id": "is required"}),
    ({"external_id": " "}, {"external_id": "must not be empty"}),
    ({"external_id": 7, "name": None},
     {"external_id": "must be a string, got an integer", "name": "must be a string, got null"}),
    ({"external_id": "a\0"}, {"external_id": "must not contain U+0000"}),
    ({"external_id": "x" * 256}, {"external_id": "must have at most 255 characters"}),
    ({"external_id": "taken"}, {"external_id": "there is a customer of this id"}),
    ({"external_id": "a", "monthly_revenue_usd": -1}, {"monthly_revenue_usd": "must be from 0 to 1000000000"}),
    ({"external_id": "a", "monthly_revenue_usd": 1e300}, {"monthly_revenue_usd": "must be from 0 to 1000000000"}),
    ({"external_id": "a", "monthly_revenue_usd": "0.0000001"}, {"monthly_revenue_usd": "must have at most 6 decimals"}),
    ({"external_id": "a", "monthly_revenue_usd": "many"},
     {"monthly_revenue_usd": "must be a number in digits, like 0.002"}),
    ({"external_id": "a", "id": 5, "created_at": "x"}, {"id": "is not known here", "created_at": "is not known here"}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "wrong"), BAD, ids=[f"{n}" for n in range(len(BAD))])
def test_every_wrong_field_of_a_customer_is_named(
    admin: Api, organization: Organization, sent: Any, wrong: dict[str, str]
) -> None:
    TrackedUserFactory(organization=organization, external_id="taken")
    response = admin.post("customers", sent)
    assert (response.status_code, field_errors(response)) == (422, wrong)
    assert TrackedUser.objects.count() == 1


def test_the_external_id_stays(admin: Api, organization: Organization) -> None:
    customer = TrackedUserFactory(organization=organization)
    response = admin.patch(f"customers/{customer.pk}", {"external_id": "x", "monthly_revenue_usd": None})
    assert set(field_errors(response)) == {"external_id", "monthly_revenue_usd"}


def test_the_same_external_id_belongs_to_each_organization(admin: Api) -> None:
    TrackedUserFactory(organization=OrganizationFactory(), external_id="cust_1")
    assert admin.post("customers", {"external_id": "cust_1"}).status_code == 201


def test_customers_come_in_pages_with_the_same_number_of_queries(admin: Api, organization: Organization) -> None:
    def page(query: str) -> Any:
        with CaptureQueriesContext(connection) as captured:
            found = admin.get(f"customers?{query}").json()
        assert len(captured) == 3  # the sign-in, the memberships, the customers
        return found

    assert page("")["items"] == []
    for number in range(7):
        TrackedUserFactory(organization=organization, external_id=f"cust/{number} ü")
    seen: list[str] = []
    after = ""
    while True:
        found = page(f"limit=3{after}")
        seen += [customer["external_id"] for customer in found["items"]]
        if found["next"] is None:
            break
        after = f"&after={found['next']}"
    assert seen == [f"cust/{number} ü" for number in range(7)]


@pytest.mark.parametrize("wrong", ["0", "9" * 19, "9" * 30, "9" * 5000, "-1", "x", "1.5", "%00", "é", "1/x"])
def test_no_id_is_404(admin: Api, wrong: str) -> None:
    for noun in ("customers", "meters"):
        response = admin.get(f"{noun}/{wrong}")
        assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found")
