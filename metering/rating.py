"""What a quantity of one meter in one billing period costs by a rate. Pure: no Django, no clock, no database.

Amounts are USD, exact: a Decimal goes in, a Decimal comes out, and nothing but `round_lines` rounds. Bounds of tiers
are inclusive: a tier holds what is more than the bound before it and at most its own `up_to`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Final, NamedTuple

from events.wire import FieldError

PRICE_STEP: Final = Decimal("1e-12")
QUANTITY_STEP: Final = Decimal("1e-9")
CENT: Final = Decimal("0.01")
_LIMIT: Final = Decimal(10**18)
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
# The longest product within the limits has 57 digits; whatever would still be rounded raises instead.
_EXACT: Final = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, FloatOperation])
_HALF_UP: Final = Context(prec=100, rounding=ROUND_HALF_UP, traps=[InvalidOperation])


@dataclass(frozen=True, slots=True)
class FlatFee:
    """The same in every period, used or not."""

    fee_usd: Decimal


@dataclass(frozen=True, slots=True)
class PerUnit:
    """Every unit at one price."""

    unit_price_usd: Decimal


@dataclass(frozen=True, slots=True)
class Package:
    """A price for every started package of `size` units."""

    size: Decimal
    price_usd: Decimal


@dataclass(frozen=True, slots=True)
class Tier:
    """What is more than the tier before goes up to and at most `up_to`; None for the last tier, which has no end.

    The flat fee is due as soon as any quantity falls into the tier; a quantity of zero falls into none.
    """

    up_to: Decimal | None
    unit_price_usd: Decimal
    flat_fee_usd: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class Graduated:
    """Every unit at the price of the tier in which it lies; flat fees of all tiers that were reached."""

    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """All units at the price of the tier that holds the whole quantity, and that tier's flat fee."""

    tiers: tuple[Tier, ...]


type Model = FlatFee | PerUnit | Package | Graduated | Volume


class InvalidRate(ValueError):
    """Nothing can be charged by such a rate; `errors` names every wrong field."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Rate:
    """A model, the units that are free before it applies, and the least that a period costs.

    Tiers and packages count what exceeds the allowance. Prices have at most 12 decimals, quantities 9, both are below
    1e18. Raises InvalidRate.
    """

    model: Model
    allowance: Decimal = _ZERO
    minimum_usd: Decimal = _ZERO

    def __post_init__(self) -> None:
        errors = [
            *_model_errors(self.model),
            *_number_errors("allowance", self.allowance, QUANTITY_STEP),
            *_number_errors("minimum_usd", self.minimum_usd, PRICE_STEP),
        ]
        if isinstance(self.model, FlatFee) and self.allowance:
            errors.append(FieldError("allowance", "must be 0, a flat fee does not depend on the quantity"))
        if errors:
            raise InvalidRate(errors)


class Line(NamedTuple):
    """quantity × unit_price_usd = amount_usd; a tier is what is more than `over` and at most `up_to` (None: no end)."""

    what: str
    quantity: Decimal
    unit_price_usd: Decimal
    amount_usd: Decimal
    over: Decimal | None = None  # None: the line belongs to no tier
    up_to: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What is due for one meter and period; the lines add up to the total."""

    lines: tuple[Line, ...]
    total_usd: Decimal


def charge(rate: Rate, quantity: Decimal) -> Charge:
    """The exact charge. Raises ValueError for a quantity that is negative, not a number, 1e18 or more, or too fine."""
    for error in _number_errors("quantity", quantity, QUANTITY_STEP):
        raise ValueError(f"{error.field}: {error.message}")
    with localcontext(_EXACT):
        free = min(quantity, rate.allowance)
        lines = [_line("Free allowance", free, _ZERO)] if free else []
        lines += _lines(rate.model, quantity - free)
        missing = rate.minimum_usd - _sum(lines)
        if missing > 0:
            lines.append(_line("Minimum", _ONE, missing))
        return Charge(tuple(lines), _sum(lines))


def _lines(model: Model, billable: Decimal) -> Iterator[Line]:
    match model:
        case FlatFee(fee_usd):
            yield _line("Flat fee", _ONE, fee_usd)
        case _ if not billable:
            return
        case PerUnit(unit_price_usd):
            yield _line("Units", billable, unit_price_usd)
        case Package(size, price_usd):
            full, rest = divmod(billable, size)
            yield _line(f"Packages of {size.normalize():f}", full + 1 if rest else full, price_usd)
        case Graduated(tiers):
            for over, tier in _bounded(tiers):
                if billable > over:
                    reached = billable if tier.up_to is None else min(billable, tier.up_to)
                    yield from _tier_lines(over, tier, reached - over)
        case Volume(tiers):
            over, tier = next((o, t) for o, t in _bounded(tiers) if t.up_to is None or billable <= t.up_to)
            yield from _tier_lines(over, tier, billable)


