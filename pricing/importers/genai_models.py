"""The prices of one genai-prices model as dated cards and tier policies.

Three readings differ from the package's own, on purpose:
- A daily window that follows a dated entry applies from that date on; the package cannot say both, and prices the
  peak hours of the years before with it.
- The dates of its tier variants say when they were verified, not when they took effect. From that date on they are
  cards; before it they are factors of the standard price of the event's own date.
- A zero or an empty price is an unknown price.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from genai_prices import types as genai

from pricing.costs import Meter, RateCard, Tier, picousd_per_token, usd_per_mtok
from pricing.importers.rows import CardRow, DateBasis, FactorRow, ModelKey, PolicyRow, RateRow
from pricing.windows import WeeklyWindow

Skipped = Counter[str]
Prices = Mapping[str, Any]  # the package's price keys; values are Decimal or TieredPrices

_METER_OF: Final[Mapping[str, Meter]] = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
}
_BILLED_BESIDE_TOKENS: Final = frozenset({"requests_kcount", "output_citation_mtok"})
_TIER_OF: Final[Mapping[tuple[str, str], Tier]] = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
}
_TWELVE_DECIMALS: Final = Decimal("0.000000000001")
_SINCE_EVER: Final = date.min


@dataclass(frozen=True, slots=True)
class PricesOfModel:
    """What the package says about one model."""

    model: ModelKey
    cards: tuple[CardRow, ...]
    policies: tuple[PolicyRow, ...]

    @classmethod
    def of(cls, key: ModelKey, model: genai.ModelInfo, source_url: str, skipped: Skipped) -> "PricesOfModel":
        """Reads one model; what cannot be taken over is counted in skipped."""
        reader = _Reader(key, model, source_url, skipped)
        cards = [*reader.standard_cards(), *reader.window_cards()]
        for tier in reader.variants:
            cards += reader.tier_cards(tier)
        policies = [policy for tier in reader.variants if (policy := reader.policy(tier))]
        return cls(key, tuple(cards), tuple(policies))


class _Reader:
    """One model's entries, sorted into dated prices, daily windows and tier variants."""

    def __init__(self, key: ModelKey, model: genai.ModelInfo, source_url: str, skipped: Skipped) -> None:
        self.key, self.source_url, self.skipped = key, source_url, skipped
        prices = model.prices
        self.entries = [genai.ConditionalPrice(prices=prices)] if isinstance(prices, genai.ModelPrice) else list(prices)
        self.variants: dict[Tier, list[genai.PriceVariant]] = {}
        for variant in model.price_variants or ():
            self._take_variant(variant)

    def _take_variant(self, variant: genai.PriceVariant) -> None:
        tier = _TIER_OF.get(next(iter(variant.when.items()))) if len(variant.when) == 1 else None
        if tier is not None and not isinstance(variant.constraint, genai.TimeOfDateConstraint):
            self.variants.setdefault(tier, []).append(variant)
        elif variant.when != {"service_tier": "default"}:
            self.skipped[f"variants {variant.when}, which is no tier of ours"] += 1

    def standard_cards(self) -> Iterator[CardRow]:
        starts = sorted(_start(entry) for entry in self.entries if not _is_window(entry))
        yield from self._timeline("standard", starts, {start: self._standard(start) for start in starts})

    def window_cards(self) -> Iterator[CardRow]:
        ranges: dict[tuple[date, date | None, tuple[RateRow, ...]], list[tuple[str, str]]] = {}
        for position, entry in enumerate(self.entries):
            if isinstance(entry.constraint, genai.TimeOfDateConstraint):
                before, after = _dates(self.entries[:position]), _dates(self.entries[position:])
                key = (max(before, default=_SINCE_EVER), min(after, default=None), self._rates(vars(entry.prices)))
                ranges.setdefault(key, []).append(_daily(entry.constraint))
        for (start, end, rates), spans in ranges.items():
            if rates:
                window = WeeklyWindow("UTC", (1, 2, 3, 4, 5, 6, 7), tuple(spans))
                yield self._card("standard", start, end, rates, window=window)

    def tier_cards(self, tier: Tier) -> Iterator[CardRow]:
        verified = min(_start(variant) for variant in self.variants[tier])
        changes = {_start(entry) for entry in self.entries} | {_start(variant) for variant in self.variants[tier]}
        starts = sorted(start for start in changes if start >= verified)
        yield from self._timeline(tier, starts, {start: self._tier(tier, start) for start in starts})

    def policy(self, tier: Tier) -> PolicyRow | None:
        """The tier relative to the standard price, as of the day on which it was verified; None if it needs none."""
        verified = min(_start(variant) for variant in self.variants[tier])
        if verified == _SINCE_EVER:
            return None
        standard = _rate_card(self._rates(self._standard(verified)))
        priced = _rate_card(self._rates(self._tier(tier, verified)))
        if not standard.bands[0].listed():
            return None
        return PolicyRow(self.key[0], self.key, tier, self.source_url, tuple(sorted(_factors(standard, priced))))

    def _standard(self, at: date) -> Prices:
        """The prices in force outside windows: the last entry that has started wins, as in the package."""
        return vars(next(e.prices for e in reversed(self.entries) if not _is_window(e) and _start(e) <= at))

    def _tier(self, tier: Tier, at: date) -> Prices:
        """The tier's prices: the first variant that has started wins for each key; other keys stay the standard's."""
        prices = dict(self._standard(at))
        for variant in reversed(self.variants[tier]):
            if _start(variant) <= at:
                prices |= {key: price for key, price in vars(variant.prices).items() if price is not None}
        return prices

    def _timeline(self, tier: Tier, starts: list[date], prices: Mapping[date, Prices]) -> Iterator[CardRow]:
        """Cards from each start to the next; neighbours with equal token rates are one card."""
        changes: list[tuple[date, tuple[RateRow, ...], bool]] = []
        for start in starts:
            rates = self._rates(prices[start])
            other = any(prices[start].get(key) is not None for key in _BILLED_BESIDE_TOKENS)
            if not changes or changes[-1][1:] != (rates, other):
                changes.append((start, rates, other))
        for (start, rates, other), end in zip(changes, [*(c[0] for c in changes[1:]), None], strict=True):
            if rates:
                yield self._card(tier, start, end, rates, has_other_charges=other)

    def _card(
        self,
        tier: Tier,
        start: date,
        end: date | None,
        rates: tuple[RateRow, ...],
        *,
        window: WeeklyWindow | None = None,
        has_other_charges: bool = False,
    ) -> CardRow:
        basis: DateBasis = "assumed" if start == _SINCE_EVER else "documented"
        span = (_midnight(start), _midnight(end))
        return CardRow(self.key, tier, *span, window, basis, has_other_charges, self.source_url, rates)

    def _rates(self, prices: Prices) -> tuple[RateRow, ...]:
        rows: list[RateRow] = []
        for price_key, meter in _METER_OF.items():
            for prompt_over, price in _thresholds(prices.get(price_key)):
                quantised = usd_per_mtok(picousd_per_token(price))
                if quantised != price:
                    self.skipped["rates rounded to six decimals"] += 1
                if quantised == 0:
                    self.skipped["zero rates, taken as unknown"] += 1
                else:
                    rows.append(RateRow(meter, prompt_over, quantised))
        return tuple(sorted(rows))


