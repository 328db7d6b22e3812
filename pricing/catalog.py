"""The price catalog in memory: `load()` reads one revision, and its `price()` takes microseconds an event."""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from django.db.models import Max, Q

from pricing import models
from pricing.costs import RateCard, TierFactors, picousd_per_token
from pricing.index import (
    SINCE_EVER,
    UNTIL_FURTHER_NOTICE,
    CardEntry,
    ModelEntry,
    NameEntry,
    NameIndex,
    PolicyEntry,
    ProviderEntry,
    Rows,
    Validity,
)
from pricing.resolution import Catalog, Resolution
from pricing.windows import WeeklyWindow

__all__ = ["Catalog", "Resolution", "current", "current_revision", "epoch_ms", "load"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """An aware time as whole milliseconds since the epoch, rounded down: the clock of the catalog."""
    return (at - _EPOCH) // _MILLISECOND


def current_revision() -> int:
    """The number of the newest revision, 0 while nothing was imported. One index look-up."""
    return models.PricingRevision.objects.aggregate(newest=Max("pk"))["newest"] or 0


_shared: Catalog | None = None
_sharing = Lock()


def current() -> Catalog:
    """The newest revision's catalog, one for all threads of the process; loaded when the revision has changed."""
    global _shared
    number = current_revision()
    with _sharing:
        if _shared is None or _shared.revision != number:
            _shared = load(number)
        return _shared


def load(revision: int | None = None) -> Catalog:
    """The catalog as of a revision (the newest by default). About 0.15 s; rows written meanwhile are not seen."""
    number = current_revision() if revision is None else revision
    # Rows are only ever added and closed, so this condition reads one consistent state without a snapshot.
    open_rows = Q(created_revision__lte=number) & (
        Q(superseded_revision__isnull=True) | Q(superseded_revision__gt=number)
    )
    names, own_names = _names(open_rows)
    rows = Rows(
        providers={
            terms.provider_id: ProviderEntry(terms.provider_id, tuple(terms.resells), _compiled(terms.model_pattern))
            for terms in models.ProviderTerms.objects.filter(open_rows)
        },
        # The higher layer comes later, and stays.
        provider_aliases=dict(
            models.ProviderAlias.objects.filter(open_rows).order_by("layer").values_list("alias", "provider_id")
        ),
        names=names,
        own_names=own_names,
        models=_models(open_rows),
        policies=_policies(open_rows),
    )
    return Catalog(number, rows)


def _names(open_rows: Q) -> tuple[dict[str, NameIndex], dict[tuple[int, str], NameIndex]]:
    """Everybody's names by provider, and organizations' own ones by organization and provider."""
    columns = models.ModelAlias.objects.filter(open_rows).values_list(
        "organization_id", "provider_id", "match", "alias", "rank", "layer", "model_id", "valid_from", "valid_to"
    )
    entries: defaultdict[tuple[int | None, str], list[NameEntry]] = defaultdict(list)
    for organization_id, provider, match, alias, rank, layer, model_id, start, end in columns:
        name = NameEntry(match, alias, rank, layer, model_id, _validity(start, end))  # type: ignore[arg-type]
        entries[organization_id, provider].append(name)
    shared = {provider: NameIndex.of(found) for (owner, provider), found in entries.items() if owner is None}
    own = {(owner, provider): NameIndex.of(found) for (owner, provider), found in entries.items() if owner is not None}
    return shared, own


def _models(open_rows: Q) -> dict[int, ModelEntry]:
    cards = _cards(open_rows)
    return {
        pk: ModelEntry(pk, provider, key, tuple(cards.get(pk, ())))
        for pk, provider, key in models.PricedModel.objects.values_list("pk", "provider_id", "key")
    }


_CARD = (
    *("pk", "model_id", "tier", "region", "organization_id", "layer", "weekly_window", "created_revision_id"),
    *("valid_from", "valid_to", "has_other_charges"),
)


def _cards(open_rows: Q) -> dict[int, list[CardEntry]]:
    cards = models.RateCard.objects.filter(open_rows)
    columns = models.Rate.objects.filter(card__in=cards).values_list("card_id", "meter", "prompt_over", "usd_per_mtok")
    rates = _grouped((card, meter, over, picousd_per_token(usd)) for card, meter, over, usd in columns)
    found: defaultdict[int, list[CardEntry]] = defaultdict(list)
    # Columns, not objects: making thousands of those takes longer than all the rest.
    for pk, model_id, tier, region, owner, layer, window, revision, start, end, other_charges in cards.values_list(
        *_CARD
    ):
        card = RateCard.of(pk, rates.get(pk, ()), has_other_charges=other_charges)
        parsed = WeeklyWindow.parse(window) if window else None
        found[model_id].append(CardEntry(card, tier, region, owner, layer, parsed, revision, _validity(start, end)))
    return found


def _policies(open_rows: Q) -> dict[tuple[str, str], tuple[PolicyEntry, ...]]:
    policies = models.TierPolicy.objects.filter(open_rows)
    columns = models.TierFactor.objects.filter(policy__in=policies)
    factors = _grouped(columns.values_list("policy_id", "meter", "prompt_over", "factor"))
    found: defaultdict[tuple[str, str], list[PolicyEntry]] = defaultdict(list)
    for row in policies:
        entry = PolicyEntry(
            TierFactors(row.pk, tuple(factors.get(row.pk, ()))),
            row.model_id,
            _compiled(row.model_pattern),
            row.layer,
            _validity(row.valid_from, row.valid_to),
        )
        found[row.provider_id, row.tier].append(entry)
    return {key: tuple(sorted(rows, key=PolicyEntry.precedence, reverse=True)) for key, rows in found.items()}


def _grouped(columns: Iterable[tuple[Any, ...]]) -> dict[int, list[Any]]:
    groups: defaultdict[int, list[Any]] = defaultdict(list)
    for owner, *values in columns:
        groups[owner].append(tuple(values))
    return groups


def _compiled(pattern: str) -> re.Pattern[str] | None:
    return re.compile(pattern, re.DOTALL) if pattern else None


def _validity(start: datetime | None, end: datetime | None) -> Validity:
    return Validity(epoch_ms(start) if start else SINCE_EVER, epoch_ms(end) if end else UNTIL_FURTHER_NOTICE)
