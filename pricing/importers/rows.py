"""A price list as frozen rows, whatever its source: what an importer yields and the store writes."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pricing.costs import Meter, Tier
from pricing.windows import WeeklyWindow

Match = Literal["exact", "regex", "prefix"]
DateBasis = Literal["documented", "observed", "assumed"]
ModelKey = tuple[str, str]  # provider slug, model key


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider; resells lists providers whose models it offers at their standard price."""

    slug: str
    name: str
    resells: tuple[str, ...] = ()
    model_pattern: str = ""


@dataclass(frozen=True, slots=True)
class AliasRow:
    """A model id as sent to a provider, in lower case; regular expressions are anchored and tried by rank."""

    provider: str
    match: Match
    alias: str
    rank: int
    model: ModelKey


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
    provider_aliases: tuple[tuple[str, str], ...]  # alias, slug
    models: tuple[ModelKey, ...]
    aliases: tuple[AliasRow, ...]
    cards: tuple[CardRow, ...]
    policies: tuple[PolicyRow, ...]
    notes: tuple[str, ...] = ()
