"""Meters and their rates in words."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from dashboard.formats import day, quantity, usd_exact
from dashboard.queries.meter_usage import MeterFacts
from metering.models import MeterRate
from metering.rating import FlatFee, Package, PerUnit, Rate, Tier, Volume

AGGREGATIONS = {
    "SUM": "Sum of the quantities",
    "COUNT": "Number of records",
    "MAX": "Largest quantity",
    "LATEST": "Latest quantity",
}
ADDS_UP = ("SUM", "COUNT")
"""Only these come to the same whether a period is read whole or in parts."""


def aggregation(meter: MeterFacts) -> str:
    """How the records of one customer become a quantity."""
    return AGGREGATIONS.get(meter.aggregation) or f"Number of different values of {meter.unique_key}"


def with_unit(text: str, unit: str) -> str:
    """A quantity with its unit, where it has one."""
    return f"{text} {unit}".strip()


def rates_in_force(rates: Iterable[MeterRate], unit: str, today: date) -> tuple[str, ...]:
    """What everybody pays today, and how many customers have rates of their own; lines of text."""
    known = sorted(rates, key=lambda one: one.effective_from)
    general = [one for one in known if one.tracked_user_id is None]
    current = [one for one in general if one.effective_from <= today]
    coming = [one for one in general if one.effective_from > today]
    lines = [f"{rate_words(current[-1].rate, unit)}, since {day(current[-1].effective_from)}"] if current else []
    lines += [f"From {day(one.effective_from)}: {rate_words(one.rate, unit)}" for one in coming]
    if own := len({one.tracked_user_id for one in known} - {None}):
        lines.append(f"{own} {'customer has' if own == 1 else 'customers have'} a rate of their own")
    return tuple(lines)


def rate_words(rate: Rate, unit: str) -> str:
    """A rate as a sentence without its end: "$0.01 per page, 100 free, at least $5.00 a month"."""
    parts = [_model_words(rate, unit or "unit")]
    if rate.allowance:
        parts.append(f"{quantity(rate.allowance)} free")
    if rate.minimum_usd:
        parts.append(f"at least {usd_exact(rate.minimum_usd)} a month")
    return ", ".join(parts)


def _model_words(rate: Rate, unit: str) -> str:
    match rate.model:
        case FlatFee(fee_usd):
            return f"{usd_exact(fee_usd)} a month"
        case PerUnit(unit_price_usd):
            return f"{usd_exact(unit_price_usd)} per {unit}"
        case Package(size, price_usd):
            return f"{usd_exact(price_usd)} for each started {quantity(size)} {unit}"
        case model:
            kind = "all units at the month's tier" if isinstance(model, Volume) else "each tier at its own price"
            return f"{'; '.join(_tier_words(model.tiers, unit))} ({kind})"


def _tier_words(tiers: Sequence[Tier], unit: str) -> Iterator[str]:
    for number, tier in enumerate(tiers):
        bound = f"up to {quantity(tier.up_to)}" if tier.up_to is not None else "above" if number else "any"
        fee = f" and {usd_exact(tier.flat_fee_usd)}" if tier.flat_fee_usd else ""
        yield f"{bound}: {usd_exact(tier.unit_price_usd)} per {unit}{fee}"
