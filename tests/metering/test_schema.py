"""The body of metered usage: what is read, and what is refused in which words."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.schema import InvalidEvent, MalformedBody
from metering.schema import IncomingUsage, parse_recorded, parse_tracked, unique_value

NOW = datetime(2026, 5, 5, 10, tzinfo=UTC)
TOKEN = "550e8400-e29b-41d4-a716-446655440000"


def tracked(members: str = "", quantity: str = "1") -> IncomingUsage:
    """The contract's body with further members."""
    more = f", {members}" if members else ""
    text = f'{{"meter_token": "{TOKEN}", "customer_external_id": "cust_123", "quantity": {quantity}{more}}}'
    return parse_tracked(text.encode(), NOW)


def refused(body: str) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        parse_tracked(body.encode(), NOW)
    return {error.field: error.message for error in caught.value.errors}


def wrong(members: str = "", quantity: str = "1") -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        tracked(members, quantity)
    return {error.field: error.message for error in caught.value.errors}


def test_the_contracts_example() -> None:
    usage = tracked(
        '"timestamp": "2026-01-15T10:30:00Z", "idempotency_key": "req_unique_key_123", "metadata": {"seat": "a"}'
    )
    assert usage.meter == UUID(TOKEN)
    assert usage.customer == "cust_123"
    assert usage.quantity == 1
    assert usage.occurred_at == datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
    assert usage.idempotency_key == "req_unique_key_123"
    assert usage.metadata == '{"seat":"a"}'


def test_the_least_that_is_needed() -> None:
    usage = tracked()
    assert (usage.occurred_at, usage.idempotency_key, usage.metadata) == (NOW, None, None)


def test_people_name_meter_and_customer_by_id() -> None:
    usage = parse_recorded(b'{"meter_id": 7, "customer_id": 12, "quantity": 2.5}', NOW)
    assert (usage.meter, usage.customer, usage.quantity) == (7, 12, Decimal("2.5"))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ('"7"', "must be an integer, got a string"),
        ("true", "must be an integer, got a boolean"),
        ("7.5", "must be an integer, got a number with a fraction"),
        ("null", "is required"),
        ("0", "must be an id"),
        ("-7", "must be an id"),
        (str(2**63), "must be an id"),
    ],
)
def test_ids_that_are_none(sent: str, message: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        parse_recorded(f'{{"meter_id": {sent}, "customer_id": {sent}, "quantity": 1}}'.encode(), NOW)
    assert {error.field: error.message for error in caught.value.errors} == dict.fromkeys(
        ("meter_id", "customer_id"), message
    )


@pytest.mark.parametrize(
    ("sent", "quantity"),
    [
        ("1", "1"),
        ("0.000000001", "0.000000001"),
        ("999999999.999999999", "999999999.999999999"),
        ("1e3", "1000"),
        ("25E-1", "2.5"),
        ("1.10000000000000", "1.1"),
        ("0.1", "0.1"),
    ],
)
def test_quantities_are_read_exactly(sent: str, quantity: str) -> None:
    assert tracked(quantity=sent).quantity == Decimal(quantity)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("0", "must be more than 0"),
        ("-1", "must be more than 0"),
        ("-0.0", "must be more than 0"),
        ("1000000000", "must be less than 1000000000"),
        ("1e400", "must be less than 1000000000"),
        ("9" * 200, "must be less than 1000000000"),
        ("0.0000000001", "must have at most 9 decimals"),
        ("1e-400", "must have at most 9 decimals"),
        ('"1"', "must be a number, got a string"),
        ("true", "must be a number, got a boolean"),
        ("[1]", "must be a number, got a list"),
        ("null", "is required"),
    ],
)
def test_quantities_that_are_none(sent: str, message: str) -> None:
    assert wrong(quantity=sent) == {"quantity": message}


@pytest.mark.parametrize("sent", ["NaN", "Infinity", "01", "+1", "1.", ".5", ""])
def test_what_is_not_json(sent: str) -> None:
    with pytest.raises(MalformedBody):
        tracked(quantity=sent)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":', b'{"quantity": "\xff"}', b"\xff\xfe"])
