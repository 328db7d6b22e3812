"""Rates as people read them: which cards hold for a tier, what they say per 1M tokens, and where that comes from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from dashboard import formats
from dashboard.filters import TIERS
from dashboard.queries.rate_cards import CardRow, PolicyRow
from pricing.costs import METERS, Meter, RateCard, Rates, TierFactors, derive
from pricing.models import RateCard as RateCardLayers
from pricing.windows import WeeklyWindow

LAYERS = {
    RateCardLayers.Layer.IMPORT: "price list",
    RateCardLayers.Layer.CORRECTION: "correction",
    RateCardLayers.Layer.OVERRIDE: "override",
}
METER_WORDS: dict[Meter, str] = {
    "input": "Input",
    "cache_read": "Cache read",
    "cache_write_5m": "Cache write 5 m",
    "cache_write_1h": "Cache write 1 h",
    "output": "Output",
    "reasoning": "Reasoning",
}
_DAY = timedelta(days=1)
_WEEKDAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class RateCell:
    """What one meter costs, per 1M tokens: "$2.50", "free", or "—" where the list has no rate of its own."""

    rate: str
    above: Sequence[tuple[str, str]] = ()
    """From which prompt size on it differs, and what it costs then: ("above 200K", "$5.00")."""


@dataclass(frozen=True)
class Source:
    """Where rates come from. `href` '' : no address that may be followed."""

    layer: str
    """"price list", "correction", "override" or "your own price"."""
    tag: str
    """The layer again where it is not the plain price list, for a mark that catches the eye; else ''."""
    name: str
    """Package and version of the list; '' for what was entered by hand."""
    host: str
    href: str


@dataclass(frozen=True)
class Standing:
    """What a call of one tier costs at the moment, in one weekly window or (window None) at all other times."""

    card: CardRow
    policy: PolicyRow | None
    rates: RateCard

    @property
    def window(self) -> WeeklyWindow | None:
        """The weekly window in which it holds."""
        return self.card.window


@dataclass(frozen=True)
class Held:
    """What is valid of a model at a moment: its cards, and the policies, the first to apply first."""

    model_id: int
    provider: str
    key: str
    cards: Sequence[CardRow]
    policies: Sequence[PolicyRow]

    def standing(self, tier: str, region: str = "global") -> tuple[Standing, ...]:
        """What holds for a tier, best first, as `pricing.resolution` orders it; a test compares the two.

        Empty: no price.
        """
        own = tuple(Standing(card, None, card.rates) for card in _ordered(self.cards, tier, region))
        if tier == "standard" or (own and own[-1].window is None):
            return own
        policy = next((policy for policy in self.policies if self._is_of(policy, tier)), None)
        if policy is None:
            return own
        base = _ordered(self.cards, "standard", region)
        return own + tuple(Standing(card, policy, derive(card.rates, policy.factors)) for card in base)

    def other_tiers(self) -> tuple[str, ...]:
        """The tiers, apart from the standard one, that have a price."""
        return tuple(tier for tier in TIERS[1:] if self.standing(tier))

    def _is_of(self, policy: PolicyRow, tier: str) -> bool:
        return policy.tier == tier and policy.applies_to(self.model_id, self.provider, self.key)


def _ordered(cards: Iterable[CardRow], tier: str, region: str) -> tuple[CardRow, ...]:
    """The tier's cards by precedence, up to the first one that applies at every hour."""
    wanted = [card for card in cards if card.tier == tier and card.region in (region, "global")]
    found: list[CardRow] = []
    for card in sorted(wanted, key=lambda card: _precedence(card, region), reverse=True):
        found.append(card)
        if card.window is None:
            break
    return tuple(found)


def _precedence(card: CardRow, region: str) -> tuple[bool, bool, int, bool, int]:
    return (card.region == region, card.is_own, card.layer, card.window is not None, card.created_in)


def cell(rates: RateCard, meter: Meter) -> RateCell:
    """The rate of one meter at every prompt size."""
    first, *others = rates.bands
    above, before = [], _listed(first, meter)
    for band in others:
        now = _listed(band, meter)
        if now != before:
            above.append((threshold(band.prompt_over), _rate(now)))
        before = now
    return RateCell(_rate(_listed(first, meter)), tuple(above))


def cells(rates: RateCard, meters: Sequence[Meter] = METERS) -> tuple[RateCell, ...]:
    """The rates of these meters, in their order."""
    return tuple(cell(rates, meter) for meter in meters)


