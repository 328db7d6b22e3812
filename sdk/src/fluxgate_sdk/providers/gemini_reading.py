"""What Gemini's JSON says of a call: which requests are billed, and what an answer used. Pure: values in, values out.

Names are those of the REST interface (camelCase), because the package's own classes leave fields out, such as the tier
that served the call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from fluxgate_sdk.calls import Reading
from fluxgate_sdk.events import copied
from fluxgate_sdk.providers._answers import count
from fluxgate_sdk.statuses import gemini_interaction_status, gemini_status

Kind = Literal["content", "embeddings", "prediction", "video"]

_BILLED: Final[Mapping[str, Kind]] = {
    "generateContent": "content",
    "streamGenerateContent": "content",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "predict": "prediction",
    "predictLongRunning": "video",
}
_BATCH_PATH: Final = re.compile(r"(?:^|/)batches/[^/:?]+$")
# One HTTP library writes all names in lower case, another one as they were sent.
_TIER_HEADERS: Final = ("x-gemini-service-tier", "X-Gemini-Service-Tier")
_TIER_PREFIX: Final = "service_tier_"
_TRAFFIC_TIERS: Final = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
}
# Only inside a key: in a string, the quote after the word would be escaped.
_HAS_USAGE: Final = '"usageMetadata":'
_HAS_REASON: Final = '"finishReason":'
_HAS_BLOCK: Final = '"blockReason":'
_HAS_ERROR: Final = '"error"'
_FIRST_KEY: Final = 20
"""The first key of a document ends within so many characters, if it is a short one."""


@dataclass(frozen=True)
class Operation:
    """A billed request: what the interface calls it, the model by its plain name, whether the answer comes in parts."""

    name: str
    kind: Kind
    model: str
    streamed: bool = False


def operation_of(http_method: str, path: str) -> Operation | None:
    """The billed operation that a request asks for (`{model}:generateContent?…`); None for what is free."""
    if http_method.lower() != "post":
        return None
    resource, colon, verb = path.partition("?")[0].rpartition(":")
    kind = _BILLED.get(verb) if colon else None
    return Operation(verb, kind, model_name(resource), verb == "streamGenerateContent") if kind else None


def model_name(resource: str) -> str:
    """`models/x` and `publishers/google/models/x` as `x`; tuned models and endpoints keep the word before the id."""
    parts = resource.strip("/").split("/")
    if len(parts) > 1 and parts[-2] not in ("models", "google"):
        return "/".join(parts[-2:])
    return parts[-1]


def is_batch(http_method: str, path: str) -> bool:
    """Whether the request reads one batch job of the Gemini API, which holds its results once it is done."""
    return http_method.lower() == "get" and _BATCH_PATH.search(path.partition("?")[0]) is not None


def document_of(answer: Any) -> Mapping[str, Any]:
    """The JSON of what the package's transport returns: its text until 1.2x, or already read in older versions."""
    body = getattr(answer, "body", answer)
    found = json.loads(body) if isinstance(body, (str, bytes)) and body else body
    return found if isinstance(found, Mapping) else {}


def read_answer(operation: Operation, document: Mapping[str, Any], answer: Any) -> Reading:
    """A whole answer to a billed request; `answer` has the headers."""
    if operation.kind == "content":
        reading = read_content(document)
    elif operation.kind == "video":
        reading = Reading()
    else:
        reading = _read_vectors_or_images(document)
    reading.service_tier = tier_of(document.get("usageMetadata"), answer)
    return reading


def read_content(document: Mapping[str, Any]) -> Reading:
    """A GenerateContentResponse: usage, model, id, and the status by the worst of its candidates."""
    reading = reading_of_usage(document.get("usageMetadata"))
    _add_identity(reading, document)
    _add_end(reading, [document])
    queries = sum(
        len(_at(candidate, "groundingMetadata", "webSearchQueries") or ()) for candidate in _candidates(document)
    )
    if queries:
        reading.metadata["webSearchQueries"] = queries
    return reading


def reading_of_usage(usage: Any) -> Reading:
    """Usage as Gemini reports it. Its own object goes along where the server can read it; otherwise the counters.

    `promptTokenCount` holds the cached tokens, but not those of tool results; `candidatesTokenCount` holds no thoughts.
    """
    if not isinstance(usage, Mapping):
        return Reading()
    told = [value for name in _USAGE_NAMES if (value := usage.get(name)) is not None]
    is_sound = all(type(value) is int and value >= 0 for value in told)
    if is_sound and usage.get("promptTokenCount") is not None and usage.get("responseTokenCount") is None:
        # Older packages read the JSON themselves, and go on to use the same object.
        return Reading(provider_usage=copied(usage), api_flavor="default")
    return counters_of_usage(usage)


def counters_of_usage(usage: Mapping[str, Any]) -> Reading:
    """The counters alone. Where it counts the answer, `responseTokenCount` is the word of live sessions."""
    counts = {name: count(usage.get(name)) for name in _USAGE_NAMES}
    output = counts["candidatesTokenCount"] or counts["responseTokenCount"]
    return Reading(
        input_tokens=_sum(counts["promptTokenCount"], counts["toolUsePromptTokenCount"]),
        output_tokens=_sum(output, counts["thoughtsTokenCount"]),
        cached_tokens=counts["cachedContentTokenCount"],
        reasoning_tokens=counts["thoughtsTokenCount"],
    )


