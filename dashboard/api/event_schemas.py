"""Events as the API answers them: the names are those of the columns of exports."""

from typing import Annotated, Any, Self

from pydantic import Field

from dashboard.api.fields import (
    ExactUsd,
    Instant,
    JsonObject,
    JsonObjectOrNull,
    Usd,
    as_stored,
    exact,
    instant,
    number,
)
from dashboard.queries.events import EventDetail, FormerCost
from events.models import Environment
from events.models.event import public_id
from metering.api.fields import Outgoing
from pricing.costs import Line, usd_per_mtok
from pricing.receipts import Receipt


class EventOut(Outgoing):
    """One LLM call; what was not given is null. Input is the whole prompt, output all that is billed."""

    id: Annotated[str, Field(pattern="^evt_[0-9a-f]{32}$")]
    occurred_at: Instant
    received_at: Instant
    environment: str
    status: str
    error_message: str | None
    feature: str | None
    step: str | None
    user_id: Annotated[str | None, Field(description="Your own id of the user.")]
    user_name: str | None
    session_id: str | None
    conversation_id: str | None
    provider: str | None
    model: str | None
    service_tier: str
    region: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    latency_ms: float | None
    streaming_duration_ms: float | None
    is_streamed: bool | None
    cost: Usd
    cost_usd: ExactUsd
    price_status: str
    pricing_revision: int
    api_key_name: str | None
    flags: list[str]
    metadata: JsonObject

    @classmethod
    def of(cls, found: EventDetail, **more: Any) -> Self:
        """From a row of `queries.events`."""
        return cls(
            id=public_id(found.id),
            occurred_at=instant(found.occurred_at),
            received_at=instant(found.received_at),
            environment=Environment(found.environment).label,
            status=found.status.label,
            service_tier=found.service_tier.label,
            user_id=found.user or None,
            cost=number(found.cost_picousd),
            cost_usd=exact(found.cost_picousd),
            api_key_name=found.api_key or None,
            flags=[flag.label for flag in found.flags],
            metadata=as_stored(found.metadata or "{}"),
            **_same(found),
            **more,
        )


_TEXTS = ("error_message", "feature", "step", "user_name", "session_id", "conversation_id", "provider", "model")
_AS_THEY_ARE = (
    *("region", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("reasoning_tokens", "latency_ms", "streaming_duration_ms", "is_streamed", "price_status", "pricing_revision"),
)


def _same(found: EventDetail) -> dict[str, Any]:
    """What is called the same here and there."""
    texts = {name: getattr(found, name) or None for name in _TEXTS}
    return texts | {name: getattr(found, name) for name in _AS_THEY_ARE}


class LineOut(Outgoing):
    """Tokens of one meter, their rate, and what they cost; amounts are exact text in USD."""

    meter: str
    tokens: int
    usd_per_mtok: str
    cost_usd: str

    @classmethod
    def of(cls, line: Line) -> "LineOut":
        """From a line of a cost."""
        rate = f"{usd_per_mtok(line.rate_picousd):f}"
        return cls(meter=line.meter, tokens=line.tokens, usd_per_mtok=rate, cost_usd=exact(line.cost_picousd) or "")


class ReceiptOut(Outgoing):
    """Where the cost comes from. `rate_from`: the tier's own price list, or derived from the standard one by a rule."""

    model: str
    tier: str
    region: str
    rate_from: str
    valid_from: Instant | None
    source: str
    source_url: str | None
    revision: Annotated[int, Field(description="The revision of the price catalog that brought these rates.")]
    superseded: Annotated[bool, Field(description="Whether a later revision has replaced them.")]
    lines: list[LineOut]

    @classmethod
    def of(cls, receipt: Receipt) -> "ReceiptOut":
        """From the receipt of a stored event."""
        return cls(
            model=f"{receipt.provider}/{receipt.model}",
            tier=receipt.tier,
            region=receipt.region,
            rate_from=receipt.rate_from,
            valid_from=instant(receipt.valid_from) if receipt.valid_from else None,
            source=receipt.source,
            source_url=receipt.source_url or None,
            revision=receipt.revision,
            superseded=receipt.superseded,
            lines=[LineOut.of(line) for line in receipt.cost.lines],
        )


class FormerCostOut(Outgoing):
    """What the event cost until a revision of the price catalog replaced it; null: no price was known."""

    cost_usd: ExactUsd
    replaced_at: Instant
    replaced_by_revision: int
    note: str | None


class EventInFullOut(EventOut):
    """One LLM call with the provider's own usage as it was sent, what its cost is made of and what it cost before."""

    api_flavor: str | None
    provider_usage: JsonObjectOrNull
    receipt: Annotated[ReceiptOut | None, Field(description="Null while no price is known.")]
    former_costs: Annotated[list[FormerCostOut], Field(description="The latest first.")]

    @classmethod
    def in_full(cls, found: EventDetail, receipt: Receipt | None, former: tuple[FormerCost, ...]) -> Self:
        """From what the database knows of the event."""
        return cls.of(
            found,
            api_flavor=found.api_flavor or None,
            provider_usage=as_stored(found.provider_usage),
            receipt=ReceiptOut.of(receipt) if receipt else None,
            former_costs=[
                FormerCostOut(
                    cost_usd=exact(one.cost_picousd),
                    replaced_at=instant(one.replaced_at),
                    replaced_by_revision=one.revision,
                    note=one.note or None,
                )
                for one in former
            ],
        )
