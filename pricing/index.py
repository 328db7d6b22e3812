"""The catalog's rows in memory: names, cards and policies with their validity in milliseconds. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pricing.costs import RateCard, TierFactors
from pricing.windows import WeeklyWindow

MatchKind = Literal["exact", "regex", "prefix", "inferred_provider"]
NameMatch = Literal["exact", "regex", "prefix"]

SINCE_EVER: Final = -(1 << 62)
UNTIL_FURTHER_NOTICE: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Validity:
    """Milliseconds since the epoch; the start belongs to it, the end does not."""

    start_ms: int
    end_ms: int

    def covers(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms < self.end_ms


@dataclass(frozen=True, slots=True)
class NameEntry:
    """A model id as sent: exact text, prefix, or anchored regular expression."""

    match: NameMatch
    alias: str
    rank: int
    layer: int
    model_id: int
    validity: Validity


@dataclass(frozen=True, slots=True)
class CardEntry:
    """A rate card with what decides whether and before which others it applies."""

    card: RateCard
    tier: str
    region: str
    organization_id: int | None
    layer: int
    window: WeeklyWindow | None
    created_revision: int
    validity: Validity


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A tier policy of a provider, for one model, a pattern of model keys, or all of its models."""

    factors: TierFactors
    model_id: int | None
    pattern: re.Pattern[str] | None
    layer: int
    validity: Validity

    def applies_to(self, model_id: int, key: str) -> bool:
        if self.model_id is not None:
            return self.model_id == model_id
        return self.pattern is None or self.pattern.match(key) is not None

    def precedence(self) -> tuple[bool, bool, int]:
        """The narrower policy first, then the higher layer."""
        return (self.model_id is not None, self.pattern is not None, self.layer)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model and all of its cards, of every tier, region and organization."""

    model_id: int
    provider: str
    key: str
    cards: tuple[CardEntry, ...]


@dataclass(slots=True)
class NameIndex:
    """The names under which one provider's models are known."""

    exact: Mapping[str, Sequence[NameEntry]]
    expressions: Sequence[NameEntry]
    prefixes: Sequence[NameEntry]
    _compiled: list[re.Pattern[str]] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, entries: Iterable[NameEntry]) -> "NameIndex":
        exact: dict[str, list[NameEntry]] = {}
        others: dict[str, list[NameEntry]] = {"regex": [], "prefix": []}
        for entry in sorted(entries, key=lambda entry: -entry.layer):
            (exact.setdefault(entry.alias, []) if entry.match == "exact" else others[entry.match]).append(entry)
        expressions = sorted(others["regex"], key=lambda entry: (-entry.layer, entry.rank))
        return cls(exact, expressions, sorted(others["prefix"], key=lambda entry: -len(entry.alias)))

    def candidates(self, name: str) -> Iterator[NameEntry]:
        """Every entry that matches, best first: exact, then expressions in their order, then the longest prefix."""
        yield from self.exact.get(name, ())
        if self._compiled is None:
            self._compiled = [re.compile(entry.alias, re.DOTALL) for entry in self.expressions]
        for entry, pattern in zip(self.expressions, self._compiled, strict=True):
            if pattern.match(name):
                yield entry
        for entry in self.prefixes:
            if name.startswith(entry.alias):
                yield entry


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider, whose models it resells, and the pattern of names that are unmistakably its own."""

    slug: str
    resells: tuple[str, ...]
    own_names: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything of one revision that resolving needs."""

    providers: Mapping[str, ProviderEntry]
    provider_aliases: Mapping[str, str]
    names: Mapping[str, NameIndex]  # by provider
    own_names: Mapping[tuple[int, str], NameIndex]  # by organization and provider
    models: Mapping[int, ModelEntry]
    policies: Mapping[tuple[str, str], tuple[PolicyEntry, ...]]  # by provider and tier, by precedence