def meters_of(cards: Iterable[CardRow]) -> tuple[Meter, ...]:
    """The meters for which any of the cards has a rate of its own; input and output always."""
    listed = {meter for card in cards for band in card.rates.bands for meter in band.listed()}
    return tuple(meter for meter in METERS if meter in listed or meter in ("input", "output"))


def _listed(band: Rates, meter: Meter) -> int | None:
    return band.listed().get(meter)


def _rate(picousd_per_token: int | None) -> str:
    if picousd_per_token is None:
        return formats.UNKNOWN
    return formats.usd_per_mtok(picousd_per_token) if picousd_per_token else "free"


def threshold(prompt_over: int) -> str:
    """From which prompt size on: "above 200K"; "from 200K" where the list counts the threshold itself in."""
    if (prompt_over + 1) % 1000 == 0:
        return f"from {_size(prompt_over + 1)}"
    return f"above {_size(prompt_over)}"


def _size(tokens: int) -> str:
    return f"{formats.count(tokens // 1000)}K" if tokens % 1000 == 0 and tokens else formats.count(tokens)


def window_words(window: WeeklyWindow) -> str:
    """A weekly window: "Mon–Fri 16:30–00:30 UTC"; every day is not said."""
    hours = ", ".join(f"{start}–{end}" for start, end in window.ranges)
    days = _days(sorted(set(window.days)))
    return " ".join(part for part in (days, hours, window.tz) if part)


def _days(days: Sequence[int]) -> str:
    if len(days) == 7:
        return "daily"
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{_WEEKDAYS[days[0]]}–{_WEEKDAYS[days[-1]]}"
    return ", ".join(_WEEKDAYS[day] for day in days)


def validity_words(start: datetime | None, end: datetime | None, zone: ZoneInfo) -> str:
    """From when to when: "always", "since 1 Aug 2025", "until 29 Apr 2026", "1 Aug 2025 – 29 Apr 2026".

    Whole days are named by their dates, the last one included; any other moment by its date and time.
    """
    first, after = start and start.astimezone(zone), end and end.astimezone(zone)
    if first and after and first.time() == after.time() == time():
        return formats.days(first.date(), after.date() - _DAY)
    if first is None:
        return f"until {_end(after)}" if after else "always"
    return f"{_moment(first)} – {_end(after)}" if after else f"since {_moment(first)}"


def _end(local: datetime) -> str:
    return _moment(local) if local.time() != time() else formats.day(local - _DAY)


def _moment(local: datetime) -> str:
    return formats.day(local) if local.time() == time() else f"{formats.day(local)}, {local:%H:%M}"


def factor_words(factors: TierFactors) -> str:
    """A policy in words: "standard × 0.5", "standard rates, input × 0.5, output × 0.5"."""
    named = {(meter, over): factor for meter, over, factor in factors.factors}
    if {meter for meter, _ in named} == set(METERS) and len(set(named.values())) == 1:
        return f"standard × {_factor(next(iter(named.values())))}"
    parts = [
        f"{METER_WORDS[meter].lower()}{f' {threshold(over)}' if over else ''} × {_factor(factor)}"
        for (meter, over), factor in sorted(named.items(), key=lambda item: (METERS.index(item[0][0]), item[0][1]))
    ]
    return f"standard rates, {', '.join(parts)}" if parts else "standard rates"


def _factor(factor: Decimal) -> str:
    exact = f"{factor.normalize():f}"
    return exact if len(exact) <= 6 else f"about {factor.quantize(Decimal('0.001')).normalize():f}"


def source_of(card: CardRow) -> Source:
    """Where a card comes from, in words and as a link."""
    layer = LAYERS[RateCardLayers.Layer(card.layer)]
    name = card.source if card.layer == RateCardLayers.Layer.IMPORT else ""
    if card.is_own:
        layer = "your own price"
    href = safe_href(card.source_url)
    return Source(layer, "" if name else layer, name, host_of(href), href)


def policy_source(policy: PolicyRow) -> Source:
    """Where the factors of a derived tier come from."""
    layer = LAYERS[RateCardLayers.Layer(policy.layer)]
    href = safe_href(policy.source_url)
    return Source(layer, "" if policy.layer == RateCardLayers.Layer.IMPORT else layer, "", host_of(href), href)


def safe_href(url: str) -> str:
    """The address if it is one that a page may link to: https, on some host; else ''."""
    return url if url.startswith("https://") and host_of(url) else ""


def host_of(url: str) -> str:
    """The host as people say it, without "www."; '' where there is none."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
