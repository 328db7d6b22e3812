"""Whether an import may be applied at once or somebody has to approve it, and why. Values in, sentences out.

New models and new names change no cost that anybody relies on. Everything that gives a known name another price does,
and so does a new price that the second list contradicts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pricing.costs import TIERS
from pricing.importers.cross_check import SECOND_LIST, Disagreement
from pricing.importers.reach import Reach
from pricing.resolution import Catalog, Choices, Key

_SHOWN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an import does to what is there already; names are provider/name.

    repriced_events counts stored events that have a cost and get another one, or none. `disagreements` are those of
    the models that the import adds or changes.
    """

    is_first: bool = False
    repriced: Sequence[str] = ()
    moved: Sequence[str] = ()
    withdrawn: Sequence[str] = ()
    changed_providers: Sequence[str] = ()
    repriced_events: int = 0
    disagreements: Sequence[Disagreement] = ()


def reasons(facts: Facts) -> tuple[str, ...]:
    """Why somebody has to approve the import, a sentence each; none means that it may be applied at once."""
    if facts.is_first:
        return ()
    disputed = sorted({f"{each.provider}/{each.model}" for each in facts.disagreements if not each.is_settled})
    events = facts.repriced_events
    found = (
        _listed(facts.repriced, "A known model changes its price", "{} known models change their price"),
        _listed(facts.moved, "A name moves to another model", "{} names move to another model"),
        _listed(facts.withdrawn, "A known name is withdrawn", "{} known names are withdrawn"),
        _listed(facts.changed_providers, "A known provider sells otherwise", "{} known providers sell otherwise"),
        f"{_counted(events, 'stored event')} with a cost {'gets' if events == 1 else 'get'} another." if events else "",
        _listed(disputed, f"{SECOND_LIST} disagrees on a model", f"{SECOND_LIST} disagrees on {{}} models"),
    )
    return tuple(sentence for sentence in found if sentence)


def repriced(before: Catalog, after: Catalog, reach: Reach) -> tuple[str, ...]:
    """The models, as provider/key, that had a price at some time in some tier and have another one then.

    Whether the stored rows were replaced does not matter: the same rates from another page are the same price.
    """
    apart = {*reach.moved, *reach.withdrawn}
    found = {
        _label(before, key)
        for provider, name in reach.names
        if f"{provider}/{name}" not in apart
        for key in ((provider, name, tier, region, None) for tier in TIERS for region in reach.regions)
        if _is_repriced(before, after, key)
    }
    return tuple(sorted(found))


def _is_repriced(before: Catalog, after: Catalog, key: Key) -> bool:
    for at in {*before.changes(key), *after.changes(key)}:
        was = before.choices(key, at)
        if any(found.card for _, found in was) and _rates(was) != _rates(after.choices(key, at)):
            return True
    return False


def _rates(choices: Choices) -> tuple[Any, ...]:
    cards = [(window, found.card) for window, found in choices]
    return tuple((window, card and (card.bands, card.has_other_charges)) for window, card in cards)


def _label(catalog: Catalog, key: Key) -> str:
    """Who bills, and the catalog's key of what the name stood for."""
    known = (found for at in catalog.changes(key) for _, found in catalog.choices(key, at) if found.card)
    first = next(known)
    return f"{first.provider}/{first.model}"


def _listed(names: Iterable[str], one: str, many: str) -> str:
    listed = list(names)
    if not listed:
        return ""
    head = one if len(listed) == 1 else many.format(f"{len(listed):,}")
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return f"{head}: {', '.join(listed[:_SHOWN])}{more}."


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