def _bounded(tiers: tuple[Tier, ...]) -> Iterator[tuple[Decimal, Tier]]:
    """Each tier with its lower bound, which lies outside of it."""
    over = _ZERO
    for tier in tiers:
        yield over, tier
        over = tier.up_to or over


def _tier_lines(over: Decimal, tier: Tier, quantity: Decimal) -> Iterator[Line]:
    yield _line("Units", quantity, tier.unit_price_usd, over, tier.up_to)
    if tier.flat_fee_usd:
        yield _line("Tier fee", _ONE, tier.flat_fee_usd, over, tier.up_to)


def _line(
    what: str, quantity: Decimal, unit_price_usd: Decimal, over: Decimal | None = None, up_to: Decimal | None = None
) -> Line:
    return Line(what, quantity, unit_price_usd, quantity * unit_price_usd, over, up_to)


def _sum(lines: Iterable[Line]) -> Decimal:
    return sum((line.amount_usd for line in lines), _ZERO)


@dataclass(frozen=True, slots=True)
class Rounded:
    """Amounts in whole cents, their sum, and how much more (less: negative) that is than the exact sum."""

    lines_usd: tuple[Decimal, ...]
    total_usd: Decimal
    difference_usd: Decimal


def round_lines(amounts_usd: Iterable[Decimal]) -> Rounded:
    """The lines of an invoice in cents: each rounded by itself, half a cent away from zero; the total is their sum.

    Away from zero on both sides, so that crediting a line takes back exactly what it charged.
    """
    exact = tuple(amounts_usd)
    with localcontext(_EXACT):
        # Adding zero turns the -0.00 that is left of -0.004 into 0.00.
        lines = tuple(_HALF_UP.quantize(amount, CENT) + _ZERO for amount in exact)
        total = sum(lines, 0 * CENT)
        return Rounded(lines, total, total - sum(exact, _ZERO))


def _model_errors(model: Model) -> Iterator[FieldError]:
    match model:
        case FlatFee(fee_usd):
            yield from _number_errors("fee_usd", fee_usd, PRICE_STEP)
        case PerUnit(unit_price_usd):
            yield from _number_errors("unit_price_usd", unit_price_usd, PRICE_STEP)
        case Package(size, price_usd):
            yield from _number_errors("size", size, QUANTITY_STEP, more_than=_ZERO)
            yield from _number_errors("price_usd", price_usd, PRICE_STEP)
        case Graduated(tiers) | Volume(tiers):
            yield from _tiers_errors(tiers)


def _tiers_errors(tiers: tuple[Tier, ...]) -> Iterator[FieldError]:
    if not tiers:
        yield FieldError("tiers", "must have at least one tier")
    over = _ZERO
    for number, tier in enumerate(tiers):
        field, last = f"tiers[{number}]", number == len(tiers) - 1
        if tier.up_to is None and not last:
            yield FieldError(f"{field}.up_to", "is missing, only the last tier has no end")
        elif tier.up_to is not None and last:
            yield FieldError(f"{field}.up_to", "must be left out, the last tier has no end")
        elif tier.up_to is not None:
            errors = tuple(_number_errors(f"{field}.up_to", tier.up_to, QUANTITY_STEP, more_than=over))
            yield from errors
            over = over if errors else tier.up_to
        yield from _number_errors(f"{field}.unit_price_usd", tier.unit_price_usd, PRICE_STEP)
        yield from _number_errors(f"{field}.flat_fee_usd", tier.flat_fee_usd, PRICE_STEP)


def _number_errors(
    field: str, value: Decimal, step: Decimal, *, more_than: Decimal | None = None
) -> Iterator[FieldError]:
    """At most one error: a number from zero (or above `more_than`) to below 1e18, a multiple of the step."""
    if not value.is_finite():
        yield FieldError(field, "must be a finite number")
    elif more_than is not None and value <= more_than:
        yield FieldError(field, f"must be more than {more_than:f}")
    elif value < 0:
        yield FieldError(field, "must not be negative")
    elif value >= _LIMIT:
        yield FieldError(field, "must be less than 1e18")
    elif _HALF_UP.quantize(value, step) != value:
        yield FieldError(field, f"must have at most {-step.adjusted()} decimals")
