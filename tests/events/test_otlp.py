"""Which spans are LLM calls and what they say, by each instrumentation's names; protobuf and JSON alike."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from events import otlp, otlp_wire
from events.otlp_wire import InvalidTraces, Span
from tests.events.spans import SECOND, START, export_json, export_protobuf, otlp_span

OPENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 350,
}


def span(attributes: dict[str, Any], **fields: Any) -> Span:
    given: dict[str, Any] = {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "parent_id": "",
        "name": "chat gpt-4o",
        "start_ns": START,
        "end_ns": START + SECOND,
        "resource": {},
        "scope": "",
    }
    return Span(attributes=attributes, **(given | fields))


def read(attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The one event of a span."""
    [call] = otlp.calls([span(attributes, **fields)])
    found: dict[str, Any] = msgspec.json.decode(otlp.event_body(call))
    return found


def tokens(event: dict[str, Any]) -> tuple[int, ...]:
    names = (
        "inputTokens",
        "outputTokens",
        "cachedTokens",
        "cacheWriteTokens",
        "cacheWrite1hTokens",
        "reasoningTokens",
    )
    return tuple(event["usage"][name] for name in names)


# By the sources that research names: OpenTelemetry's conventions now and in 1.30, the Anthropic SDK's own spans,
# OpenLLMetry, OpenInference, pydantic-ai, the Vercel AI SDK 4 to 7.
SPANS: list[tuple[str, dict[str, Any], tuple[int, ...], str, str]] = [
    ("now", OPENAI, (1200, 350, 0, 0, 0, 0), "gpt-4o-2024-08-06", "openai"),
    (
        "cached and reasoning",
        OPENAI
        | {
            "gen_ai.usage.cache_read.input_tokens": 1000,
            "gen_ai.usage.cache_write.input_tokens": 100,
            "gen_ai.usage.reasoning.output_tokens": 64,
        },
        (1200, 350, 1000, 100, 0, 64),
        "gpt-4o-2024-08-06",
        "openai",
    ),
    (
        "1.30",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "az.ai.openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.completion_tokens": 4,
        },
        (10, 4, 0, 0, 0, 0),
        "gpt-4o",
        "az.ai.openai",
    ),
    (
        "Anthropic's own",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.response.model": "claude-haiku-4-5",
            "gen_ai.usage.input_tokens": 1400,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.cache_read.input_tokens": 1000,
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 200,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 100,
        },
        (1400, 50, 1000, 300, 100, 0),
        "claude-haiku-4-5",
        "anthropic",
    ),
    (
        "OpenLLMetry, Gemini: the output without the thoughts",
        {
            "gen_ai.system": "Google",
            "llm.request.type": "completion",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.reasoning_tokens": 30,
            "gen_ai.usage.total_tokens": 150,
        },
        (100, 50, 0, 0, 0, 30),
        "gemini-2.5-flash",
        "Google",
    ),
    (
        "OpenLLMetry, OpenAI: reasoning inside",
        {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "o3",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.reasoning_tokens": 30,
            "llm.usage.total_tokens": 150,
        },
        (100, 50, 0, 0, 0, 30),
        "o3",
        "openai",
    ),
    (
        "OpenInference",
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "claude-haiku-4-5",
            "llm.provider": "anthropic",
            "llm.token_count.prompt": 1100,
            "llm.token_count.completion": 9,
            "llm.token_count.prompt_details.cache_read": 1000,
            "llm.token_count.total": 1109,
        },
        (1100, 9, 1000, 0, 0, 0),
        "claude-haiku-4-5",
        "anthropic",
    ),
    (
        "an embedding has an input only",
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "text-embedding-3-small",
            "llm.token_count.prompt": 8,
        },
        (8, 0, 0, 0, 0, 0),
        "text-embedding-3-small",
        "",
    ),
    (
        "Vercel 5, Anthropic: the input without the cache",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "claude-haiku-4-5",
            "ai.model.provider": "anthropic.messages",
            "ai.usage.inputTokens": 100,
            "ai.usage.outputTokens": 5,
            "ai.usage.cachedInputTokens": 60,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 5,
        },
        (160, 5, 60, 0, 0, 0),
        "claude-haiku-4-5",
        "anthropic.messages",
    ),
    (
        "Vercel 6: all of it",
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.id": "claude-haiku-4-5",
            "ai.model.provider": "anthropic.messages",
            "ai.usage.inputTokens": 160,
            "ai.usage.outputTokens": 5,
            "ai.usage.cachedInputTokens": 60,
            "ai.usage.inputTokenDetails.noCacheTokens": 100,
            "ai.usage.inputTokenDetails.cacheReadTokens": 60,
        },
        (160, 5, 60, 0, 0, 0),
        "claude-haiku-4-5",
        "anthropic.messages",
    ),
    (
        "whole numbers may come as doubles",
        OPENAI | {"gen_ai.usage.input_tokens": 12.0},
        (12, 350, 0, 0, 0, 0),
        "gpt-4o-2024-08-06",
        "openai",
    ),
]


