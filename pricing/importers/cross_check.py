"""Our rates held against a second list that other people keep: metergraph-core. For the import command only.

Rates are compared, not costs (that package rounds costs), for names that both lists know, now and at every moment from
which ours change. Where one of the two says nothing there is no disagreement. That one list switches at 200,000 tokens
and the other above them is told by neither as a rate: thresholds one token apart count as the same.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from pricing import models
from pricing.catalog import Catalog, epoch_ms
from pricing.costs import METERS, Meter, RateCard, Tier, usd_per_mtok
from pricing.importers.rows import ModelKey
from pricing.index import SINCE_EVER

SECOND_LIST: Final = "metergraph-core"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIERS: Final[tuple[Tier, ...]] = ("standard", "batch")
# Gateways' channels price what a gateway bills; the list keeps one name for each of its own clients, too.
_OTHER_SPELLINGS: Final = frozenset({"unknown", "litellm", "vercel"})


class SecondList(Protocol):
    """What is used of metergraph-core's LoadedCatalog: the names it knows, by provider, and its prices."""

    @property
    def canonical_ids(self) -> Mapping[tuple[str, str], str]: ...

    def lookup_price(self, *, model: str, provider: str, at: datetime, region: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One rate on which the lists differ, in USD per million tokens, for prompts of more than prompt_over tokens.

    `at` is the first moment compared at which they do. It is settled when ours is a correction or an override: then
    somebody has decided, and the source says why.
    """

    provider: str
    model: str
    tier: Tier
    meter: Meter
    prompt_over: int
    at: datetime
    ours: Decimal
    theirs: Decimal
    our_source: str
    their_source: str
    is_settled: bool = False
    was_known: bool = False  # the catalog before an import differed in the same way

    @property
    def point(self) -> tuple[Any, ...]:
        """What the two say about what, apart from when and from where they have it."""
        return (self.provider, self.model, self.tier, self.meter, self.prompt_over, self.ours, self.theirs)


class _Name(NamedTuple):
    """A model under a name that both lists know."""

    provider: str
    name: str
    model: ModelKey


class _Reference(NamedTuple):
    """Our row behind a rate."""

    card_id: int | None
    policy_id: int | None


def load_second_list() -> SecondList:
    """The installed metergraph-core. Takes most of a second and 28 MiB: never in a server."""
    from metergraph_core import load_catalog

    second: SecondList = load_catalog(region="global")
    return second


def cross_check(
    catalog: Catalog, second: SecondList, *, now: datetime, only: Collection[ModelKey] | None = None
) -> list[Disagreement]:
    """Where the two lists differ on the models `only` (on all that both know without it), by model and moment.

    To be called where the catalog's rows can be read: in the transaction that wrote them, if it is not committed.
    """
    found: dict[tuple[Any, ...], tuple[_Reference, Disagreement]] = {}
    for name in _names(catalog, second, now, only):
        for reference, each in _of_name(catalog, second, name, now):
            found.setdefault(each.point, (reference, each))
    ordered = sorted(found.values(), key=lambda pair: (pair[1].provider, pair[1].model, pair[1].tier, pair[1].at))
    return list(_with_sources(ordered))


def _names(catalog: Catalog, second: SecondList, now: datetime, only: Collection[ModelKey] | None) -> Iterator[_Name]:
    """One name for each pair of our model and theirs, the shortest."""
    seen: set[tuple[str, ModelKey, str]] = set()
    for (provider, name), canonical in sorted(second.canonical_ids.items(), key=lambda item: (len(item[0][1]), item)):
        found = catalog.resolve(provider, name, epoch_ms(now))
        model = (found.model_provider, found.model)
        if provider in _OTHER_SPELLINGS or not found.model or (only is not None and model not in only):
            continue
        if (pair := (found.provider, model, canonical)) not in seen:
            seen.add(pair)
            yield _Name(provider, name, model)


def _of_name(
    catalog: Catalog, second: SecondList, name: _Name, now: datetime
) -> Iterator[tuple[_Reference, Disagreement]]:
    for tier in _TIERS:
        changes = catalog.changes((name.provider, name.name, tier, "global", None))
        for at_ms in sorted({epoch_ms(now), *(at for at in changes if at > SINCE_EVER)}):
            at = _EPOCH + timedelta(milliseconds=at_ms)
            card = catalog.resolve(name.provider, name.name, at_ms, tier).card
            theirs = second.lookup_price(model=name.name, provider=name.provider, at=at, region="global")
            if card is not None and _is_in_force(theirs):
                yield from _compare(name, tier, at, card, theirs.price)


def _is_in_force(found: Any) -> bool:
    """Whether their list has a price in dollars for that moment itself; one that has ended is only their last word."""
    return found.price is not None and found.price.currency == "USD" and "price_ended" not in found.reasons


def _compare(
    name: _Name, tier: Tier, at: datetime, card: RateCard, price: Any
) -> Iterator[tuple[_Reference, Disagreement]]:
    reference = _Reference(card.card_id, card.tier_policy_id)
    for prompt_over in _thresholds(card, price):
        per_token = dict(zip(METERS, card.rates_for(prompt_over + 1).per_token, strict=True))
        for meter, theirs in _their_rates(price, tier, prompt_over, at):
            ours = per_token[meter]
            if ours is not None and usd_per_mtok(ours) != theirs:
                yield (
                    reference,
                    Disagreement(
                        *name.model,
                        tier=tier,
                        meter=meter,
                        prompt_over=prompt_over,
                        at=at,
                        ours=usd_per_mtok(ours),
                        theirs=theirs,
                        our_source="",
                        their_source=price.source_url,
                    ),
                )


def _thresholds(card: RateCard, price: Any) -> list[int]:
    """The prompt sizes above which either list may have other rates; of two that are one token apart the higher."""
    long_context = price.rules.get("long_context") or {}
    edges = {0, *(band.prompt_over for band in card.bands), int(long_context.get("threshold") or 0)}
    return sorted(edge for edge in edges if edge + 1 not in edges)


def _their_rates(price: Any, tier: Tier, prompt_over: int, at: datetime) -> Iterator[tuple[Meter, Decimal]]:
    """The rates that their list states, with its rules for long prompts and for the hour applied."""
    long_context = price.rules.get("long_context") or {}
    threshold = long_context.get("threshold")
    is_long = threshold is not None and prompt_over >= int(threshold)
    if tier == "batch" and not long_context.get("applies_to_batch", True):
        is_long = False
    hour = _off_peak_factor(price.rules.get("off_peak_discount") or {}, at)
    for meter, rate in _stated(price, tier).items():
        if rate is not None:
            key = "output_multiplier" if meter == "output" else "input_multiplier"
            yield meter, rate * hour * (Decimal(str(long_context.get(key) or 1)) if is_long else 1)


def _stated(price: Any, tier: Tier) -> dict[Meter, Decimal | None]:
    if tier == "batch":
        return {
            "input": price.batch_input_per_mtok,
            "cache_read": price.batch_cache_read_per_mtok,
            "output": price.batch_output_per_mtok,
        }
    return {
        "input": price.input_per_mtok,
        "cache_read": price.cache_read_per_mtok,
        "cache_write_5m": price.cache_write_5m_per_mtok,
        "cache_write_1h": price.cache_write_1h_per_mtok,
        "output": price.output_per_mtok,
    }


def _off_peak_factor(discount: Mapping[str, Any], at: datetime) -> Decimal:
    """Their rows state the peak rate; outside the peak hours every rate is scaled."""
    windows = discount.get("peak_hours_utc")
    if not windows:
        return Decimal(1)
    is_weekend = bool(discount.get("peak_weekdays_only")) and at.weekday() >= 5
    is_peak = not is_weekend and any(start <= at.hour < end for start, end in windows)
    return Decimal(1) if is_peak else Decimal(str(discount.get("multiplier", 1)))


def _with_sources(found: Iterable[tuple[_Reference, Disagreement]]) -> Iterator[Disagreement]:
    pairs = list(found)
    cards = models.RateCard.objects.in_bulk({reference.card_id for reference, _ in pairs if reference.card_id})
    policies = models.TierPolicy.objects.in_bulk({ref.policy_id for ref, _ in pairs if ref.policy_id})
    for reference, each in pairs:
        rows = [cards.get(reference.card_id or 0), policies.get(reference.policy_id or 0)]
        row = next(row for row in reversed(rows) if row is not None)
        is_settled = row.layer > models.RateCard.Layer.IMPORT
        yield replace(each, our_source=row.source_url, is_settled=is_settled)


def by_model(found: Iterable[Disagreement]) -> dict[tuple[str, str, Tier, datetime], list[Disagreement]]:
    """The rates of one model, tier and moment together, as people read them."""
    groups: defaultdict[tuple[str, str, Tier, datetime], list[Disagreement]] = defaultdict(list)
    for each in found:
        groups[each.provider, each.model, each.tier, each.at].append(each)
    return dict(groups)
