"""Which names an import reaches: those whose price it may change, and those it takes away. Reads the catalog's rows."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q

from pricing.importers.difference import Difference
from pricing.importers.rows import ModelKey
from pricing.models import ModelAlias, PricedModel, ProviderAlias, ProviderTerms, TierPolicy


@dataclass(frozen=True, slots=True)
class Reach:
    """What an import reaches, whether or not it was known before. Names are exact, as a call may send them."""

    models: frozenset[ModelKey]
    names: frozenset[tuple[str, str]]  # who bills, and the model's name there
    regions: frozenset[str]
    moved: tuple[str, ...]  # provider/name of what belongs to another model from now on
    withdrawn: tuple[str, ...]  # names and spellings of providers that no list has any more


def reach_of(changes: Sequence[Difference]) -> Reach:
    """To be called in the transaction that made the changes."""
    rules = list(_tier_rules(changes))
    cards = [card for change in changes for card in (*change.new_cards, *(row for _, row in change.closed_cards))]
    models = {card.model for card in cards} | {(rule.provider, rule.model) for rule in rules if rule.model}
    wide = {named for rule in rules if not rule.model for named in _sold_under(rule)}
    added = [(row.provider, row.alias) for change in changes for row in change.new_aliases if row.match == "exact"]
    return Reach(
        models=frozenset(models | {model for _, model in wide}),
        names=frozenset({*models, *_exact_names(models), *((slug, model[1]) for slug, model in wide), *added}),
        regions=frozenset({"global", *(card.region for card in cards)}),
        moved=tuple(sorted(f"{row.provider}/{row.alias}" for change in changes for _, row in change.moved_aliases)),
        withdrawn=tuple(sorted(_withdrawn(changes), key=lambda name: ("^" in name, name))),
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """A tier policy that comes or goes: for one model of the provider, or for those that fit a pattern."""

    provider: str
    model: str | None
    pattern: str


def _tier_rules(changes: Sequence[Difference]) -> Iterator[_Rule]:
    for change in changes:
        for row in change.new_policies:
            yield _Rule(row.provider, row.model[1] if row.model else None, row.model_pattern)
        closed = TierPolicy.objects.filter(pk__in=change.closed_policies)
        for rule in closed.values_list("provider_id", "model__key", "model_pattern"):
            yield _Rule(*rule)


def _sold_under(rule: _Rule) -> Iterator[tuple[str, ModelKey]]:
    """The models of a provider, and those that it resells, which a rule without a model applies to."""
    terms = ProviderTerms.objects.filter(provider=rule.provider, superseded_revision=None).first()
    sold = PricedModel.objects.filter(
        provider__in=[rule.provider, *(terms.resells if terms else ())], organization_id=None
    )
    pattern = re.compile(rule.pattern, re.DOTALL)
    for owner, key in sold.values_list("provider_id", "key"):
        if pattern.match(key):
            yield rule.provider, (owner, key)


def _exact_names(models: Iterable[ModelKey]) -> Iterator[tuple[str, str]]:
    wanted = set(models)
    names = ModelAlias.objects.filter(
        Q(match="exact") & Q(superseded_revision=None) & Q(organization_id=None),
        model__provider__in={provider for provider, _ in wanted},
    )
    for provider, alias, owner, key in names.values_list("provider_id", "alias", "model__provider_id", "model__key"):
        if (owner, key) in wanted:
            yield provider, alias


def _withdrawn(changes: Sequence[Difference]) -> Iterator[str]:
    """Names whose row was closed and that have no row of the same layer any more; a changed rank takes nothing away."""
    for change in changes:
        kept = {(row.provider, row.match, row.alias, row.model) for row in change.new_aliases}
        closed = ModelAlias.objects.filter(pk__in=change.closed_aliases).select_related("model")
        for row in closed:
            model = (row.model.provider_id, row.model.key)
            if (row.provider_id, row.match, row.alias, model) not in kept:
                yield f"{row.provider_id}/{row.alias}"
        spellings = {row.alias for row in change.new_provider_aliases}
        for alias in ProviderAlias.objects.filter(pk__in=change.closed_provider_aliases):
            if alias.alias not in spellings:
                yield alias.alias
