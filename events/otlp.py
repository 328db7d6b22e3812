"""Which spans are LLM calls, and what each says in the words of the wire contract. Pure.

`otlp_names.py` has the names that instrumentations use. Contents of prompts and answers are never read.
"""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from events import otlp_names as names
from events.otlp_wire import Span
from events.usage import TIERS


class InvalidSpan(Exception):
    """A span that is an LLM call and cannot be read as one; the message is a sentence for the sender."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Tokens of a call, in the meaning of the wire contract."""

    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A span that is an LLM call, with its tokens, or with why they cannot be read."""

    span: Span
    counters: Counters | None
    problem: str = ""


def calls(spans: Sequence[Span]) -> list[Call]:
    """The LLM calls among the spans of an export, each once.

    Instrumentations lie above each other: a span that only repeats the tokens of the calls below it, or of another
    span of the same answer, is not a call of its own.
    """
    found = [_call(span) for span in spans if _is_call(span) and _has_usage(span)]
    parents = {span.key: (span.trace_id, span.parent_id) for span in spans}
    below: dict[tuple[str, str], list[Call]] = {call.span.key: [] for call in found}
    for call in found:
        above = _nearest_above(call.span, parents, below.keys())
        if above is not None:
            below[above].append(call)
    return list(_each_answer_once([call for call in found if not _repeats(call, below[call.span.key])]))


def event_body(call: Call) -> bytes:
    """The call as the body of `POST /api/events`. Raises InvalidSpan."""
    span, counters = call.span, call.counters
    if counters is None:
        raise InvalidSpan(call.problem)
    if not span.trace_id.strip("0") or not span.span_id.strip("0"):
        raise InvalidSpan("has no trace id or no span id")
    return msgspec.json.encode(
        {
            "usage": _usage(span, counters),
            "status": _status(span),
            "metadata": _metadata(span),
            "idempotencyKey": f"{span.trace_id}:{span.span_id}",
        }
    )


def _is_call(span: Span) -> bool:
    """Whether the span is one inference, by whichever convention it follows; aggregates over several are none."""
    attributes = span.attributes
    operation = attributes.get("ai.operationId")
    if isinstance(operation, str):
        return bool(names.VERCEL_CALL.fullmatch(operation))
    if "openinference.span.kind" in attributes:
        return _text(span, ("openinference.span.kind",)) in names.KINDS
    if "traceloop.span.kind" in attributes or _text(span, ("gen_ai.operation.name",)) in names.NO_OPERATIONS:
        return False
    return bool(_text(span, names.MODEL))


def _has_usage(span: Span) -> bool:
    return any(span.attributes.get(name) is not None for name in (*names.INPUT, *names.OUTPUT))


def _call(span: Span) -> Call:
    try:
        return Call(span, _counters(span))
    except InvalidSpan as error:
        return Call(span, None, str(error))


def _counters(span: Span) -> Counters:
    sent = _count(span, names.INPUT), _count(span, names.OUTPUT)
    cached, writes_1h = _count(span, names.CACHED), _count(span, names.CACHE_WRITE_1H)
    cache_write = max(_count(span, names.CACHE_WRITE), _count(span, names.CACHE_WRITE_5M) + writes_1h)
    reasoning = _count(span, names.REASONING)
    input_tokens, output_tokens = sent
    if _leaves_cache_out(span):
        input_tokens += cached + cache_write
    if reasoning and _count(span, names.TOTAL) == sum(sent) + reasoning:
        output_tokens += reasoning  # Gemini by OpenLLMetry: the total has the thoughts, the output has not
    return Counters(input_tokens, output_tokens, cached, cache_write, writes_1h, reasoning)


def _leaves_cache_out(span: Span) -> bool:
    """The Vercel AI SDK before its version 6 gives Anthropic's own input, without the cache."""
    said = span.attributes
    is_vercel = "ai.operationId" in said and not any(name.startswith("ai.usage.inputTokenDetails.") for name in said)
    return is_vercel and _text(span, names.PROVIDER).lower().startswith("anthropic")


def _count(span: Span, wanted: Sequence[str]) -> int:
    for name in wanted:
        value = span.attributes.get(name)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidSpan(f"{name} must be an integer, 0 or more")
        return value
    return 0


def _nearest_above(
    span: Span, parents: Mapping[tuple[str, str], tuple[str, str]], known: Container[tuple[str, str]]
) -> tuple[str, str] | None:
    """The key of the nearest span above it that is `known`, None without one. Parents may go round."""
    seen, above = {span.key}, parents[span.key]
    while above in parents and above not in seen:
        if above in known:
            return above
        seen.add(above)
        above = parents[above]
    return None


def _repeats(call: Call, below: Sequence[Call]) -> bool:
    """Whether its tokens are those of one call below it, or of all of them together."""
    counted = [one.counters for one in below if one.counters]
    if call.counters is None or not counted:
        return False
    own = (call.counters.input, call.counters.output)
    parts = [(one.input, one.output) for one in counted]
    return own in (*parts, (sum(part[0] for part in parts), sum(part[1] for part in parts)))