def test_broken_bodies(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_tracked(body, NOW)


@pytest.mark.parametrize("body", ["[]", "1", '"a"', "null"])
def test_bodies_that_are_no_object(body: str) -> None:
    assert refused(body) == {"": "the body must be an object"}


def test_everything_that_is_missing_is_named() -> None:
    assert refused("{}") == dict.fromkeys(("meter_token", "customer_external_id", "quantity"), "is required")


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ('""', "must not be empty"),
        ('"  "', "must not be empty"),
        ("7", "must be a string, got an integer"),
        (f'"{"x" * 256}"', "must have at most 255 characters"),
    ],
)
def test_customers_that_are_none(sent: str, message: str) -> None:
    body = f'{{"meter_token": "{TOKEN}", "customer_external_id": {sent}, "quantity": 1}}'
    assert refused(body) == {"customer_external_id": message}


@pytest.mark.parametrize(
    ("ago", "fine"),
    [
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-5, milliseconds=-1), False),
        (timedelta(days=400), True),
        (timedelta(days=400, milliseconds=1), False),
    ],
)
def test_how_far_from_now_usage_may_lie(ago: timedelta, fine: bool) -> None:
    members = f'"timestamp": "{(NOW - ago).isoformat()}"'
    if fine:
        assert tracked(members).occurred_at == NOW - ago
    else:
        assert list(wrong(members)) == ["timestamp"]


@pytest.mark.parametrize(
    "sent", ['"soon"', "1767225600", '"9999-12-31T23:59:59.999999-12:00"', '"0001-01-01T00:00:00+14:00"', '""', "{}"]
)
def test_times_that_are_none(sent: str) -> None:
    assert list(wrong(f'"timestamp": {sent}')) == ["timestamp"]


def test_a_time_without_zone_is_utc() -> None:
    assert tracked('"timestamp": "2026-05-05T09:59:59"').occurred_at == datetime(2026, 5, 5, 9, 59, 59, tzinfo=UTC)


def test_what_jsonb_cannot_hold() -> None:
    assert tracked(r'"metadata": {"a": "x\u0000y"}').metadata == r'{"a":"x\ufffdy"}'
    assert list(wrong('"metadata": {"big": 1e999}')) == ["metadata.big"]
    nested = "[" * 100 + "]" * 100
    assert list(wrong(f'"metadata": {{"deep": {nested}}}')) == ["metadata.deep"]


def test_unknown_members_are_passed_over() -> None:
    assert tracked('"colour": "red"').quantity == 1


@pytest.mark.parametrize(
    ("members", "expected"),
    [('{"seat": "a"}', "a"), ('{"seat": 12}', "12"), ('{"seat": 1.50}', "1.50"), ('{"seat": false}', "false")],
)
def test_values_of_a_unique_count(members: str, expected: str) -> None:
    assert unique_value(tracked(f'"metadata": {members}'), "seat") == expected


def test_the_content_is_another_when_anything_but_the_key_is() -> None:
    def digest(members: str = "", quantity: str = "1") -> UUID:
        return tracked(members, quantity).content_hash

    assert digest('"idempotency_key": "a"') == digest('"idempotency_key": "b"') == digest()
    others = [
        digest(),
        digest(quantity="2"),
        digest('"timestamp": "2026-05-05T09:00:00Z"'),
        digest('"metadata": {"a": 1}'),
    ]
    assert len(set(others)) == 4


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_usage_or_refused(body: bytes) -> None:
    with suppress(InvalidEvent, MalformedBody):
        parse_tracked(body, NOW)


_SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = ["meter_token", "customer_external_id", "quantity", "timestamp", "idempotency_key", "metadata"]


@given(st.dictionaries(st.sampled_from(_FIELDS), _SOME_JSON))
def test_any_value_of_any_field_is_read_or_named(body: dict[str, object]) -> None:
    named: set[str] = set()
    try:
        parse_tracked(msgspec.json.encode(body), NOW)
    except InvalidEvent as error:
        named = {found.field.partition(".")[0] for found in error.errors}
    assert named <= {*_FIELDS}
