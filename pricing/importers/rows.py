"""A price list as frozen rows, whatever its source: what an importer yields and the store writes."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pricing.costs import Meter, Tier
from pricing.windows import WeeklyWindow

Match = Literal["exact", "regex", "prefix"]
DateBasis = Literal["documented", "observed", "assumed"]
ModelKey = tuple[str, str]  # provider slug, model key
Layer = Literal[10, 20]


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider; resells lists providers whose models it offers at their standard price."""

    slug: str
    name: str
    resells: tuple[str, ...] = ()
    model_pattern: str = ""


@dataclass(frozen=True, slots=True, order=True)
class ProviderAliasRow:
    """Another spelling of a provider, in lower case."""

    alias: str
    provider: str
    source_url: str


@dataclass(frozen=True, slots=True)
class AliasRow:
    """A model id as sent to a provider, in lower case; regular expressions are anchored and tried by rank."""

    provider: str
    match: Match
    alias: str
    rank: int
    model: ModelKey
    source_url: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class RateRow:
    """USD per million tokens of a meter for prompts of more than prompt_over tokens; at most six decimals."""

    meter: Meter
    prompt_over: int
    usd_per_mtok: Decimal


@dataclass(frozen=True, slots=True)
class CardRow:
    """The rates of a model, tier and validity. Open ends are None."""

    model: ModelKey
    tier: Tier
    valid_from: datetime | None
    valid_to: datetime | None
    window: WeeklyWindow | None
    date_basis: DateBasis
    has_other_charges: bool
    source_url: str
    rates: tuple[RateRow, ...]
    region: str = "global"


@dataclass(frozen=True, slots=True, order=True)
class FactorRow:
    """By what a policy multiplies the standard rate of a meter; at most twelve decimals."""

    meter: Meter
    prompt_over: int
    factor: Decimal


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A tier relative to the standard rates, for one model or, without one, for a provider's models."""

    provider: str
    model: ModelKey | None
    tier: Tier
    source_url: str
    factors: tuple[FactorRow, ...]
    model_pattern: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class PriceList:
    """Everything that one source says, and what could not be taken over (notes: one sentence each)."""

    source: str
    version: str
    raw: bytes = field(repr=False)
    providers: tuple[ProviderRow, ...]
    provider_aliases: tuple[ProviderAliasRow, ...]
    models: tuple[ModelKey, ...]
    aliases: tuple[AliasRow, ...]
    cards: tuple[CardRow, ...]
    policies: tuple[PolicyRow, ...]
    notes: tuple[str, ...] = ()
    layer: Layer = 10
    offered_since: tuple[tuple[str, Tier, datetime], ...] = ()  # provider, tier: no imported policy holds earlier

    def not_before(self, offered_since: Iterable[tuple[str, Tier, datetime]]) -> "PriceList":
        """The same list without prices for tiers at a time when their providers did not offer them yet."""
        starts = {(provider, tier): at for provider, tier, at in offered_since}
        return replace(
            self,
            policies=tuple(
                replace(policy, valid_from=starts.get((policy.provider, policy.tier), policy.valid_from))
                if policy.valid_from is None
                else policy
                for policy in self.policies
            ),
        )

    @property
    def is_correction(self) -> bool:
        """Whether the list adds to the imported one: it drops no models, and says the whole history of its names."""
        return self.layer == 20
