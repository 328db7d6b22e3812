"""Bodies that are right but for one field: whatever stands there, the answer is in the contract."""

import json
from typing import Any

import pytest

from events.models import Organization
from metering import invoicing
from metering.models import Meter
from tests.factories import TrackedUserFactory
from tests.metering.api.conftest import Api
from tests.metering.api.test_errors import NASTY, NOW, assert_contract

RATE: dict[str, Any] = {
    "kind": "per_unit",
    "effective_from": "2026-01-01",
    "customer_id": None,
    "unit_price_usd": "0.002",
    "fee_usd": None,
    "package_size": None,
    "package_price_usd": None,
    "allowance": 5,
    "minimum_usd": "1",
    "tiers": [],
}
TIERS = {"kind": "volume", "effective_from": "2026-01-01"}
TIER = {"up_to": 5, "unit_price_usd": 1, "flat_fee_usd": 1}


def bodies(meter: int, customer: int, invoice: int) -> list[tuple[str, str, dict[str, Any]]]:
    """One right body for each operation that takes one."""
    return [
        ("POST", "meters", {"name": "A", "unit": "u", "aggregation": "SUM", "unique_key": None, "rates": []}),
        ("PATCH", f"meters/{meter}", {"name": "B", "unit": "u", "aggregation": "SUM", "unique_key": None}),
        ("POST", f"meters/{meter}/rates", RATE),
        ("POST", "customers", {"external_id": "a", "name": "A", "email": "e", "monthly_revenue_usd": 1}),
        ("PATCH", f"customers/{customer}", {"name": "A", "email": "e", "monthly_revenue_usd": 1}),
        ("POST", "usage", {"meter_id": meter, "customer_id": customer, "quantity": 1, "timestamp": NOW.isoformat(),
                           "idempotency_key": "k", "metadata": {"a": 1}}),
        ("POST", "invoices", {"customer_id": customer, "moment": "2026-01-01"}),
        ("POST", f"invoices/{invoice}/void", {"reason": "x"}),
        ("POST", f"invoices/{invoice}/credit-notes", {"amount_usd": 1, "reason": "x"}),
        ("POST", "auth/login", {"email": "a@example.com", "password": "x"}),
    ]  # fmt: skip


@pytest.fixture
def place(admin: Api, organization: Organization) -> tuple[int, int, int]:
    customer = TrackedUserFactory(organization=organization).pk
    meter = Meter.objects.create(organization=organization, name="Documents").pk
    return meter, customer, invoicing.open_draft(organization.pk, customer, NOW).pk


def test_one_wrong_field_is_never_a_fault_of_ours(admin: Api, place: tuple[int, int, int]) -> None:
    for method, path, body in bodies(*place):
        for field in body:
            for value in NASTY:
                response = admin.call(method, path, body | {field: value})
                assert response.status_code < 500, (path, field, value, response.content)
                if response.status_code >= 400:
                    assert_contract(response)


def test_one_wrong_field_of_a_tier(admin: Api, place: tuple[int, int, int]) -> None:
    for field in TIER:
        for value in NASTY:
            rate = TIERS | {"tiers": [TIER | {field: value}, {"unit_price_usd": 1}]}
            response = admin.post(f"meters/{place[0]}/rates", rate)
            assert response.status_code in (201, 422), (field, value, response.content)


HUGE = ["1e999999999", "-1e999999999", "1e-999999999", "0e999999999", "1" * 4000, "0." + "0" * 4000 + "1", "-0", "1E+3"]


@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:12])
def test_numbers_of_any_size_are_read_or_refused(admin: Api, place: tuple[int, int, int], number: str) -> None:
    for method, path, body in bodies(*place):
        for field in body:
            text = json.dumps(body | {field: "@"}).replace('"@"', number)
            assert admin.call(method, path, text.encode()).status_code < 500, (path, field)
    for field in TIER:
        text = json.dumps(TIERS | {"tiers": [TIER | {field: "@"}, {"unit_price_usd": 1}]}).replace('"@"', number)
        assert admin.post(f"meters/{place[0]}/rates", text.encode()).status_code in (201, 422, 400)
