"""What an import would change: a price list compared with the catalog as it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pricing.importers.current import CurrentCatalog
from pricing.importers.rows import AliasRow, CardRow, ModelKey, PolicyRow, PriceList, ProviderAliasRow, ProviderRow


class UnknownModels(ValueError):
    """The list prices models that neither it nor the catalog knows; the message names them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows to insert and primary keys to close. Rows of models that the source no longer lists are left as they are."""

    providers: tuple[ProviderRow, ...]
    new_provider_aliases: tuple[ProviderAliasRow, ...]
    closed_provider_aliases: tuple[int, ...]
    new_models: tuple[ModelKey, ...]
    dropped_models: tuple[ModelKey, ...]
    returned_models: tuple[ModelKey, ...]
    new_aliases: tuple[AliasRow, ...]
    moved_aliases: tuple[tuple[int, AliasRow], ...]  # the running row and its successor, which names another model
    closed_aliases: tuple[int, ...]
    new_cards: tuple[CardRow, ...]
    closed_cards: tuple[tuple[int, CardRow], ...]
    new_policies: tuple[PolicyRow, ...]
    closed_policies: tuple[int, ...]

    def is_empty(self) -> bool:
        """Whether the catalog already says what the source says."""
        return not any(getattr(self, name) for name in self.__slots__)

    def counts(self) -> dict[str, int]:
        """How many rows of each kind change, for people."""
        return {name: len(getattr(self, name)) for name in self.__slots__}

    def repriced_models(self) -> list[str]:
        """Existing models some of whose prices change, as provider/key, sorted."""
        return sorted({"/".join(card.model) for _, card in self.closed_cards})

    def summary(self) -> dict[str, Any]:
        """The counts, and which existing models change their price: what the revision keeps."""
        dropped = ["/".join(model) for model in self.dropped_models]
        counts = {name: count for name, count in self.counts().items() if count}
        return {"counts": counts, "repriced_models": self.repriced_models(), "dropped_models": sorted(dropped)}


def difference(wanted: PriceList, current: CurrentCatalog) -> Difference:
    """Compares by content, so importing the same list twice yields an empty difference. Raises UnknownModels."""
    _refuse_unknown_models(wanted, current)
    listed = set(wanted.models)
    cards, policies, spellings = set(wanted.cards), set(wanted.policies), set(wanted.provider_aliases)
    added, moved, closed = _aliases(wanted, current)
    return Difference(
        providers=tuple(row for row in wanted.providers if current.providers.get(row.slug) != row),
        new_provider_aliases=tuple(row for row in wanted.provider_aliases if row not in current.provider_aliases),
        closed_provider_aliases=tuple(pk for row, pk in current.provider_aliases.items() if row not in spellings),
        new_models=tuple(key for key in wanted.models if key not in current.models),
        dropped_models=_dropped(wanted, current),
        returned_models=tuple(key for key in wanted.models if key in current.dropped),
        new_aliases=added,
        moved_aliases=moved,
        closed_aliases=closed,
        new_cards=tuple(card for card in wanted.cards if card not in current.cards),
        closed_cards=tuple(
            (pk, card)
            for card, pk in current.cards.items()
            if card not in cards and (wanted.is_correction or card.model in listed)
        ),
        new_policies=tuple(policy for policy in wanted.policies if policy not in current.policies),
        closed_policies=tuple(
            pk
            for policy, pk in current.policies.items()
            if policy not in policies and (wanted.is_correction or policy.model is None or policy.model in listed)
        ),
    )


def _refuse_unknown_models(wanted: PriceList, current: CurrentCatalog) -> None:
    known = current.models.keys() | set(wanted.models)
    named = {alias.model for alias in wanted.aliases} | {card.model for card in wanted.cards}
    named |= {policy.model for policy in wanted.policies if policy.model}
    if unknown := sorted("/".join(key) for key in named - known):
        raise UnknownModels(f"{wanted.source} prices models that are not in the catalog: {', '.join(unknown)}")


def _dropped(wanted: PriceList, current: CurrentCatalog) -> tuple[ModelKey, ...]:
    """Models that an earlier import listed and this one does not; a list of corrections drops none."""
    if wanted.is_correction:
        return ()
    imported = {row.model for row in current.aliases}
    return tuple(sorted(imported - set(wanted.models) - current.dropped))


_Aliases = tuple[tuple[AliasRow, ...], tuple[tuple[int, AliasRow], ...], tuple[int, ...]]


def _aliases(wanted: PriceList, current: CurrentCatalog) -> _Aliases:
    """Names to add, to move, to close."""
    if wanted.is_correction:
        names = set(wanted.aliases)
        added = tuple(row for row in wanted.aliases if row not in current.aliases)
        return added, (), tuple(pk for row, pk in current.aliases.items() if row not in names)
    return _undated_aliases(wanted, current)


def _undated_aliases(wanted: PriceList, current: CurrentCatalog) -> _Aliases:
    # A name that moved has closed rows for its past; only the row that still runs can differ from the source.
    running = dict(_running(current))
    moved, added, closed = [], [], []
    for alias in wanted.aliases:
        pk, was = running.pop((alias.provider, alias.match, alias.alias), (0, None))
        if was is None:
            added.append(alias)
        elif was.model != alias.model:
            moved.append((pk, alias))
        elif was.rank != alias.rank:
            closed.append(pk)
            added.append(replace(alias, valid_from=was.valid_from))
    listed = set(wanted.models)
    closed += [pk for pk, row in running.values() if row.model in listed]
    return tuple(added), tuple(moved), tuple(closed)


def _running(current: CurrentCatalog) -> Iterator[tuple[tuple[str, str, str], tuple[int, AliasRow]]]:
    for row, pk in current.aliases.items():
        if row.valid_to is None:
            yield (row.provider, row.match, row.alias), (pk, row)
