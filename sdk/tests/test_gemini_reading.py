"""What Gemini's JSON says of a call: paths, usage, ends, tiers, batches. Values in, values out."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from loopback import gemini_content, gemini_usage

from fluxgate_sdk.calls import Reading
from fluxgate_sdk.providers import gemini_reading as reading

FULL = gemini_usage(100, 20, 30, toolUsePromptTokenCount=7, cachedContentTokenCount=40)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("post", "models/gemini-x:generateContent", ("generateContent", "gemini-x", False)),
        ("POST", "models/gemini-x:streamGenerateContent?alt=sse", ("streamGenerateContent", "gemini-x", True)),
        ("post", "publishers/google/models/gemini-x:generateContent", ("generateContent", "gemini-x", False)),
        ("post", "projects/p/locations/l/endpoints/12:generateContent", ("generateContent", "endpoints/12", False)),
        ("post", "tunedModels/mine:generateContent", ("generateContent", "tunedModels/mine", False)),
        (
            "post",
            "models/gemini-embedding-001:batchEmbedContents",
            ("batchEmbedContents", "gemini-embedding-001", False),
        ),
        ("post", "models/imagen-4:predict", ("predict", "imagen-4", False)),
        ("post", "models/veo-3:predictLongRunning", ("predictLongRunning", "veo-3", False)),
        ("post", "models/gemini-x:countTokens", None),
        ("post", "models/gemini-x:batchGenerateContent", None),
        ("post", "cachedContents", None),
        ("get", "models/gemini-x", None),
        ("get", "batches/b1", None),
    ],
)
def test_only_what_is_billed_is_an_operation(method: str, path: str, found: tuple[str, str, bool] | None) -> None:
    operation = reading.operation_of(method, path)
    assert (operation and (operation.name, operation.model, operation.streamed)) == found


@pytest.mark.parametrize(
    ("method", "path", "is_batch"),
    [
        ("get", "batches/b1", True),
        ("GET", "batches/b1?alt=json", True),
        ("get", "batches", False),
        ("get", "batches?pageSize=10", False),
        ("delete", "batches/b1", False),
        ("post", "batches/b1:cancel", False),
    ],
)
def test_a_batch_is_read_one_at_a_time(method: str, path: str, is_batch: bool) -> None:
    assert reading.is_batch(method, path) == is_batch


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        (FULL, Reading(provider_usage=FULL, api_flavor="default")),
        ({"promptTokenCount": 5}, Reading(provider_usage={"promptTokenCount": 5}, api_flavor="default")),
        # Without a count of the prompt the server could not read it.
        ({"totalTokenCount": 5}, Reading()),
        ({"candidatesTokenCount": 3, "thoughtsTokenCount": 4}, Reading(output_tokens=7, reasoning_tokens=4)),
        # The Live API's own word, which the server does not know.
        ({"promptTokenCount": 9, "responseTokenCount": 2}, Reading(input_tokens=9, output_tokens=2)),
        # Whatever is no count would have the whole event refused.
        (
            {"promptTokenCount": 9, "candidatesTokenCount": "2", "toolUsePromptTokenCount": 1},
            Reading(input_tokens=10),
        ),
        ({"promptTokenCount": -1}, Reading()),
        (None, Reading()),
        ("usage", Reading()),
    ],
)
def test_usage_is_given_so_that_the_server_can_read_it(usage: Any, found: Reading) -> None:
    assert reading.reading_of_usage(usage) == found


@pytest.mark.parametrize(
    ("document", "status", "stop_reason"),
    [
        (gemini_content(), "SUCCESS", "STOP"),
        (gemini_content(finish="MAX_TOKENS"), "MAX_TOKENS", "MAX_TOKENS"),
        (gemini_content(finish="SAFETY"), "CONTENT_FILTER", "SAFETY"),
        (gemini_content(finish="RECITATION"), "RECITATION", "RECITATION"),
        (gemini_content(finish="MALFORMED_FUNCTION_CALL"), "MALFORMED_REQUEST", "MALFORMED_FUNCTION_CALL"),
        (gemini_content(finish="SOMETHING_NEW"), "SUCCESS", "SOMETHING_NEW"),
        ({"candidates": [{"finishReason": "STOP"}, {"finishReason": "SAFETY"}]}, "CONTENT_FILTER", "SAFETY"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "BLOCKED", "SAFETY"),
        ({}, "SUCCESS", None),
        ({"candidates": "none", "promptFeedback": []}, "SUCCESS", None),
    ],
)
def test_the_worst_end_is_the_status(document: dict[str, Any], status: str, stop_reason: str | None) -> None:
    found = reading.read_content(document)
    assert (found.status, found.stop_reason) == (status, stop_reason)


def test_content_names_its_model_and_its_searches() -> None:
    document = gemini_content(modelVersion="models/gemini-2.5-flash-002", responseId="r1")
    document["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["one", "two"]}
    found = reading.read_content(document)
    assert (found.model, found.response_id) == ("gemini-2.5-flash-002", "r1")
    assert found.metadata == {"webSearchQueries": 2}


@pytest.mark.parametrize(
    ("usage", "headers", "tier"),
    [
        ({"serviceTier": "flex"}, {}, "flex"),
        ({"serviceTier": "SERVICE_TIER_PRIORITY"}, {}, "priority"),
        # The header knows that the call was served at another tier than was asked for.
        ({"serviceTier": "priority"}, {"X-Gemini-Service-Tier": "standard"}, "standard"),
        ({"trafficType": "ON_DEMAND_FLEX"}, {}, "flex"),
        ({"trafficType": "ON_DEMAND"}, {}, "standard"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, {}, "provisioned_throughput"),
        ({}, {"content-type": "application/json"}, None),
        (None, None, None),
    ],
)
def test_the_tier_is_the_one_that_served(usage: Any, headers: Any, tier: str | None) -> None:
    assert reading.tier_of(usage, SimpleNamespace(headers=headers)) == tier


def read_stream(*documents: dict[str, Any], as_text: bool) -> reading.StreamReader:
    reader = reading.StreamReader()
    for document in documents:
        reader.see(SimpleNamespace(headers={}, body=json.dumps(document)) if as_text else document)
    return reader


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "objects of older versions"])
class TestStreams:
    def test_running_totals_are_replaced(self, as_text: bool) -> None:
        parts = [gemini_content(finish=None, usage=gemini_usage(100, count)) for count in (1, 2)]
        reader = read_stream(*parts, gemini_content(usage=FULL), as_text=as_text)
        found = reader.reading()
        assert found.provider_usage == FULL
        assert (found.stop_reason, found.usage_is_partial, reader.has_ended) == ("STOP", False, True)

    def test_before_the_end_it_is_a_part(self, as_text: bool) -> None:
        found = read_stream(gemini_content(finish=None, usage=gemini_usage(100, 1)), as_text=as_text).reading()
        assert found.usage_is_partial
        assert found.provider_usage == gemini_usage(100, 1)
        assert found.model == "gemini-2.5-flash"

    def test_candidates_end_one_by_one(self, as_text: bool) -> None:
        first, last = gemini_content(finish="SAFETY"), gemini_content(finish="STOP")
        found = read_stream(first, last, as_text=as_text).reading()
        assert (found.status, found.stop_reason) == ("CONTENT_FILTER", "SAFETY")

    def test_a_text_about_usage_is_no_usage(self, as_text: bool) -> None:
        told = gemini_content('{"usageMetadata": {"promptTokenCount": 1}, "finishReason": "STOP"}', finish=None)
        del told["usageMetadata"]
        reader = read_stream(gemini_content(finish=None, usage=FULL), told, as_text=as_text)
        assert reader.reading().provider_usage == FULL
        assert not reader.has_ended

    def test_a_blocked_prompt(self, as_text: bool) -> None:
        reader = read_stream({"promptFeedback": {"blockReason": "SAFETY"}}, as_text=as_text)
        found = reader.reading()
        assert (found.status, reader.has_ended) == ("BLOCKED", True)
        assert found.error_message == "the prompt was blocked: SAFETY"


def test_no_part_says_nothing() -> None:
    assert reading.StreamReader().reading() == Reading()


@pytest.mark.parametrize(
    ("document", "tokens", "metadata"),
    [
        ({"usageMetadata": {"totalTokenCount": 3, "candidatesTokenCount": 0}}, None, {}),
        (
            {
                "predictions": [{"embeddings": {"statistics": {"token_count": 4}}}] * 2,
                "metadata": {"billableCharacterCount": 9},
            },
            8,
            {"billableCharacters": 9},
        ),
        (
            {"predictions": [{"bytesBase64Encoded": "aa"}, {"raiFilteredReason": "no"}, {"gcsUri": "gs://b"}]},
            None,
            {"images": 2},
        ),
    ],
)
def test_vectors_and_images(document: dict[str, Any], tokens: int | None, metadata: dict[str, Any]) -> None:
    operation = reading.Operation("predict", "prediction", "m")
    found = reading.read_answer(operation, document, None)
    assert (found.input_tokens, found.metadata) == (tokens, metadata)


def test_video_is_told_by_its_request() -> None:
    operation = reading.Operation("predictLongRunning", "video", "veo-3")
    request = {"parameters": {"durationSeconds": 8, "sampleCount": 2}}
    assert reading.request_metadata(operation, request) == {
        "operation": "predictLongRunning",
        "videoSeconds": 8,
        "videos": 2,
    }


def batch_document(word: str, *results: dict[str, Any]) -> dict[str, Any]:
    about = {"model": "models/gemini-2.5-flash", "endTime": "2026-05-05T10:00:00.123456789Z"}
    return {"name": "batches/b1", "metadata": {**about, "output": {word: {"inlinedResponses": list(results)}}}}


def test_results_of_a_batch_have_keys_of_their_own() -> None:
    results = (
        {"response": gemini_content(usage=FULL), "metadata": {"key": "row-1"}},
        {"error": {"code": 3, "message": "no"}},
    )
    found = list(reading.batch_results(batch_document("inlinedResponses", *results)))
    again = list(reading.batch_results(batch_document("inlinedResponses", *results)))
    assert [result.idempotency_key for result in found] == [result.idempotency_key for result in again]
    assert len({result.idempotency_key for result in found}) == 2
    assert [result.reading.status for result in found] == ["SUCCESS", "ERROR"]
    assert found[0].reading.provider_usage == FULL
    assert (found[0].reading.service_tier, found[0].reading.metadata) == ("batch", {"batchKey": "row-1"})
    assert found[1].reading.error_message == "no"
    assert (found[0].model, found[0].batch) == ("gemini-2.5-flash", "batches/b1")


def test_embeddings_of_a_batch_have_their_count() -> None:
    document = batch_document(
        "inlinedEmbedContentResponses", {"response": {"tokenCount": 12, "embedding": {"values": []}}}
    )
    (found,) = reading.batch_results(document)
    assert (found.reading.input_tokens, found.reading.output_tokens) == (12, 0)


@pytest.mark.parametrize("document", [{}, {"name": "batches/b1", "metadata": {"state": "BATCH_STATE_RUNNING"}}])
def test_a_running_batch_has_no_results(document: dict[str, Any]) -> None:
    assert list(reading.batch_results(document)) == []


def test_a_file_of_results() -> None:
    lines = [{"key": "a", "response": gemini_content(usage=FULL)}, {"key": "b", "error": {"message": "no"}}]
    found = list(reading.file_results("files/batch-1:download", "\n".join(json.dumps(line) for line in lines).encode()))
    assert [result.reading.metadata["batchKey"] for result in found] == ["a", "b"]
    assert found[0].reading.model == "gemini-2.5-flash"


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n", b'{"some": "json"}', b"[1, 2]"])
def test_any_other_file_has_no_results(data: bytes) -> None:
    assert list(reading.file_results("files/f1:download", data)) == []


@pytest.mark.parametrize(
    ("usage", "counters"),
    [
        (
            {"total_input_tokens": 10, "total_output_tokens": 4, "total_thought_tokens": 6, "total_tokens": 20},
            (10, 10, None, 6),
        ),
        # Here the total says that the thoughts are part of the output.
        (
            {"total_input_tokens": 10, "total_output_tokens": 10, "total_thought_tokens": 6, "total_tokens": 20},
            (10, 10, None, 6),
        ),
        (
            {"total_input_tokens": 10, "total_tool_use_tokens": 5, "total_output_tokens": 1, "total_cached_tokens": 8},
            (15, 1, 8, None),
        ),
        (None, (None, None, None, None)),
    ],
)
def test_usage_of_an_interaction(usage: Any, counters: tuple[int | None, ...]) -> None:
    found = reading.interaction_reading({"usage": usage, "status": "completed", "model": "gemini-x", "id": "i1"})
    assert (found.input_tokens, found.output_tokens, found.cached_tokens, found.reasoning_tokens) == counters
    assert (found.model, found.response_id, found.stop_reason) == ("gemini-x", "i1", "completed")


@pytest.mark.parametrize(
    ("status", "found"),
    [("completed", "SUCCESS"), ("requires_action", "SUCCESS"), ("incomplete", "MAX_TOKENS"), ("failed", "ERROR")],
)
def test_the_end_of_an_interaction(status: str, found: str) -> None:
    assert reading.interaction_reading({"status": status}).status == found


def test_an_agent_stands_for_the_model() -> None:
    found = reading.interaction_reading({"agent": "deep-research", "errors": [{"code": "x", "message": "lost"}]})
    assert (found.model, found.error_message) == ("deep-research", "lost")
