"""Usage that people record, and what usage came to."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import Organization, Role, TrackedUser
from metering.api import buckets
from metering.models import Meter, UsageRecord
from metering.periods import day_start
from tests.factories import ApiKeyFactory, OrganizationFactory, TrackedUserFactory
from tests.metering.api.conftest import Api, SignIn, field_errors

NOW = datetime.now(UTC)


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return Meter.objects.create(organization=organization, name="Documents", unit="documents")


@pytest.fixture
def customer(organization: Organization) -> TrackedUser:
    made: TrackedUser = TrackedUserFactory(organization=organization)
    return made


@pytest.fixture
def member(organization: Organization, sign_in: SignIn) -> Api:
    return sign_in(organization, Role.MEMBER)


def usage(meter: Meter, customer: TrackedUser, **changes: Any) -> dict[str, Any]:
    return {"meter_id": meter.pk, "customer_id": customer.pk, "quantity": 1} | changes


def test_a_member_records_usage_once(member: Api, meter: Meter, customer: TrackedUser) -> None:
    sent = usage(meter, customer, quantity=0.123456789, idempotency_key="a", metadata={"seat": "x"})
    sent["timestamp"] = (NOW - timedelta(hours=1)).isoformat()
    first, again = member.post("usage", sent), member.post("usage", sent)
    body = first.json()
    assert (first.status_code, again.status_code) == (200, 200)
    assert body["id"].startswith("use_")
    assert body | {"deduplicated": True} == again.json()
    assert again["Idempotent-Replayed"] == "true"
    assert b'"quantity":0.123456789' in first.content
    assert (body["meter_id"], body["customer_id"], body["deduplicated"]) == (meter.pk, customer.pk, False)
    record = UsageRecord.objects.get()
    assert (record.quantity, record.person_id, record.metadata) == (
        Decimal("0.123456789"),
        member.user.pk,
        {"seat": "x"},
    )
    assert abs(record.occurred_at - NOW + timedelta(hours=1)) < timedelta(seconds=1)


def test_the_header_is_a_key_too_and_tells_of_other_usage(member: Api, meter: Meter, customer: TrackedUser) -> None:
    header = {"Idempotency-Key": "a"}
    assert member.post("usage", usage(meter, customer), **header).status_code == 200
    assert member.post("usage", usage(meter, customer), **header).json()["deduplicated"]
    other = member.post("usage", usage(meter, customer, quantity=2), **header)
    assert (other.status_code, other.json()["error"]["type"]) == (409, "idempotency_key_reused")
    assert "Idempotency-Key" in field_errors(
        member.post("usage", usage(meter, customer), **{"Idempotency-Key": "x" * 300})
    )
    assert UsageRecord.objects.count() == 1


def test_what_is_not_there_is_404(member: Api, meter: Meter, customer: TrackedUser) -> None:
    foreign = OrganizationFactory()
    other_meter = Meter.objects.create(organization=foreign, name="A")
    archived = Meter.objects.create(organization=meter.organization, name="Old", archived_at=NOW)
    for wrong in (
        usage(other_meter, customer),
        usage(archived, customer),
        usage(meter, TrackedUserFactory(organization=foreign)),
        usage(meter, customer, customer_id=2**63 - 1),
    ):
        assert member.post("usage", wrong).status_code == 404
    assert not UsageRecord.objects.exists()


def test_a_meter_that_counts_values_needs_its_key(
    member: Api, organization: Organization, customer: TrackedUser
) -> None:
    seats = Meter.objects.create(organization=organization, name="Seats", aggregation="UNIQUE_COUNT", unique_key="seat")
    assert "metadata.seat" in field_errors(member.post("usage", usage(seats, customer)))
    assert member.post("usage", usage(seats, customer, metadata={"seat": "a"})).status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"quantity": NaN}', 400),
        (b"\xff\xfe", 400),
        (b'{"a": "\\ud800"}', 400),
        (b'{"a":' * 40_000, 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"meter_id": 1, "customer_id": 1, "quantity": -1}', 422),
        (b'{"meter_id": 1, "customer_id": 1, "quantity": "1"}', 422),
        (b'{"meter_id": 1, "customer_id": 1, "quantity": 1e400}', 422),
        (b'{"meter_id": %d, "customer_id": 1, "quantity": 1}' % 2**63, 422),
        (b'{"meter_id": 1, "customer_id": 1, "quantity": 1, "timestamp": "9999-12-31T23:59:59-23:59"}', 422),
        (b'{"meter_id": 1, "customer_id": 1, "quantity": 1, "metadata": ' + b'{"a":' * 100 + b"1" + b"}" * 101, 422),
        (b" " * (256 * 1024 + 1), 413),
    ],
)
def test_what_is_no_usage_is_refused(member: Api, sent: bytes, status: int) -> None:
    response = member.post("usage", sent)
    assert response.status_code == status
    assert response.json()["status"] == "ERROR"


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.MEMBER, 200), (Role.OWNER, 200)])
def test_viewers_record_nothing(
    organization: Organization, sign_in: SignIn, meter: Meter, customer: TrackedUser, role: Role, status: int
) -> None:
    assert sign_in(organization, role).post("usage", usage(meter, customer)).status_code == status


def test_programs_use_another_endpoint(organization: Organization, meter: Meter, customer: TrackedUser) -> None:
    key = ApiKeyFactory(organization=organization, scopes=["read", "usage:write"])
    response = Api(**{"X-API-Key": key.text}).post("usage", usage(meter, customer))
    assert response.status_code == 403
    assert "/api/v1/sdk/track" in response.json()["error"]["message"]


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_usage_is_summed_in_the_organizations_days(member: Api, meter: Meter, customer: TrackedUser) -> None:
    Organization.objects.update(time_zone="Europe/Berlin")
    first = (NOW - timedelta(days=3)).astimezone(ZoneInfo("Europe/Berlin")).date()
    midnight = day_start(first, ZoneInfo("Europe/Berlin"))
    for hours, quantity in ((-1, 1), (0, 2), (5, 0.5), (30, 4)):
        at = (midnight + timedelta(hours=hours)).isoformat()
        assert member.post("usage", usage(meter, customer, quantity=quantity, timestamp=at)).status_code == 200
    query = f"meter_id={meter.pk}&from={first}&to={first + timedelta(days=2)}"
    body = member.get(f"usage/summary?{query}").json()
    assert [(part["quantity"], part["records"], part["customers"]) for part in body["items"]] == [
        (2.5, 2, 1),
        (4, 1, 1),
    ]
    assert body["total"]["quantity"] == 6.5
    assert (body["time_zone"], body["aggregation"], body["unit"]) == ("Europe/Berlin", "SUM", "documents")
    assert body["items"][0]["start"] == midnight.isoformat().replace("+00:00", "Z")
    assert member.get(f"usage/summary?{query}&customer_id={customer.pk}").json()["total"]["records"] == 3
    other = TrackedUserFactory(organization=meter.organization)
    assert member.get(f"usage/summary?{query}&customer_id={other.pk}").json()["total"]["quantity"] == 0
    test_key = ApiKeyFactory(organization=meter.organization, environment=1, scopes=["read"])
    assert Api(**{"X-API-Key": test_key.text}).get(f"usage/summary?{query}").json()["total"]["records"] == 0


@pytest.mark.parametrize(
    ("aggregation", "empty", "quantity"), [("SUM", 0, 3), ("COUNT", 0, 2), ("MAX", None, 2), ("LATEST", None, 1)]
)
def test_each_aggregation_has_its_own_nothing(
    member: Api, meter: Meter, customer: TrackedUser, aggregation: str, empty: int | None, quantity: int
) -> None:
    Meter.objects.update(aggregation=aggregation)
    query = f"usage/summary?meter_id={meter.pk}&granularity=hour&from={(NOW - timedelta(hours=2)):%Y-%m-%dT%H:%M:%SZ}"
    assert member.get(query).json()["total"]["quantity"] == empty
    for minutes, sent in ((-5, 2), (-1, 1)):
        at = (NOW + timedelta(minutes=minutes)).isoformat()
        member.post("usage", usage(meter, customer, quantity=sent, timestamp=at))
    assert member.get(query).json()["total"]["quantity"] == quantity


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {"meter_id"}),
        ("meter_id=x&customer_id=0&granularity=week&from=yesterday&to=2026-02-30&by=day",
         {"meter_id", "customer_id", "granularity", "from", "to", "by"}),
        ("meter_id={id}&from=2026-01-02&to=2026-01-01", {"from"}),
        ("meter_id={id}&from=2026-01-01&to=2026-01-01", {"from"}),
        ("meter_id={id}&from=2020-01-01&granularity=hour", {"from"}),
        ("meter_id={id}&from=2000-01-01&to=2199-01-01", {"from"}),
        ("meter_id={id}&from=9999-12-31T23:59:59-23:59", {"from"}),
        ("meter_id={id}&from=0001-01-01T00:00:00%2B23:59", {"from"}),
        ("meter_id={id}&from_=2026-01-01", {"from_"}),
    ],
)  # fmt: skip
def test_a_wrong_question_is_named(member: Api, meter: Meter, query: str, fields: set[str]) -> None:
    response = member.get("usage/summary?" + query.format(id=meter.pk))
    assert (response.status_code, set(field_errors(response))) == (422, fields)


def test_a_summary_of_what_is_not_there_is_404(member: Api, meter: Meter) -> None:
    foreign = OrganizationFactory()
    other = Meter.objects.create(organization=foreign, name="A")
    assert member.get(f"usage/summary?meter_id={other.pk}").status_code == 404
    customer = TrackedUserFactory(organization=foreign)
    assert member.get(f"usage/summary?meter_id={meter.pk}&customer_id={customer.pk}").status_code == 404


def test_the_number_of_queries_is_the_same_for_any_span(member: Api, meter: Meter) -> None:
    counts = set()
    for days in (1, 200):
        with CaptureQueriesContext(connection) as captured:
            start = (NOW - timedelta(days=days)).date()
            assert member.get(f"usage/summary?meter_id={meter.pk}&from={start}").status_code == 200
        counts.add(len(captured))
    assert len(counts) == 1


EDGES = [
    ("hour", "UTC", "2026-01-01T00:30", "2026-01-01T02:30", ["00:30", "01:00", "02:00", "02:30"]),
    ("hour", "Asia/Kathmandu", "2026-01-01T00:00", "2026-01-01T02:00", ["00:00", "00:15", "01:15", "02:00"]),
    # Clocks are set back by half an hour at 15:00 UTC.
    ("hour", "Australia/Lord_Howe", "2026-04-04T13:00", "2026-04-04T17:00",
     ["13:00", "14:00", "15:30", "16:30", "17:00"]),
    ("day", "UTC", "2026-01-01T00:00", "2026-01-02T12:00", ["00:00", "00:00", "12:00"]),
    ("day", "Europe/Berlin", "2026-03-28T23:00", "2026-03-30T22:00", ["23:00", "22:00", "22:00"]),
    ("month", "Europe/Berlin", "2026-03-15T00:00", "2026-05-15T00:00", ["00:00", "22:00", "22:00", "00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("granularity", "zone", "start", "until", "expected"), EDGES)
def test_edges_follow_the_clocks(
    granularity: buckets.Granularity, zone: str, start: str, until: str, expected: list[str]
) -> None:
    found = buckets.edges(day(start), day(until), granularity, ZoneInfo(zone))
    assert [f"{edge:%H:%M}" for edge in found] == expected
    assert found == sorted(set(found))


def test_a_day_starts_where_its_clocks_do() -> None:
    assert day_start(date(2026, 1, 1), ZoneInfo("Asia/Tokyo")) == day("2025-12-31T15:00")