_USAGE_NAMES: Final = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "responseTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
)


def tier_of(usage: Any, answer: Any) -> str | None:
    """The tier that served the call: by the answer's header, which knows of a downgrade, or by its usage."""
    headers = getattr(answer, "headers", None) or {}
    found = next((headers[name] for name in _TIER_HEADERS if name in headers), None)
    if not found and isinstance(usage, Mapping):
        traffic = usage.get("trafficType")
        found = usage.get("serviceTier") or _TRAFFIC_TIERS.get(str(traffic), traffic)
    if not isinstance(found, str) or not found:
        return None
    return found.lower().removeprefix(_TIER_PREFIX)


class StreamReader:
    """Reads a streamed answer part by part and keeps none of its content, at most the last part that has usage."""

    def __init__(self) -> None:
        self.has_ended = False
        self._with_usage: Any = None
        self._ends: list[dict[str, Any]] = []
        self._error: Mapping[str, Any] = {}

    def see(self, part: Any) -> None:
        """Take in the next part, as the package's transport yields it."""
        body = getattr(part, "body", part)
        if isinstance(body, str):
            has_usage, has_end = _HAS_USAGE in body, _HAS_REASON in body or _HAS_BLOCK in body
            has_error = _HAS_ERROR in body[:_FIRST_KEY]
        else:
            has_usage = isinstance(body, Mapping) and "usageMetadata" in body
            has_end = isinstance(body, Mapping) and _says_the_end(body)
            has_error = isinstance(body, Mapping) and "error" in body
        if has_error:
            # Newer packages raise it; with older ones the caller sees an empty part.
            self._error = _mapping(document_of(part).get("error"))
        elif has_usage or self._with_usage is None:
            self._with_usage = part
        if has_end:
            self.has_ended = True
            # Candidates end in parts of their own; the reasons alone are kept.
            self._ends.append(_end_of(document_of(part)))

    def reading(self) -> Reading:
        """What has been said so far. Totals run, so the last usage is the whole; before the end it is a part."""
        document = {} if self._with_usage is None else document_of(self._with_usage)
        reading = reading_of_usage(document.get("usageMetadata"))
        _add_identity(reading, document)
        _add_end(reading, self._ends)
        reading.service_tier = tier_of(document.get("usageMetadata"), self._with_usage)
        reading.usage_is_partial = not self.has_ended and reading != Reading()
        if self._error:
            reading.status, reading.error_message = "ERROR", str(self._error.get("message") or self._error)
            reading.metadata.update(httpStatus=self._error.get("code"), errorCode=self._error.get("status"))
        return reading


def _says_the_end(document: Mapping[str, Any]) -> bool:
    return bool(_at(document, "promptFeedback", "blockReason")) or any(
        candidate.get("finishReason") for candidate in _candidates(document)
    )


