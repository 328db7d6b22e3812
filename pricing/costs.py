"""What a call costs: disjoint token buckets times rates, in whole numbers of 1e-12 USD.

Pure: no Django, no clock, no database. A rate has at most six decimals of USD per million tokens, so it is a whole
number of 1e-12 USD ("picousd") per token and no cost is ever rounded.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final, Literal, NamedTuple

Meter = Literal["input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning"]
Tier = Literal["standard", "batch", "flex", "priority"]
Status = Literal["priced", "partial", "unpriced_provider", "unpriced_model", "unpriced_tier"]
LineRateFrom = Literal["exact", "fallback"]
CardRateFrom = Literal["card", "policy"]

METERS: Final[tuple[Meter, ...]] = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
TIERS: Final[tuple[Tier, ...]] = ("standard", "batch", "flex", "priority")
# The meter that is charged when a price list has none of its own.
FALLBACK_METER: Final[Mapping[Meter, Meter]] = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "reasoning": "output",
}
_PICOUSD_PER_TOKEN: Final = 10**6  # 1 USD per million tokens is 1e-6 USD = 1e6 picousd per token
_SIX_DECIMALS: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counters as the wire contract means them: input is the whole prompt, output all billed output.

    cached_tokens (reads) and cache_write_tokens (all lifetimes) are parts of input_tokens, cache_write_1h_tokens is a
    part of cache_write_tokens, reasoning_tokens is a part of output_tokens. Everything is an integer >= 0.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0


def normalise(usage: Usage) -> tuple[Usage, tuple[str, ...]]:
    """The usage with counters that can only have been meant exclusively turned into parts, and a flag for each turn.

    A part larger than its whole cannot be a part, so the whole becomes the sum (the wire contract's rule); nothing is
    ever clamped. The 1h cache writes go first: when they exceed cache_write_tokens, that counter held the 5m writes
    only, and the prompt check must see all writes.
    """
    writes, whole, output = usage.cache_write_tokens, usage.input_tokens, usage.output_tokens
    flags: list[str] = []
    if usage.cache_write_1h_tokens > writes:
        writes += usage.cache_write_1h_tokens
        flags.append("cache_write_1h_tokens_exclusive")
    if usage.cached_tokens + writes > whole:
        whole += usage.cached_tokens + writes
        flags.append("input_tokens_exclusive")
    if usage.reasoning_tokens > output:
        output += usage.reasoning_tokens
        flags.append("reasoning_tokens_exclusive")
    if not flags:
        return usage, ()
    parts = (usage.cached_tokens, writes, usage.cache_write_1h_tokens, usage.reasoning_tokens)
    return Usage(whole, output, *parts), tuple(flags)


class Buckets(NamedTuple):
    """Disjoint token counts in the order of METERS; the first four add up to the prompt, the last two to the output."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int


def buckets_of(usage: Usage) -> Buckets:
    """The disjoint buckets of a normalised usage. Raises ValueError when a part is larger than its whole."""
    cached, writes, writes_1h = usage.cached_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    reasoning = usage.reasoning_tokens
    uncached = usage.input_tokens - cached - writes
    writes_5m = writes - writes_1h
    visible = usage.output_tokens - reasoning
    # An OR of integers is negative when one of them is; six comparisons would be a tenth of the time an event may take.
    if (uncached | cached | writes_5m | writes_1h | visible | reasoning) < 0:
        raise ValueError(f"not a normalised usage: {usage}")
    return Buckets(uncached, cached, writes_5m, writes_1h, visible, reasoning)


# A meter, what one of its tokens costs (None: neither it nor its fallback has a rate), and whose rate that is. A plain
# tuple, because unpacking a named one takes twice as long and cost_of does it six times per event.
MeterRate = tuple[Meter, int | None, LineRateFrom]


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of one prompt size, in the order of METERS; they apply when the whole prompt exceeds prompt_over."""

    prompt_over: int
    meters: tuple[MeterRate, ...]
    per_token: tuple[int | None, ...]  # the same rates bare, for the total
    # Cache writes are priced but their one-hour lifetime is not: the cost of such writes is a lower bound.
    lacks_1h_rate: bool

    @classmethod
    def of(cls, prompt_over: int, listed: Mapping[Meter, int]) -> "Rates":
        """Rates from the listed picousd per token; a meter that is not listed takes its fallback's."""
        resolved = {meter: _rate_of(meter, listed) for meter in METERS}
        meters: tuple[MeterRate, ...] = tuple(
            (meter, rate, "exact" if meter in listed else "fallback") for meter, rate in resolved.items()
        )
        lacks_1h_rate = "cache_write_5m" in listed and "cache_write_1h" not in listed
        return cls(prompt_over, meters, tuple(resolved.values()), lacks_1h_rate)

    def listed(self) -> dict[Meter, int]:
        """The rates that the price list itself states, without fallbacks."""
        return {meter: rate for meter, rate, rate_from in self.meters if rate_from == "exact" and rate is not None}


def _rate_of(meter: Meter, listed: Mapping[Meter, int]) -> int | None:
    wanted: Meter | None = meter
    while wanted is not None:
        if wanted in listed:
            return listed[wanted]
        wanted = FALLBACK_METER.get(wanted)
    return None


@dataclass(frozen=True, slots=True)
class RateCard:
    """The rates of one model, tier and validity: what an event's cost refers to, together with its tier policy."""

    card_id: int | None
    bands: tuple[Rates, ...]  # ascending prompt_over; the first one starts at 0
    tier_policy_id: int | None = None
    has_other_charges: bool = False  # the provider also bills by request or citation: token costs are a part

    @classmethod
    def of(
        cls, card_id: int | None, rates: Iterable[tuple[Meter, int, int]], *, has_other_charges: bool = False
    ) -> "RateCard":
        """A card from (meter, prompt_over, picousd per token) rows; a meter keeps its rate until its next threshold."""
        rows = sorted(rates, key=lambda row: row[1])
        listed: dict[Meter, int] = {}
        bands: list[Rates] = []
        for start in sorted({0, *(row[1] for row in rows)}):
            listed |= {meter: rate for meter, prompt_over, rate in rows if prompt_over == start}
            bands.append(Rates.of(start, listed))
        return cls(card_id, tuple(bands), has_other_charges=has_other_charges)

    def rates_for(self, prompt_tokens: int) -> Rates:
        """The rates for a prompt of this many tokens; crossing a threshold switches the whole call."""
        bands = self.bands
        if len(bands) > 1:
            for band in reversed(bands):
                if prompt_tokens > band.prompt_over:
                    return band
        return bands[0]

    @property
    def rate_from(self) -> CardRateFrom:
        """`policy` when the rates were derived from the standard tier's by a tier policy."""
        return "card" if self.tier_policy_id is None else "policy"


@dataclass(frozen=True, slots=True)
class TierFactors:
    """A tier as factors of the standard rates: (meter, prompt_over, factor); a meter without a factor is unchanged."""

    policy_id: int | None
    factors: tuple[tuple[Meter, int, Decimal], ...]

    def factor_for(self, meter: Meter, prompt_over: int) -> Decimal:
        """The factor of the highest threshold at or below prompt_over."""
        found = [(over, factor) for name, over, factor in self.factors if name == meter and over <= prompt_over]
        return max(found)[1] if found else Decimal(1)


def derive(card: RateCard, tier: TierFactors) -> RateCard:
    """The card of a tier that is only known relative to the standard one, rounded to six decimals per million."""
    thresholds = {band.prompt_over for band in card.bands} | {over for _, over, _ in tier.factors}
    bands = []
    for start in sorted(thresholds):
        standard = card.rates_for(start + 1).listed()
        bands.append(
            Rates.of(start, {meter: _scaled(rate, tier.factor_for(meter, start)) for meter, rate in standard.items()})
        )
    return RateCard(card.card_id, tuple(bands), tier.policy_id, card.has_other_charges)


def _scaled(picousd: int, factor: Decimal) -> int:
    return picousd_per_token(usd_per_mtok(picousd) * factor)


class Line(NamedTuple):
    """One line of a receipt: tokens x rate = cost, in picousd; rate_from says whether the meter had its own rate."""

    meter: Meter
    tokens: int
    rate_picousd: int
    cost_picousd: int
    rate_from: LineRateFrom


# The same as Line(*values) in half the time; six of them are most of what a receipt costs.
_line: Final[Callable[[tuple[Meter, int, int, int, LineRateFrom]], Line]] = partial(tuple.__new__, Line)


class Cost(NamedTuple):
    """What a call costs in picousd, and why. Unknown is None, never 0; the lines add up to the cost."""

    picousd: int | None
    status: Status
    lines: tuple[Line, ...] = ()
    card_id: int | None = None
    tier_policy_id: int | None = None
    missing_meters: tuple[Meter, ...] = ()


def cost_of(usage: Usage, card: RateCard) -> Cost:
    """The cost of a normalised usage with its receipt.

    None when tokens were used on a meter that has no rate at all (named in missing_meters); `partial` when the cost is
    a lower bound (unpriced one-hour cache writes, or charges other than tokens).
    """
    bands = card.bands
    band = bands[0] if len(bands) == 1 else card.rates_for(usage.input_tokens)
    lines: list[Line] = []
    total = 0
    missing: tuple[Meter, ...] = ()
    for tokens, (meter, rate, rate_from) in zip(buckets_of(usage), band.meters, strict=True):
        if not tokens:
            continue
        if rate is None:
            missing = (*missing, meter)
            continue
        amount = tokens * rate
        total += amount
        lines.append(_line((meter, tokens, rate, amount, rate_from)))
    if missing:
        return Cost(None, "unpriced_model", (), card.card_id, card.tier_policy_id, missing)
    partial = card.has_other_charges or (usage.cache_write_1h_tokens > 0 and band.lacks_1h_rate)
    status: Status = "partial" if partial else "priced"
    return Cost(total, status, tuple(lines), card.card_id, card.tier_policy_id)


def total_of(usage: Usage, card: RateCard) -> int | None:
    """The same total as cost_of(usage, card).picousd without the receipt, for callers that only add up."""
    total = 0
    for tokens, rate in zip(buckets_of(usage), card.rates_for(usage.input_tokens).per_token, strict=True):
        if tokens:
            if rate is None:
                return None
            total += tokens * rate
    return total


def usd(picousd: int) -> Decimal:
    """Picousd as USD, exact, with 12 decimals."""
    sign, digits, _ = Decimal(picousd).as_tuple()
    return Decimal((sign, digits, -12))


def usd_per_mtok(picousd: int) -> Decimal:
    """A rate in picousd per token as USD per million tokens, exact, with six decimals."""
    sign, digits, _ = Decimal(picousd).as_tuple()
    return Decimal((sign, digits, -6))


def picousd_per_token(usd_per_mtok: Decimal) -> int:
    """USD per million tokens as picousd per token, rounded half-even to the sixth decimal."""
    return int(usd_per_mtok.quantize(_SIX_DECIMALS) * _PICOUSD_PER_TOKEN)
