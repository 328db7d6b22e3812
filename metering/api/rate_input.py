"""From the rates that callers send to rows that `metering/rating.py` can charge by; every wrong field is named."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from django.core.exceptions import ValidationError

from events.wire import FieldError
from metering.api.meter_schemas import RateIn, TierIn
from metering.models import MeterRate, RateTier
from metering.rating import FlatFee, Graduated, InvalidRate, Model, Package, PerUnit, Rate, Tier, Volume

_ZERO: Final = Decimal(0)
FIELDS_OF: Final = {
    "flat": ("fee_usd",),
    "per_unit": ("unit_price_usd",),
    "package": ("package_size", "package_price_usd"),
    "graduated": ("tiers",),
    "volume": ("tiers",),
}
_NAMES: Final = {"size": "package_size", "price_usd": "package_price_usd"}
"""What `metering.rating` calls the fields of a package."""


def errors_of(rate: RateIn, path: str = "") -> list[FieldError]:
    """What is wrong with it, each field below `path`."""
    found = list(_misplaced(rate))
    named = {error.field for error in found}
    try:
        Rate(_model(rate), rate.allowance or _ZERO, rate.minimum_usd or _ZERO)
    except InvalidRate as error:
        wrong = (FieldError(_NAMES.get(one.field, one.field), one.message) for one in error.errors)
        found += [one for one in wrong if one.field not in named]
    return [FieldError(path + error.field, error.message) for error in found]


def repeated(rates: Sequence[RateIn]) -> list[FieldError]:
    """Rates of one list that start on the same day for the same customers."""
    seen: set[tuple[object, object]] = set()
    errors = []
    for number, rate in enumerate(rates):
        start = (rate.customer_id, rate.effective_from)
        if start in seen:
            errors.append(FieldError(f"rates[{number}].effective_from", "another rate of the list starts on this day"))
        seen.add(start)
    return errors


def row(rate: RateIn, meter_id: int) -> MeterRate:
    """The row of a rate without errors, not saved, without its tiers."""
    made = MeterRate(
        meter_id=meter_id,
        tracked_user_id=rate.customer_id,
        effective_from=rate.effective_from,
        kind=rate.kind,
        unit_price_usd=rate.unit_price_usd,
        fee_usd=rate.fee_usd,
        package_size=rate.package_size,
        package_price_usd=rate.package_price_usd,
        allowance=rate.allowance or _ZERO,
        minimum_usd=rate.minimum_usd or _ZERO,
    )
    made.clean_fields(exclude=["meter", "tracked_user"])  # a question to the database each
    return made


def tier_rows(rate: RateIn, saved: MeterRate) -> list[RateTier]:
    """The rows of its tiers, not saved."""
    return [
        RateTier(
            rate=saved,
            up_to=tier.up_to,
            unit_price_usd=tier.unit_price_usd,
            flat_fee_usd=tier.flat_fee_usd or _ZERO,
        )
        for tier in rate.tiers
    ]


def model_errors(error: ValidationError) -> list[FieldError]:
    """A model's complaints in the contract's words."""
    return [
        FieldError(field, str(message).rstrip("."))
        for field, messages in error.message_dict.items()
        for message in messages
    ]


def _misplaced(rate: RateIn) -> Iterator[FieldError]:
    """Prices that the kind needs and does not have, or has and does not need."""
    needed = FIELDS_OF[rate.kind]
    for field in dict.fromkeys(name for names in FIELDS_OF.values() for name in names):
        given = bool(rate.tiers) if field == "tiers" else getattr(rate, field) is not None
        if given and field not in needed:
            yield FieldError(field, f"does not belong to the kind {rate.kind}")
        elif not given and field in needed:
            yield FieldError(field, f"is required for the kind {rate.kind}")


def _model(rate: RateIn) -> Model:
    match rate.kind:
        case "flat":
            return FlatFee(rate.fee_usd or _ZERO)
        case "per_unit":
            return PerUnit(rate.unit_price_usd or _ZERO)
        case "package":
            return Package(rate.package_size or _ZERO, rate.package_price_usd or _ZERO)
        case "graduated":
            return Graduated(_tiers(rate.tiers))
        case "volume":
            return Volume(_tiers(rate.tiers))


def _tiers(tiers: Sequence[TierIn]) -> tuple[Tier, ...]:
    return tuple(Tier(tier.up_to, tier.unit_price_usd, tier.flat_fee_usd or _ZERO) for tier in tiers)