def _end_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an answer that says how it ended, without its content."""
    kept = [{"finishReason": candidate.get("finishReason")} for candidate in _candidates(document)]
    return {"candidates": kept, "promptFeedback": document.get("promptFeedback")}


def _add_identity(reading: Reading, document: Mapping[str, Any]) -> None:
    model, response_id = document.get("modelVersion"), document.get("responseId")
    reading.model = model_name(model) if isinstance(model, str) and model else None
    reading.response_id = response_id if isinstance(response_id, str) else None


def _add_end(reading: Reading, documents: Iterable[Mapping[str, Any]]) -> None:
    """Status, stop reason and message by what ended the answer: the worst candidate, or the prompt itself."""
    reasons: list[str] = []
    blocked: str | None = None
    for document in documents:
        reasons += [
            reason for c in _candidates(document) if isinstance(reason := c.get("finishReason"), str) and reason
        ]
        blocked = _at(document, "promptFeedback", "blockReason") or blocked
    reading.status = gemini_status(reasons, blocked)
    reading.stop_reason = blocked or next(iter(reasons), None)
    if len(reasons) > 1 and not blocked:
        reading.stop_reason = next(reason for reason in reasons if gemini_status([reason]) == reading.status)
    if blocked:
        reading.error_message = f"the prompt was blocked: {blocked}"


def _read_vectors_or_images(document: Mapping[str, Any]) -> Reading:
    """Embeddings say what they used, in one of three places; generated images are counted, they have no tokens."""
    reading = reading_of_usage(document.get("usageMetadata"))
    predictions = [part for part in document.get("predictions") or () if isinstance(part, Mapping)]
    counted = [count(_at(part, "embeddings", "statistics", "token_count")) for part in predictions]
    if reading == Reading() and any(tokens is not None for tokens in counted):
        reading = Reading(input_tokens=sum(tokens or 0 for tokens in counted), output_tokens=0)
    images = sum(1 for part in predictions if part.get("bytesBase64Encoded") or part.get("gcsUri"))
    if images:
        reading.metadata["images"] = images
    characters = _at(document, "metadata", "billableCharacterCount")
    if characters is not None:
        reading.metadata["billableCharacters"] = characters
    return reading


def request_metadata(operation: Operation, request: Any) -> dict[str, Any]:
    """The operation, and what of the request sets the price where the answer has no tokens: the seconds of video."""
    said = {"operation": operation.name}
    if operation.kind == "video":
        said["videoSeconds"] = _at(request, "parameters", "durationSeconds")
        said["videos"] = _at(request, "parameters", "sampleCount")
    return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True)
class BatchResult:
    """One result of a batch. `idempotency_key` is the same whenever it is read; `ended_at` is ISO 8601 text."""

    reading: Reading
    idempotency_key: str
    batch: str
    model: str | None = None
    ended_at: str | None = None


def batch_results(document: Mapping[str, Any]) -> Iterator[BatchResult]:
    """The results that a batch job holds itself; none while it runs, or when they are in a file."""
    about = _mapping(document.get("metadata"))
    name, output = str(document.get("name") or about.get("name") or ""), _mapping(about.get("output"))
    for word in ("inlinedResponses", "inlinedEmbedContentResponses"):
        results = _mapping(output.get(word)).get("inlinedResponses")
        for number, result in enumerate(results if isinstance(results, list) else []):
            model = about.get("model")
            yield BatchResult(
                _read_batch_result(_mapping(result)),
                _derived_key(name, word, str(number)),
                name,
                model_name(model) if isinstance(model, str) else None,
                about.get("endTime"),
            )


def file_results(path: str, data: bytes) -> Iterator[BatchResult]:
    """The results in a batch's downloaded file: JSON lines with a key and a response. None for any other file."""
    name = path.partition(":")[0]
    for number, line in enumerate(data.splitlines()):
        try:
            result = json.loads(line)
        except ValueError:
            return
        if not isinstance(result, dict) or not ("response" in result or "error" in result):
            return
        yield BatchResult(_read_batch_result(result), _derived_key(name, str(number)), name)


def _read_batch_result(result: Mapping[str, Any]) -> Reading:
    response, error = _mapping(result.get("response")), _mapping(result.get("error"))
    reading = read_content(response)
    if reading.provider_usage is None and (tokens := count(response.get("tokenCount"))) is not None:
        reading.input_tokens, reading.output_tokens = tokens, 0
    if error:
        reading.status, reading.error_message = "ERROR", str(error.get("message") or error)
    key = result.get("key") or _mapping(result.get("metadata")).get("key")
    if key is not None:
        reading.metadata["batchKey"] = str(key)
    reading.service_tier = "batch"
    return reading


def interaction_reading(interaction: Mapping[str, Any]) -> Reading:
    """An interaction (or a decision, which has usage alone): its usage names its counters in its own way.

    Its input holds the cached tokens, not those of tool results.
    """
    reading = reading_of_interaction_usage(interaction.get("usage"))
    status = interaction.get("status")
    model = interaction.get("model") or interaction.get("agent")
    reading.status = gemini_interaction_status(status if isinstance(status, str) else None)
    reading.stop_reason = status if isinstance(status, str) and status != "in_progress" else None
    reading.model = model_name(model) if isinstance(model, str) else None
    reading.response_id = interaction.get("id") or None
    reading.service_tier = interaction.get("service_tier")
    errors = [_mapping(error).get("message") for error in interaction.get("errors") or ()]
    reading.error_message = "; ".join(str(error) for error in errors if error) or None
    return reading


def reading_of_interaction_usage(usage: Any) -> Reading:
    """Usage of an interaction, or of as much of it as has been streamed.

    Thoughts are counted beside the output, unless the total says that they are inside.
    """
    if not isinstance(usage, Mapping):
        return Reading()
    thoughts, output = count(usage.get("total_thought_tokens")), count(usage.get("total_output_tokens"))
    prompt = _sum(count(usage.get("total_input_tokens")), count(usage.get("total_tool_use_tokens")))
    holds_thoughts = bool(output) and count(usage.get("total_tokens")) == _sum(prompt, output)
    reading = Reading(
        input_tokens=prompt,
        output_tokens=output if holds_thoughts else _sum(output, thoughts),
        cached_tokens=count(usage.get("total_cached_tokens")),
        reasoning_tokens=thoughts,
    )
    grounding = {
        str(part["type"]): part["count"]
        for part in usage.get("grounding_tool_count") or ()
        if isinstance(part, Mapping) and part.get("type") and part.get("count")
    }
    if grounding:
        reading.metadata["groundingToolCount"] = grounding
    return reading


def interaction_key(interaction_id: str) -> str:
    """The idempotency key of an interaction, which can be read again under its id."""
    return _derived_key("interactions", interaction_id)


def _derived_key(*parts: str) -> str:
    return "gemini-" + sha256("\n".join(parts).encode()).hexdigest()


def _candidates(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = document.get("candidates")
    return [part for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _sum(*counts: int | None) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if known else None
