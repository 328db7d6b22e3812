"""Meters and rates as the API reads and writes them."""

from datetime import date, datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from pydantic import Field

from metering.api.fields import Day, Id, Incoming, Label, Name, Number, Outgoing, Unit, plain
from metering.models import Meter, MeterRate, RateTier

type AggregationWord = Literal["SUM", "COUNT", "MAX", "LATEST", "UNIQUE_COUNT"]
type KindWord = Literal["flat", "per_unit", "package", "graduated", "volume"]


class TierIn(Incoming):
    """What is more than the tier before goes up to and at most `up_to`; null for the last one."""

    up_to: Number | None = None
    unit_price_usd: Number
    flat_fee_usd: Number | None = None


class RateIn(Incoming):
    """A rate from a day on; `customer_id` null: for everybody who has no rate of their own."""

    kind: KindWord
    effective_from: Day
    customer_id: Id | None = None
    unit_price_usd: Annotated[Number | None, Field(description="per_unit: the price of one")] = None
    fee_usd: Annotated[Number | None, Field(description="flat: what every billing month costs")] = None
    package_size: Annotated[Number | None, Field(description="package: units in one")] = None
    package_price_usd: Annotated[Number | None, Field(description="package: the price of one")] = None
    allowance: Annotated[Number | None, Field(description="units of each month that are free")] = None
    minimum_usd: Annotated[Number | None, Field(description="the least that a month with a charge costs")] = None
    tiers: Annotated[list[TierIn], Field(max_length=100, description="graduated and volume: from low to high")] = []


class MeterIn(Incoming):
    """A new meter. UNIQUE_COUNT counts the different values of the metadata key `unique_key`."""

    name: Name
    unit: Unit = ""
    aggregation: AggregationWord = "SUM"
    unique_key: Label | None = None
    rates: Annotated[list[RateIn], Field(max_length=100)] = []


class MeterPatch(Incoming):
    """What is to change; `aggregation` and `unique_key` stay once the meter has records."""

    name: Name = ""
    unit: Unit = ""
    aggregation: AggregationWord = "SUM"
    unique_key: Label | None = None


class TierOut(Outgoing):
    """A tier; numbers are strings with all their digits."""

    up_to: str | None
    unit_price_usd: str
    flat_fee_usd: str

    @classmethod
    def of(cls, tier: RateTier) -> "TierOut":
        return cls(
            up_to=None if tier.up_to is None else plain(tier.up_to),
            unit_price_usd=plain(tier.unit_price_usd),
            flat_fee_usd=plain(tier.flat_fee_usd),
        )


class RateOut(Outgoing):
    """A rate; numbers are strings with all their digits."""

    id: int
    kind: KindWord
    effective_from: date
    customer_id: int | None
    unit_price_usd: str | None
    fee_usd: str | None
    package_size: str | None
    package_price_usd: str | None
    allowance: str
    minimum_usd: str
    tiers: list[TierOut]
    created_at: datetime

    @classmethod
    def of(cls, rate: MeterRate) -> "RateOut":
        """Reads the tiers, prefetched or not."""
        prices = {
            name: None if (value := getattr(rate, name)) is None else plain(value)
            for name in ("unit_price_usd", "fee_usd", "package_size", "package_price_usd")
        }
        return cls(
            id=rate.pk,
            kind=cast(KindWord, rate.kind),
            effective_from=rate.effective_from,
            customer_id=rate.tracked_user_id,
            **prices,
            allowance=plain(rate.allowance),
            minimum_usd=plain(rate.minimum_usd),
            tiers=[TierOut.of(tier) for tier in rate.tiers.all()],
            created_at=rate.created_at,
        )


class MeterOut(Outgoing):
    """A meter with its rates, the newest first. Programs name it by its token when they send usage."""

    id: int
    name: str
    token: UUID
    unit: str
    aggregation: AggregationWord
    unique_key: str | None
    created_at: datetime
    archived_at: datetime | None
    rates: list[RateOut]

    @classmethod
    def of(cls, meter: Meter) -> "MeterOut":
        """Reads the rates and their tiers, prefetched or not."""
        return cls(
            id=meter.pk,
            name=meter.name,
            token=meter.token,
            unit=meter.unit,
            aggregation=cast(AggregationWord, meter.aggregation),
            unique_key=meter.unique_key or None,
            created_at=meter.created_at,
            archived_at=meter.archived_at,
            rates=[RateOut.of(rate) for rate in meter.rates.all()],
        )
