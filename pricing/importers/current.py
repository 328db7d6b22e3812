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
    Layer,
    Match,
    ModelKey,
    PolicyRow,
    ProviderAliasRow,
    ProviderRow,
    RateRow,
)
from pricing.models import (
    ModelAlias,
    PricedModel,
    ProviderAlias,
    ProviderTerms,
    Rate,
    RateCard,
    TierFactor,
    TierPolicy,
)
from pricing.windows import WeeklyWindow


@dataclass(frozen=True, slots=True)
class CurrentCatalog:
    """The open rows of one layer by content, each with its primary key; without those of single organizations."""

    providers: dict[str, ProviderRow]
    provider_aliases: dict[ProviderAliasRow, int]
    models: dict[ModelKey, int]
    dropped: frozenset[ModelKey]
    aliases: dict[AliasRow, int]
    cards: dict[CardRow, int]
    policies: dict[PolicyRow, int]

    @classmethod
    def read(cls, layer: Layer = 10) -> "CurrentCatalog":
        """Reads everything that an import into this layer may touch, in eight queries."""
        shared = PricedModel.objects.filter(organization_id=None)
        models = {(model.provider_id, model.key): model for model in shared}
        keys = {model.pk: key for key, model in models.items()}
        terms = ProviderTerms.objects.filter(superseded_revision=None).select_related("provider")
        aliases = ProviderAlias.objects.filter(superseded_revision=None, layer=layer)
        return cls(
            providers={
                row.provider_id: ProviderRow(row.provider_id, row.provider.name, tuple(row.resells), row.model_pattern)
                for row in terms
            },
            provider_aliases={ProviderAliasRow(row.alias, row.provider_id, row.source_url): row.pk for row in aliases},
            models={key: model.pk for key, model in models.items()},
            dropped=frozenset(key for key, model in models.items() if model.dropped_revision_id is not None),
            aliases=_aliases(keys, layer),
            cards=_cards(keys, layer),
            policies=_policies(keys, layer),
        )


def _aliases(keys: dict[int, ModelKey], layer: Layer) -> dict[AliasRow, int]:
    names = ModelAlias.objects.filter(superseded_revision=None, layer=layer, organization_id=None)
    columns = names.values_list(
        "pk", "provider_id", "match", "alias", "rank", "model_id", "source_url", "valid_from", "valid_to"
    )
    return {
        AliasRow(provider, cast(Match, match), alias, rank, keys[model], source, start, end): pk
        for pk, provider, match, alias, rank, model, source, start, end in columns
    }


def _cards(keys: dict[int, ModelKey], layer: Layer) -> dict[CardRow, int]:
    cards = RateCard.objects.filter(superseded_revision=None, layer=layer, organization_id=None)
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


def _policies(keys: dict[int, ModelKey], layer: Layer) -> dict[PolicyRow, int]:
    policies = TierPolicy.objects.filter(superseded_revision=None, layer=layer)
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
