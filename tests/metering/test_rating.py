"""Charges worked by hand, with the boundaries of tiers, and what holds for any rate and quantity."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.rating import (
    Charge,
    FlatFee,
    Graduated,
    InvalidRate,
    Line,
    Model,
    Package,
    PerUnit,
    Rate,
    Tier,
    Volume,
    charge,
    round_lines,
)

D = Decimal
# 0 to 100 at 1.00, over 100 to 200 at 0.50, over 200 at 0.10
GRADUATED = Graduated((Tier(D(100), D(1)), Tier(D(200), D("0.5")), Tier(None, D("0.1"))))
# The same prices for the whole quantity
VOLUME = Volume(GRADUATED.tiers)
# 5 for having used anything, 3 more over 10
WITH_FEES = (Tier(D(10), D(2), D(5)), Tier(None, D(1), D(3)))


@pytest.mark.parametrize(
    ("model", "quantity", "total"),
    [
        (FlatFee(D("49.90")), "0", "49.90"),
        (FlatFee(D("49.90")), "123456", "49.90"),
        (PerUnit(D("0.25")), "0", "0"),
        (PerUnit(D("0.25")), "10", "2.50"),
        (PerUnit(D("0.000000000001")), "0.000000001", "0.000000000000000000001"),
        (Package(D(1000), D(3)), "0", "0"),
        (Package(D(1000), D(3)), "0.000000001", "3"),
        (Package(D(1000), D(3)), "1000", "3"),
        (Package(D(1000), D(3)), "1000.000000001", "6"),
        (Package(D(1000), D(3)), "2500", "9"),
        (Package(D("0.3"), D(1)), "0.9", "3"),  # in binary fractions 0.9 is more than three times 0.3
        (GRADUATED, "0", "0"),
        (GRADUATED, "99.999999999", "99.999999999"),
        (GRADUATED, "100", "100"),
        (GRADUATED, "100.000000001", "100.0000000005"),
        (GRADUATED, "150", "125"),
        (GRADUATED, "200", "150"),
        (GRADUATED, "201", "150.1"),
        (GRADUATED, "1200", "250"),
        (VOLUME, "0", "0"),
        (VOLUME, "99.999999999", "99.999999999"),
        (VOLUME, "100", "100"),
        (VOLUME, "100.000000001", "50.0000000005"),
        (VOLUME, "200", "100"),
        (VOLUME, "200.000000001", "20.0000000001"),
        (VOLUME, "1200", "120"),
        (Graduated(WITH_FEES), "0", "0"),
        (Graduated(WITH_FEES), "0.5", "6"),
        (Graduated(WITH_FEES), "10", "25"),
        (Graduated(WITH_FEES), "11", "29"),  # 10 × 2 + 5, 1 × 1 + 3
        (Volume(WITH_FEES), "0", "0"),
        (Volume(WITH_FEES), "10", "25"),
        (Volume(WITH_FEES), "11", "14"),  # 11 × 1 + 3
    ],
)
def test_totals_worked_by_hand(model: Model, quantity: str, total: str) -> None:
    assert charge(Rate(model), D(quantity)).total_usd == D(total)


@pytest.mark.parametrize(
    ("allowance", "minimum", "quantity", "total"),
    [
        ("50", "0", "0", "0"),
        ("50", "0", "50", "0"),
        ("50", "0", "51", "1"),
        ("50", "0", "150", "100"),  # the tiers begin after the allowance
        ("50", "0", "151", "100.5"),
        ("0", "20", "0", "20"),
        ("0", "20", "19.99", "20"),
        ("0", "20", "20", "20"),
        ("0", "20", "20.01", "20.01"),
        ("50", "20", "50", "20"),
        ("50", "20", "75", "25"),
    ],
)
def test_the_allowance_comes_before_the_tiers_and_the_minimum_after(
    allowance: str, minimum: str, quantity: str, total: str
) -> None:
    assert charge(Rate(GRADUATED, D(allowance), D(minimum)), D(quantity)).total_usd == D(total)


def test_lines_say_how_a_total_came_about() -> None:
    assert charge(Rate(Graduated(WITH_FEES), allowance=D(4), minimum_usd=D(40)), D(16)).lines == (
        Line("Free allowance", D(4), D(0), D(0)),
        Line("Units", D(10), D(2), D(20), D(0), D(10)),
        Line("Tier fee", D(1), D(5), D(5), D(0), D(10)),
        Line("Units", D(2), D(1), D(2), D(10), None),
        Line("Tier fee", D(1), D(3), D(3), D(10), None),
        Line("Minimum", D(1), D(10), D(10)),
    )
    assert charge(Rate(VOLUME), D(150)).lines == (Line("Units", D(150), D("0.5"), D(75), D(100), D(200)),)
    assert charge(Rate(FlatFee(D(9))), D(7)).lines == (Line("Flat fee", D(1), D(9), D(9)),)
    assert charge(Rate(Package(D("1000.000"), D(3))), D(1001)).lines == (Line("Packages of 1000", D(2), D(3), D(6)),)
    assert charge(Rate(PerUnit(D(3))), D(0)).lines == ()


@pytest.mark.parametrize(
    ("model", "field", "message"),
    [
        (FlatFee(D(-1)), "fee_usd", "must not be negative"),
        (PerUnit(D("0.0000000000001")), "unit_price_usd", "must have at most 12 decimals"),
        (PerUnit(D("NaN")), "unit_price_usd", "must be a finite number"),
        (PerUnit(D(10**18)), "unit_price_usd", "must be less than 1e18"),
        (Package(D(0), D(1)), "size", "must be more than 0"),
        (Package(D("0.0000000001"), D(1)), "size", "must have at most 9 decimals"),
        (Package(D(1), D("-0.01")), "price_usd", "must not be negative"),
        (Graduated(()), "tiers", "must have at least one tier"),
        (Graduated((Tier(D(10), D(1)),)), "tiers[0].up_to", "must be left out, the last tier has no end"),
        (Volume((Tier(None, D(1)), Tier(None, D(1)))), "tiers[0].up_to", "is missing, only the last tier has no end"),
        (Volume((Tier(D(0), D(1)), Tier(None, D(1)))), "tiers[0].up_to", "must be more than 0"),
        (
            Graduated((Tier(D(10), D(1)), Tier(D("10.0"), D(1)), Tier(None, D(1)))),
            "tiers[1].up_to",
            "must be more than 10",
        ),
        (Graduated((Tier(None, D(-1)),)), "tiers[0].unit_price_usd", "must not be negative"),
        (Volume((Tier(None, D(1), D("Infinity")),)), "tiers[0].flat_fee_usd", "must be a finite number"),
    ],
)
def test_a_wrong_model_is_refused_and_the_field_named(model: Model, field: str, message: str) -> None:
    with pytest.raises(InvalidRate) as refused:
        Rate(model)
    assert [(error.field, error.message) for error in refused.value.errors] == [(field, message)]


def test_all_wrong_fields_of_a_rate_are_named_at_once() -> None:
    with pytest.raises(InvalidRate) as refused:
        Rate(FlatFee(D(-1)), allowance=D(1), minimum_usd=D("-0.5"))
    assert str(refused.value) == (
        "fee_usd: must not be negative; minimum_usd: must not be negative; "
        "allowance: must be 0, a flat fee does not depend on the quantity"
    )


@pytest.mark.parametrize("quantity", ["-0.000000001", "NaN", "Infinity", "1e18", "0.0000000001"])
def test_a_quantity_that_cannot_be_charged_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"^quantity: must "):
        charge(Rate(PerUnit(D(1))), D(quantity))


@pytest.mark.parametrize(
    ("amounts", "lines", "total", "difference"),
    [
        ((), (), "0.00", "0"),
        (("1", "2.50"), ("1.00", "2.50"), "3.50", "0"),
        (("0.005", "0.015", "0.025"), ("0.01", "0.02", "0.03"), "0.06", "0.015"),
        (("0.004999999999999999999999",), ("0.00",), "0.00", "-0.004999999999999999999999"),
        (("0.004", "0.004", "0.004"), ("0.00", "0.00", "0.00"), "0.00", "-0.012"),
        (("10.005", "-10.005"), ("10.01", "-10.01"), "0.00", "0"),
        (("-0.004",), ("0.00",), "0.00", "0.004"),
    ],
)
def test_lines_are_rounded_by_themselves_half_a_cent_away_from_zero(
    amounts: tuple[str, ...], lines: tuple[str, ...], total: str, difference: str
) -> None:
    rounded = round_lines(map(D, amounts))
    assert tuple(map(str, rounded.lines_usd)) == lines
    assert (str(rounded.total_usd), rounded.difference_usd) == (total, D(difference))


QUANTITIES = st.decimals(min_value=0, max_value=D("999999999999999999.999999999"), places=9)
PRICES = st.decimals(min_value=0, max_value=D("999999.999999999999"), places=12)
FEES = st.just(D(0)) | PRICES
SIZES = st.decimals(min_value=D("0.000000001"), max_value=D("999999999.999999999"), places=9)


@st.composite
def tiers(draw: st.DrawFn, fees: st.SearchStrategy[Decimal] = FEES) -> tuple[Tier, ...]:
    bounds: list[Decimal | None] = [*sorted(draw(st.sets(SIZES, max_size=4))), None]
    return tuple(Tier(up_to, draw(PRICES), draw(fees)) for up_to in bounds)


USED = (
    st.builds(PerUnit, PRICES)
    | st.builds(Package, SIZES, PRICES)
    | st.builds(Graduated, tiers())
    | st.builds(Volume, tiers())
)
# Small quantities too, so that tiers are met on both sides of their bounds
ANY_QUANTITY = QUANTITIES | SIZES
RATES = st.builds(Rate, USED, ANY_QUANTITY, FEES) | st.builds(Rate, st.builds(FlatFee, PRICES), minimum_usd=FEES)


def exact_sum(result: Charge) -> Fraction:
    return sum((Fraction(line.quantity) * Fraction(line.unit_price_usd) for line in result.lines), Fraction(0))


@given(RATES, ANY_QUANTITY)
def test_lines_add_up_to_the_total_and_nothing_is_rounded(rate: Rate, quantity: Decimal) -> None:
    result = charge(rate, quantity)
    assert exact_sum(result) == Fraction(result.total_usd)
    assert all(
        Fraction(line.amount_usd) == Fraction(line.quantity) * Fraction(line.unit_price_usd) for line in result.lines
    )
    assert result.total_usd >= rate.minimum_usd


def test_the_largest_numbers_are_exact() -> None:
    quantity, price = D("999999999999999999.999999999"), D("999999999999999999.999999999999")
    for model in (PerUnit(price), Package(D("0.000000001"), price), Graduated((Tier(None, price, price),))):
        result = charge(Rate(model, minimum_usd=price), quantity)
        assert exact_sum(result) == Fraction(result.total_usd)
        rounded = round_lines([result.total_usd])
        assert Fraction(rounded.total_usd) - Fraction(result.total_usd) == Fraction(rounded.difference_usd)


@given(tiers(), ANY_QUANTITY, SIZES)
def test_more_costs_no_less_in_graduated_tiers(some: tuple[Tier, ...], quantity: Decimal, more: Decimal) -> None:
    rate = Rate(Graduated(some))
    assert charge(rate, min(quantity, D(10**17)) + more).total_usd >= charge(rate, min(quantity, D(10**17))).total_usd


@given(tiers(fees=st.just(D(0))), st.data())
def test_graduated_tiers_without_fees_have_no_jumps(some: tuple[Tier, ...], data: st.DataObject) -> None:
    step = D("0.000000001")
    rate, dearest = Rate(Graduated(some)), max(tier.unit_price_usd for tier in some)
    at = data.draw(st.sampled_from([tier.up_to for tier in some if tier.up_to]) if len(some) > 1 else SIZES)
    before, here, after = (Fraction(charge(rate, at + by).total_usd) for by in (-step, D(0), step))
    assert 0 <= here - before <= Fraction(step) * Fraction(dearest)
    assert 0 <= after - here <= Fraction(step) * Fraction(dearest)


@given(tiers(), ANY_QUANTITY)
def test_volume_is_per_unit_within_the_tier_that_holds_the_quantity(some: tuple[Tier, ...], quantity: Decimal) -> None:
    holding = next(tier for tier in some if tier.up_to is None or quantity <= tier.up_to)
    per_unit = Fraction(charge(Rate(PerUnit(holding.unit_price_usd)), quantity).total_usd)
    fee = Fraction(holding.flat_fee_usd) if quantity else 0
    assert Fraction(charge(Rate(Volume(some)), quantity).total_usd) == per_unit + fee


@given(tiers(), ANY_QUANTITY)
def test_graduated_is_the_sum_of_what_lies_between_the_bounds(some: tuple[Tier, ...], quantity: Decimal) -> None:
    total, over = Fraction(0), Fraction(0)
    for tier in some:
        up_to = Fraction(quantity if tier.up_to is None else tier.up_to)
        inside = min(Fraction(quantity), up_to) - over
        if inside > 0:
            total += inside * Fraction(tier.unit_price_usd) + Fraction(tier.flat_fee_usd)
        over = up_to
    assert Fraction(charge(Rate(Graduated(some)), quantity).total_usd) == total


@given(USED, ANY_QUANTITY, ANY_QUANTITY, FEES)
def test_within_the_allowance_nothing_is_due_but_the_minimum(
    model: Model, one: Decimal, other: Decimal, minimum: Decimal
) -> None:
    assert charge(Rate(model, max(one, other), minimum), min(one, other)).total_usd == minimum


@given(st.lists(st.decimals(min_value=D(-(10**15)), max_value=D(10**15), places=21), max_size=20))
def test_a_rounded_total_is_the_sum_of_its_lines_and_off_by_half_a_cent_a_line(amounts: list[Decimal]) -> None:
    rounded = round_lines(amounts)
    exact = sum(map(Fraction, amounts), Fraction(0))
    assert Fraction(rounded.total_usd) == sum(map(Fraction, rounded.lines_usd), Fraction(0))
    assert Fraction(rounded.difference_usd) == Fraction(rounded.total_usd) - exact
    assert abs(rounded.difference_usd) <= len(amounts) * D("0.005")
