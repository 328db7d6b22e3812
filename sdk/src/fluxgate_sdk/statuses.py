"""What a provider says about the end of a call, as the status of an event. Pure: tables and look-ups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

Status = Literal["SUCCESS", "ERROR", "BLOCKED", "MAX_TOKENS", "CONTENT_FILTER", "RECITATION", "MALFORMED_REQUEST"]

MAX_ERROR_MESSAGE_CHARACTERS: Final = 4000

_WORST_LAST: Final[tuple[Status, ...]] = (
    "SUCCESS",
    "MAX_TOKENS",
    "MALFORMED_REQUEST",
    "RECITATION",
    "CONTENT_FILTER",
    "BLOCKED",
    "ERROR",
)

OPENAI_FINISH_REASONS: Final[Mapping[str, Status]] = MappingProxyType(
    {"length": "MAX_TOKENS", "content_filter": "CONTENT_FILTER"}
)
"""`finish_reason` of a choice. stop, tool_calls and function_call are the good ends."""

OPENAI_INCOMPLETE_REASONS: Final[Mapping[str, Status]] = MappingProxyType(
    {"max_output_tokens": "MAX_TOKENS", "content_filter": "CONTENT_FILTER"}
)
"""`incomplete_details.reason` of a response. steered and max_messages are good ends."""

OPENAI_POLICY_CODES: Final = frozenset(
    {"bio_policy", "misalignment_policy_violation", "image_content_policy_violation"}
)
"""`error.code` of a response that failed because of what was asked or written."""

BLOCKED_CODES: Final = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
"""Codes of HTTP 400 answers that refuse the prompt for its content (OpenAI, Azure)."""

ANTHROPIC_STOP_REASONS: Final[Mapping[str, Status]] = MappingProxyType(
    {"max_tokens": "MAX_TOKENS", "model_context_window_exceeded": "MAX_TOKENS", "refusal": "BLOCKED"}
)
"""`stop_reason` of a message. end_turn, stop_sequence, tool_use, pause_turn and compaction are good ends."""

GEMINI_FINISH_REASONS: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "MAX_TOKENS": "MAX_TOKENS",
        "SAFETY": "CONTENT_FILTER",
        "BLOCKLIST": "CONTENT_FILTER",
        "PROHIBITED_CONTENT": "CONTENT_FILTER",
        "SPII": "CONTENT_FILTER",
        "IMAGE_SAFETY": "CONTENT_FILTER",
        "IMAGE_PROHIBITED_CONTENT": "CONTENT_FILTER",
        "MODEL_ARMOR": "CONTENT_FILTER",
        "LANGUAGE": "CONTENT_FILTER",
        "ESCALATION": "BLOCKED",
        "PUP_LIMITED_DISABLED": "BLOCKED",
        "RECITATION": "RECITATION",
        "IMAGE_RECITATION": "RECITATION",
        "MALFORMED_FUNCTION_CALL": "MALFORMED_REQUEST",
        "UNEXPECTED_TOOL_CALL": "MALFORMED_REQUEST",
        "TOO_MANY_TOOL_CALLS": "MALFORMED_REQUEST",
        "MISSING_THOUGHT_SIGNATURE": "MALFORMED_REQUEST",
        "MALFORMED_RESPONSE": "MALFORMED_REQUEST",
        "OTHER": "ERROR",
        "IMAGE_OTHER": "ERROR",
        "NO_IMAGE": "ERROR",
        "FINISH_REASON_UNSPECIFIED": "ERROR",
    }
)
"""`finishReason` of a candidate. STOP, and CONTINUATION of one hop, are good ends."""

GEMINI_INTERACTION_STATUSES: Final[Mapping[str, Status]] = MappingProxyType(
    {"incomplete": "MAX_TOKENS", "budget_exceeded": "MAX_TOKENS", "failed": "ERROR", "cancelled": "ERROR"}
)
"""`status` of an interaction. completed, requires_action and requires_continuation are good ends."""


def worst(statuses: Sequence[Status]) -> Status:
    """The worst of several choices; SUCCESS of none."""
    if len(statuses) == 1:
        return statuses[0]
    return max(statuses, key=_WORST_LAST.index, default="SUCCESS")


def openai_status(finish_reasons: Iterable[str]) -> Status:
    """Status of a chat or text completion by the `finish_reason` of each of its choices."""
    return worst([OPENAI_FINISH_REASONS.get(reason, "SUCCESS") for reason in finish_reasons])


def openai_response_status(status: str | None, incomplete_reason: str | None, error_code: str | None) -> Status:
    """Status of a response (Responses API) by its `status`, `incomplete_details.reason` and `error.code`."""
    if status == "incomplete":
        return OPENAI_INCOMPLETE_REASONS.get(incomplete_reason or "", "SUCCESS")
    if status == "failed":
        return "CONTENT_FILTER" if error_code in OPENAI_POLICY_CODES else "ERROR"
    return "ERROR" if status == "cancelled" else "SUCCESS"


def anthropic_status(stop_reason: str | None) -> Status:
    """Status of a message by its `stop_reason`."""
    return ANTHROPIC_STOP_REASONS.get(stop_reason or "", "SUCCESS")


def gemini_status(finish_reasons: Iterable[str], block_reason: str | None = None) -> Status:
    """Status of generated content by the `finishReason` of each candidate and `promptFeedback.blockReason`."""
    if block_reason:
        return "BLOCKED"
    return worst([GEMINI_FINISH_REASONS.get(reason, "SUCCESS") for reason in finish_reasons])


def gemini_interaction_status(status: str | None) -> Status:
    """Status of an interaction by its `status`."""
    return GEMINI_INTERACTION_STATUSES.get(status or "", "SUCCESS")


@dataclass(frozen=True)
class Failure:
    """An exception as an event tells it. `code` is the provider's own word for the error."""

    status: Status
    error_type: str
    message: str
    http_status: int | None = None
    code: str | None = None


_ENDED_WITHOUT_AN_ERROR: Final[Mapping[str, Status]] = MappingProxyType(
    {"LengthFinishReasonError": "MAX_TOKENS", "ContentFilterFinishReasonError": "CONTENT_FILTER"}
)
_CANCELLED: Final = frozenset({"CancelledError", "Cancelled", "KeyboardInterrupt"})


def failure_of(error: BaseException) -> Failure:
    """What to record of an exception out of a provider's package, or of one that ended the call from outside.

    Exceptions are known by the names of their classes and attributes, so that no provider's package is imported.
    """
    name = type(error).__name__
    http_status = _http_status(error)
    code = _code(error)
    status: Status = "BLOCKED" if http_status == 400 and code in BLOCKED_CODES else "ERROR"
    return Failure(
        status=_ENDED_WITHOUT_AN_ERROR.get(name, status),
        error_type="cancelled" if name in _CANCELLED else name,
        message=(str(error) or name)[:MAX_ERROR_MESSAGE_CHARACTERS],
        http_status=http_status,
        code=code,
    )


def _http_status(error: BaseException) -> int | None:
    # google-genai keeps the HTTP status in `code`, where the others have their own word.
    for value in (getattr(error, "status_code", None), getattr(error, "code", None)):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _code(error: BaseException) -> str | None:
    for value in (getattr(error, "code", None), getattr(error, "status", None), _body_type(error)):
        if isinstance(value, str) and value:
            return value[:100]
    return None


def _body_type(error: BaseException) -> Any:
    """`error.type` in the body of an answer, which is Anthropic's word for the error."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, Mapping) else None
    return inner.get("type") if isinstance(inner, Mapping) else getattr(error, "type", None)
