"""Our rates against a second list: a stand-in for the rules, and the real package for what is known of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from pricing.catalog import Catalog, load
from pricing.costs import Meter
from pricing.importers.cross_check import Disagreement, by_model, cross_check, load_second_list
from pricing.importers.rows import CardRow, FactorRow, PolicyRow, PriceList, RateRow
from pricing.importers.store import import_price_list
from pricing.models import PricingRevision
from tests.pricing.test_store import LATER, NOW, SOURCE, card, price_list

pytestmark = pytest.mark.django_db
THEIRS = "https://second.example/prices"
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Second:
    """A second list that says the same of every moment; rates in USD per million tokens by model."""

    rates: Mapping[str, Mapping[str, str]]
    rules: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    provider: str = "acme"
    currency: str = "USD"
    since: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    @property
    def canonical_ids(self) -> dict[tuple[str, str], str]:
        return {(self.provider, name): name for name in self.rates}

    def lookup_price(self, *, model: str, provider: str, at: datetime, region: str) -> Any:
        assert (provider, region) == (self.provider, "global")
        if at < self.since:
            return SimpleNamespace(price=None, reasons=())
        stated = {f"{meter}_per_mtok": Decimal(usd) for meter, usd in self.rates[model].items()}
        price = SimpleNamespace(**(dict.fromkeys(RATES) | stated), rules=self.rules, currency=self.currency)
        price.source_url = THEIRS
        return SimpleNamespace(price=price, reasons=self.reasons)


RATES = (
    *("input_per_mtok", "output_per_mtok", "cache_read_per_mtok", "cache_write_5m_per_mtok", "cache_write_1h_per_mtok"),
    *("batch_input_per_mtok", "batch_output_per_mtok", "batch_cache_read_per_mtok"),
)


def listed(key: str, *rates: tuple[Meter, int, str], **fields: Any) -> CardRow:
    rows = tuple(sorted(RateRow(meter, over, Decimal(usd)) for meter, over, usd in rates))
    return CardRow(
        ("acme", key),
        fields.pop("tier", "standard"),
        fields.pop("start", None),
        None,
        fields.pop("window", None),
        "assumed",
        False,
        SOURCE,
        rows,
    )


def found(*cards: CardRow, second: Second, now: datetime = NOW) -> list[tuple[Any, ...]]:
    import_price_list(price_list("1", cards), now=NOW)
    return [short(each) for each in cross_check(load(), second, now=now)]


def short(each: Disagreement) -> tuple[Any, ...]:
    return (each.model, each.tier, each.meter, each.prompt_over, each.at, f"{each.ours:f}", f"{each.theirs:f}")


def test_lists_that_agree() -> None:
    assert found(card("m", "1.5"), second=Second({"m": {"input": "1.50", "output": "1.5"}})) == []


def test_each_rate_that_differs_with_both_values_and_both_sources() -> None:
    import_price_list(price_list("1", [card("m", "1"), card("n", "1")]), now=NOW)
    (each,) = cross_check(load(), Second({"m": {"input": "1", "output": "2"}, "n": {"input": "1"}}), now=NOW)
    assert short(each) == ("m", "standard", "output", 0, NOW, "1.000000", "2")
    assert (each.provider, each.our_source, each.their_source, each.is_settled) == ("acme", SOURCE, THEIRS, False)


def test_a_rate_that_we_charge_in_place_of_one_we_lack_is_compared_too() -> None:
    second = Second({"m": {"input": "1", "cache_read": "0.1"}})
    assert found(card("m", "1"), second=second) == [("m", "standard", "cache_read", 0, NOW, "1.000000", "0.1")]


def test_moments_from_which_our_rates_change_are_compared_and_each_difference_is_told_once() -> None:
    cards = [card("m", "1", None, BEFORE), card("m", "2", BEFORE, LATER), card("m", "3", LATER)]
    assert found(*cards, second=Second({"m": {"input": "2"}}), now=NOW) == [
        ("m", "standard", "input", 0, LATER, "3.000000", "2")
    ]
    assert [row[4] for row in found(*cards, second=Second({"m": {"input": "9"}}), now=NOW)] == [BEFORE, LATER]


@pytest.mark.parametrize(
    "second",
    [
        Second({"other": {"input": "2"}}),
        Second({"m": {"input": "2"}}, reasons=("price_ended",)),
        Second({"m": {"input": "2"}}, currency="CNY"),
        Second({"m": {"input": "2"}}, since=LATER),
        Second({"m": {"input": "2"}}, provider="vercel"),
        Second({"m": {"batch_input": "2"}}),  # we have no batch price: nothing to compare
    ],
)
def test_where_one_list_says_nothing_there_is_no_disagreement(second: Second) -> None:
    assert found(card("m", "1"), second=second) == []


@pytest.mark.parametrize(
    ("ours_over", "threshold", "expected"),
    [
        (200_000, 200_000, []),
        (199_999, 200_000, []),  # "from" and "above" 200,000
        (128_000, 200_000, [("input", 128_000, "2.000000", "1"), ("output", 128_000, "2.000000", "1")]),
    ],
)
def test_long_prompts(ours_over: int, threshold: int, expected: list[Any]) -> None:
    rows = listed("m", ("input", 0, "1"), ("output", 0, "1"), ("input", ours_over, "2"), ("output", ours_over, "2"))
    rules = {"long_context": {"threshold": threshold, "input_multiplier": 2, "output_multiplier": 2.0}}
    second = Second({"m": {"input": "1", "output": "1"}}, rules)
    assert [(row[2], row[3], *row[5:]) for row in found(rows, second=second)] == expected


def test_batch_rates_also_where_a_factor_gives_ours() -> None:
    policy = PolicyRow("acme", None, "batch", f"{SOURCE}/batch", (FactorRow("input", 0, Decimal("0.5")),))
    wanted = price_list("1", [card("m", "1")])
    import_price_list(PriceList(**(fields(wanted) | {"policies": (policy,)})), now=NOW)
    second = Second({"m": {"input": "1", "output": "1", "batch_input": "0.4", "batch_output": "1"}})
    (each,) = cross_check(load(), second, now=NOW)
    assert short(each) == ("m", "batch", "input", 0, NOW, "0.500000", "0.4")
    assert each.our_source == f"{SOURCE}/batch"


def fields(wanted: PriceList) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in wanted.__slots__}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 2, 9, tzinfo=UTC), []),  # Monday, in their peak hours
        (datetime(2026, 11, 2, 10, tzinfo=UTC), ["0.5"]),
        (datetime(2026, 11, 1, 9, tzinfo=UTC), ["0.5"]),  # Sunday
    ],
)
def test_their_peak_hours(now: datetime, expected: list[str]) -> None:
    discount = {"peak_hours_utc": [[8, 10]], "peak_weekdays_only": True, "multiplier": "0.5"}
    second = Second({"m": {"input": "1"}}, {"off_peak_discount": discount})
    assert [row[6] for row in found(card("m", "1"), second=second, now=now)] == expected


def test_our_correction_settles_a_disagreement() -> None:
    import_price_list(price_list("1", [card("m", "1")]), now=NOW)
    corrected = PriceList(
        source="corrections.yaml",
        version="1",
        raw=b"corrections",
        providers=(),
        provider_aliases=(),
        models=(),
        aliases=(),
        cards=(card("m", "2"),),
        policies=(),
        layer=20,
    )
    import_price_list(corrected, now=NOW)
    second = Second({"m": {"input": "1", "output": "2"}})
    (each,) = cross_check(load(), second, now=NOW)
    assert (each.is_settled, str(each.ours)) == (True, "2.000000")


def test_only_the_models_asked_for() -> None:
    import_price_list(price_list("1", [card("m", "1"), card("n", "1")]), now=NOW)
    second = Second({"m": {"input": "2"}, "n": {"input": "2"}})
    catalog = load()
    assert [each.model for each in cross_check(catalog, second, now=NOW, only={("acme", "n")})] == ["n"]
    assert list(by_model(cross_check(catalog, second, now=NOW))) == [
        ("acme", "m", "standard", NOW),
        ("acme", "n", "standard", NOW),
    ]


def test_the_installed_packages(catalog: Catalog) -> None:
    """What is known of both, without our corrections: a model on which they agree, and one on which they do not.

    The second list prices gemini-3.5-flash as the model to which calls are routed since October 2026; ours is the
    price that Google's page still shows.
    """
    library = load(PricingRevision.objects.filter(note__startswith="genai-prices ").earliest("pk").pk)
    checked = {("openai", "gpt-5"), ("google", "gemini-3.5-flash")}
    found = cross_check(library, load_second_list(), now=datetime(2026, 11, 21, tzinfo=UTC), only=checked)
    assert {(each.model, each.is_settled) for each in found} == {("gemini-3.5-flash", False)}
    standard = {each.meter: each for each in found if each.tier == "standard"}
    assert (standard["input"].ours, standard["input"].theirs) == (Decimal("1.5"), Decimal("0.75"))
    assert (standard["output"].ours, standard["output"].theirs) == (Decimal("9"), Decimal("3.75"))
    assert standard["input"].our_source.startswith("https://")
    assert standard["input"].their_source.startswith("https://ai.google.dev/")


def test_every_provider_of_the_second_list_that_is_looked_up_is_one_of_ours(catalog: Catalog) -> None:
    """A provider that we spell otherwise would never be compared, and nobody would notice."""
    second = load_second_list()
    known = {
        provider
        for provider, name in second.canonical_ids
        if catalog.resolve(provider, name, 1_795_219_200_000).status != "unpriced_provider"
    }
    assert {"openai", "anthropic", "google", "vertex-ai", "bedrock", "x-ai", "mistral", "deepseek"} <= known
