"""The wire contract of `POST /api/events`: bytes in, frozen events or field errors out. Pure: no clock, no database.

A well-formed event takes the short way: msgspec decodes it against the structs below. When that fails, the same field
types are applied one by one to the generic value, so that the answer names every wrong field and not only the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw, Struct

from events import field_errors, wire, wire_json
from events.usage import UsageReader, read_counters, read_region, read_served_tier, read_tier
from events.wire import FieldError

MAX_LABEL_CHARACTERS = 255
MAX_ERRORS_SAID = 20
MAX_ERROR_MESSAGE_BYTES = 4096
MAX_MONTHLY_REVENUE_USD = Decimal(10**9)
OLDEST_MS = 35 * 24 * 3600 * 1000
NEWEST_MS = 5 * 60 * 1000

STATUSES = ("SUCCESS", "ERROR", "BLOCKED", "MAX_TOKENS", "CONTENT_FILTER", "RECITATION", "MALFORMED_REQUEST")


class InvalidEvent(Exception):
    """The body is JSON, but not an event; `errors` names every wrong field. Answered with 422."""

    def __init__(self, errors: list[FieldError]) -> None:
        said = [f"{error.field}: {error.message}" for error in errors[:MAX_ERRORS_SAID]]
        more = [f"and {len(errors) - len(said)} more"] if len(errors) > len(said) else []
        super().__init__("; ".join(said + more))
        self.errors = errors


class MalformedBody(Exception):
    """The body is not JSON text in UTF-8, or nested too deep to be read. Answered with 400."""


class TooManyEvents(Exception):
    """A batch holds more events than it may. Answered with 413."""


class IncomingUser(Struct, frozen=True, gc=False):
    """The tracked user that an event names; None in a field that was not sent."""

    external_id: str
    name: str | None = None
    email: str | None = None
    image: str | None = None
    monthly_revenue_usd: Decimal | None = None


class IncomingEvent(Struct, frozen=True, gc=False):
    """One LLM call as it was sent. Counters as sent: `pricing.costs.normalise` reads exclusive ones.

    `metadata` and `provider_usage` are JSON text, byte for byte as sent but for what jsonb cannot hold;
    `occurred_at_ms` is milliseconds since 1970; `flags` are words of `events.models.Flag`.
    """

    occurred_at_ms: int
    status: str
    service_tier: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    feature: str = ""
    step: str = ""
    session_id: str = ""
    conversation_id: str = ""
    user: IncomingUser | None = None
    is_streamed: bool | None = None
    latency_ms: float | None = None
    streaming_duration_ms: float | None = None
    error_message: str | None = None
    api_flavor: str | None = None
    provider_usage: str | None = None
    region: str = "global"
    metadata: str | None = None
    idempotency_key: str | None = None
    flags: frozenset[str] = frozenset()


_decode_event = msgspec.json.Decoder(wire.Event).decode
_decode_metadata = msgspec.json.Decoder(wire.Metadata).decode
_decode_anything = msgspec.json.Decoder().decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_METADATA_WORDS = frozenset(field.encode_name for field in msgspec.structs.fields(wire.Metadata))


def parse_event(body: bytes, now_ms: int, read_usage: UsageReader | None = None) -> IncomingEvent:
    """Read one event. `now_ms` bounds its timestamp; `read_usage` reads counters out of `providerUsage`.

    Raises MalformedBody for what is not JSON, InvalidEvent for JSON that breaks the contract.
    """
    wire_json.check_utf8(body, MalformedBody)
    try:
        return _parsed(body, now_ms, read_usage)
    except (msgspec.DecodeError, RecursionError) as error:
        read = partial(_parsed, now_ms=now_ms, read_usage=read_usage)
        raise explained(body, error, field_errors.event_errors, read) from None


def _parsed(body: bytes, now_ms: int, read_usage: UsageReader | None) -> IncomingEvent:
    event = _decode_event(body)
    return _Reading(event, _known_metadata(event), now_ms, read_usage).result()


def split_batch(body: bytes, most: int, *, ndjson: bool) -> list[bytes]:
    """The events of a batch body, each as bytes of its own: `{"events": […]}`, or one JSON text a line.

    Raises MalformedBody where the whole cannot be read, InvalidEvent where `events` is missing or not a list, and
    TooManyEvents beyond `most`.
    """
    if not ndjson:
        return split_list(body, "events", most)
    wire_json.check_utf8(body, MalformedBody)
    lines = [line for line in body.split(b"\n", 2 * most) if line.strip()]
    if len(lines) > most:
        raise TooManyEvents
    return lines


def split_list(body: bytes, word: str, most: int) -> list[bytes]:
    """The members of the list `word` in a body that is an object, each as bytes of its own. Raises as `split_batch`."""
    wire_json.check_utf8(body, MalformedBody)
    try:
        envelope = msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise InvalidEvent([FieldError("", f"the body must be an object with a list `{word}`")]) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedBody(field_errors.malformed(error)) from None
    if word not in envelope:
        raise InvalidEvent([FieldError(word, f"is required: a list of {word}")])
    try:
        members = _decode_list(envelope[word])
    except msgspec.ValidationError:
        raise InvalidEvent([FieldError(word, f"must be a list of {word}")]) from None
    if len(members) > most:
        raise TooManyEvents
    return [bytes(member) for member in members]


def _known_metadata(event: wire.Event) -> wire.Metadata:
    return _decode_metadata(wire_json.joined(event.metadata)) if event.metadata else _NO_METADATA


def explained(
    body: bytes,
    error: Exception,
    type_errors: Callable[[dict[str, Any]], Iterator[FieldError]],
    read: Callable[[bytes], object],
    what: str = "the body ",
) -> MalformedBody | InvalidEvent:
    """Turn msgspec's first error into MalformedBody, or into InvalidEvent with every error of the object.

    `type_errors` names the fields of a wrong type; `read` is given what is left without them, and raises InvalidEvent
    for the rest. `what` begins the sentence when the body is no object at all.
    """
    try:
        value = _decode_anything(body)
    except msgspec.ValidationError:
        # A number beyond the range of a double, somewhere: only the typed error knows where.
        return InvalidEvent([field_errors.field_error("", error)])
    except (msgspec.DecodeError, RecursionError) as problem:
        return MalformedBody(field_errors.malformed(problem))
    if not isinstance(value, dict):
        return InvalidEvent([FieldError("", f"{what}must be an object, got {field_errors.word_for(value)}")])
    errors = list(type_errors(value)) or [field_errors.field_error("", error)]
    named = {error.field for error in errors}
    try:
        read(msgspec.json.encode(field_errors.without(value, errors)))
    except InvalidEvent as others:
        missing = {"usage.inputTokens", "usage.outputTokens"} if "usage" in named else set()
        errors += [error for error in others.errors if error.field not in named | missing]
    except msgspec.DecodeError:
        pass  # What is left still cannot be read; the errors found so far stand.
    return InvalidEvent(errors)


class _Reading:
    """One pass over a decoded event; collects every error and flag on its way."""

    def __init__(self, event: wire.Event, known: wire.Metadata, now_ms: int, read_usage: UsageReader | None) -> None:
        self.event = event
        self.known = known
        self.now_ms = now_ms
        self.read_usage = read_usage
        self.errors: list[FieldError] = []
        self.flags: set[str] = set()

    def result(self) -> IncomingEvent:
        usage, known = self.event.usage, self.known
        status, error_message = self._status()
        counters = read_counters(usage, usage.provider, self.read_usage, self.errors)
        event = IncomingEvent(
            occurred_at_ms=self._occurred_at_ms(),
            status=status,
            error_message=self._error_message(error_message),
            service_tier=self._service_tier(),
            provider=self._label(usage.provider),
            model=self._label(usage.model),
            **counters,
            feature=self._label(known.feature),
            step=self._label(known.step),
            session_id=self._label(known.session_id),
            conversation_id=self._label(known.conversation_id),
            user=self._user(),
            is_streamed=usage.is_streamed,
            latency_ms=usage.latency_in_ms,
            streaming_duration_ms=usage.streaming_duration_in_ms,
            api_flavor=self._label(usage.api_flavor) or None,
            provider_usage=self._json("usage.providerUsage", usage.provider_usage or {}),
            region=read_region(usage, usage.provider),
            metadata=self._json(
                "metadata", {k: v for k, v in (self.event.metadata or {}).items() if k not in _METADATA_WORDS}
            ),
            idempotency_key=self._idempotency_key(),
            flags=frozenset(self.flags),
        )
        if self.errors:
            raise InvalidEvent(self.errors)
        return event

    def _refuse(self, field: str, message: str) -> None:
        self.errors.append(FieldError(field, message))

    def _status(self) -> tuple[str, str | None]:
        status = self.event.status
        word, message = (status.status, status.error_message) if isinstance(status, wire.Status) else (status, None)
        if word is None:
            return "SUCCESS", message
        if word not in STATUSES:
            field = "status.status" if isinstance(status, wire.Status) else "status"
            self._refuse(field, f"must be one of {', '.join(STATUSES)}")
        return word, message

    def _service_tier(self) -> str:
        sent, field = self.event.usage.service_tier, "usage.serviceTier"
        if sent is None:
            sent, field = self.known.service_tier, "metadata.serviceTier"
        return read_served_tier(self.event.usage) if sent is None else read_tier(sent, field, self.errors)

    def _occurred_at_ms(self) -> int:
        text = self.known.timestamp
        if text is None:
            return self.now_ms
        try:
            at_ms = time_ms(text)
        except ValueError as error:
            self._refuse("metadata.timestamp", str(error))
            return self.now_ms
        if not self.now_ms - OLDEST_MS <= at_ms <= self.now_ms + NEWEST_MS:
            self.flags.add("timestamp_out_of_range")
            return self.now_ms
        return at_ms

    def _user(self) -> IncomingUser | None:
        user = self.known.user
        if user is None or isinstance(user, str):
            # Products send a blank id for somebody who is not signed in.
            return IncomingUser(self._label(user)) if user and user.strip() else None
        if not user.id.strip():
            self._refuse("metadata.user.id", "must not be empty")
        return IncomingUser(
            external_id=self._label(user.id),
            name=None if user.name is None else self._label(user.name),
            email=None if user.email is None else self._label(user.email),
            image=None if user.image is None else self._cut(user.image, 2000),
            monthly_revenue_usd=self._monthly_revenue(user.monthly_revenue),
        )

    def _monthly_revenue(self, raw: Raw) -> Decimal | None:
        text = bytes(raw)
        if text in (b"", b"null"):
            return None
        if wire_json.NUMBER.fullmatch(text) and len(text) <= 100:
            with suppress(ArithmeticError):
                amount = Decimal(text.decode())
                if 0 <= amount <= MAX_MONTHLY_REVENUE_USD:
                    return amount.quantize(Decimal("0.000001"))
        self._refuse("metadata.user.monthlyRevenue", f"must be a number of USD from 0 to {MAX_MONTHLY_REVENUE_USD}")
        return None

    def _idempotency_key(self) -> str | None:
        key = self.event.idempotency_key
        if key is None:
            return None
        try:
            return checked_idempotency_key(key)
        except ValueError as error:
            self._refuse("idempotencyKey", str(error))
            return None

    def _json(self, path: str, parts: dict[str, Raw]) -> str | None:
        if not parts:
            return None
        try:
            text, cleaned = wire_json.storable(parts)
        except wire_json.Unstorable as error:
            self._refuse(f"{path}.{error.key}", str(error))
            return None
        if cleaned:
            self.flags.add("text_cleaned")
        return text

    def _error_message(self, text: str | None) -> str | None:
        if text is None:
            return None
        text = self._clean(text)
        encoded = text.encode()
        if len(encoded) > MAX_ERROR_MESSAGE_BYTES:
            self.flags.add("text_cut")
            text = encoded[:MAX_ERROR_MESSAGE_BYTES].decode(errors="ignore")
        return text

    def _label(self, text: str | None) -> str:
        return self._cut(text, MAX_LABEL_CHARACTERS) if text else ""

    def _cut(self, text: str, most: int) -> str:
        if len(text) > most:
            self.flags.add("text_cut")
            text = text[:most]
        return self._clean(text)

    def _clean(self, text: str) -> str:
        if "\x00" in text:
            self.flags.add("text_cleaned")
            return text.replace("\x00", "�")
        return text


_NO_METADATA = wire.Metadata()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def checked_idempotency_key(key: str) -> str:
    """The key without blanks around it. Raises ValueError with a sentence when it cannot serve as one."""
    key = key.strip()
    if not key:
        raise ValueError("must not be empty")
    if len(key) > MAX_LABEL_CHARACTERS:
        raise ValueError(f"must have at most {MAX_LABEL_CHARACTERS} characters")
    if "\x00" in key:
        raise ValueError("must not contain U+0000")
    return key


def time_ms(text: str) -> int:
    """An ISO 8601 time as milliseconds since 1970; no zone means UTC. Raises ValueError with a sentence."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("must be an ISO 8601 time, for example 2026-05-05T10:00:00Z") from None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
