"""`POST /api/v1/sdk/track`: stored once, answered as the contract says, refused with the field's name."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from events.models import Environment, Organization, RejectedCall, TrackedUser
from metering import invoicing, record_store
from metering.models import Aggregation, Invoice, InvoiceStatus, Meter, UsageRecord
from metering.track import TRACK_PATH
from tests.fences import wait_until_blocked
from tests.metering.billing import Billing
from tests.metering.conftest import Usage, body, customer, stored
from tests.native_client import make_key


def test_usage_is_stored_exactly_and_makes_its_customer(usage: Usage, meter: Meter) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    response = usage.track(meter, quantity=1.000000001, timestamp=at.isoformat(), metadata={"seat": "a", "n": 1.10})
    record = UsageRecord.objects.get()
    assert response.status == 200
    assert response.body == {
        "id": f"use_{record.id.hex}",
        "meter_id": meter.id,
        "customer_id": customer(usage.organization).id,
        "quantity": 1.000000001,
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
        "deduplicated": False,
    }
    assert (record.quantity, record.occurred_at) == (Decimal("1.000000001"), at)
    assert (record.environment, record.metadata) == (Environment.LIVE, {"seat": "a", "n": 1.1})
    assert record.tracked_user_id == customer(usage.organization).id
    assert record.late_for_id is None


def test_the_answer_has_all_digits_of_the_quantity(usage: Usage, meter: Meter) -> None:
    sent = b'{"meter_token":"%s","customer_external_id":"c","quantity":999999999.123456789}' % str(meter.token).encode()
    response = usage.client.post(TRACK_PATH, sent)
    assert b'"quantity":999999999.123456789' in response.raw
    assert stored("quantity") == [(Decimal("999999999.123456789"),)]


def test_without_a_timestamp_it_is_now(usage: Usage, meter: Meter) -> None:
    usage.track(meter)
    ((occurred_at, received_at),) = stored("occurred_at, received_at")
    assert occurred_at == received_at


def test_a_retry_gets_the_first_answer_and_stores_nothing(usage: Usage, meter: Meter) -> None:
    first = usage.track(meter, quantity=2, idempotency_key="req_1")
    again = usage.track(meter, quantity=3, customer="somebody-else", idempotency_key=" req_1 ")
    assert again.status == 200
    assert again.body == first.body | {"deduplicated": True}
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(stored()) == 1


def test_the_header_makes_a_retry_safe_too_and_refuses_other_usage(usage: Usage, meter: Meter) -> None:
    header = {"idempotency-key": "req_1"}
    first = usage.client.post(TRACK_PATH, body(meter, quantity=2), headers=header)
    same = usage.client.post(TRACK_PATH, body(meter, quantity=2), headers=header)
    other = usage.client.post(TRACK_PATH, body(meter, quantity=3), headers=header)
    assert same.body == first.body | {"deduplicated": True}
    assert (other.status, other.body["error"]["type"]) == (409, "idempotency_key_reused")
    assert first.body["id"] in other.body["error"]["message"]
    assert len(stored()) == 1


def test_the_same_key_of_another_organization_is_another_key(usage: Usage, meter: Meter) -> None:
    other = Organization.objects.create(name="Other", slug="other")
    theirs = Meter.objects.create(organization=other, name="Documents")
    key = make_key(other, scopes=["usage:write"])
    usage.track(meter, idempotency_key="req_1")
    response = usage.client.post(TRACK_PATH, body(theirs, idempotency_key="req_1"), key=key)
    assert response.body["deduplicated"] is False
    assert len(stored()) == 2


def test_a_key_once_among_many_at_the_same_moment(usage: Usage, meter: Meter) -> None:
    bodies = [body(meter, f"cust_{n % 5}", n + 1, idempotency_key=f"req_{n % 40}") for n in range(200)]
    answers = usage.client.post_together(TRACK_PATH, bodies)
    assert {answer.status for answer in answers} == {200}
    ids: dict[int, set[str]] = {}
    for number, answer in enumerate(answers):
        ids.setdefault(number % 40, set()).add(answer.body["id"])
    assert all(len(found) == 1 for found in ids.values())
    assert sum(not answer.body["deduplicated"] for answer in answers) == len(stored()) == 40
    assert TrackedUser.objects.count() == 5


def test_a_lost_reply_is_answered_from_what_was_stored(
    usage: Usage, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through and the connection broke before the server learned of it."""
    write, broken = record_store.RecordStore.write, iter([True])

    async def write_and_break(self: Any, connection: Any, rows: Any) -> bool:
        done = await write(self, connection, rows)
        if next(broken, False):
            await connection.close()
            for row in rows:
                row.answer_id = None
            raise psycopg.OperationalError("the connection is lost")
        return done

    monkeypatch.setattr(record_store.RecordStore, "write", write_and_break)
    response = usage.track(meter, quantity=4)
    assert (response.status, response.body["quantity"], response.body["deduplicated"]) == (200, 4, False)
    assert [f"use_{row[0].hex}" for row in stored("id")] == [response.body["id"]]


def test_a_test_key_records_into_the_test_environment(usage: Usage, meter: Meter) -> None:
    key = make_key(usage.organization, scopes=["usage:write"], environment=Environment.TEST)
    usage.client.post(TRACK_PATH, body(meter), key=key)
    assert stored("environment") == [(Environment.TEST,)]


def test_a_key_without_the_scope_is_refused(usage: Usage, meter: Meter) -> None:
    key = make_key(usage.organization)
    response = usage.client.post(TRACK_PATH, body(meter), key=key)
    assert response.status == 403
    assert "usage:write" in response.body["error"]["message"]


