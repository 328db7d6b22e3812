"""What an import would change: a price list compared with the catalog as it stands."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pricing.importers.current import CurrentCatalog
from pricing.importers.rows import AliasRow, CardRow, ModelKey, PolicyRow, PriceList, ProviderRow


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows to insert and primary keys to close. Rows of models that the source no longer lists are left as they are."""

    providers: tuple[ProviderRow, ...]
    provider_aliases: tuple[tuple[str, str], ...]
    new_models: tuple[ModelKey, ...]
    dropped_models: tuple[ModelKey, ...]
    returned_models: tuple[ModelKey, ...]
    new_aliases: tuple[AliasRow, ...]
    moved_aliases: tuple[tuple[int, AliasRow], ...]  # the running row and its successor, which names another model
    reordered_aliases: tuple[tuple[int, int], ...]  # primary key, rank: the order in which expressions are tried
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

    def summary(self) -> dict[str, Any]:
        """The counts, and which existing models change their price: what the revision keeps."""
        changed = Counter("/".join(card.model) for _, card in self.closed_cards)
        dropped = ["/".join(model) for model in self.dropped_models]
        return {"counts": self.counts(), "repriced_models": sorted(changed), "dropped_models": sorted(dropped)}


def difference(wanted: PriceList, current: CurrentCatalog) -> Difference:
    """Compares by content, so importing the same list twice yields an empty difference."""
    listed = set(wanted.models)
    imported = {row.model for row in current.aliases}  # the others were entered by hand, and are nobody's to drop
    running = {(row.provider, row.match, row.alias): (pk, row) for row, pk in current.aliases.items()}
    moved, added, reordered = [], [], []
    for alias in wanted.aliases:
        pk, was = running.pop((alias.provider, alias.match, alias.alias), (0, None))
        if was is None:
            added.append(alias)
        elif was.model != alias.model:
            moved.append((pk, alias))
        elif was.rank != alias.rank:
            reordered.append((pk, alias.rank))
    cards, policies = set(wanted.cards), set(wanted.policies)
    return Difference(
        providers=tuple(row for row in wanted.providers if current.providers.get(row.slug) != row),
        provider_aliases=tuple(a for a in wanted.provider_aliases if current.provider_aliases.get(a[0]) != a[1]),
        new_models=tuple(key for key in wanted.models if key not in current.models),
        dropped_models=tuple(sorted(imported - listed - current.dropped)),
        returned_models=tuple(key for key in wanted.models if key in current.dropped),
        new_aliases=tuple(added),
        moved_aliases=tuple(moved),
        reordered_aliases=tuple(reordered),
        closed_aliases=tuple(pk for pk, row in running.values() if row.model in listed),
        new_cards=tuple(card for card in wanted.cards if card not in current.cards),
        closed_cards=tuple((pk, c) for c, pk in current.cards.items() if c.model in listed and c not in cards),
        new_policies=tuple(policy for policy in wanted.policies if policy not in current.policies),
        closed_policies=tuple(
            pk for policy, pk in current.policies.items() if policy.model in listed and policy not in policies
        ),
    )