@pytest.mark.parametrize(
    ("attributes", "counted", "model", "provider"), [case[1:] for case in SPANS], ids=[case[0] for case in SPANS]
)
def test_the_tokens_of_each_instrumentation(
    attributes: dict[str, Any], counted: tuple[int, ...], model: str, provider: str
) -> None:
    event = read(attributes)
    assert tokens(event) == counted
    assert (event["usage"]["model"], event["usage"]["provider"]) == (model, provider)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "GET"},
        OPENAI | {"gen_ai.operation.name": "invoke_agent"},
        OPENAI | {"gen_ai.operation.name": "execute_tool"},
        OPENAI | {"openinference.span.kind": "CHAIN"},
        OPENAI | {"traceloop.span.kind": "workflow"},
        OPENAI | {"ai.operationId": "ai.generateText"},
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"},
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "x", "gen_ai.aggregated_usage.input_tokens": 9},
    ],
)
def test_other_spans_are_passed_over(attributes: dict[str, Any]) -> None:
    assert otlp.calls([span(attributes)]) == []


def ids(spans: list[Span]) -> list[str]:
    return [call.span.span_id for call in otlp.calls(spans)]


def call(span_id: str, parent_id: str = "", input_tokens: int = 10, **fields: Any) -> Span:
    attributes = OPENAI | {"gen_ai.usage.input_tokens": input_tokens, "gen_ai.usage.output_tokens": input_tokens // 2}
    return span(attributes | fields.pop("attributes", {}), span_id=span_id, parent_id=parent_id, **fields)


def test_a_parent_that_repeats_its_children_is_not_counted_again() -> None:
    assert ids([call("a"), call("b", "a")]) == ["b"]
    assert ids([call("a", input_tokens=30), call("b", "a"), call("c", "a", 20)]) == ["b", "c"]
    # Something that is no call lies between.
    between = span({}, span_id="x", parent_id="a")
    assert ids([call("b", "x"), between, call("a")]) == ["b"]
    # Three layers of the same call.
    assert ids([call("a"), call("b", "a"), call("c", "b")]) == ["c"]


def test_calls_that_only_lie_above_each_other_are_all_counted() -> None:
    assert ids([call("a", input_tokens=7), call("b", "a")]) == ["a", "b"]
    assert ids([call("a"), call("b")]) == ["a", "b"]
    assert ids([call("a", trace_id="1" * 32), call("b", "a", trace_id="2" * 32)]) == ["a", "b"]


def test_parents_that_go_round_come_to_an_end() -> None:
    assert len(ids([call("a", "b"), call("b", "a", 99)])) == 2
    assert ids([call("a", "a")]) == ["a"]


def test_one_answer_seen_by_two_is_one_call() -> None:
    same = {"gen_ai.response.id": "chatcmpl-1"}
    assert ids([call("a", attributes=same), call("b", attributes=same)]) == ["a"]
    later = START + 5 * SECOND
    assert ids([call("a", attributes=same), call("b", attributes=same, start_ns=later, end_ns=later + 1)]) == ["a", "b"]
    assert ids([call("a", attributes=same), call("b", input_tokens=4, attributes=same)]) == ["a", "b"]


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        (["stop"], "SUCCESS"),
        (["tool_calls"], "SUCCESS"),
        (["length"], "MAX_TOKENS"),
        (["MAX_TOKENS"], "MAX_TOKENS"),
        ('["max_tokens"]', "MAX_TOKENS"),
        (["content_filter"], "CONTENT_FILTER"),
        ("content-filter", "CONTENT_FILTER"),
        (["SAFETY"], "CONTENT_FILTER"),
        (["RECITATION"], "RECITATION"),
        (["refusal"], "BLOCKED"),
        (["stop", "length"], "MAX_TOKENS"),
        ([], "SUCCESS"),
    ],
)
def test_how_a_call_ended(reasons: Any, status: str) -> None:
    assert read(OPENAI | {"gen_ai.response.finish_reasons": reasons})["status"] == {"status": status}


def test_a_failed_call_says_why() -> None:
    event = read(OPENAI, is_error=True, error_message="Rate limit reached")
    assert event["status"] == {"status": "ERROR", "errorMessage": "Rate limit reached"}


def test_who_caused_it_and_when_and_how_long_it_took() -> None:
    event = read(
        OPENAI
        | {
            "user.id": 42,
            "user.email": "ana@example.org",
            "session.id": "s-1",
            "gen_ai.conversation.id": "c-1",
            "gen_ai.agent.name": "support",
            "fluxgate.step": "draft",
            "fluxgate.metadata.plan": "pro",
            "metadata": '{"region": "eu", "user": "not this", "timestamp": "nor this"}',
            "openai.response.service_tier": "flex",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.input.messages": "the secret prompt",
            "gen_ai.output.messages": "the secret answer",
        },
        resource={"service.name": "shop"},
    )
    assert event["metadata"] == {
        "region": "eu",
        "plan": "pro",
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "spanName": "chat gpt-4o",
        "service": "shop",
        "responseId": "chatcmpl-1",
        "feature": "support",
        "step": "draft",
        "sessionId": "s-1",
        "conversationId": "c-1",
        "user": {"id": "42", "email": "ana@example.org"},
        "timestamp": "2026-11-20T10:00:00+00:00",
    }
    usage = event["usage"]
    assert (usage["serviceTier"], usage["isStreamed"]) == ("flex", True)
    assert (usage["latencyInMs"], usage["streamingDurationInMs"]) == (1000, 750)
    assert event["idempotencyKey"] == "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331"
    assert "secret" not in json.dumps(event)


