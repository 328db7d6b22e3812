"""Reading `usage`: the counters and the tier of one LLM call, for every endpoint that takes them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from events import wire, wire_json
from events.wire import FieldError
from pricing.provider_usage import region_of

TIERS = {"default": "standard", "standard": "standard", "batch": "batch", "flex": "flex", "priority": "priority"}
REQUIRED: Final = {"input_tokens": "inputTokens", "output_tokens": "outputTokens"}
COUNTERS: Final = {field.name: field.encode_name for field in msgspec.structs.fields(wire.Usage)[:6]}
"""Names in `IncomingEvent` and in JSON."""

UsageReader = Callable[[str, str, Mapping[str, Any]], Mapping[str, int]]
"""Reads the counters out of a provider's own usage object: (provider, api_flavor, usage) -> counters by their names in
`COUNTERS`. Raises ValueError with a sentence for the sender."""

_decode_anything = msgspec.json.Decoder().decode


def read_counters(
    usage: wire.Usage, provider: str | None, read_usage: UsageReader | None, errors: list[FieldError]
) -> dict[str, int]:
    """Every counter by its name in `COUNTERS`: as sent, or read out of `providerUsage` by the provider's rules.

    What is wrong is added to `errors`, with its path from `usage` on; the counters then mean nothing.
    """
    if usage.provider_usage is not None:
        return _provider_counters(usage, provider, read_usage, errors)
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if input_tokens is UNSET:
        errors.append(required("inputTokens"))
        input_tokens = 0
    if output_tokens is UNSET:
        errors.append(required("outputTokens"))
        output_tokens = 0
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cached_tokens": usage.cached_tokens or 0,
        "cache_write_tokens": usage.cache_write_tokens or 0,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens or 0,
        "reasoning_tokens": usage.reasoning_tokens or 0,
    }


def required(word: str) -> FieldError:
    """The error of a counter that is not there."""
    return FieldError(f"usage.{word}", "is required: an integer, 0 or more")


def _provider_counters(
    usage: wire.Usage, provider: str | None, read_usage: UsageReader | None, errors: list[FieldError]
) -> dict[str, int]:
    """Counters read from `providerUsage`; counters sent beside it must say the same."""
    zeros = dict.fromkeys(COUNTERS, 0)
    if read_usage is None:
        errors.append(FieldError("usage.providerUsage", "cannot be read by this server; send the counters"))
        return zeros
    try:
        sent = _decode_anything(wire_json.joined(usage.provider_usage or {}))
        read = zeros | dict(read_usage(provider or "", usage.api_flavor or "default", sent))
    except msgspec.DecodeError:
        errors.append(FieldError("usage.providerUsage", "holds a number out of range"))
        return zeros
    except (ValueError, RecursionError) as error:
        errors.append(FieldError("usage.providerUsage", str(error)))
        return zeros
    for name, value in read.items():
        if not 0 <= value <= wire.MAX_COUNT:
            errors.append(FieldError("usage.providerUsage", f"{name} must be from 0 to {wire.MAX_COUNT}"))
            return zeros
    for name, word in COUNTERS.items():
        value = getattr(usage, name)
        if value not in (UNSET, None) and value != read[name]:
            message = f"is {value}, but providerUsage says {read[name]}; send one of them"
            errors.append(FieldError(f"usage.{word}", message))
    return read


def read_region(usage: wire.Usage, provider: str | None) -> str:
    """The region that prices the call, where the provider's own usage object says it; otherwise "global"."""
    return region_of(provider or "", {"inference_geo": _word_of(usage, "inference_geo")})


def read_served_tier(usage: wire.Usage) -> str:
    """The tier that the provider's own usage object names (Anthropic's does), for senders who name none."""
    served = _word_of(usage, "service_tier")
    return TIERS.get(served, "standard") if isinstance(served, str) else "standard"


def _word_of(usage: wire.Usage, name: str) -> Any:
    """One value of the provider's usage object; None where there is none."""
    sent = usage.provider_usage.get(name) if usage.provider_usage else None
    if sent is None:
        return None
    try:
        return _decode_anything(sent)
    except (msgspec.DecodeError, RecursionError):
        return None  # Not JSON after all: `read_counters` says so.


def read_tier(sent: str, field: str, errors: list[FieldError]) -> str:
    """The tier that served the call, by its name in the price catalog; an unknown one is added to `errors`."""
    tier = TIERS.get(sent.strip().lower())
    if tier is None:
        errors.append(FieldError(field, f"must be the tier that served the call: {', '.join(TIERS)}"))
    return tier or "standard"