def test_the_x_api_key_header_works(usage: Usage, meter: Meter) -> None:
    headers = {"authorization": "", "x-api-key": usage.client.key}
    assert usage.client.post(TRACK_PATH, body(meter), headers=headers).status == 200


@pytest.mark.parametrize("make", ["unknown", "foreign", "archived"])
def test_no_such_meter_is_said_and_listed(usage: Usage, meter: Meter, make: str) -> None:
    if make == "unknown":
        meter.token = uuid4()
    elif make == "foreign":
        other = Organization.objects.create(name="Other", slug="other")
        meter = Meter.objects.create(organization=other, name="Theirs")
    else:
        Meter.objects.update(archived_at=timezone.now())
    response = usage.track(meter)
    assert response.status == 404
    assert str(meter.token) in response.body["error"]["message"]
    assert stored() == []
    usage.client.flush_rejections()
    rejected = RejectedCall.objects.get()
    assert (rejected.http_status, rejected.endpoint, rejected.organization) == (404, TRACK_PATH, usage.organization)


class TestUniqueCount:
    @pytest.fixture
    def seats(self, usage: Usage) -> Meter:
        return Meter.objects.create(
            organization=usage.organization,
            name="Seats",
            aggregation=Aggregation.UNIQUE_COUNT,
            unique_key="seat",
        )

    @pytest.mark.parametrize(
        ("metadata", "expected"), [({"seat": "a"}, "a"), ({"seat": 1.50}, "1.5"), ({"seat": True}, "true")]
    )
    def test_its_value_is_kept(self, usage: Usage, seats: Meter, metadata: Any, expected: str) -> None:
        assert usage.track(seats, metadata=metadata).status == 200
        assert stored("unique_value") == [(expected,)]

    @pytest.mark.parametrize("metadata", [None, {}, {"Seat": "a"}, {"seat": None}, {"seat": ["a"]}, {"seat": " "}])
    def test_without_it_the_key_is_named(self, usage: Usage, seats: Meter, metadata: Any) -> None:
        response = usage.track(seats, metadata=metadata)
        assert response.status == 422
        assert list(response.field_errors) == ["metadata.seat"]
        assert stored() == []


def test_all_wrong_fields_are_named_at_once(usage: Usage) -> None:
    sent = {"meter_token": "x", "quantity": "2", "timestamp": "yesterday", "metadata": [], "idempotency_key": ""}
    response = usage.client.post(TRACK_PATH, sent)
    assert response.status == 422
    assert response.body["error"]["type"] == "invalid_usage"
    assert response.field_errors == {
        "meter_token": "must be a UUID: the token that the meter's page shows",
        "customer_external_id": "is required",
        "quantity": "must be a number, got a string",
        "timestamp": "must be an ISO 8601 time, for example 2026-05-05T10:00:00Z",
        "metadata": "must be an object, got a list",
        "idempotency_key": "must not be empty",
    }


def test_usage_of_a_closed_period_is_kept_and_marked(usage: Usage, meter: Meter) -> None:
    usage.track(meter)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
    invoice = Invoice.objects.create(
        organization=usage.organization,
        tracked_user=customer(usage.organization),
        period_start=start,
        period_end=start + timedelta(days=10),
        time_zone="UTC",
        status=InvoiceStatus.FINALIZED,
        number="INV-1",
        finalized_at=datetime.now(UTC),
    )
    for days in (-0.1, 0, 5, 10):
        usage.track(meter, timestamp=(start + timedelta(days=days)).isoformat())
    usage.track(meter, "cust_2", timestamp=start.isoformat())
    late = [row[0] for row in stored("late_for_id")]
    assert late == [None, None, invoice.id, invoice.id, None, None]


def test_ten_thousand_keys_from_many_tasks_are_ten_thousand_records(usage: Usage, meter: Meter) -> None:
    async def sender(number: int) -> list[int]:
        found = []
        for n in range(1250):
            sent = body(meter, f"cust_{n % 50}", 1, idempotency_key=f"req_{number}_{n}")
            found.append((await usage.client.call(TRACK_PATH, sent)).status)
        return found

    async def all_senders() -> list[list[int]]:
        return list(await asyncio.gather(*(sender(number) for number in range(8))))

    statuses = usage.client.runner.run(all_senders())
    assert {status for each in statuses for status in each} == {200}
    assert len(stored("id")) == 10_000


def test_a_commit_under_way_is_waited_for_and_is_on_the_invoice(
    usage: Usage, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is between its look at the invoices and its commit when somebody finalizes the month."""
    billing = Billing(of=usage.organization)
    billing.per_unit(meter, "1")
    last_month = datetime.now(UTC).replace(day=1, hour=12) - timedelta(days=5)
    usage.track(meter, quantity=3, timestamp=last_month.isoformat())
    draft = invoicing.open_draft(usage.organization.pk, customer(usage.organization).pk, last_month)
    finalized: list[Invoice] = []

    def finalize_beside() -> None:
        try:
            finalized.append(invoicing.finalize(draft.pk, usage.organization.pk, datetime.now(UTC)))
        finally:
            connection.close()

    beside = Thread(target=finalize_beside)
    insert = record_store._insert

    async def insert_slowly(*arguments: Any) -> Any:
        beside.start()
        await asyncio.to_thread(wait_until_blocked)
        return await insert(*arguments)

    monkeypatch.setattr(record_store, "_insert", insert_slowly)
    response = usage.track(meter, quantity=4, timestamp=last_month.isoformat())
    beside.join()
    assert response.status == 200
    assert finalized[0].total_usd == 7
    assert stored("late_for_id") == [(None,), (None,)]
    monkeypatch.setattr(record_store, "_insert", insert)
    usage.track(meter, quantity=5, timestamp=last_month.isoformat())
    assert stored("late_for_id")[-1] == (draft.pk,)
