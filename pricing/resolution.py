"""Which rates apply to a call: provider, model, time, tier, region and organization to a rate card, and why.

The order: the provider under any of its spellings; the model's name, exact, then by expression, then by prefix, among
the names valid at that time; of the model's cards the region's before the global ones, an organization's own before
everybody's, overrides before corrections before imports, a matching weekly window before none; a tier without cards
by its policy. Never another provider, another model or another tier in silence.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from pricing.costs import CardRateFrom, Cost, RateCard, Status, Usage, cost_of, derive
from pricing.index import (
    SINCE_EVER,
    UNTIL_FURTHER_NOTICE,
    CardEntry,
    MatchKind,
    ModelEntry,
    NameEntry,
    PolicyEntry,
    Rows,
)
from pricing.names import PASS_THROUGH, model_forms, provider_forms
from pricing.windows import WeeklyWindow

# Names come from callers: without a bound anybody could fill the memory with invented ones.
MEMO_SIZE: Final = 20_000


@dataclass(frozen=True, slots=True)
class Resolution:
    """The card that prices a call, or which part of the look-up found nothing."""

    status: Status
    provider: str = ""  # slug of who bills the call
    model: str = ""  # the catalog's key of the model
    model_provider: str = ""  # whose price list it is; differs from provider for resold models
    match_kind: MatchKind | None = None
    card: RateCard | None = None

    @property
    def rate_from(self) -> CardRateFrom | None:
        """`card`, or `policy` when the tier's rates were derived from the standard ones."""
        return self.card.rate_from if self.card else None


# What applies from one moment to the next: one answer, or answers by weekly window of which the last has no window.
Choices = tuple[tuple[WeeklyWindow | None, Resolution], ...]
_Segment = Resolution | Choices
_Timeline = tuple[list[int], list[_Segment]]
Key = tuple[str, str, str, str, int | None]
"""Provider and model as sent, tier, region, organization: all that decides a price apart from the time."""

_UNPRICED: Final[dict[Status, Cost]] = {
    status: Cost(None, status) for status in ("unpriced_provider", "unpriced_model", "unpriced_tier")
}


@dataclass(frozen=True, slots=True)
class _Channel:
    """Who bills a call, and the spellings under which its model may be known there."""

    provider: str
    names: tuple[str, ...]
    inferred: bool


