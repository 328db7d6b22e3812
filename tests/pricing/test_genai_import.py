"""genai-prices' own types to rows: dates, windows, thresholds, tiers and match clauses."""

import re
from collections import Counter
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from genai_prices import data_snapshot
from genai_prices import types as genai

from pricing.importers.genai import LIBRARY_URL, read_price_list
from pricing.importers.genai_models import PricesOfModel, Skipped
from pricing.importers.rows import AliasRow, FactorRow, RateRow
from pricing.windows import WeeklyWindow

KEY = ("acme", "m")
DAY = datetime(2026, 8, 17, tzinfo=UTC)


def price(**rates: str | genai.TieredPrices) -> genai.ModelPrice:
    return genai.ModelPrice(**{k: Decimal(v) if isinstance(v, str) else v for k, v in rates.items()})


def since(day: str, prices: genai.ModelPrice) -> genai.ConditionalPrice:
    return genai.ConditionalPrice(genai.StartDateConstraint(date.fromisoformat(day)), prices=prices)


def daily(start: int, end: int, prices: genai.ModelPrice) -> genai.ConditionalPrice:
    constraint = genai.TimeOfDateConstraint(time(start, tzinfo=UTC), time(end, tzinfo=UTC))
    return genai.ConditionalPrice(constraint, prices=prices)


def model(prices: genai.ModelPrice | list[genai.ConditionalPrice], *variants: genai.PriceVariant) -> genai.ModelInfo:
    return genai.ModelInfo(id="m", match=genai.ClauseEquals("m"), prices=prices, price_variants=list(variants))


def read(info: genai.ModelInfo, skipped: Skipped | None = None) -> PricesOfModel:
    return PricesOfModel.of(KEY, info, "https://acme.example/prices", Counter() if skipped is None else skipped)


def rates(*rows: tuple[str, int, str]) -> tuple[RateRow, ...]:
    return tuple(sorted(RateRow(meter, over, Decimal(value)) for meter, over, value in rows))  # type: ignore[arg-type]


def test_thresholds_and_meters() -> None:
    tiered = genai.TieredPrices(Decimal(3), [genai.Tier(200_000, Decimal(6))])
    found = read(model(price(input_mtok=tiered, cache_write_mtok="3.75", cache_write_1h_mtok="6", output_mtok="15")))
    (card,) = found.cards
    assert card.rates == rates(
        ("input", 0, "3"),
        ("input", 200_000, "6"),
        ("cache_write_5m", 0, "3.75"),
        ("cache_write_1h", 0, "6"),
        ("output", 0, "15"),
    )
    assert (card.valid_from, card.valid_to, card.tier, card.date_basis) == (None, None, "standard", "assumed")


def test_dated_prices_follow_each_other_and_equal_neighbours_are_one() -> None:
    same = price(input_mtok="2", web_searches_kcount="14")
    found = read(
        model(
            [
                genai.ConditionalPrice(prices=price(input_mtok="1")),
                since("2026-08-17", price(input_mtok="2")),
                since("2026-09-01", same),
            ]
        )
    )
    assert [(c.valid_from, c.valid_to, c.rates) for c in found.cards] == [
        (None, DAY, rates(("input", 0, "1"))),
        (DAY, None, rates(("input", 0, "2"))),
    ]


def test_windows_apply_from_the_date_they_follow_and_share_a_card_when_they_cost_the_same() -> None:
    peak = price(input_mtok="4")
    entries = [genai.ConditionalPrice(prices=price(input_mtok="1")), since("2026-08-17", price(input_mtok="2"))]
    found = read(model([*entries, daily(1, 4, peak), daily(6, 10, peak)]))
    (window,) = (card for card in found.cards if card.window)
    assert (window.valid_from, window.valid_to, window.rates) == (DAY, None, rates(("input", 0, "4")))
    assert window.window == WeeklyWindow("UTC", (1, 2, 3, 4, 5, 6, 7), (("01:00", "04:00"), ("06:00", "10:00")))


def test_a_dated_price_after_a_window_ends_it() -> None:
    first = genai.ConditionalPrice(prices=price(input_mtok="1"))
    found = read(model([first, daily(1, 4, price(input_mtok="4")), since("2026-08-17", price(input_mtok="2"))]))
    (window,) = (card for card in found.cards if card.window)
    assert (window.valid_from, window.valid_to) == (None, DAY)


