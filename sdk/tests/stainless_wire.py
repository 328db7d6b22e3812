"""What OpenAI and Anthropic send over the wire, and what an event says of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from loopback import Reply, json_reply, sse_reply

CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
}
RESPONSE_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 120,
}
IMAGE_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"image_tokens": 40, "text_tokens": 60},
    "output_tokens": 20,
    "total_tokens": 120,
}
MESSAGE_USAGE = {
    "input_tokens": 30,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 40,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 8},
    "service_tier": "standard",
}


def status_of(event: dict[str, Any]) -> str:
    status = event["status"]
    return str(status if isinstance(status, str) else status["status"])


def tokens_of(event: dict[str, Any]) -> tuple[int, int]:
    """Input with its cached parts, and output, whichever way the event says them."""
    usage = event["usage"]
    sent = usage.get("provider_usage")
    if sent is None:
        return usage["input_tokens"], usage["output_tokens"]
    if "prompt_tokens" in sent:
        return sent["prompt_tokens"], sent.get("completion_tokens", 0)
    cached = sum(sent.get(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    return sent["input_tokens"] + cached, sent["output_tokens"]


# OpenAI


def chat_completion(content: str = "Hello", *, finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "choices": [choice],
        "usage": CHAT_USAGE,
    } | more


def chat_chunks(*, usage: bool, finish: str = "stop") -> list[dict[str, Any]]:
    """Three words, the end, and the usage as OpenAI sends it when it is asked to: `null` on every chunk before."""
    null = {"usage": None} if usage else {}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    words = [
        head
        | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]}
        | null
        for word in ("Hel", "lo", "!")
    ]
    end = head | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]} | null
    return [*words, end, *([head | {"choices": [], "usage": CHAT_USAGE}] if usage else [])]


def chat_stream(request: Any = None, *, usage: bool = True, end: str = "close") -> Reply:
    return sse_reply(chat_chunks(usage=usage), last="[DONE]", end=end)


def text_completion() -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "text": "Hello", "logprobs": None}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "gpt-3.5-turbo-instruct"}
    return head | {"choices": [choice], "usage": CHAT_USAGE}


def text_stream() -> Reply:
    """As it comes when the caller has asked for the usage, or it was asked for unseen."""
    words = [{"index": 0, "finish_reason": reason, "text": "Hello", "logprobs": None} for reason in (None, "stop")]
    chunks = [text_completion() | {"choices": [word], "usage": None} for word in words]
    return sse_reply([*chunks, text_completion() | {"choices": []}], last="[DONE]")


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "Hello", "annotations": []}]
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-5-2025-08-07",
        "status": status,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "service_tier": "default",
        "usage": RESPONSE_USAGE,
    } | more


def response_events(last: str = "completed", **more: Any) -> list[dict[str, Any]]:
    started = response("in_progress", usage=None, output=[], **more)
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    place: dict[str, Any] = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": "Hel", "logprobs": []},
        {"type": "response.output_text.delta", **place, "delta": "lo", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hello", "logprobs": []},
        {"type": f"response.{last}", "response": response(last, **more)},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


def response_stream(last: str = "completed", *, end: str = "close", **more: Any) -> Reply:
    return sse_reply([(event["type"], event) for event in response_events(last, **more)], end=end)


def embeddings() -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "total_tokens": 100}
    data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
    return {"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage}


def images() -> dict[str, Any]:
    return {"created": 1, "data": [{"b64_json": "aGk="}], "usage": IMAGE_USAGE}


def image_stream(kind: str = "image_generation") -> Reply:
    head = {"b64_json": "aGk=", "created_at": 1, "size": "1024x1024", "quality": "low", "background": "auto"}
    part = head | {"type": f"{kind}.partial_image", "partial_image_index": 0, "output_format": "png"}
    last = head | {"type": f"{kind}.completed", "usage": IMAGE_USAGE, "output_format": "png"}
    return sse_reply([(event["type"], event) for event in (part, part, last)])


def transcription() -> dict[str, Any]:
    details = {"audio_tokens": 90, "text_tokens": 10}
    usage = {"type": "tokens", "input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    return {"text": "Hello", "usage": usage | {"input_token_details": details}}


def transcription_stream(*, end: str = "close") -> Reply:
    words = [{"type": "transcript.text.delta", "delta": word} for word in ("Hel", "lo")]
    last = {"type": "transcript.text.done", **transcription()}
    return sse_reply([(event["type"], event) for event in [*words, last]], end=end)


def video() -> dict[str, Any]:
    head = {"id": "video_1", "object": "video", "model": "sora-2", "status": "queued", "progress": 0, "created_at": 1}
    return head | {"seconds": "8", "size": "720x1280"}


def openai_error(status: int = 429, code: str = "rate_limit_exceeded", message: str = "Slow down") -> Reply:
    return json_reply({"error": {"message": message, "type": "requests", "param": None, "code": code}}, status)


def openai_error_midway(parts: Iterable[object]) -> Reply:
    """The first parts of a stream, and then an error in place of the next."""
    error = {"error": {"message": "The server had an error", "type": "server_error", "param": None, "code": None}}
    return sse_reply([*parts, error], end="open")


# Anthropic


def message(content: Any = "Hello", *, stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": content}] if isinstance(content, str) else content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": MESSAGE_USAGE,
    } | more


def message_events(*, stop: str = "end_turn") -> list[tuple[str, dict[str, Any]]]:
    """Placeholders of the output at the start; then two running totals, of which the last counts."""
    first = {name: value for name, value in MESSAGE_USAGE.items() if name != "output_tokens_details"}
    started = message([], stop_reason=None, usage=first | {"output_tokens": 1})
    delta = {"stop_reason": stop, "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": started},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": None, "stop_sequence": None},
            "usage": {"output_tokens": 12},
        },
        {
            "type": "message_delta",
            "delta": delta,
            "usage": {"output_tokens": 20, "output_tokens_details": {"thinking_tokens": 8}},
        },
        {"type": "message_stop"},
    ]
    return [(event["type"], event) for event in events]


def message_stream(*, stop: str = "end_turn", end: str = "close") -> Reply:
    return sse_reply(message_events(stop=stop), end=end)


def anthropic_error(status: int = 529, kind: str = "overloaded_error", message: str = "Overloaded") -> Reply:
    return json_reply({"type": "error", "error": {"type": kind, "message": message}}, status)


def anthropic_error_midway() -> Reply:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return sse_reply([*message_events()[:4], ("error", error)], end="open")


def batch_results() -> Reply:
    lines: list[dict[str, Any]] = [
        {"custom_id": "a", "result": {"type": "succeeded", "message": message(usage=MESSAGE_USAGE)}},
        {
            "custom_id": "b",
            "result": {"type": "errored", "error": {"type": "error", "error": {"type": "x", "message": "y"}}},
        },
        {"custom_id": "c", "result": {"type": "canceled"}},
        {"custom_id": "d", "result": {"type": "succeeded", "message": message(id="msg_2")}},
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return Reply(content_type="application/x-jsonl", pieces=(body[:100], body[100:]))
