"""What somebody has to approve: the decisions as a table, and which names an import reaches."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pricing.catalog import load
from pricing.importers.cross_check import Disagreement
from pricing.importers.reach import Reach, reach_of
from pricing.importers.review import Facts, reasons, repriced
from pricing.importers.rows import AliasRow, CardRow, FactorRow, PolicyRow, PriceList, ProviderAliasRow, ProviderRow
from pricing.importers.store import import_price_list
from tests.pricing.test_store import LATER, NOW, SOURCE, card, price_list

DISPUTED = Disagreement(
    *("acme", "m", "standard", "input", 0, datetime(2026, 11, 1, tzinfo=UTC)),
    ours=Decimal(1),
    theirs=Decimal(2),
    our_source=SOURCE,
    their_source=SOURCE,
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(), []),
        (Facts(repriced=["a/m"]), ["A known model changes its price: a/m."]),
        (Facts(repriced=["a/m", "a/n"]), ["2 known models change their price: a/m, a/n."]),
        (Facts(moved=["a/latest"]), ["A name moves to another model: a/latest."]),
        (Facts(moved=["a/x", "a/y"]), ["2 names move to another model: a/x, a/y."]),
        (Facts(withdrawn=["a/old"]), ["A known name is withdrawn: a/old."]),
        (Facts(changed_providers=["azure"]), ["A known provider sells otherwise: azure."]),
        (Facts(repriced_events=1), ["1 stored event with a cost gets another."]),
        (Facts(repriced_events=12_345), ["12,345 stored events with a cost get another."]),
        (Facts(disagreements=[DISPUTED, DISPUTED]), ["metergraph-core disagrees on a model: acme/m."]),
        (
            Facts(disagreements=[DISPUTED, replace(DISPUTED, model="n")]),
            ["metergraph-core disagrees on 2 models: acme/m, acme/n."],
        ),
        (Facts(disagreements=[replace(DISPUTED, is_settled=True)]), []),
        (
            Facts(repriced=["a/m"], repriced_events=2),
            ["A known model changes its price: a/m.", "2 stored events with a cost get another."],
        ),
        # Nobody relies on the prices of an empty catalog.
        (Facts(is_first=True, repriced=["a/m"], repriced_events=2, disagreements=[DISPUTED]), []),
    ],
)
def test_what_has_to_be_approved_and_why(facts: Facts, expected: Sequence[str]) -> None:
    assert list(reasons(facts)) == expected


def test_a_long_list_is_cut() -> None:
    (sentence,) = reasons(Facts(repriced=[f"a/{number}" for number in range(1, 15)]))
    assert sentence.startswith("14 known models change their price: a/1, a/2,")
    assert sentence.endswith("a/12 and 2 more.")


FIRST = price_list("1", [card("m", "1"), card("n", "1")])


def with_fields(wanted: PriceList, **fields: Any) -> PriceList:
    return replace(wanted, **fields)


def batch(factor: str, pattern: str = "", key: str | None = None) -> PolicyRow:
    model = ("acme", key) if key else None
    return PolicyRow("acme", model, "batch", SOURCE, (FactorRow("input", 0, Decimal(factor)),), pattern)


def imported(first: PriceList, second: PriceList) -> tuple[Reach, tuple[str, ...]]:
    """What the second import reaches, and the models whose price it changes."""
    import_price_list(first, now=NOW)
    before = load()
    reach = reach_of([import_price_list(second, now=NOW).difference])
    return reach, repriced(before, load(), reach)


@pytest.mark.usefixtures("no_prices")
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([], [batch("0.5")], ()),  # a tier without a price gets one
        ([batch("0.5")], [batch("0.4")], ("acme/m", "acme/n")),
        ([batch("0.5")], [batch("0.5"), batch("0.4", "^n.*$")], ("acme/n",)),
        ([batch("0.5")], [batch("0.5"), batch("0.4", key="m")], ("acme/m",)),
        ([batch("0.5", key="m")], [batch("0.6", key="m")], ("acme/m",)),
    ],
)
def test_a_tier_rule_reaches_every_model_it_applies_to(
    first: list[PolicyRow], second: list[PolicyRow], expected: tuple[str, ...]
) -> None:
    changed = with_fields(FIRST, raw=b"2", version="2", policies=tuple(second))
    _, found = imported(with_fields(FIRST, policies=tuple(first)), changed)
    assert found == expected


@pytest.mark.usefixtures("no_prices")
def test_a_tier_rule_of_a_reseller_reaches_what_it_resells() -> None:
    shop = ProviderRow("shop", "Shop", resells=("acme",))
    first = with_fields(FIRST, providers=(*FIRST.providers, shop))
    rule = replace(batch("0.5"), provider="shop")
    reach, _ = imported(first, with_fields(first, raw=b"2", version="2", policies=(rule,)))
    assert reach.names == {("shop", "m"), ("shop", "n")}
    assert reach.models == {("acme", "m"), ("acme", "n")}


@pytest.mark.usefixtures("no_prices")
def test_a_name_that_takes_calls_from_a_prefix_changes_their_price() -> None:
    prefix = AliasRow("acme", "prefix", "m-", 0, ("acme", "m"), SOURCE)
    first = with_fields(price_list("1", [card("m", "1"), card("n", "2")]), aliases=(*FIRST.aliases, prefix))
    exact = AliasRow("acme", "exact", "m-new", 0, ("acme", "n"), SOURCE)
    reach, found = imported(first, with_fields(first, raw=b"2", version="2", aliases=(*first.aliases, exact)))
    assert reach.names == {("acme", "m-new")}
    assert found == ("acme/m",)


@pytest.mark.usefixtures("no_prices")
def test_what_is_taken_away_and_what_moves() -> None:
    cards: list[CardRow] = [card("m", "1"), card("n", "1")]
    first = price_list("1", cards, {"m": "m", "n": "n", "latest": "m", "gone": "m"})
    second = with_fields(
        price_list("2", cards, {"m": "m", "n": "n", "latest": "n"}),
        provider_aliases=(ProviderAliasRow("acme-llc", "acme", SOURCE),),
    )
    reach, found = imported(first, second)
    assert (reach.moved, reach.withdrawn, found) == (("acme/latest",), ("acme-inc", "acme/gone"), ())


@pytest.mark.usefixtures("no_prices")
def test_an_expression_that_is_only_tried_in_another_order_takes_nothing_away() -> None:
    name = AliasRow("acme", "regex", "^m-.*$", 3, ("acme", "m"), SOURCE)
    first = with_fields(FIRST, aliases=(*FIRST.aliases, name))
    second = with_fields(first, raw=b"2", version="2", aliases=(*FIRST.aliases, replace(name, rank=4)))
    reach, found = imported(first, second)
    assert (reach.withdrawn, reach.moved, found) == ((), (), ())


@pytest.mark.usefixtures("no_prices")
def test_regions_are_compared_too() -> None:
    def in_region(usd: str) -> PriceList:
        rows = (card("m", "1"), card("n", "1"), replace(card("m", usd), region="us"))
        return price_list(usd, rows)

    _, found = imported(in_region("1.1"), in_region("1.2"))
    assert found == ("acme/m",)


@pytest.mark.usefixtures("no_prices")
def test_the_same_rates_under_another_date_or_page_are_no_change() -> None:
    again = price_list(
        "2", [card("m", "1", None, LATER), card("m", "1", LATER), replace(card("n", "1"), source_url="x")]
    )
    reach, found = imported(FIRST, again)
    assert reach.models == {("acme", "m"), ("acme", "n")}
    assert found == ()
