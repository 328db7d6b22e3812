"""The shapes of the APIs' JSON as msgspec decodes them. `field_errors.py` explains what does not fit."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

MAX_COUNT = 2**53 - 1
MAX_DURATION_MS = 1e12

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Duration = Annotated[float, Meta(ge=0, le=MAX_DURATION_MS)]


class Usage(Struct, rename="camel"):
    input_tokens: Count | UnsetType = UNSET
    output_tokens: Count | UnsetType = UNSET
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = msgspec.field(default=None, name="cacheWrite1hTokens")
    reasoning_tokens: Count | None = None
    model: str | None = None
    provider: str | None = None
    latency_in_ms: Duration | None = None
    is_streamed: bool | None = None
    streaming_duration_in_ms: Duration | None = None
    service_tier: str | None = None
    provider_usage: dict[str, Raw] | None = None
    api_flavor: str | None = None


class Status(Struct, rename="camel"):
    status: str
    error_message: str | None = None


class User(Struct, rename="camel"):
    id: str
    name: str | None = None
    email: str | None = None
    image: str | None = None
    monthly_revenue: Raw = Raw()


class Metadata(Struct, rename="camel"):
    feature: str | None = None
    step: str | None = None
    user: str | User | None = None
    session_id: str | None = None
    conversation_id: str | None = None
    timestamp: str | None = None
    service_tier: str | None = None


class Event(Struct, rename="camel"):
    usage: Usage
    status: str | Status | None = None
    metadata: dict[str, Raw] | None = None
    idempotency_key: str | None = None


class PriceItem(Struct, rename="camel"):
    """A call to be priced without being recorded."""

    usage: Usage
    provider: str | None = None
    model: str | None = None
    timestamp: str | None = None
    region: str | None = None


class FieldError(Struct, frozen=True):
    """What is wrong with one field; `field` is its path in the body."""

    field: str
    message: str