def _each_answer_once(found: Sequence[Call]) -> Iterator[Call]:
    """Two spans side by side at the same time with one answer's id and tokens are one call, seen by two."""
    seen: dict[tuple[str, str, Counters | None], Span] = {}
    for call in found:
        response_id = _text(call.span, names.RESPONSE_ID)
        key = (call.span.trace_id, response_id, call.counters)
        other = seen.setdefault(key, call.span)
        overlaps = other.start_ns < call.span.end_ns and call.span.start_ns < other.end_ns
        if not response_id or other is call.span or not overlaps:
            yield call


def _usage(span: Span, counters: Counters) -> dict[str, Any]:
    found: dict[str, Any] = {
        "inputTokens": counters.input,
        "outputTokens": counters.output,
        "cachedTokens": counters.cached,
        "cacheWriteTokens": counters.cache_write,
        "cacheWrite1hTokens": counters.cache_write_1h,
        "reasoningTokens": counters.reasoning,
        "model": _text(span, names.MODEL),
        "provider": _text(span, names.PROVIDER),
    }
    tier = _text(span, names.TIER).lower()
    if tier in TIERS:
        found["serviceTier"] = tier
    streamed = _is_streamed(span)
    if streamed is not None:
        found["isStreamed"] = streamed
    if 0 < span.start_ns <= span.end_ns:
        latency = (span.end_ns - span.start_ns) / 1e6
        found["latencyInMs"] = latency
        first = _ms_to_first(span)
        if first is not None and 0 <= first <= latency:
            found["streamingDurationInMs"] = latency - first
    return found


def _is_streamed(span: Span) -> bool | None:
    operation = span.attributes.get("ai.operationId")
    if isinstance(operation, str):
        return operation.endswith(".doStream")
    return next((value for name in names.IS_STREAMED if isinstance(value := span.attributes.get(name), bool)), None)


def _ms_to_first(span: Span) -> float | None:
    for wanted, factor in ((names.SECONDS_TO_FIRST, 1000), (names.MS_TO_FIRST, 1)):
        for name in wanted:
            value = span.attributes.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return value * factor
    return None


def _status(span: Span) -> dict[str, str]:
    if span.is_error:
        return {"status": "ERROR", "errorMessage": span.error_message}
    statuses = [names.STATUS_OF_FINISH.get(reason.lower(), "SUCCESS") for reason in _finish_reasons(span)]
    return {"status": max(statuses, key=names.BADNESS.index, default="SUCCESS")}


def _finish_reasons(span: Span) -> list[str]:
    for name in names.FINISH:
        value = span.attributes.get(name)
        if isinstance(value, str):
            # Some write the list as JSON.
            return re.findall(r"[\w-]+", value)
        if isinstance(value, list):
            return [one for one in value if isinstance(one, str)]
    return []


def _metadata(span: Span) -> dict[str, Any]:
    found = {**_free_metadata(span), "traceId": span.trace_id, "spanId": span.span_id, "spanName": span.name}
    service = span.resource.get("service.name")
    if isinstance(service, str) and not service.startswith("unknown_service"):
        found["service"] = service
    words = {"responseId": names.RESPONSE_ID, "feature": names.FEATURE, "step": names.STEP, "sessionId": names.SESSION}
    for word, wanted in (words | {"conversationId": names.CONVERSATION}).items():
        if text := _text(span, wanted):
            found[word] = text
    if reasons := _finish_reasons(span):
        found["stopReason"] = reasons[0]
    if user := _user(span):
        found["user"] = user
    if at := _timestamp(span):
        found["timestamp"] = at
    return found


def _free_metadata(span: Span) -> dict[str, Any]:
    """What the sender attached to its trace by the means of its tool, by the names that it chose."""
    found: dict[str, Any] = {}
    given = span.attributes.get("metadata")  # OpenInference: an object as JSON
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given)
        except (msgspec.DecodeError, RecursionError):
            given = None
    if isinstance(given, Mapping):
        found |= {str(name): value for name, value in given.items() if name not in names.OWN}
    if isinstance(tags := span.attributes.get("tag.tags"), list):
        found["tags"] = tags
    for name, value in span.attributes.items():
        head = next((one for one in names.KEPT if name.startswith(one)), None)
        if head and name not in names.NAMED_SO and name != head and name.removeprefix(head) not in names.OWN:
            found[name.removeprefix(head)] = value
    return {name: value for name, value in found.items() if value is not None}


def _user(span: Span) -> dict[str, Any] | None:
    external_id = _text(span, names.USER)
    if not external_id.strip():
        return None
    named = {"name": _text(span, names.USER_NAME), "email": _text(span, names.USER_EMAIL)}
    found: dict[str, Any] = {"id": external_id} | {word: text for word, text in named.items() if text}
    revenue = span.attributes.get("fluxgate.user.monthly_revenue")
    return found if revenue is None else found | {"monthlyRevenue": revenue}


def _timestamp(span: Span) -> str:
    if span.start_ns <= 0:
        return ""
    try:
        return datetime.fromtimestamp(span.start_ns // 10**6 / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        raise InvalidSpan("starts at a time that is no date") from None


def _text(span: Span, wanted: Sequence[str]) -> str:
    """The first of these that the span has, or what all spans of its process have."""
    for source in (span.attributes, span.resource):
        for name in wanted:
            value = source.get(name)
            if isinstance(value, str) and value:
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
    return ""
