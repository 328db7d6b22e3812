"""The catalog as it stands, in the shape of a price list's rows, for comparing an import with it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from pricing.costs import Tier
from pricing.importers.rows import (
    AliasRow,
    CardRow,
    DateBasis,
    FactorRow,
    Match,
    ModelKey,
    PolicyRow,
    ProviderRow,
    RateRow,
)
from pricing.models import (
    ModelAlias,
    PricedModel,
    Provider,
    ProviderAlias,
    Rate,
    RateCard,
    TierFactor,
    TierPolicy,
)
from pricing.windows import WeeklyWindow

IMPORT_LAYER = RateCard.Layer.IMPORT


@dataclass(frozen=True, slots=True)
class CurrentCatalog:
    """The open rows of the import layer by content, each with its primary key."""

    providers: dict[str, ProviderRow]
    provider_aliases: dict[str, str]
    models: dict[ModelKey, int]
    dropped: frozenset[ModelKey]
    aliases: dict[AliasRow, int]
    cards: dict[CardRow, int]
    policies: dict[PolicyRow, int]

    @classmethod
    def read(cls) -> "CurrentCatalog":
        """Reads everything that an import may touch, in eight queries."""
        models = {(model.provider_id, model.key): model for model in PricedModel.objects.all()}
        keys = {model.pk: key for key, model in models.items()}
        return cls(
            providers={
                p.slug: ProviderRow(p.slug, p.name, tuple(p.resells), p.model_pattern) for p in Provider.objects.all()
            },
            provider_aliases=dict(ProviderAlias.objects.values_list("alias", "provider_id")),
            models={key: model.pk for key, model in models.items()},
            dropped=frozenset(key for key, model in models.items() if model.dropped_revision_id is not None),
            aliases=_aliases(keys),
            cards=_cards(keys),
            policies=_policies(keys),
        )


def _aliases(keys: dict[int, ModelKey]) -> dict[AliasRow, int]:
    # A name that moved has closed rows for its past; only the row that still runs can differ from the source.
    running = ModelAlias.objects.filter(superseded_revision=None, layer=IMPORT_LAYER, valid_to=None)
    columns = running.values_list("pk", "provider_id", "match", "alias", "rank", "model_id")
    return {
        AliasRow(provider, cast(Match, match), alias, rank, keys[model]): pk
        for pk, provider, match, alias, rank, model in columns
    }


def _cards(keys: dict[int, ModelKey]) -> dict[CardRow, int]:
    cards = RateCard.objects.filter(superseded_revision=None, layer=IMPORT_LAYER)
    rates = _grouped(
        Rate.objects.filter(card__in=cards).values_list("card_id", "meter", "prompt_over", "usd_per_mtok"), RateRow
    )
    return {
        CardRow(
            keys[card.model_id],
            cast(Tier, card.tier),
            card.valid_from,
            card.valid_to,
            WeeklyWindow.parse(card.weekly_window) if card.weekly_window else None,
            cast(DateBasis, card.date_basis),
            card.has_other_charges,
            card.source_url,
            rates[card.pk],
            card.region,
        ): card.pk
        for card in cards
    }


def _policies(keys: dict[int, ModelKey]) -> dict[PolicyRow, int]:
    policies = TierPolicy.objects.filter(superseded_revision=None, layer=IMPORT_LAYER)
    columns = TierFactor.objects.filter(policy__in=policies).values_list("policy_id", "meter", "prompt_over", "factor")
    factors = _grouped(columns, FactorRow)
    return {
        PolicyRow(
            policy.provider_id,
            keys[policy.model_id] if policy.model_id is not None else None,
            cast(Tier, policy.tier),
            policy.source_url,
            factors.get(policy.pk, ()),
            policy.model_pattern,
            policy.valid_from,
            policy.valid_to,
        ): policy.pk
        for policy in policies
    }


def _grouped(columns: Iterable[tuple[Any, ...]], row: type[Any]) -> dict[int, tuple[Any, ...]]:
    groups: defaultdict[int, list[Any]] = defaultdict(list)
    for owner, *values in columns:
        groups[owner].append(row(*values))
    return {owner: tuple(sorted(rows)) for owner, rows in groups.items()}
