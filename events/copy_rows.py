"""Events as lines of COPY's text format. Written by hand: adapting values one by one costs a third of the write."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from events.models.event import ServiceTier, Status
from events.rollups import DELTA_COLUMNS, latency_bucket, local_day, local_hour

if TYPE_CHECKING:
    from events.writer import Row

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
    "metadata",
)
EVENT_COPY = f"COPY event ({', '.join(EVENT_COLUMNS)}) FROM STDIN"
DELTA_COPY = f"COPY usage_delta ({', '.join(DELTA_COLUMNS)}) FROM STDIN"

STATUS = {choice.label: choice.value for choice in Status}
TIER = {choice.label: choice.value for choice in ServiceTier}
FINE = frozenset({"SUCCESS", "MAX_TOKENS"})
"""Statuses that do not count as errors: a full answer, and one that met its own limit."""

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
    return _line(
        (
            row.id.hex,
            row.id.int & 0xFF,
            row.key.organization_id,
            row.key.environment,
            row.key.id,
            row.tracked_user_id,
            row.received_at.isoformat(),
            STATUS[event.status],
            TIER[event.service_tier],
            None if event.is_streamed is None else "ft"[event.is_streamed],
            row.flags,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
            usage.reasoning_tokens,
            event.latency_ms,
            event.streaming_duration_ms,
            cost.picousd,
            cost.status,
            cost.card_id,
            cost.tier_policy_id,
            row.pricing_revision,
            _escaped(event.feature),
            _escaped(event.step),
            _escaped(event.session_id),
            _escaped(event.conversation_id),
            _escaped(event.provider),
            _escaped(event.model),
            _escaped(event.api_flavor),
            _escaped(event.error_message),
            _escaped(event.provider_usage),
            _escaped(event.metadata),
        )
    )


def _delta_line(row: "Row", sign: int) -> str:
    event, usage, cost = row.event, row.usage, row.cost
    hour, day = _local(event.occurred_at_ms // 60_000, row.key.zone)
    return _line(
        (
            row.key.organization_id,
            row.key.environment,
            hour.isoformat(),
            day.isoformat(),
            row.tracked_user_id or 0,
            _escaped(event.feature),
            _escaped(event.step),
            _escaped(event.provider),
            _escaped(event.model),
            STATUS[event.status],
            TIER[event.service_tier],
            latency_bucket(event.latency_ms),
            sign,
            0 if event.status in FINE else sign,
            sign if cost.picousd is None else 0,
            sign * usage.input_tokens,
            sign * usage.output_tokens,
            sign * usage.cached_tokens,
            sign * usage.cache_write_tokens,
            sign * usage.reasoning_tokens,
            sign * (cost.picousd or 0),
        )
    )


@lru_cache(maxsize=4096)
def _local(minute: int, zone: ZoneInfo) -> tuple[datetime, date]:
    """The local hour and day of a minute since 1970: zones are off by whole minutes, and events come close together."""
    at = datetime.fromtimestamp(minute * 60, UTC)
    return local_hour(at, zone), local_day(at, zone)


def _line(values: Sequence[object]) -> str:
    return "\t".join("\\N" if value is None else str(value) for value in values) + "\n"


def _escaped(text: str | None) -> str | None:
    if text and _SPECIAL.search(text):
        return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text)
    return text
