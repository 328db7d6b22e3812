"""What is sent in one request and how its answer is read: events in batches, metered usage one by one. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from fluxgate_sdk.tracking import Answer, CostTrackingResponse, answered, failed

Verdict = Literal["answered", "unauthorized", "refused", "too_large", "unpackable", "failed", "again"]

_VERDICTS: dict[int, Verdict] = {
    200: "answered",
    400: "refused",
    401: "unauthorized",
    403: "unauthorized",
    409: "refused",
    413: "too_large",
    415: "unpackable",
    422: "refused",
    500: "failed",
    501: "failed",
}
_PASSING = ("unavailable", "internal")
"""Types of an event's own error that are the server's trouble, not the event's."""


class Unreadable(Exception):
    """The answer is not what a FluxGate server says."""


Body = dict[str, Any] | Callable[[], dict[str, Any]] | None
"""What is sent, or a function that makes the event that is to be sent."""


class Item:
    """One event or usage record on its way: a body, then its JSON, and who is told what became of it."""

    __slots__ = ("body", "lane", "on_settled", "payload", "response")

    def __init__(self, lane: Lane, body: Body, response: CostTrackingResponse) -> None:
        self.lane = lane
        self.body = body
        self.payload = b""
        self.response = response
        self.on_settled: Callable[[], None] | None = None

    def settle(self, answer: Answer) -> None:
        """Tell what became of it."""
        self.response.settle(answer)
        if self.on_settled is not None:
            self.on_settled()
            self.on_settled = None


@dataclass(frozen=True)
class Lane:
    """One endpoint. `read` gives an answer for each of so many items, None for those to be sent again."""

    name: str
    path: str
    most: int
    join: Callable[[Sequence[bytes]], bytes]
    read: Callable[[bytes, int], list[Answer | None]]


def verdict_of(status: int) -> Verdict:
    """What an HTTP status means for what was sent; a status that no FluxGate server sends is worth another try."""
    return _VERDICTS.get(status, "again")


def read_error(body: bytes) -> str:
    """The server's own words in an error body, or ''."""
    try:
        return str(json.loads(body)["error"]["message"])[:300]
    except (ValueError, TypeError, KeyError):
        return ""


def _joined_events(payloads: Sequence[bytes]) -> bytes:
    return b'{"events":[' + b",".join(payloads) + b"]}"


def _alone(payloads: Sequence[bytes]) -> bytes:
    return payloads[0]


def _read_batch(body: bytes, count: int) -> list[Answer | None]:
    results = _object(body).get("results")
    if not isinstance(results, list) or len(results) != count:
        raise Unreadable(f"expected {count} results")
    return [_event_answer(result) for result in results]


def _read_event(body: bytes, count: int) -> list[Answer | None]:
    return [_event_answer(_object(body))]


def _read_usage(body: bytes, count: int) -> list[Answer | None]:
    found = _object(body)
    if not isinstance(found.get("id"), str):
        raise Unreadable("no id")
    return [answered(tracking_id=found["id"], created_at=_time(found.get("timestamp")))]


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        raise Unreadable("not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("not an object")
    return found


def _event_answer(result: Any) -> Answer | None:
    if not isinstance(result, dict):
        raise Unreadable("a result is not an object")
    if result.get("status") == "SUCCESS":
        cost, tracking_id = result.get("cost"), result.get("id")
        return answered(
            cost=Decimal(cost) if isinstance(cost, (int, Decimal)) else None,
            tracking_id=tracking_id if isinstance(tracking_id, str) else None,
            created_at=_time(result.get("createdAt")),
        )
    error = result.get("error")
    if not isinstance(error, dict):
        raise Unreadable("a result has neither success nor an error")
    if error.get("type") in _PASSING:
        return None
    return failed(str(error.get("message") or "the server refused the event"))


def _time(text: object) -> datetime | None:
    try:
        # Python before 3.11 knows no Z.
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


EVENTS = Lane("events", "/api/events/batch", 100, _joined_events, _read_batch)
ONE_EVENT = Lane("event", "/api/events", 1, _alone, _read_event)
USAGE = Lane("usage", "/api/v1/sdk/track", 1, _alone, _read_usage)
QUEUED = {lane.name: lane for lane in (EVENTS, USAGE)}
