"""What an event looks like in Python, and how it becomes the JSON of the wire.

Names are Python's here and camelCase on the wire; both are understood, and so is a mixture of them.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict
from uuid import UUID

from fluxgate_sdk.statuses import Status

ServiceTier = Literal["default", "standard", "batch", "flex", "priority"]


class Usage(TypedDict, total=False):
    """What one call used. Counters are whole numbers and inclusive: cached and written tokens are parts of
    `input_tokens`, `reasoning_tokens` of `output_tokens`. Required are `input_tokens` and `output_tokens`, or, in their
    place, `provider_usage` (the provider's own usage object, untouched) with `api_flavor`.
    """

    provider: str | None
    model: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    latency_in_ms: float | None
    is_streamed: bool | None
    streaming_duration_in_ms: float | None
    service_tier: ServiceTier | str | None
    provider_usage: Mapping[str, Any] | None
    api_flavor: str | None


class _UserId(TypedDict):
    id: str


class User(_UserId, total=False):
    """The person or account that a call was made for; only the fields that are given are updated.
    `monthly_revenue` is in USD.
    """

    name: str | None
    email: str | None
    image: str | None
    monthly_revenue: Decimal | float | int | None


class StatusDetails(TypedDict, total=False):
    """A status with what is to be said about it."""

    status: Status
    error_message: str | None


class Metadata(TypedDict, total=False):
    """The known labels of a call. Any other key is kept unchanged and can be searched for. `timestamp` is when the call
    happened: a datetime, or ISO 8601 text; without a zone, UTC.
    """

    feature: str | None
    step: str | None
    user: str | User | None
    session_id: str | None
    conversation_id: str | None
    service_tier: ServiceTier | str | None
    timestamp: datetime | str | None


class _EventUsage(TypedDict):
    usage: Usage


class Event(_EventUsage, total=False):
    """One LLM call. The same `idempotency_key` (at most 255 characters) counts once; without one, it is made."""

    status: Status | StatusDetails
    metadata: Metadata | Mapping[str, Any]
    idempotency_key: str


class TrackingContext(TypedDict, total=False):
    """What a call is for, as `with_context`, `with_tracking` and `track` take it."""

    feature: str
    user: str | User
    step: str
    session_id: str
    conversation_id: str
    service_tier: ServiceTier | str
    metadata: Mapping[str, Any]


_CONTEXT_WORDS: Final = frozenset(TrackingContext.__annotations__)


def context_of(given: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    """A context that does not change any more, whatever the caller does to the parts of his.

    Raises TypeError, as `word()` would, for a name that no context has.
    """
    unknown = sorted(given.keys() - _CONTEXT_WORDS)
    if unknown:
        known = ", ".join(sorted(_CONTEXT_WORDS))
        raise TypeError(f"{word}() got an unexpected keyword argument {unknown[0]!r}; it takes {known}")
    return MappingProxyType(copied(given))


_USAGE: Final = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cached_tokens": "cachedTokens",
    "cache_write_tokens": "cacheWriteTokens",
    "cache_write_1h_tokens": "cacheWrite1hTokens",
    "reasoning_tokens": "reasoningTokens",
    "latency_in_ms": "latencyInMs",
    "is_streamed": "isStreamed",
    "streaming_duration_in_ms": "streamingDurationInMs",
    "service_tier": "serviceTier",
    "provider_usage": "providerUsage",
    "api_flavor": "apiFlavor",
}
_METADATA: Final = {
    "session_id": "sessionId",
    "conversation_id": "conversationId",
    "service_tier": "serviceTier",
}
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_random: Final = random.Random(os.urandom(32))  # noqa: S311  made to be unique, not to be secret
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def new_idempotency_key() -> str:
    """A UUIDv7: sorted by time, unique across processes, forks and whatever seeds `random`."""
    return idempotency_key(time.time_ns() // 1_000_000, random_bits())


def random_bits() -> int:
    """What makes an idempotency key unique."""
    # A generator of our own, seeded by the system: asking the system each time costs three microseconds.
    return _random.getrandbits(74)


def idempotency_key(milliseconds: int, bits: int) -> str:
    """The UUIDv7 of a moment, in milliseconds since 1970, and of `random_bits()` that were drawn then."""
    text = f"{milliseconds << 80 | 0x7 << 76 | bits >> 62 << 64 | 0x2 << 62 | bits & 0x3FFF_FFFF_FFFF_FFFF:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def wire_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with the wire's names, its own dictionaries, and an `idempotencyKey`.

    The caller may change its event afterwards. Raises TypeError with a sentence when a part is not a mapping.
    """
    usage = _mapping(event.get("usage"), "usage")
    words = _USAGE
    body: dict[str, Any] = {
        "usage": {words.get(name, name): value for name, value in usage.items() if value is not None},
        "idempotencyKey": event.get("idempotency_key") or event.get("idempotencyKey") or new_idempotency_key(),
    }
    status = event.get("status")
    if status is not None:
        body["status"] = _status(status)
    metadata = event.get("metadata")
    if metadata:
        body["metadata"] = _metadata(_mapping(metadata, "metadata"))
    return body


def encode(body: object) -> bytes:
    """The body as JSON. What JSON has no type for becomes text; a number that is not finite, too."""
    try:
        return json.dumps(body, default=_plain, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        # A single NaN in the metadata is no reason to lose the event.
        return json.dumps(_finite(body), default=_plain, separators=(",", ":"), allow_nan=False).encode()


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if isinstance(value, (dict, Mapping)):
        return value
    raise TypeError(f"{name}: must be a mapping, got {type(value).__name__}")


def _status(status: object) -> object:
    if not isinstance(status, Mapping):
        return status
    return {"errorMessage" if name == "error_message" else name: value for name, value in status.items()}


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    words = _METADATA
    found = {
        words.get(name, name): value if type(value) in _SCALARS else copied(value) for name, value in metadata.items()
    }
    user = found.get("user")
    if isinstance(user, dict) and "monthly_revenue" in user:
        user["monthlyRevenue"] = user.pop("monthly_revenue")
    return found


def copied(value: Any) -> Any:
    """A copy of nested mappings and lists, so that the event is what it was when it was handed over."""
    if isinstance(value, Mapping):
        return {name: copied(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(inner) for inner in value]
    return value


def _plain(value: object) -> object:
    """What json.dumps cannot write, as something that it can."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        # Exact up to 15 digits: the shortest text of the float is the decimal's own.
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, UUID):
        return str(value)
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value
