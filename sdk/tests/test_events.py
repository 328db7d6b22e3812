"""Python's names to the wire's, and what JSON has no type for."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import date, datetime, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from fluxgate_sdk.events import encode, new_idempotency_key, wire_event

USAGE = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "input_tokens": 1,
    "output_tokens": 2,
    "cached_tokens": 3,
    "cache_write_tokens": 4,
    "cache_write_1h_tokens": 5,
    "reasoning_tokens": 6,
    "latency_in_ms": 7.5,
    "is_streamed": True,
    "streaming_duration_in_ms": 8.5,
    "service_tier": "flex",
    "provider_usage": {"input_tokens": 9},
    "api_flavor": "messages",
}
WIRE_USAGE = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "inputTokens": 1,
    "outputTokens": 2,
    "cachedTokens": 3,
    "cacheWriteTokens": 4,
    "cacheWrite1hTokens": 5,
    "reasoningTokens": 6,
    "latencyInMs": 7.5,
    "isStreamed": True,
    "streamingDurationInMs": 8.5,
    "serviceTier": "flex",
    "providerUsage": {"input_tokens": 9},
    "apiFlavor": "messages",
}


@pytest.mark.parametrize("usage", [USAGE, WIRE_USAGE, MappingProxyType(USAGE)])
def test_usage_by_either_names(usage: dict[str, Any]) -> None:
    assert wire_event({"usage": usage})["usage"] == WIRE_USAGE


def test_what_is_none_in_usage_is_not_sent() -> None:
    assert wire_event({"usage": {"input_tokens": 1, "output_tokens": 0, "model": None}})["usage"] == {
        "inputTokens": 1,
        "outputTokens": 0,
    }


@pytest.mark.parametrize(
    ("metadata", "wire"),
    [
        ({"feature": "f", "step": "s", "user": "u"}, {"feature": "f", "step": "s", "user": "u"}),
        (
            {"session_id": "1", "conversation_id": "2", "service_tier": "batch"},
            {"sessionId": "1", "conversationId": "2", "serviceTier": "batch"},
        ),
        ({"user": {"id": "u", "monthly_revenue": 49}}, {"user": {"id": "u", "monthlyRevenue": 49}}),
        ({"user": {"id": "u", "monthlyRevenue": 49}}, {"user": {"id": "u", "monthlyRevenue": 49}}),
        ({"my_key": {"session_id": 1, "list": [1, (2,)]}}, {"my_key": {"session_id": 1, "list": [1, [2]]}}),
    ],
)
def test_metadata_translates_what_it_knows_and_keeps_the_rest(metadata: dict[str, Any], wire: dict[str, Any]) -> None:
    assert wire_event({"usage": {}, "metadata": metadata})["metadata"] == wire


@pytest.mark.parametrize(
    ("status", "wire"),
    [
        ("MAX_TOKENS", "MAX_TOKENS"),
        ({"status": "ERROR", "error_message": "no"}, {"status": "ERROR", "errorMessage": "no"}),
        ({"status": "ERROR", "errorMessage": "no"}, {"status": "ERROR", "errorMessage": "no"}),
    ],
)
def test_status_as_a_word_or_with_a_message(status: Any, wire: Any) -> None:
    assert wire_event({"usage": {}, "status": status})["status"] == wire


@pytest.mark.parametrize("event", [{"usage": {}, "idempotency_key": "k"}, {"usage": {}, "idempotencyKey": "k"}])
def test_a_given_key_is_kept(event: dict[str, Any]) -> None:
    assert wire_event(event)["idempotencyKey"] == "k"


def test_a_key_is_made_and_sorts_by_time() -> None:
    keys = [new_idempotency_key() for _ in range(1000)]
    assert len(set(keys)) == 1000
    assert {UUID(key).version for key in keys} == {7}
    assert {UUID(key).variant for key in keys} == {"specified in RFC 4122"}
    assert [key[:13] for key in keys] == sorted(key[:13] for key in keys)
    assert wire_event({"usage": {}})["idempotencyKey"] != wire_event({"usage": {}})["idempotencyKey"]


@pytest.mark.parametrize(
    ("event", "named"),
    [({}, "usage"), ({"usage": 3}, "usage"), ({"usage": {}, "metadata": ["a"]}, "metadata")],
)
def test_what_is_no_event_is_named(event: dict[str, Any], named: str) -> None:
    with pytest.raises(TypeError, match=f"^{named}: must be a mapping"):
        wire_event(event)


def test_what_the_caller_changes_afterwards_changes_nothing() -> None:
    event: dict[str, Any] = {"usage": {"input_tokens": 1}, "metadata": {"tags": ["a"], "user": {"id": "u"}}}
    body = wire_event(event)
    event["usage"]["input_tokens"] = 2
    event["metadata"]["tags"].append("b")
    event["metadata"]["user"]["id"] = "v"
    assert body["usage"] == {"inputTokens": 1}
    assert body["metadata"] == {"tags": ["a"], "user": {"id": "u"}}
    assert set(event["metadata"]["user"]) == {"id"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 5, 5, 10, tzinfo=timezone.utc), "2026-05-05T10:00:00+00:00"),
        (date(2026, 5, 5), "2026-05-05"),
        (Decimal("49.99"), 49.99),
        (Decimal(49), 49),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"b", "a"}, ["a", "b"]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (float("nan"), "nan"),
        ([float("inf")], ["inf"]),
        ("\ud800", "\ud800"),
        (b"x", "b'x'"),
    ],
)
def test_values_json_has_no_type_for(value: object, written: object) -> None:
    assert json.loads(encode({"value": value})) == {"value": written}