def test_a_verified_tier_is_a_card_from_then_on_and_a_ratio_before() -> None:
    variant = genai.PriceVariant(
        {"processing": "batch"}, price(input_mtok="1"), genai.StartDateConstraint(date(2026, 8, 17))
    )
    found = read(model(price(input_mtok="2", cache_read_mtok="0.5", output_mtok="8"), variant))
    (batch,) = (card for card in found.cards if card.tier == "batch")
    # what the variant does not name stays at the standard rate
    assert batch.rates == rates(("input", 0, "1"), ("cache_read", 0, "0.5"), ("output", 0, "8"))
    assert (batch.valid_from, batch.date_basis) == (DAY, "documented")
    (policy,) = found.policies
    assert (policy.tier, policy.model, policy.factors) == ("batch", KEY, (FactorRow("input", 0, Decimal("0.5")),))


def test_a_tier_without_date_needs_no_ratio() -> None:
    found = read(model(price(input_mtok="2"), genai.PriceVariant({"service_tier": "flex"}, price(input_mtok="1"))))
    assert [(card.tier, card.valid_from) for card in found.cards] == [("standard", None), ("flex", None)]
    assert found.policies == ()


@pytest.mark.parametrize(
    "when", [{"service_tier": "fast"}, {"speed": "fast"}, {"processing": "batch", "speed": "fast"}]
)
def test_other_variants_are_counted_not_guessed(when: dict[str, str]) -> None:
    skipped: Skipped = Counter()
    found = read(model(price(input_mtok="2"), genai.PriceVariant(when, price(input_mtok="1"))), skipped)
    assert {card.tier for card in found.cards} == {"standard"}
    assert skipped.total() == 1


@pytest.mark.parametrize("prices", [price(), price(audio_hours="1"), price(input_mtok="0", output_mtok="0")])
def test_empty_and_zero_prices_make_no_card(prices: genai.ModelPrice) -> None:
    assert read(model(prices)).cards == ()


def test_noise_is_rounded_and_counted() -> None:
    skipped: Skipped = Counter()
    (card,) = read(model(price(input_mtok="0.18000000000000002")), skipped).cards
    assert card.rates == rates(("input", 0, "0.18"))
    assert skipped == {"rates rounded to six decimals": 1}


def test_charges_by_request_are_kept_in_mind() -> None:
    (card,) = read(model(price(input_mtok="1", requests_kcount="5"))).cards
    assert card.has_other_charges


def test_match_clauses_become_names() -> None:
    clause = genai.ClauseOr(
        [
            genai.ClauseEquals("GPT-X"),
            genai.ClauseStartsWith("gpt-x-"),
            genai.ClauseContains("x.1"),
            genai.ClauseEndsWith("/gpt-x"),
            genai.ClauseRegex(r"^gpt-x-\d$"),
            genai.ClauseRegex(r"^gpt-[xy]"),
            genai.ClauseAnd([genai.ClauseStartsWith("gpt"), genai.ClauseRegex("^(?!.*tts)")]),
        ]
    )
    second = genai.ModelInfo(id="n", match=genai.ClauseEquals("gpt-x"), prices=price(input_mtok="1"))
    info = genai.ModelInfo(id="m", match=clause, prices=price(input_mtok="1"))
    provider = genai.Provider("acme", "Acme", "https://acme.example", models=[info, second])
    found = read_price_list(data_snapshot.DataSnapshot([provider], from_auto_update=False))
    names = {alias.alias: alias for alias in found.aliases}
    assert names["gpt-x"] == AliasRow("acme", "exact", "gpt-x", 0, ("acme", "m"), LIBRARY_URL)  # the first claim stays
    assert names["gpt-x-"].match == "prefix"
    patterns = [re.compile(alias.alias) for alias in found.aliases if alias.match == "regex"]
    assert all(pattern.pattern[0] == "^" and pattern.pattern[-1] == "$" for pattern in patterns)
    sent = ["ax.1b", "ax-1b", "a/gpt-x", "gpt-x-7", "gpt-yes", "gpt-tts"]
    hits = [[bool(pattern.match(name)) for pattern in patterns] for name in sent]
    assert hits == [
        [True, False, False, False, False],
        [False, False, False, False, False],
        [False, True, False, False, False],
        [False, False, True, True, True],
        [False, False, False, True, True],
        [False, False, False, False, False],
    ]


def test_the_installed_package_is_read_whole() -> None:
    found = read_price_list()
    assert len(found.models) > 2_000
    assert all(card.rates and card.source_url for card in found.cards)
    assert {card.tier for card in found.cards} == {"standard", "batch", "flex", "priority"}
    assert {row.provider for row in found.provider_aliases} <= {provider.slug for provider in found.providers}
