"""The wire contract of metered usage: bytes in, frozen usage or field errors out. Pure: no clock, no database."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Raw

from events import field_errors, wire_json
from events.schema import MAX_LABEL_CHARACTERS, InvalidEvent, MalformedBody, checked_idempotency_key, time_ms
from events.wire import FieldError

MAX_QUANTITY: Final = Decimal(10**9)
QUANTITY_DECIMALS: Final = 9
OLDEST: Final = timedelta(days=400)
"""How far back usage may lie: a year and a closing."""
NEWEST: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_ID: Final = 2**63 - 1

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class IncomingUsage:
    """A quantity as it was sent. Programs name meter and customer by token and external id, people's by their ids.

    `metadata` is JSON text, as sent but for what jsonb cannot hold; `values` are its members, for meters that count
    different ones.
    """

    meter: UUID | int
    customer: str | int
    quantity: Decimal
    occurred_at: datetime
    idempotency_key: str | None = None
    metadata: str | None = None
    values: Mapping[str, Raw] = field(default_factory=dict)
    content_hash: UUID = field(default_factory=lambda: UUID(int=0))
    """Of all that was sent but the key: tells a retry from another quantity under the same key."""


def parse_tracked(body: bytes, now: datetime) -> IncomingUsage:
    """Read the body of `/api/v1/sdk/track`. Raises MalformedBody, or InvalidEvent that names every wrong field."""
    return _Reading(_object(body), now).result("meter_token", "customer_external_id")


def parse_recorded(body: bytes, now: datetime) -> IncomingUsage:
    """Read the body of `/api/v1/usage`, which names meter and customer by id. Raises the same."""
    return _Reading(_object(body), now).result("meter_id", "customer_id")


def unique_value(usage: IncomingUsage, key: str) -> str:
    """What a meter counts that counts the different values of a metadata key: text as it is, numbers as written.

    Raises InvalidEvent where it is missing, or neither text nor a number nor a truth.
    """
    sent = usage.values.get(key)
    field_name = f"metadata.{key}"
    if sent is None:
        raise InvalidEvent([FieldError(field_name, "is required: this meter counts its different values")])
    value = _decode(sent)
    text = value if isinstance(value, str) else bytes(sent).decode()
    if value is None or isinstance(value, dict | list):
        found = field_errors.word_for(value)
        raise InvalidEvent([FieldError(field_name, f"must be a string, a number or a boolean, got {found}")])
    if not text.strip() or len(text) > MAX_LABEL_CHARACTERS:
        raise InvalidEvent([FieldError(field_name, f"must have 1 to {MAX_LABEL_CHARACTERS} characters")])
    return text.replace("\x00", "�")


def _object(body: bytes) -> dict[str, Raw]:
    wire_json.check_utf8(body, MalformedBody)
    try:
        return _decode_object(body)
    except msgspec.ValidationError:
        raise InvalidEvent([FieldError("", "the body must be an object")]) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedBody(field_errors.malformed(error)) from None


class _Reading:
    """One pass over the members of a body; collects every error on its way."""

    def __init__(self, sent: Mapping[str, Raw], now: datetime) -> None:
        self.sent = sent
        self.now = now
        self.errors: list[FieldError] = []

    def result(self, meter: str, customer: str) -> IncomingUsage:
        by_token = meter == "meter_token"
        values = self._members("metadata")
        usage = IncomingUsage(
            meter=self._token(meter) if by_token else self._id(meter),
            customer=self._external_id(customer) if by_token else self._id(customer),
            quantity=self._quantity(),
            occurred_at=self._occurred_at(),
            idempotency_key=self._idempotency_key(),
            metadata=self._metadata(values),
            values=values,
            content_hash=self._content_hash(meter, customer),
        )
        if self.errors:
            raise InvalidEvent(self.errors)
        return usage

    def _refuse(self, field_name: str, message: str) -> None:
        self.errors.append(FieldError(field_name, message))

    def _value(self, name: str) -> Any:
        """The decoded member; None where it is missing or null, or cannot be read."""
        raw = self.sent.get(name)
        if raw is None:
            return None
        try:
            return _decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            self._refuse(name, field_errors.malformed(error).removeprefix("the body "))
            return None

    def _text(self, name: str, *, required: bool) -> str | None:
        value = self._value(name)
        if value is None:
            if required and not any(error.field == name for error in self.errors):
                self._refuse(name, "is required")
            return None
        if not isinstance(value, str):
            self._refuse(name, f"must be a string, got {field_errors.word_for(value)}")
            return None
        return value

    def _token(self, name: str) -> UUID:
        text = self._text(name, required=True)
        if text is not None:
            with suppress(ValueError):
                return UUID(text.strip())
            self._refuse(name, "must be a UUID: the token that the meter's page shows")
        return UUID(int=0)

    def _id(self, name: str) -> int:
        value = self._value(name)
        if value is None:
            self._refuse(name, "is required")
        elif isinstance(value, bool) or not isinstance(value, int):
            self._refuse(name, f"must be an integer, got {field_errors.word_for(value)}")
        elif not 0 < value <= _MAX_ID:
            self._refuse(name, "must be an id")
        else:
            return value
        return 0

    def _external_id(self, name: str) -> str:
        text = (self._text(name, required=True) or "").replace("\x00", "�")
        if name in self.sent and not text.strip() and not self.errors_of(name):
            self._refuse(name, "must not be empty")
        if len(text) > MAX_LABEL_CHARACTERS:
            # Cutting it could make one customer of two, and one pays for the other.
            self._refuse(name, f"must have at most {MAX_LABEL_CHARACTERS} characters")
        return text

    def errors_of(self, name: str) -> bool:
        return any(error.field == name for error in self.errors)

    def _quantity(self) -> Decimal:
        raw = bytes(self.sent.get("quantity", b""))
        if not raw or raw == b"null":
            self._refuse("quantity", "is required")
        elif not wire_json.NUMBER.fullmatch(raw):
            self._refuse("quantity", f"must be a number, got {field_errors.word_for(self._value('quantity'))}")
        elif (quantity := _decimal(raw)) is None or quantity >= MAX_QUANTITY:
            self._refuse("quantity", "must be less than 1000000000")
        elif quantity <= 0:
            self._refuse("quantity", "must be more than 0")
        elif quantity != round(quantity, QUANTITY_DECIMALS):
            self._refuse("quantity", f"must have at most {QUANTITY_DECIMALS} decimals")
        else:
            return quantity
        return Decimal(1)

    def _occurred_at(self) -> datetime:
        text = self._text("timestamp", required=False)
        if text is None:
            return self.now
        try:
            at = _EPOCH + timedelta(milliseconds=time_ms(text))
        except (ValueError, OverflowError):
            self._refuse("timestamp", "must be an ISO 8601 time, for example 2026-05-05T10:00:00Z")
            return self.now
        if at > self.now + NEWEST:
            self._refuse("timestamp", "must not be more than 5 minutes ahead")
        if at < self.now - OLDEST:
            self._refuse("timestamp", f"must not be more than {OLDEST.days} days back")
        return at

    def _idempotency_key(self) -> str | None:
        text = self._text("idempotency_key", required=False)
        if text is None:
            return None
        try:
            return checked_idempotency_key(text)
        except ValueError as error:
            self._refuse("idempotency_key", str(error))
            return None

    def _members(self, name: str) -> dict[str, Raw]:
        raw = self.sent.get(name)
        if raw is None or bytes(raw) == b"null":
            return {}
        try:
            return _decode_object(raw)
        except (msgspec.DecodeError, RecursionError):
            self._refuse(name, f"must be an object, got {field_errors.word_for(self._value(name))}")
            return {}

    def _metadata(self, values: dict[str, Raw]) -> str | None:
        if not values:
            return None
        try:
            return wire_json.storable(values)[0]
        except wire_json.Unstorable as error:
            self._refuse(f"metadata.{error.key}", str(error))
            return None

    def _content_hash(self, meter: str, customer: str) -> UUID:
        digest = hashlib.sha256()
        for name in (meter, customer, "quantity", "timestamp", "metadata"):
            sent = bytes(self.sent.get(name, b""))
            digest.update(b"%d:" % len(sent) + sent)
        return UUID(bytes=digest.digest()[:16])


def _decimal(raw: bytes) -> Decimal | None:
    """The number, exact; None for one of more digits than any quantity has."""
    with suppress(ArithmeticError):
        if len(raw) <= 100:
            return Decimal(raw.decode())
    return None