class Catalog:
    """The prices of one revision. Immutable apart from its memo; safe to share between threads."""

    def __init__(self, revision: int, rows: Rows) -> None:
        self.revision = revision
        self._rows = rows
        self._organizations = {organization_id for organization_id, _ in rows.own_names} | {
            entry.organization_id for model in rows.models.values() for entry in model.cards if entry.organization_id
        }
        self._owners: dict[str, set[int]] = {}
        for organization_id, slug in rows.own_names:
            self._owners.setdefault(slug, set()).add(organization_id)
        self._memo: dict[Key, _Timeline] = {}
        self._memo_lock = Lock()

    def resolve(
        self,
        provider: str,
        model: str,
        at: int,
        tier: str = "standard",
        region: str = "global",
        organization_id: int | None = None,
    ) -> Resolution:
        """The rates for a call at `at`, milliseconds since the epoch. A blank provider is inferred or unpriced."""
        key = (provider, model, tier, region, organization_id if organization_id in self._organizations else None)
        starts, segments = self._memo.get(key) or self._remember(key)
        segment = segments[bisect_right(starts, at) - 1]
        if isinstance(segment, Resolution):
            return segment
        return next(found for window, found in segment if window is None or window.covers(at))

    def price(
        self,
        provider: str,
        model: str,
        at: int,
        usage: Usage,
        tier: str = "standard",
        region: str = "global",
        organization_id: int | None = None,
    ) -> Cost:
        """The cost of a normalised usage with its receipt; picousd is None, and the status says why, when unpriced."""
        found = self.resolve(provider, model, at, tier, region, organization_id)
        return _UNPRICED[found.status] if found.card is None else cost_of(usage, found.card)

    def provider_of(self, sent: str) -> str | None:
        """The slug of the provider under any of its spellings."""
        return self._provider(sent)

    def changes(self, key: Key) -> list[int]:
        """The moments at which the answer for this key may change, ascending, from SINCE_EVER on."""
        return self._timeline_of(key)[0]

    def choices(self, key: Key, at: int) -> Choices:
        """What applies from the last change before `at` to the next: answers by weekly window, the last without one."""
        starts, segments = self._timeline_of(key)
        segment = segments[bisect_right(starts, at) - 1]
        return ((None, segment),) if isinstance(segment, Resolution) else segment

    def _timeline_of(self, key: Key) -> _Timeline:
        own = key if key[4] in self._organizations else (*key[:4], None)
        return self._memo.get(own) or self._remember(own)

    def _remember(self, key: Key) -> _Timeline:
        timeline = self._timeline(*key)
        with self._memo_lock:
            if len(self._memo) >= MEMO_SIZE:
                del self._memo[next(iter(self._memo))]
            self._memo[key] = timeline
        return timeline

    def _timeline(self, provider: str, model: str, tier: str, region: str, organization_id: int | None) -> _Timeline:
        channel = self._channel(provider, model, organization_id)
        if channel is None:
            return [SINCE_EVER], [Resolution("unpriced_provider")]
        names = list(self._candidates(channel, organization_id))
        models = [self._rows.models[name.model_id] for name in names]
        policies = self._rows.policies.get((channel.provider, tier), ())
        validities = [
            *(name.validity for name in names),
            *(entry.validity for model in models for entry in model.cards),
            *(policy.validity for policy in policies),
        ]
        starts = sorted({SINCE_EVER, *(edge for span in validities for edge in (span.start_ms, span.end_ms))})
        starts = [start for start in starts if start < UNTIL_FURTHER_NOTICE]
        question = _Question(channel, tier, region, organization_id, policies)
        return starts, [self._segment(question, names, start) for start in starts]

    def _segment(self, question: "_Question", names: list[NameEntry], at: int) -> _Segment:
        name = next((name for name in names if name.validity.covers(at)), None)
        if name is None:
            return Resolution("unpriced_model", question.channel.provider)
        model = self._rows.models[name.model_id]
        return question.segment(model, "inferred_provider" if question.channel.inferred else name.match, at)

    def _candidates(self, channel: _Channel, organization_id: int | None) -> Iterator[NameEntry]:
        """Matching names: the organization's own, the provider's, then those of providers whose models it resells."""
        sold = (channel.provider, *self._rows.providers[channel.provider].resells)
        own = [self._rows.own_names.get((organization_id, provider)) for provider in sold] if organization_id else []
        for index in (*own, *(self._rows.names.get(provider) for provider in sold)):
            if index is not None:
                for name in channel.names:
                    yield from index.candidates(name)

    def _provider(self, sent: str) -> str | None:
        rows = self._rows
        for form in provider_forms(sent):
            slug = form if form in rows.providers else rows.provider_aliases.get(form)
            if slug is not None:
                return slug
        return None

    def _served_by(self, sent: str, organization_id: int | None) -> str | None:
        """The provider's slug. One that only other organizations gave names to is unknown to this one."""
        slug, rows = self._provider(sent), self._rows
        if slug is None or slug in rows.names or rows.providers[slug].resells:
            return slug
        owners = self._owners.get(slug)
        return slug if owners is None or organization_id in owners else None

    def _channel(self, provider: str, model: str, organization_id: int | None) -> _Channel | None:
        slug = self._served_by(provider, organization_id)
        head, slash, rest = model.strip().lower().partition("/")
        prefix = self._served_by(head, organization_id) if slash else None
        if slug is not None:
            # `openai/gpt-4o` at openai is gpt-4o; at openrouter the prefix belongs to the name.
            more = model_forms(rest) if prefix == slug else ()
            return _Channel(slug, (*model_forms(model), *more), inferred=False)
        if prefix is not None:
            return _Channel(prefix, (*model_forms(rest), *model_forms(model)), inferred=True)
        return self._channel_by_name(model) if provider.strip().lower() in PASS_THROUGH else None

    def _channel_by_name(self, model: str) -> _Channel | None:
        """The one provider whose own names look like this and that knows the model; two of them are no answer."""
        names = tuple(model_forms(model))
        found = [
            channel
            for slug, provider in self._rows.providers.items()
            if provider.own_names and any(provider.own_names.match(name) for name in names)
            if any(self._candidates(channel := _Channel(slug, names, inferred=True), None))
        ]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class _Question:
    """One look-up apart from its time."""

    channel: _Channel
    tier: str
    region: str
    organization_id: int | None
    policies: tuple[PolicyEntry, ...]

    def segment(self, model: ModelEntry, match_kind: MatchKind, at: int) -> _Segment:
        """What applies to the model from this moment until the next change."""
        standard = self._cards(model, "standard", at)
        found = standard if self.tier == "standard" else self._of_tier(model, standard, at)
        known = Resolution("priced", self.channel.provider, model.key, model.provider, match_kind)
        choices: list[tuple[WeeklyWindow | None, Resolution]] = [
            (window, replace(known, card=card)) for window, card in found
        ]
        if not found or found[-1][0] is not None:
            missing: Status = "unpriced_tier" if standard and self.tier != "standard" else "unpriced_model"
            choices.append((None, replace(known, status=missing)))
        return choices[0][1] if choices[0][0] is None else tuple(choices)

    def _of_tier(
        self, model: ModelEntry, standard: list[tuple[WeeklyWindow | None, RateCard]], at: int
    ) -> list[tuple[WeeklyWindow | None, RateCard]]:
        # A reseller's batch or priority price is not its supplier's: only the standard list price is passed on.
        own = self._cards(model, self.tier, at) if model.provider == self.channel.provider else []
        if own and own[-1][0] is None:
            return own
        valid = (p for p in self.policies if p.validity.covers(at) and p.applies_to(model.model_id, model.key))
        policy = next(valid, None)
        return own + ([(window, derive(card, policy.factors)) for window, card in standard] if policy else [])

    def _cards(self, model: ModelEntry, tier: str, at: int) -> list[tuple[WeeklyWindow | None, RateCard]]:
        """The cards that may apply, best first, up to the first one that applies at every hour."""
        valid = [
            entry
            for entry in model.cards
            if entry.tier == tier
            and entry.validity.covers(at)
            and entry.region in (self.region, "global")
            and entry.organization_id in (None, self.organization_id)
        ]
        found: list[tuple[WeeklyWindow | None, RateCard]] = []
        for entry in sorted(valid, key=self._precedence, reverse=True):
            found.append((entry.window, entry.card))
            if entry.window is None:
                break
        return found

    def _precedence(self, entry: CardEntry) -> tuple[bool, bool, int, bool, int]:
        return (
            entry.region == self.region,
            entry.organization_id is not None,
            entry.layer,
            entry.window is not None,
            entry.created_revision,
        )