def test_our_own_names_come_first_and_a_process_may_name_things_for_all_its_spans() -> None:
    named = {"fluxgate.feature": "mail", "gen_ai.agent.name": "support", "fluxgate.user": "u-1", "user.id": "u-2"}
    event = read(OPENAI | named | {"fluxgate.user.monthly_revenue": 49.5})
    assert event["metadata"]["feature"] == "mail"
    assert event["metadata"]["user"] == {"id": "u-1", "monthlyRevenue": 49.5}
    event = read(OPENAI, resource={"fluxgate.feature": "nightly", "service.name": "unknown_service:python"})
    assert event["metadata"]["feature"] == "nightly"
    assert "service" not in event["metadata"]


@pytest.mark.parametrize(
    ("attributes", "fields", "problem"),
    [
        ({"gen_ai.usage.input_tokens": -1}, {}, "gen_ai.usage.input_tokens must be an integer, 0 or more"),
        ({"gen_ai.usage.output_tokens": "many"}, {}, "gen_ai.usage.output_tokens must be an integer, 0 or more"),
        ({"gen_ai.usage.input_tokens": True}, {}, "gen_ai.usage.input_tokens must be an integer, 0 or more"),
        ({}, {"span_id": ""}, "has no trace id or no span id"),
        ({}, {"trace_id": "0" * 32}, "has no trace id or no span id"),
        ({}, {"start_ns": 999 * 10**18}, "starts at a time that is no date"),
    ],
)
def test_what_cannot_be_read_is_said(attributes: dict[str, Any], fields: dict[str, Any], problem: str) -> None:
    [found] = otlp.calls([span(OPENAI | attributes, **fields)])
    with pytest.raises(otlp.InvalidSpan, match=problem):
        otlp.event_body(found)


VALUES = st.recursive(
    st.text(max_size=5) | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(max_size=4) | st.sampled_from(list(OPENAI)), VALUES, max_size=4),
            st.integers(0, 2**63),
            st.integers(0, 2**63),
            st.sampled_from([0, 1, 2]),
        ),
        max_size=3,
    )
)
def test_json_and_protobuf_are_read_alike(given_spans: list[tuple[dict[str, Any], int, int, int]]) -> None:
    spans = [
        otlp_span(attributes, span_id=bytes([1, number] * 4), start=start, end=end, code=code)
        for number, (attributes, start, end, code) in enumerate(given_spans)
    ]
    from_protobuf = otlp_wire.read_spans(export_protobuf(spans), is_json=False)
    from_json = otlp_wire.read_spans(export_json(spans), is_json=True)
    assert from_json == from_protobuf
    for found in otlp.calls(from_json):
        with suppress(otlp.InvalidSpan):
            otlp.event_body(found)


@pytest.mark.parametrize(
    ("body", "is_json"),
    [
        (b"\xff\xff\xff", False),
        (b"{", True),
        (b"[]", True),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}', True),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 3}]}]}]}', True),
        (b"\xff", True),
        (
            b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":'
            + b'{"arrayValue":{"values":[' * 5000
            + b"]}}" * 5000
            + b"}]}}]}",
            True,
        ),
    ],
)
def test_what_is_no_export_is_said(body: bytes, is_json: bool) -> None:
    with pytest.raises(InvalidTraces):
        otlp_wire.read_spans(body, is_json=is_json)


def test_what_is_unknown_is_passed_over() -> None:
    body = b'{"resourceSpans": [{"schemaUrl": "x", "scopeSpans": [{"spans": [{"kind": 3, "flags": 1, "links": []}]}]}]}'
    [found] = otlp_wire.read_spans(body, is_json=True)
    assert found.attributes == {}
    assert otlp_wire.read_spans(b"", is_json=False) == []
    assert otlp_wire.read_spans(b"{}", is_json=True) == []


def test_the_answer_is_in_the_sender_s_encoding() -> None:
    assert otlp_wire.answer_body(0, "", is_json=True) == b"{}"
    assert otlp_wire.answer_body(0, "", is_json=False) == b""
    partial = json.loads(otlp_wire.answer_body(2, "why", is_json=True))
    assert partial == {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "why"}}
    read_back = ExportTraceServiceResponse.FromString(otlp_wire.answer_body(2, "why", is_json=False))
    assert (read_back.partial_success.rejected_spans, read_back.partial_success.error_message) == (2, "why")
    assert ExportTraceServiceRequest() == ExportTraceServiceRequest.FromString(b"")
