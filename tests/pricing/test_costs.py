"""Buckets, rates and receipts: exhaustive tables and properties, no database."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pricing.costs import (
    METERS,
    Buckets,
    Line,
    Meter,
    RateCard,
    TierFactors,
    Usage,
    buckets_of,
    cost_of,
    derive,
    normalise,
    picousd_per_token,
    total_of,
    usd,
    usd_per_mtok,
)

GPT_4O = RateCard.of(7, [("input", 0, 2_500_000), ("cache_read", 0, 1_250_000), ("output", 0, 10_000_000)])
CLAUDE_RATES: list[tuple[Meter, int, int]] = [
    ("input", 0, 3_000_000),
    ("cache_read", 0, 300_000),
    ("cache_write_5m", 0, 3_750_000),
    ("cache_write_1h", 0, 6_000_000),
    ("output", 0, 15_000_000),
]
CLAUDE = RateCard.of(8, CLAUDE_RATES)
LONG = RateCard.of(9, [*CLAUDE_RATES, ("input", 200_000, 6_000_000), ("output", 200_000, 22_500_000)])


@pytest.mark.parametrize(
    ("sent", "meant", "flags"),
    [
        (Usage(1200, 350, 1000), Usage(1200, 350, 1000), ()),
        (Usage(0, 0), Usage(0, 0), ()),
        (Usage(1000, 1, 600, 400, 400), Usage(1000, 1, 600, 400, 400), ()),
        # Anthropic's own input_tokens: without cache reads and writes
        (Usage(10, 5, 1000, 200), Usage(1210, 5, 1000, 200), ("input_tokens_exclusive",)),
        (Usage(999, 5, 1000), Usage(1999, 5, 1000), ("input_tokens_exclusive",)),
        # xAI chat completions: reasoning outside completion_tokens
        (Usage(10, 5, reasoning_tokens=6), Usage(10, 11, reasoning_tokens=6), ("reasoning_tokens_exclusive",)),
        # only the one-hour counter was sent, or it was sent beside the five-minute one
        (Usage(500, 1, 0, 0, 300), Usage(500, 1, 0, 300, 300), ("cache_write_1h_tokens_exclusive",)),
        (Usage(500, 1, 0, 100, 300), Usage(500, 1, 0, 400, 300), ("cache_write_1h_tokens_exclusive",)),
        # the sum of the writes is what the prompt must hold
        (
            Usage(350, 1, 0, 100, 300),
            Usage(750, 1, 0, 400, 300),
            ("cache_write_1h_tokens_exclusive", "input_tokens_exclusive"),
        ),
    ],
)
def test_counters_that_cannot_be_parts_are_added(sent: Usage, meant: Usage, flags: tuple[str, ...]) -> None:
    assert normalise(sent) == (meant, flags)


def test_normalising_keeps_the_object_when_nothing_is_wrong() -> None:
    usage = Usage(1200, 350, 1000)
    assert normalise(usage)[0] is usage


def test_buckets_are_disjoint() -> None:
    assert buckets_of(Usage(1000, 100, 300, 200, 50, 40)) == Buckets(500, 300, 150, 50, 60, 40)


@pytest.mark.parametrize(
    "usage",
    [Usage(10, 0, 11), Usage(10, 0, 0, 5, 6), Usage(10, 5, reasoning_tokens=6), Usage(-1, 0), Usage(5, 5, -1)],
)
def test_buckets_refuse_what_was_not_normalised(usage: Usage) -> None:
    with pytest.raises(ValueError, match="normalised"):
        buckets_of(usage)


def test_receipt_of_a_cached_call() -> None:
    cost = cost_of(Usage(1200, 350, 1000), GPT_4O)
    assert cost.lines == (
        Line("input", 200, 2_500_000, 500_000_000, "exact"),
        Line("cache_read", 1000, 1_250_000, 1_250_000_000, "exact"),
        Line("output", 350, 10_000_000, 3_500_000_000, "exact"),
    )
    assert (cost.picousd, cost.status, cost.card_id) == (5_250_000_000, "priced", 7)
    assert str(usd(5_250_000_000)) == "0.005250000000"


@pytest.mark.parametrize(
    ("meter", "usage", "rates", "rate", "status"),
    [
        ("cache_read", Usage(10, 0, 10), [("input", 0, 5)], 5, "priced"),
        ("cache_write_5m", Usage(10, 0, 0, 10), [("input", 0, 5)], 5, "priced"),
        ("cache_write_1h", Usage(10, 0, 0, 10, 10), [("input", 0, 5)], 5, "priced"),
        # writes are priced, their one-hour lifetime is not: a lower bound
        ("cache_write_1h", Usage(10, 0, 0, 10, 10), [("input", 0, 5), ("cache_write_5m", 0, 6)], 6, "partial"),
        ("reasoning", Usage(0, 10, reasoning_tokens=10), [("output", 0, 9)], 9, "priced"),
    ],
)
def test_a_missing_meter_takes_its_fallback_and_says_so(
    meter: Meter, usage: Usage, rates: list[tuple[Meter, int, int]], rate: int, status: str
) -> None:
    cost = cost_of(usage, RateCard.of(1, rates))
    assert cost.lines == (Line(meter, 10, rate, 10 * rate, "fallback"),)
    assert cost.status == status


def test_tokens_without_any_rate_have_no_cost() -> None:
    embedding = RateCard.of(1, [("input", 0, 20_000)])
    cost = cost_of(Usage(10, 3), embedding)
    assert (cost.picousd, cost.status, cost.missing_meters) == (None, "unpriced_model", ("output",))
    assert total_of(Usage(10, 3), embedding) is None
    assert cost_of(Usage(10, 0), embedding).picousd == 200_000


def test_other_charges_make_the_cost_partial() -> None:
    card = RateCard.of(1, [("input", 0, 1), ("output", 0, 1)], has_other_charges=True)
    assert cost_of(Usage(1, 1), card).status == "partial"


@pytest.mark.parametrize(
    ("prompt", "input_rate", "write_rate"), [(199_999, 3, 3.75), (200_000, 3, 3.75), (200_001, 6, 3.75)]
)
def test_a_threshold_switches_the_whole_call(prompt: int, input_rate: float, write_rate: float) -> None:
    lines = {line.meter: line.rate_picousd / 1e6 for line in cost_of(Usage(prompt, 10, 0, 1000), LONG).lines}
    assert lines == {"input": input_rate, "cache_write_5m": write_rate, "output": 15 if input_rate == 3 else 22.5}


def test_the_whole_prompt_counts_for_a_threshold_not_its_uncached_part() -> None:
    assert cost_of(Usage(200_001, 0, 200_000), LONG).lines[0].rate_picousd == 6_000_000


def test_several_thresholds() -> None:
    card = RateCard.of(1, [("input", 0, 1), ("input", 100, 2), ("input", 200, 3), ("output", 0, 1)])
    assert [card.rates_for(n).per_token[0] for n in (0, 100, 101, 200, 201, 10**9)] == [1, 1, 2, 2, 3, 3]


def test_a_tier_is_derived_by_its_factors() -> None:
    # gpt-5.4: half of the standard rates, except that OpenAI rounds the cached rate up to a cent
    standard = RateCard.of(
        3,
        [
            ("input", 0, 2_500_000),
            ("cache_read", 0, 250_000),
            ("cache_read", 272_000, 500_000),
            ("output", 0, 15_000_000),
        ],
    )
    factors: list[tuple[Meter, int, Decimal]] = [
        ("input", 0, Decimal("0.5")),
        ("cache_read", 0, Decimal("0.52")),
        ("cache_read", 272_000, Decimal("0.5")),
    ]
    derived = derive(standard, TierFactors(4, tuple(factors)))
    assert derived.rates_for(1).listed() == {"input": 1_250_000, "cache_read": 130_000, "output": 15_000_000}
    assert derived.rates_for(272_001).listed()["cache_read"] == 250_000
    assert (derived.card_id, derived.tier_policy_id, derived.rate_from) == (3, 4, "policy")


def test_a_factor_that_is_no_finite_decimal_still_gives_the_published_rate() -> None:
    card = RateCard.of(1, [("input", 0, 1_100_000)])  # o4-mini: 1.10 standard, 2.00 priority
    derived = derive(card, TierFactors(1, (("input", 0, Decimal("1.818181818182")),)))
    assert derived.bands[0].per_token[0] == 2_000_000


@pytest.mark.parametrize(
    ("text", "picousd"),
    [("2.5", 2_500_000), ("0.000001", 1), ("0.18000000000000002", 180_000), ("0.0000005", 0), ("0.0000015", 2)],
)
def test_rates_are_rounded_half_even_to_six_decimals(text: str, picousd: int) -> None:
    assert picousd_per_token(Decimal(text)) == picousd


def test_conversions_are_exact() -> None:
    assert usd(-1) == Decimal("-0.000000000001")
    assert str(usd(10**30 + 1)) == "1000000000000000000.000000000001"
    assert str(usd_per_mtok(2_500_000)) == "2.500000"


TOKENS = st.integers(0, 2**53 - 1)
RATES = st.integers(1, 10**9)


@st.composite
def usages(draw: st.DrawFn, tokens: st.SearchStrategy[int] = TOKENS) -> Usage:
    return usage_of(Buckets(*(draw(tokens) for _ in METERS)))


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    rows: list[tuple[Meter, int, int]] = [("input", 0, draw(RATES)), ("output", 0, draw(RATES))]
    optional: list[Meter] = [meter for meter in METERS if meter not in ("input", "output") and draw(st.booleans())]
    rows += [(meter, 0, draw(RATES)) for meter in optional]
    if draw(st.booleans()):
        rows += [(meter, 200_000, draw(RATES)) for meter in ("input", *optional)]
    return RateCard.of(1, rows)


@given(usages(), cards())
def test_lines_sum_to_the_cost_and_buckets_to_the_totals(usage: Usage, card: RateCard) -> None:
    buckets, cost = buckets_of(usage), cost_of(usage, card)
    assert sum(buckets[:4]) == usage.input_tokens
    assert sum(buckets[4:]) == usage.output_tokens
    assert {line.meter: line.tokens for line in cost.lines} == {
        meter: tokens for meter, tokens in zip(METERS, buckets, strict=True) if tokens
    }
    assert sum(line.tokens * line.rate_picousd for line in cost.lines) == cost.picousd == total_of(usage, card)


@given(usages(st.integers(0, 10_000)), usages(st.integers(0, 10_000)), cards())
def test_splitting_a_call_is_additive_below_thresholds(one: Usage, two: Usage, card: RateCard) -> None:
    both = Usage(*(getattr(one, name) + getattr(two, name) for name in Usage.__slots__))
    assume(both.input_tokens <= 200_000)
    total = total_of(both, card)
    assert total is not None
    assert total == (total_of(one, card) or 0) + (total_of(two, card) or 0)


@given(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS)
def test_normalising_yields_parts_and_never_removes_a_token(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    sent = Usage(a, b, c, d, e, f)
    meant, flags = normalise(sent)
    assert min(buckets_of(meant)) >= 0
    assert all(getattr(meant, name) >= getattr(sent, name) for name in Usage.__slots__)
    assert (meant == sent) is (not flags)
    assert normalise(meant) == (meant, ())


@given(usages(st.integers(0, 10_000)), cards(), st.sampled_from(METERS), st.integers(1, 10_000))
def test_more_tokens_of_a_bucket_never_cost_less_below_thresholds(
    usage: Usage, card: RateCard, meter: Meter, more: int
) -> None:
    buckets = buckets_of(usage)
    larger = usage_of(buckets._replace(**{meter: getattr(buckets, meter) + more}))
    before, after = total_of(usage, card), total_of(larger, card)
    assert before is not None
    assert after is not None
    rate = card.bands[0].per_token[METERS.index(meter)]
    assert after - before == more * (rate or 0) > 0


def test_beyond_a_threshold_more_tokens_may_cost_less_only_where_the_list_says_so() -> None:
    # The stated exception: a threshold switches the rates of the whole call, in whichever direction they go.
    falling = RateCard.of(1, [("input", 0, 10), ("input", 100, 5), ("output", 0, 1)])
    assert (total_of(Usage(100, 0), falling), total_of(Usage(101, 0), falling)) == (1000, 505)


@given(usages(), cards(), st.data())
def test_a_split_of_cache_writes_into_lifetimes_is_additive(usage: Usage, card: RateCard, data: st.DataObject) -> None:
    writes_1h = data.draw(st.integers(0, usage.cache_write_tokens))
    split = replace(usage, cache_write_1h_tokens=writes_1h)
    short = replace(usage, cache_write_1h_tokens=0)
    _, _, rate_5m, rate_1h, _, _ = card.rates_for(usage.input_tokens).per_token
    assert rate_5m is not None
    assert rate_1h is not None
    costs = total_of(split, card), total_of(short, card)
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[0] - costs[1] == writes_1h * (rate_1h - rate_5m)


@given(usages(), cards())
def test_a_usage_is_the_sum_of_its_buckets(usage: Usage, card: RateCard) -> None:
    assert usage_of(buckets_of(usage)) == usage
    assert normalise(usage) == (usage, ())
    rates = card.rates_for(usage.input_tokens).per_token
    costs = [tokens * (rate or 0) for tokens, rate in zip(buckets_of(usage), rates, strict=True)]
    assert sum(costs) == total_of(usage, card)


def usage_of(buckets: Buckets) -> Usage:
    """The normalised usage with these buckets."""
    uncached, cached, writes_5m, writes_1h, visible, reasoning = buckets
    writes = writes_5m + writes_1h
    return Usage(uncached + cached + writes, visible + reasoning, cached, writes, writes_1h, reasoning)
