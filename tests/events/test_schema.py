"""The wire contract as tables: what is read, what is refused and with which words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.schema import (
    IncomingEvent,
    IncomingUser,
    InvalidEvent,
    MalformedBody,
    TooManyEvents,
    parse_event,
    split_batch,
)
from events.wire import FieldError

NOW_MS = 1_777_975_200_000  # 2026-05-05T10:00:00Z
DAY_MS = 24 * 3600 * 1000


def parse(usage: dict[str, Any] | None = None, **parts: Any) -> IncomingEvent:
    return parse_event(body(usage, **parts), NOW_MS)


def body(usage: dict[str, Any] | None = None, **parts: Any) -> bytes:
    return json.dumps({"usage": {"inputTokens": 10, "outputTokens": 5} | (usage or {}), **parts}).encode()


def errors(raw: bytes) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        parse_event(raw, NOW_MS)
    return {error.field: error.message for error in caught.value.errors}


def test_the_example_of_the_contract_is_read_whole() -> None:
    event = parse_event(
        b"""{ "usage": { "inputTokens": 1200, "outputTokens": 350, "cachedTokens": 1000, "cacheWriteTokens": 0,
             "cacheWrite1hTokens": 0, "reasoningTokens": 0, "model": "gpt-4o", "provider": "openai",
             "latencyInMs": 812.4, "isStreamed": true, "streamingDurationInMs": 640.0, "serviceTier": "standard" },
  "status": "SUCCESS",
  "metadata": { "feature": "chat-assistant", "step": "draft", "user": "user-123", "sessionId": "s-1",
                "conversationId": "c-1", "timestamp": "2026-05-05T10:00:00Z", "anything": "else" },
  "idempotencyKey": " k " }""",
        NOW_MS,
    )
    assert event == IncomingEvent(
        occurred_at_ms=NOW_MS,
        status="SUCCESS",
        service_tier="standard",
        provider="openai",
        model="gpt-4o",
        input_tokens=1200,
        output_tokens=350,
        cached_tokens=1000,
        cache_write_tokens=0,
        cache_write_1h_tokens=0,
        reasoning_tokens=0,
        feature="chat-assistant",
        step="draft",
        session_id="s-1",
        conversation_id="c-1",
        user=IncomingUser("user-123"),
        is_streamed=True,
        latency_ms=812.4,
        streaming_duration_ms=640.0,
        metadata='{"anything":"else"}',
        idempotency_key="k",
    )


@pytest.mark.parametrize(
    ("usage", "field", "message"),
    [
        ({"inputTokens": "12"}, "usage.inputTokens", "must be an integer, got a string"),
        ({"inputTokens": ""}, "usage.inputTokens", "must be an integer, got a string"),
        ({"inputTokens": True}, "usage.inputTokens", "must be an integer, got a boolean"),
        ({"inputTokens": None}, "usage.inputTokens", "must be an integer, got null"),
        ({"inputTokens": []}, "usage.inputTokens", "must be an integer, got a list"),
        ({"inputTokens": {}}, "usage.inputTokens", "must be an integer, got an object"),
        ({"inputTokens": 1.5}, "usage.inputTokens", "must be an integer, got a number with a fraction"),
        ({"inputTokens": -1}, "usage.inputTokens", "must be 0 or more"),
        ({"inputTokens": 2**53}, "usage.inputTokens", "must be at most 9007199254740991"),
        ({"outputTokens": 2**63}, "usage.outputTokens", "must be at most 9007199254740991"),
        ({"outputTokens": 10**30}, "usage.outputTokens", "must be at most 9007199254740991"),
        ({"cachedTokens": -1}, "usage.cachedTokens", "must be 0 or more"),
        ({"cachedTokens": "3"}, "usage.cachedTokens", "must be an integer, got a string"),
        ({"cacheWriteTokens": 1.5}, "usage.cacheWriteTokens", "must be an integer, got a number with a fraction"),
        ({"cacheWrite1hTokens": "x"}, "usage.cacheWrite1hTokens", "must be an integer, got a string"),
        ({"reasoningTokens": False}, "usage.reasoningTokens", "must be an integer, got a boolean"),
        ({"model": {}}, "usage.model", "must be a string, got an object"),
        ({"provider": 5}, "usage.provider", "must be a string, got an integer"),
        ({"latencyInMs": "fast"}, "usage.latencyInMs", "must be a number, got a string"),
        ({"latencyInMs": True}, "usage.latencyInMs", "must be a number, got a boolean"),
        ({"latencyInMs": -5}, "usage.latencyInMs", "must be 0 or more"),
        ({"latencyInMs": 1e308}, "usage.latencyInMs", "must be at most 1e12"),
        ({"streamingDurationInMs": []}, "usage.streamingDurationInMs", "must be a number, got a list"),
        ({"isStreamed": "yes"}, "usage.isStreamed", "must be true or false, got a string"),
        ({"isStreamed": 1}, "usage.isStreamed", "must be true or false, got an integer"),
        ({"serviceTier": 3}, "usage.serviceTier", "must be a string, got an integer"),
        (
            {"serviceTier": "auto"},
            "usage.serviceTier",
            "must be the tier that served the call: default, standard, batch, flex, priority",
        ),
        ({"providerUsage": 5}, "usage.providerUsage", "must be an object, got an integer"),
    ],
)
def test_a_wrong_counter_is_refused_by_name(usage: dict[str, Any], field: str, message: str) -> None:
    assert errors(body(usage)) == {field: message}


STATUS_WORDS = "must be one of SUCCESS, ERROR, BLOCKED, MAX_TOKENS, CONTENT_FILTER, RECITATION, MALFORMED_REQUEST"
TIME_WORDS = "must be an ISO 8601 time, for example 2026-05-05T10:00:00Z"
REVENUE_WORDS = "must be a number of USD from 0 to 1000000000"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"status": "fine"}, {"status": STATUS_WORDS}),
        ({"status": ""}, {"status": STATUS_WORDS}),
        ({"status": 5}, {"status": "must be a string or an object, got an integer"}),
        ({"status": []}, {"status": "must be a string or an object, got a list"}),
        ({"status": {}}, {"status.status": "is required"}),
        ({"status": {"errorMessage": "x"}}, {"status.status": "is required"}),
        ({"status": {"status": "fine"}}, {"status.status": STATUS_WORDS}),
        (
            {"status": {"status": "ERROR", "errorMessage": {}}},
            {"status.errorMessage": "must be a string, got an object"},
        ),
        ({"metadata": "chat"}, {"metadata": "must be an object, got a string"}),
        ({"metadata": [1]}, {"metadata": "must be an object, got a list"}),
        ({"metadata": {"feature": {}}}, {"metadata.feature": "must be a string, got an object"}),
        ({"metadata": {"step": []}}, {"metadata.step": "must be a string, got a list"}),
        ({"metadata": {"sessionId": 5}}, {"metadata.sessionId": "must be a string, got an integer"}),
        ({"metadata": {"user": 5}}, {"metadata.user": "must be a string or an object with an id, got an integer"}),
        ({"metadata": {"user": {}}}, {"metadata.user.id": "is required"}),
        ({"metadata": {"user": {"id": None}}}, {"metadata.user.id": "must be a string, got null"}),
        ({"metadata": {"user": {"id": " "}}}, {"metadata.user.id": "must not be empty"}),
        ({"metadata": {"user": {"id": "u", "monthlyRevenue": "9"}}}, {"metadata.user.monthlyRevenue": REVENUE_WORDS}),
        ({"metadata": {"user": {"id": "u", "monthlyRevenue": -5}}}, {"metadata.user.monthlyRevenue": REVENUE_WORDS}),
        ({"metadata": {"user": {"id": "u", "monthlyRevenue": 1e30}}}, {"metadata.user.monthlyRevenue": REVENUE_WORDS}),
        (
            {"metadata": {"user": {"id": "u", "monthlyRevenue": 1e-300}}, "status": "?"},
            {"status": STATUS_WORDS},
        ),
        ({"metadata": {"user": {"id": "u", "monthlyRevenue": True}}}, {"metadata.user.monthlyRevenue": REVENUE_WORDS}),
        ({"metadata": {"timestamp": "yesterday"}}, {"metadata.timestamp": TIME_WORDS}),
        ({"metadata": {"timestamp": ""}}, {"metadata.timestamp": TIME_WORDS}),
        ({"metadata": {"timestamp": "2026-13-01"}}, {"metadata.timestamp": TIME_WORDS}),
        ({"metadata": {"timestamp": "2026-02-30T10:00:00Z"}}, {"metadata.timestamp": TIME_WORDS}),
        ({"metadata": {"timestamp": "05/05/2026"}}, {"metadata.timestamp": TIME_WORDS}),
        ({"metadata": {"timestamp": 1700000000}}, {"metadata.timestamp": "must be a string, got an integer"}),
        ({"idempotencyKey": ""}, {"idempotencyKey": "must not be empty"}),
        ({"idempotencyKey": "x" * 256}, {"idempotencyKey": "must have at most 255 characters"}),
        ({"idempotencyKey": "a\x00b"}, {"idempotencyKey": "must not contain U+0000"}),
        ({"idempotencyKey": 5}, {"idempotencyKey": "must be a string, got an integer"}),
    ],
)
def test_a_wrong_part_is_refused_by_name(parts: dict[str, Any], expected: dict[str, str]) -> None:
    assert errors(body(**parts)) == expected


def test_all_wrong_fields_are_named_at_once_types_and_values_alike() -> None:
    raw = body(
        {"inputTokens": "12", "serviceTier": "auto"},
        status="fine",
        metadata={"feature": {}, "timestamp": "yesterday", "user": {"id": "u", "monthlyRevenue": -1}},
        idempotencyKey="",
    )
    assert set(errors(raw)) == {
        "usage.inputTokens",
        "usage.serviceTier",
        "status",
        "metadata.feature",
        "metadata.timestamp",
        "metadata.user.monthlyRevenue",
        "idempotencyKey",
    }


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{}", {"usage": "is required"}),
        (b'{"usage": null}', {"usage": "must be an object, got null"}),
        (b'{"usage": []}', {"usage": "must be an object, got a list"}),
        (b'{"Usage": {}}', {"usage": "is required"}),
        (
            b'{"usage": {}}',
            {
                "usage.inputTokens": "is required: an integer, 0 or more",
                "usage.outputTokens": "is required: an integer, 0 or more",
            },
        ),
        (
            b'{"usage": {"input_tokens": 1, "outputTokens": 1}}',
            {"usage.inputTokens": "is required: an integer, 0 or more"},
        ),
        (
            b'{"usage": {"inputTokens": 1, "outputTokens": 1},'
            b' "metadata": {"user": {"id": "u", "monthlyRevenue": 1e9999999999999999999}}}',
            {"metadata.user.monthlyRevenue": REVENUE_WORDS},
        ),
        (b"[]", {"": "the body must be an object, got a list"}),
        (b"null", {"": "the body must be an object, got null"}),
        (b"5", {"": "the body must be an object, got an integer"}),
        (b'{"usage": {"inputTokens": 1e400, "outputTokens": 1}}', {"usage.inputTokens": "number out of range"}),
        (
            b'{"usage": {"inputTokens": 1, "outputTokens": 1}, "metadata": {"x": [1e400]}}',
            {"metadata.x": "holds a number out of range"},
        ),
        (
            b'{"usage": {"inputTokens": 1, "outputTokens": 1}, "metadata": {"x": ' + b"9" * 2000 + b"}}",
            {"metadata.x": "holds a number out of range"},
        ),
        (
            b'{"usage": {"inputTokens": 1, "outputTokens": 1}, "metadata": {"x": ' + b"[" * 65 + b"]" * 65 + b"}}",
            {"metadata.x": "is nested deeper than 64 levels"},
        ),
    ],
)
def test_json_that_is_no_event(raw: bytes, expected: dict[str, str]) -> None:
    assert errors(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  ",
        b'{"usage": ',
        b'{"usage": {"inputTokens": 1,}}',
        b"{'usage': 1}",
        b'{"usage": {"inputTokens": NaN, "outputTokens": 1}}',
        b'{"usage": {"inputTokens": 012, "outputTokens": 1}}',
        b'{"usage": {"inputTokens": +1, "outputTokens": 1}}',
        b'{"usage": {"inputTokens": 1, "outputTokens": 1}} {}',
        b'{"usage": {"inputTokens": 1, "outputTokens": 1}, "metadata": {"x": "\xff"}}',
        b'{"usage": {"inputTokens": 1, "outputTokens": 1}, "metadata": {"x": "\xed\xa0\x80"}}',
        b'{"usage": {"inputTokens": 1, "outputTokens": 1}, "metadata": {"x": "\\ud800"}}',
        b'{"usage": {"inputTokens": 1, "outputTokens": 1}, "metadata": {"x": ' + b"[" * 100_000,
        b'\xef\xbb\xbf{"usage": {"inputTokens": 1, "outputTokens": 1}}',
        '{"usage": {"inputTokens": 1, "outputTokens": 1}}'.encode("utf-16"),
    ],
)
def test_what_is_not_json_in_utf8(raw: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_event(raw, NOW_MS)


@pytest.mark.parametrize(
    ("timestamp", "expected_ms", "flagged"),
    [
        ("2026-05-05T10:00:00Z", NOW_MS, False),
        ("2026-05-05T10:00:00", NOW_MS, False),
        ("2026-05-05 12:00:00+02:00", NOW_MS, False),
        ("2026-05-05T10:00:00,250Z", NOW_MS + 250, False),
        ("2026-05-05T10:00:00.123456789Z", NOW_MS + 123, False),
        ("2026-05-05", NOW_MS - 10 * 3600 * 1000, False),
        ("2026-03-31T10:00:00Z", NOW_MS - 35 * DAY_MS, False),
        ("2026-03-31T09:59:59Z", NOW_MS, True),
        ("2026-05-05T10:05:00Z", NOW_MS + 5 * 60_000, False),
        ("2026-05-05T10:05:01Z", NOW_MS, True),
        ("1970-01-01T00:00:00Z", NOW_MS, True),
        ("0001-01-01T00:00:00+23:59", NOW_MS, True),
        ("9999-12-31T23:59:59.999999-12:00", NOW_MS, True),
    ],
)
def test_the_time_of_the_call(timestamp: str, expected_ms: int, flagged: bool) -> None:
    event = parse(metadata={"timestamp": timestamp})
    assert (event.occurred_at_ms, "timestamp_out_of_range" in event.flags) == (expected_ms, flagged)


def test_optional_fields_may_be_null_or_missing() -> None:
    bare = parse()
    words = ("cachedTokens", "cacheWriteTokens", "reasoningTokens", "model", "latencyInMs", "isStreamed", "serviceTier")
    nulls = parse(
        dict.fromkeys(words),
        status=None,
        idempotencyKey=None,
        metadata=dict.fromkeys(("feature", "step", "user", "sessionId", "conversationId", "timestamp", "serviceTier")),
    )
    assert nulls == bare
    assert (bare.status, bare.service_tier, bare.user, bare.metadata) == ("SUCCESS", "standard", None, None)


@pytest.mark.parametrize(
    ("usage", "metadata", "tier"),
    [
        ({"serviceTier": "default"}, {}, "standard"),
        ({"serviceTier": "batch"}, {}, "batch"),
        ({}, {"serviceTier": "flex"}, "flex"),
        ({"serviceTier": "priority"}, {"serviceTier": "flex"}, "priority"),
        ({}, {"serviceTier": "STANDARD"}, "standard"),
    ],
)
def test_the_tier_may_stand_in_either_place(usage: dict[str, Any], metadata: dict[str, Any], tier: str) -> None:
    assert parse(usage, metadata=metadata).service_tier == tier


def test_over_long_text_is_cut_and_flagged() -> None:
    event = parse(
        {"model": "m" * 300},
        status={"status": "ERROR", "errorMessage": "é" * 4000},
        metadata={"feature": "f" * 256, "user": {"id": "u" * 300, "name": "n" * 300}},
    )
    assert (len(event.model), len(event.feature)) == (255, 255)
    assert event.user is not None
    assert (len(event.user.external_id), len(event.user.name or "")) == (255, 255)
    assert event.error_message == "é" * 2048
    assert event.flags == {"text_cut"}


def test_nul_becomes_the_replacement_character_everywhere() -> None:
    event = parse(
        {"model": "a\x00b"},
        status={"status": "ERROR", "errorMessage": "\x00"},
        metadata={"feature": "\x00f", "k\x00": "v\x00", "kept": "\\u0000"},
    )
    assert (event.model, event.error_message, event.feature) == ("a�b", "�", "�f")
    assert json.loads(event.metadata or "") == {"k�": "v�", "kept": "\\u0000"}
    assert event.flags == {"text_cleaned"}


def test_numbers_of_metadata_keep_every_digit() -> None:
    raw = (
        b'{"usage":{"inputTokens":1,"outputTokens":1},"metadata":{"a":0.12345678901234567890123,'
        b'"b":123456789012345678901234567890,"c":1.0,"d":1e-300,"id":7,"cost":1}}'
    )
    text = parse_event(raw, NOW_MS).metadata
    assert (
        text == '{"a":0.12345678901234567890123,"b":123456789012345678901234567890,"c":1.0,"d":1e-300,"id":7,"cost":1}'
    )


# Without lone surrogates, which are no text, and U+0000, which has a test of its own.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e200, 1e200) | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=8,
)
WORDS = {"feature", "step", "user", "sessionId", "conversationId", "timestamp", "serviceTier"}


@given(st.dictionaries(TEXT, JSON_VALUES, max_size=5))
def test_other_metadata_comes_back_unchanged(metadata: dict[str, Any]) -> None:
    own = {key: value for key, value in metadata.items() if key not in WORDS}
    event = parse(metadata=own)
    assert json.loads(event.metadata or "{}") == own


def outcome(raw: bytes) -> list[FieldError]:
    """The field errors of a body; none for an event. Any other exception comes through."""
    try:
        parse_event(raw, NOW_MS)
    except InvalidEvent as invalid:
        return invalid.errors
    return []


@given(JSON_VALUES)
def test_no_json_value_brings_anything_but_an_event_or_field_errors(value: Any) -> None:
    for raw in (value, {"usage": value}, {"usage": {"inputTokens": 1, "outputTokens": value}, "metadata": value}):
        assert all(error.message for error in outcome(json.dumps(raw).encode()))


@given(st.binary(max_size=200))
def test_no_bytes_bring_anything_but_the_two_errors(raw: bytes) -> None:
    with pytest.raises((InvalidEvent, MalformedBody)):
        parse_event(raw, NOW_MS)


def test_a_batch_is_split_and_its_envelope_checked() -> None:
    assert split_batch(b'{"events": [{"a": 1}, 5]}', 2, ndjson=False) == [b'{"a": 1}', b"5"]
    assert split_batch(b'{"a": 1}\n\n{"b": 2}\n', 2, ndjson=True) == [b'{"a": 1}', b'{"b": 2}']
    for raw in (b"{}", b"[]", b'{"events": 5}'):
        with pytest.raises(InvalidEvent):
            split_batch(raw, 2, ndjson=False)
    with pytest.raises(MalformedBody):
        split_batch(b'{"events": [', 2, ndjson=False)
    with pytest.raises(TooManyEvents):
        split_batch(b'{"events": [1, 2, 3]}', 2, ndjson=False)
    with pytest.raises(TooManyEvents):
        split_batch(b"1\n2\n3", 2, ndjson=True)


def test_provider_usage_is_read_and_must_agree_with_counters() -> None:
    def read(provider: str, flavor: str, usage: Any) -> dict[str, int]:
        assert (provider, flavor) == ("openai", "chat")
        return {"input_tokens": usage["prompt_tokens"], "output_tokens": 7, "cached_tokens": 2}

    usage = {"provider": "openai", "apiFlavor": "chat", "providerUsage": {"prompt_tokens": 30, "x": 1.10}}
    event = parse_event(json.dumps({"usage": usage}).encode(), NOW_MS, read)
    assert (event.input_tokens, event.output_tokens, event.cached_tokens) == (30, 7, 2)
    assert json.loads(event.provider_usage or "") == usage["providerUsage"]
    with pytest.raises(InvalidEvent, match=r"usage.inputTokens: is 31, but providerUsage says 30"):
        parse_event(json.dumps({"usage": usage | {"inputTokens": 31}}).encode(), NOW_MS, read)
    agreed = parse_event(json.dumps({"usage": usage | {"inputTokens": 30}}).encode(), NOW_MS, read)
    assert agreed == event


@pytest.mark.parametrize(
    ("provider", "own", "region"),
    [
        ("anthropic", {"inference_geo": "us"}, "us"),
        ("anthropic", {"inference_geo": "global"}, "global"),
        ("anthropic", {"inference_geo": {"deep": "us"}}, "global"),
        ("anthropic", {"x": 1}, "global"),
        ("bedrock", {"inference_geo": "us"}, "global"),
        (None, {"inference_geo": "us"}, "global"),
    ],
)
def test_the_region_is_read_out_of_the_provider_s_usage(provider: str | None, own: Any, region: str) -> None:
    usage = {"provider": provider, "providerUsage": own}
    event = parse_event(json.dumps({"usage": usage}).encode(), NOW_MS, lambda *_: {"input_tokens": 1})
    assert event.region == region
    assert parse({"provider": "anthropic"}).region == "global"


def test_a_provider_s_usage_with_a_number_beyond_a_double_is_refused_by_name() -> None:
    for own in (b'{"inference_geo": 1e400}', b'{"a": [1e400]}'):
        raw = b'{"usage": {"provider": "anthropic", "providerUsage": ' + own + b"}}"
        with pytest.raises(InvalidEvent) as caught:
            parse_event(raw, NOW_MS, lambda *_: {"input_tokens": 1})
        assert FieldError("usage.providerUsage", "holds a number out of range") in caught.value.errors


@pytest.mark.parametrize(
    ("sent", "own", "tier"),
    [
        (None, {"service_tier": "batch"}, "batch"),
        (None, {"service_tier": "standard"}, "standard"),
        (None, {"service_tier": "priority"}, "priority"),
        (None, {"service_tier": "something new"}, "standard"),
        (None, {"service_tier": {"deep": "batch"}}, "standard"),
        (None, {"service_tier": None}, "standard"),
        (None, {}, "standard"),
        ("standard", {"service_tier": "batch"}, "standard"),
        ("batch", {"service_tier": "standard"}, "batch"),
    ],
)
def test_the_tier_that_the_provider_names_counts_where_the_sender_names_none(
    sent: str | None, own: dict[str, Any], tier: str
) -> None:
    usage = {"provider": "anthropic", "providerUsage": own} | ({"serviceTier": sent} if sent else {})
    event = parse_event(json.dumps({"usage": usage}).encode(), NOW_MS, lambda *_: {"input_tokens": 1})
    assert event.service_tier == tier
