"""Events for the tests of pages: written as the writer writes them (COPY of event and usage_delta), at chosen costs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from django.db import connection

from events import copy_rows
from events.keys import KeyRecord
from events.models import Environment, Organization, TrackedUser
from events.rows import Row
from events.schema import IncomingEvent
from pricing.costs import Cost, Usage

USD = 10**12
_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One event to store; `cost` is in picousd, None for a model without a price."""

    at: datetime
    cost: int | None = USD
    model: str = "gpt-4o"
    provider: str = "openai"
    status: str = "SUCCESS"
    feature: str = "chat"
    step: str = ""
    user: str = ""
    tier: str = "standard"
    session_id: str = ""
    conversation_id: str = ""
    environment: Environment = Environment.LIVE
    usage: Usage = field(default_factory=lambda: Usage(1200, 350, 1000))
    latency_ms: float | None = 812.4
    streaming_duration_ms: float | None = None
    error_message: str | None = None
    metadata: str | None = None
    provider_usage: str | None = None
    flags: int = 0
    rate_card_id: int | None = None
    region: str = "global"


def store_events(organization: Organization, calls: Iterable[Call]) -> list[UUID]:
    """Store the calls and what they add to the rollups; returns their ids in order."""
    wanted = list(calls)
    users = _tracked_users(organization, {call.user for call in wanted if call.user})
    rows = [_row(organization, call, users.get(call.user)) for call in wanted]
    with connection.cursor() as cursor:
        for statement, lines in (
            (copy_rows.EVENT_COPY, copy_rows.event_lines(rows)),
            (copy_rows.DELTA_COPY, copy_rows.delta_lines(rows)),
        ):
            with cursor.copy(statement) as copy:
                copy.write(lines)
    return [row.id for row in rows if row.id is not None]


def _row(organization: Organization, call: Call, tracked_user_id: int | None) -> Row:
    return Row(
        event=_incoming(call),
        key=_key(organization, call.environment),
        usage=call.usage,
        cost=Cost(call.cost, "unpriced_model" if call.cost is None else "priced", card_id=call.rate_card_id),
        pricing_revision=1,
        flags=call.flags,
        received_at=call.at,
        id=_id(call.at),
        tracked_user_id=tracked_user_id,
    )


def _incoming(call: Call) -> IncomingEvent:
    usage = call.usage
    return IncomingEvent(
        occurred_at_ms=int(call.at.timestamp() * 1000),
        status=call.status,
        service_tier=call.tier,
        provider=call.provider,
        model=call.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        feature=call.feature,
        step=call.step,
        session_id=call.session_id,
        conversation_id=call.conversation_id,
        latency_ms=call.latency_ms,
        streaming_duration_ms=call.streaming_duration_ms,
        error_message=call.error_message,
        provider_usage=call.provider_usage,
        region=call.region,
        metadata=call.metadata,
    )


def _key(organization: Organization, environment: Environment) -> KeyRecord:
    return KeyRecord(0, organization.pk, environment.value, frozenset(), organization.zone, "", None, None)


def _id(at: datetime) -> UUID:
    """A uuidv7 of the moment; ids of one millisecond ascend in the order in which they are made."""
    number = next(_numbers)
    head = int(at.astimezone(UTC).timestamp() * 1000) << 80 | 0x7 << 76
    return UUID(int=head | 0b10 << 62 | number << 8 | number % 256)


def _tracked_users(organization: Organization, external_ids: set[str]) -> dict[str, int]:
    return {
        external_id: TrackedUser.objects.get_or_create(organization=organization, external_id=external_id)[0].pk
        for external_id in sorted(external_ids)
    }
