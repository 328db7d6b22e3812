"""Events as lines of COPY's text format. Written by hand: adapting values one by one costs a third of the write."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from events.models.event import FINE_STATUSES, ServiceTier, Status
from events.rollups import DELTA_COLUMNS, latency_bucket, local_day, local_hour

if TYPE_CHECKING:
    from events.rows import Row

EVENT_COLUMNS = (
    "id",
    "slot",
    "organization_id",
    "environment",
    "api_key_id",
    "tracked_user_id",
    "received_at",
    "status",
    "service_tier",
    "is_streamed",
    "flags",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "latency_ms",
    "streaming_duration_ms",
    "cost_picousd",
    "price_status",
    "rate_card_id",
    "tier_policy_id",
    "pricing_revision",
    "feature",
    "step",
    "session_id",
    "conversation_id",
    "provider",
    "model",
    "api_flavor",
    "error_message",
    "provider_usage",
    "region",
    "metadata",
)
EVENT_COPY = f"COPY event ({', '.join(EVENT_COLUMNS)}) FROM STDIN"
DELTA_COPY = f"COPY usage_delta ({', '.join(DELTA_COLUMNS)}) FROM STDIN"

STATUS = {choice.label: choice.value for choice in Status}
TIER = {choice.label: choice.value for choice in ServiceTier}
FINE = frozenset(status.label for status in FINE_STATUSES)

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def event_lines(rows: Iterable["Row"]) -> bytes:
    """The rows for EVENT_COPY."""
    return "".join(map(_event_line, rows)).encode()


def delta_lines(rows: Iterable["Row"], sign: int = 1) -> bytes:
    """The rows for DELTA_COPY: what each event adds to the rollups."""
    return "".join(_delta_line(row, sign) for row in rows).encode()


def _event_line(row: "Row") -> str:
    event, usage, cost = row.event, row.usage, row.cost
    assert row.id is not None
    streamed = None if event.is_streamed is None else "ft"[event.is_streamed]
    texts = _escaped(
        f"{event.feature}\x1f{event.step}\x1f{event.session_id}\x1f{event.conversation_id}\x1f{event.provider}"
        f"\x1f{event.model}",
        (event.feature, event.step, event.session_id, event.conversation_id, event.provider, event.model),
    )
    return (
        f"{row.id.hex}\t{row.id.int & 0xFF}\t{row.key.organization_id}\t{row.key.environment}\t{row.key.id}"
        f"\t{_or_null(row.tracked_user_id)}\t{row.received_at.isoformat()}\t{STATUS[event.status]}"
        f"\t{TIER[event.service_tier]}\t{_or_null(streamed)}\t{row.flags}\t{usage.input_tokens}\t{usage.output_tokens}"
        f"\t{usage.cached_tokens}\t{usage.cache_write_tokens}\t{usage.cache_write_1h_tokens}\t{usage.reasoning_tokens}"
        f"\t{_or_null(event.latency_ms)}\t{_or_null(event.streaming_duration_ms)}\t{_or_null(cost.picousd)}"
        f"\t{cost.status}\t{_or_null(cost.card_id)}\t{_or_null(cost.tier_policy_id)}\t{row.pricing_revision}\t{texts}"
        f"\t{_text_or_null(event.api_flavor)}\t{_text_or_null(event.error_message)}"
        f"\t{_text_or_null(event.provider_usage)}\t{event.region}\t{_text_or_null(event.metadata)}\n"
    )


def _delta_line(row: "Row", sign: int) -> str:
    event, usage, cost = row.event, row.usage, row.cost
    hour, day = _local(event.occurred_at_ms // 60_000, row.key.zone)
    texts = _escaped(
        f"{event.feature}\x1f{event.step}\x1f{event.provider}\x1f{event.model}",
        (event.feature, event.step, event.provider, event.model),
    )
    return (
        f"{row.key.organization_id}\t{row.key.environment}\t{hour}\t{day}\t{row.tracked_user_id or 0}\t{texts}"
        f"\t{STATUS[event.status]}\t{TIER[event.service_tier]}\t{_or_null(latency_bucket(event.latency_ms))}"
        f"\t{_or_null(latency_bucket(event.streaming_duration_ms))}\t{sign}"
        f"\t{0 if event.status in FINE else sign}\t{sign if cost.picousd is None else 0}\t{sign * usage.input_tokens}"
        f"\t{sign * usage.output_tokens}\t{sign * usage.cached_tokens}\t{sign * usage.cache_write_tokens}"
        f"\t{sign * usage.reasoning_tokens}\t{sign * (cost.picousd or 0)}\n"
    )


@lru_cache(maxsize=4096)
def _local(minute: int, zone: ZoneInfo) -> tuple[str, str]:
    """The local hour and day of a minute since 1970: zones are off by whole minutes, and events come close together."""
    at = datetime.fromtimestamp(minute * 60, UTC)
    return local_hour(at, zone).isoformat(), local_day(at, zone).isoformat()


def _or_null(value: object) -> object:
    return "\\N" if value is None else value


def _text_or_null(text: str | None) -> str:
    return "\\N" if text is None else _SPECIAL.sub(_escape, text)


def _escaped(joined: str, texts: Sequence[str]) -> str:
    """Neighbouring text columns, tabs between them. One look at all of them, since hardly any needs escaping."""
    if _SPECIAL.search(joined) or joined.count("\x1f") >= len(texts):
        return "\t".join(_SPECIAL.sub(_escape, text) for text in texts)
    return joined.replace("\x1f", "\t")


def _escape(match: "re.Match[str]") -> str:
    return _ESCAPES[match[0]]
