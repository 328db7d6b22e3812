"""Meters and rates over HTTP."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import Environment, Organization
from metering.models import Invoice, InvoiceLine, Meter, MeterRate, UsageRecord
from tests.factories import OrganizationFactory, TrackedUserFactory
from tests.metering.api.conftest import Api, field_errors

PER_UNIT = {"kind": "per_unit", "effective_from": "2026-01-01", "unit_price_usd": "0.002"}
TIERS = [{"up_to": 100, "unit_price_usd": "0.5"}, {"unit_price_usd": 0.25, "flat_fee_usd": "1.50"}]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(meter: Meter) -> None:
    """A usage record, as the record store writes it."""
    UsageRecord.objects.create(
        id=uuid4(),
        organization_id=meter.organization_id,
        environment=Environment.LIVE,
        meter_id=meter.pk,
        tracked_user_id=1,
        quantity=1,
        occurred_at=NOW,
        received_at=NOW,
        content_hash=uuid4(),
    )


def test_a_meter_is_made_read_changed_and_archived(admin: Api) -> None:
    made = admin.post("meters", {"name": " Documents ", "unit": "documents", "rates": [PER_UNIT]})
    body = made.json()
    assert made.status_code == 201
    assert UUID(body["token"])
    assert body == admin.get(f"meters/{body['id']}").json()
    assert {key: body[key] for key in ("name", "unit", "aggregation", "unique_key", "archived_at")} == {
        "name": "Documents",
        "unit": "documents",
        "aggregation": "SUM",
        "unique_key": None,
        "archived_at": None,
    }
    changed = admin.patch(f"meters/{body['id']}", {"name": "Pages", "aggregation": "MAX"})
    assert (changed.status_code, changed.json()) == (200, body | {"name": "Pages", "aggregation": "MAX"})
    archived = admin.delete(f"meters/{body['id']}").json()
    assert archived["archived_at"] is not None
    assert admin.delete(f"meters/{body['id']}").json() == archived
    assert admin.get("meters").json()["items"] == []
    assert admin.get("meters?archived=true").json()["items"] == [archived]
    assert admin.get(f"meters/{body['id']}").json() == archived
    assert admin.patch(f"meters/{body['id']}", {"name": "Again"}).status_code == 409
    assert admin.post(f"meters/{body['id']}/rates", PER_UNIT).status_code == 409
    assert admin.post("meters", {"name": "Pages"}).status_code == 201  # the name is free again


RATES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"kind": "per_unit", "unit_price_usd": "0.000000000001"}, {"unit_price_usd": "0.000000000001"}),
    ({"kind": "per_unit", "unit_price_usd": 0.1, "allowance": 5}, {"unit_price_usd": "0.1", "allowance": "5"}),
    ({"kind": "per_unit", "unit_price_usd": "0"}, {"unit_price_usd": "0"}),
    ({"kind": "flat", "fee_usd": 10, "minimum_usd": "20.50"}, {"fee_usd": "10", "minimum_usd": "20.5"}),
    (
        {"kind": "package", "package_size": 1000, "package_price_usd": "9.99"},
        {"package_size": "1000", "package_price_usd": "9.99"},
    ),
    ({"kind": "graduated", "tiers": TIERS}, {}),
    ({"kind": "volume", "tiers": TIERS}, {}),
]


@pytest.mark.parametrize(("sent", "stored"), RATES)
def test_each_kind_of_rate_is_kept_exactly(admin: Api, sent: dict[str, Any], stored: dict[str, Any]) -> None:
    meter = admin.post("meters", {"name": "Documents"}).json()
    response = admin.post(f"meters/{meter['id']}/rates", sent | {"effective_from": "2026-02-01"})
    body = response.json()
    assert response.status_code == 201
    tiers = [
        {"up_to": "100", "unit_price_usd": "0.5", "flat_fee_usd": "0"},
        {"up_to": None, "unit_price_usd": "0.25", "flat_fee_usd": "1.5"},
    ]
    assert body["tiers"] == (tiers if "tiers" in sent else [])
    assert {key: body[key] for key in stored} == stored
    assert (body["kind"], body["effective_from"]) == (sent["kind"], "2026-02-01")
    assert admin.get(f"meters/{meter['id']}").json()["rates"] == [body]
    assert MeterRate.objects.get().rate  # metering.rating agrees


BAD_RATES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"kind": "per_unit"}, {"unit_price_usd": "is required for the kind per_unit"}),
    ({"kind": "flat", "fee_usd": 1, "tiers": TIERS}, {"tiers": "does not belong to the kind flat"}),
    ({"kind": "flat", "fee_usd": 1, "allowance": 1},
     {"allowance": "must be 0, a flat fee does not depend on the quantity"}),
    ({"kind": "volume"}, {"tiers": "is required for the kind volume"}),
    ({"kind": "package", "package_price_usd": -1, "fee_usd": 1, "allowance": -1},
     {"package_size": "is required for the kind package", "fee_usd": "does not belong to the kind package",
      "package_price_usd": "must not be negative", "allowance": "must not be negative"}),
    ({"kind": "volume", "tiers": []}, {"tiers": "is required for the kind volume"}),
    ({"kind": "package", "package_size": 0, "package_price_usd": -1},
     {"package_size": "must be more than 0", "package_price_usd": "must not be negative"}),
    ({"kind": "per_unit", "unit_price_usd": "0.0000000000001", "allowance": "1e3", "minimum_usd": True},
     {"allowance": "must be a number in digits, like 0.002",
      "minimum_usd": "must be a number, or a string that holds one, got a boolean"}),
    ({"kind": "per_unit", "unit_price_usd": "0.0000000000001", "allowance": "0.0000000001", "minimum_usd": 10**18},
     {"unit_price_usd": "must have at most 12 decimals", "allowance": "must have at most 9 decimals",
      "minimum_usd": "must be less than 1e18"}),
    ({"kind": "graduated", "tiers": [{"up_to": 1, "unit_price_usd": 1}, {"up_to": 1, "unit_price_usd": 1},
                                     {"unit_price_usd": -1}]},
     {"tiers[1].up_to": "must be more than 1", "tiers[2].unit_price_usd": "must not be negative"}),
    ({"kind": "graduated", "tiers": [{"up_to": 1, "unit_price_usd": 1}]},
     {"tiers[0].up_to": "must be left out, the last tier has no end"}),
    ({"kind": "weekly"}, {"kind": "must be one of flat, per_unit, package, graduated, volume"}),
    ({"kind": None}, {"kind": "must be one of flat, per_unit, package, graduated, volume"}),
    (PER_UNIT | {"effective_from": "2026-02-30"}, {"effective_from": "is a day that the calendar does not have"}),
    (PER_UNIT | {"effective_from": 20260201}, {"effective_from": "must be a day like 2026-01-31"}),
    (PER_UNIT | {"effective_from": "9999-01-01"}, {"effective_from": "must be in the years 2000 to 2199"}),
    (PER_UNIT | {"customer_id": 1}, {"customer_id": "there is no such customer"}),
    (PER_UNIT | {"customer_id": "1"}, {"customer_id": 'must be an integer, got "1"'}),
    (PER_UNIT | {"customer_id": 2**63}, {"customer_id": "must be at most 9223372036854775807"}),
    (PER_UNIT | {"price": 1}, {"price": "is not known here"}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "wrong"), BAD_RATES, ids=[f"{n}" for n in range(len(BAD_RATES))])
def test_every_wrong_field_of_a_rate_is_named(admin: Api, sent: dict[str, Any], wrong: dict[str, str]) -> None:
    sent = {"effective_from": "2026-02-01"} | sent
    meter = admin.post("meters", {"name": "Documents"}).json()
    response = admin.post(f"meters/{meter['id']}/rates", sent)
    assert (response.status_code, field_errors(response)) == (422, wrong)
    response = admin.post("meters", {"name": "Other", "rates": [PER_UNIT | {"effective_from": "2020-01-01"}, sent]})
    assert (response.status_code, field_errors(response)) == (
        422,
        {f"rates[1].{field}": message for field, message in wrong.items()},
    )
    assert Meter.objects.count() == 1


BAD_METERS: list[tuple[Any, dict[str, str]]] = [
    ({}, {"name": "is required"}),
    ({"name": "  "}, {"name": "must not be empty"}),
    ({"name": "x" * 101, "unit": "x" * 51},
     {"name": "must have at most 100 characters", "unit": "must have at most 50 characters"}),
    ({"name": "a\0", "unit": 5}, {"name": "must not contain U+0000", "unit": "must be a string, got an integer"}),
    ({"name": "A", "aggregation": "AVG"}, {"aggregation": "must be one of SUM, COUNT, MAX, LATEST, UNIQUE_COUNT"}),
    ({"name": "A", "unique_key": "seat"}, {"unique_key": "belongs to UNIQUE_COUNT only"}),
    ({"name": "A", "aggregation": "UNIQUE_COUNT"},
     {"unique_key": "is required for UNIQUE_COUNT: the metadata key whose values are counted"}),
    ({"name": "Taken", "unique_key": "x"},
     {"name": "There is a meter of this name", "unique_key": "belongs to UNIQUE_COUNT only"}),
    ({"name": "A", "token": str(uuid4())}, {"token": "is not known here"}),
    ({"name": "A", "rates": {}}, {"rates": "must be a list, got an object"}),
    ({"name": "A", "rates": [5]}, {"rates[0]": "must be an object, got an integer"}),
    ({"name": "A", "rates": [PER_UNIT, PER_UNIT]},
     {"rates[1].effective_from": "another rate of the list starts on this day"}),
    ({"name": "A", "rates": [PER_UNIT] * 101}, {"rates": "must have at most 100 entries"}),
    ([], {"": "must be an object, got a list"}),
    (None, {}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "wrong"), BAD_METERS, ids=[f"{n}" for n in range(len(BAD_METERS))])
def test_every_wrong_field_of_a_meter_is_named(admin: Api, sent: Any, wrong: dict[str, str]) -> None:
    admin.post("meters", {"name": "Taken"})
    response = admin.post("meters", sent)
    assert (response.status_code, field_errors(response)) == (422 if wrong else 400, wrong)
    assert Meter.objects.count() == 1


def test_how_a_meter_counts_stays_once_it_has_records(admin: Api) -> None:
    made = admin.post("meters", {"name": "Seats", "aggregation": "UNIQUE_COUNT", "unique_key": "seat"}).json()
    record(Meter.objects.get())
    path = f"meters/{made['id']}"
    for change in ({"aggregation": "SUM", "unique_key": None}, {"unique_key": "user"}):
        response = admin.patch(path, change)
        assert response.status_code == 409
        assert next(iter(field_errors(response))) in change
    assert admin.patch(path, {"name": "Chairs", "aggregation": "UNIQUE_COUNT", "unique_key": "seat"}).status_code == 200
    assert admin.patch(path, {}).json()["name"] == "Chairs"


def test_a_customer_may_have_a_rate_of_its_own(admin: Api, organization: Organization) -> None:
    customer = TrackedUserFactory(organization=organization)
    foreign = TrackedUserFactory(organization=OrganizationFactory())
    made = admin.post("meters", {"name": "A", "rates": [PER_UNIT, PER_UNIT | {"customer_id": customer.pk}]}).json()
    assert {rate["customer_id"] for rate in made["rates"]} == {None, customer.pk}
    path = f"meters/{made['id']}/rates"
    again = admin.post(path, PER_UNIT | {"customer_id": customer.pk})
    assert field_errors(again) == {"effective_from": "There is a rate from this day on already"}
    assert field_errors(admin.post(path, PER_UNIT)) == {"effective_from": "There is a rate from this day on already"}
    assert "customer_id" in field_errors(admin.post(path, PER_UNIT | {"customer_id": foreign.pk}))


def test_a_rate_is_removed_unless_an_invoice_was_made_by_it(admin: Api, organization: Organization) -> None:
    later = PER_UNIT | {"effective_from": "2026-05-01"}
    meter = admin.post("meters", {"name": "A", "rates": [PER_UNIT, later]}).json()
    used, unused = (MeterRate.objects.get(effective_from=day) for day in ("2026-01-01", "2026-05-01"))
    invoice = Invoice.objects.create(
        organization=organization,
        tracked_user=TrackedUserFactory(organization=organization),
        period_start=NOW,
        period_end=datetime(2026, 4, 1, tzinfo=UTC),
        time_zone="UTC",
    )
    InvoiceLine.objects.create(
        invoice=invoice, position=1, kind="usage", text="A", meter_id=meter["id"], rate=used, period_start=NOW,
        period_end=NOW, exact_usd=Decimal(1), amount_usd=Decimal(1),
    )  # fmt: skip
    path = f"meters/{meter['id']}/rates"
    assert admin.delete(f"{path}/{used.pk}").status_code == 409
    response = admin.delete(f"{path}/{unused.pk}")
    assert [rate["id"] for rate in response.json()["rates"]] == [used.pk]
    assert admin.delete(f"{path}/{unused.pk}").status_code == 404
    assert admin.delete(f"meters/{meter['id'] + 1}/rates/{used.pk}").status_code == 404


def test_meters_come_in_pages_by_name(admin: Api) -> None:
    for name in ("c", "a", "é", "b", "d"):
        assert admin.post("meters", {"name": name}).status_code == 201
    found, query = [], "limit=2"
    for _ in range(3):
        page = admin.get(f"meters?{query}").json()
        found += [meter["name"] for meter in page["items"]]
        query = f"limit=2&after={page['next']}"
    assert page["next"] is None
    assert sorted(found) == ["a", "b", "c", "d", "é"]
    assert found[:4] == ["a", "b", "c", "d"]


def test_the_number_of_queries_does_not_depend_on_the_number_of_meters(admin: Api) -> None:
    def queries(method: str, path: str, body: Any = None) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin.call(method, path, body).status_code < 300
        return len(captured)

    def rates(count: int) -> list[dict[str, Any]]:
        kinds = {"kind": "graduated", "tiers": TIERS}
        return [kinds | {"effective_from": f"2026-01-{day + 1:02}"} for day in range(count)]

    one = queries("POST", "meters", {"name": "1", "rates": rates(1)}), queries("GET", "meters")
    many = queries("POST", "meters", {"name": "2", "rates": rates(20)}), queries("GET", "meters")
    assert one == many
    assert many[1] <= 5  # the sign-in, the memberships; the meters, their rates, the tiers


QUERIES = [
    ("limit=0", {"limit": "must be 1 or more"}),
    ("limit=201", {"limit": "must be at most 200"}),
    ("limit=x&offset=5", {"limit": 'must be an integer, got "x"', "offset": "is not known here"}),
    ("limit=1&limit=2", {"limit": "is sent more than once"}),
    ("archived=perhaps", {"archived": 'must be true or false, got "perhaps"'}),
    *[(f"after={text}", {"after": "must be the `next` of an earlier answer"}) for text in (
        "", "x", "%00", "W10", "WyJhIl0", "W1tdLDFd", "WyJhIiwgIjEiXQ", "WyJhIiwgLTFd", "WyJhIiwgMWU5OTld",
        "W251bGwsbnVsbF0", "WyJcdTAwMDAiLDFd", "WyJcdWQ4MDAiLDFd", "W" * 1999, "%ff")],
    ("after=" + "W" * 2001, {"after": "must have at most 2000 characters"}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "wrong"), QUERIES, ids=[query[:30] for query, _ in QUERIES])
def test_a_wrong_query_is_named(admin: Api, query: str, wrong: dict[str, str]) -> None:
    response = admin.get(f"meters?{query}")
    assert (response.status_code, field_errors(response)) == (422, wrong)