def _thresholds(price: Decimal | genai.TieredPrices | None) -> Iterator[tuple[int, Decimal]]:
    if isinstance(price, Decimal):
        yield 0, price
    elif price is not None:
        yield 0, price.base
        yield from ((tier.start, tier.price) for tier in price.tiers)


def _rate_card(rates: tuple[RateRow, ...]) -> RateCard:
    return RateCard.of(None, [(row.meter, row.prompt_over, picousd_per_token(row.usd_per_mtok)) for row in rates])


def _factors(standard: RateCard, priced: RateCard) -> Iterator[FactorRow]:
    """The factors that turn the standard card into the priced one; a meter keeps its factor until the next row."""
    current: dict[Meter, Decimal] = {}
    for prompt_over in sorted({band.prompt_over for card in (standard, priced) for band in card.bands}):
        target = priced.rates_for(prompt_over + 1).listed()
        for meter, rate in standard.rates_for(prompt_over + 1).listed().items():
            factor = (Decimal(target[meter]) / rate).quantize(_TWELVE_DECIMALS)
            if factor != current.get(meter, Decimal(1)):
                current[meter] = factor
                yield FactorRow(meter, prompt_over, factor)


def _is_window(entry: genai.ConditionalPrice | genai.PriceVariant) -> bool:
    return isinstance(entry.constraint, genai.TimeOfDateConstraint)


def _start(entry: genai.ConditionalPrice | genai.PriceVariant) -> date:
    constraint = entry.constraint
    return constraint.start_date if isinstance(constraint, genai.StartDateConstraint) else _SINCE_EVER


def _dates(entries: Iterable[genai.ConditionalPrice]) -> list[date]:
    return [_start(entry) for entry in entries if isinstance(entry.constraint, genai.StartDateConstraint)]


def _midnight(day: date | None) -> datetime | None:
    """The package's dates begin at midnight UTC."""
    return None if day in (None, _SINCE_EVER) else datetime.combine(day, time(), UTC)


def _daily(constraint: genai.TimeOfDateConstraint) -> tuple[str, str]:
    return _utc(constraint.start_time), _utc(constraint.end_time)


def _utc(value: time) -> str:
    moment = datetime.combine(date(2000, 1, 1), value, value.tzinfo or UTC)
    return moment.astimezone(UTC).time().isoformat("minutes")
