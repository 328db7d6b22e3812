"""Importing price lists with what it does to stored events: tried and judged first, then published.

Both lists, the library's and the project's corrections, are one change: nobody is ever priced between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from events.price_changes import Change, publish, try_out
from events.touched import Effect
from pricing import catalog as price_catalog
from pricing.catalog import Catalog
from pricing.importers import review
from pricing.importers.cross_check import Disagreement, SecondList, cross_check
from pricing.importers.reach import reach_of
from pricing.importers.rows import PriceList
from pricing.importers.store import Imported, write_price_list
from pricing.models import Provider


class CatalogMoved(Exception):
    """Somebody else changed the catalog after the import was tried; it has to be tried again."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What an import would do, and why somebody has to approve it (no reason: nobody has to)."""

    revision: int  # the catalog's when it was tried
    imported: tuple[Imported, ...]
    effect: Effect
    disagreements: tuple[Disagreement, ...]
    reasons: tuple[str, ...]

    @property
    def changes_anything(self) -> bool:
        """Whether there is something to write: prices, or a version of a list that is not recorded yet."""
        return any(each.revision is not None for each in self.imported)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What can only be read while the tried rows are there."""

    revision: int
    imported: tuple[Imported, ...]
    disagreements: tuple[Disagreement, ...]
    facts: review.Facts


def try_import(
    lists: Sequence[PriceList], *, now: datetime, second: SecondList | None = None, check_all: bool = False
) -> Trial:
    """What importing these lists would do; nothing is written. Raises UnknownModels.

    With a second list the models that change are held against it; with `check_all` every model that both know.
    """
    change = try_out(lambda: _attempt(lists, now, second, check_all))
    made = change.result
    repriced = sum(model.events - model.unpriced_before for model in change.effect.models)
    return Trial(
        made.revision,
        made.imported,
        change.effect,
        made.disagreements,
        review.reasons(replace(made.facts, repriced_events=repriced)),
    )


def publish_import(lists: Sequence[PriceList], *, revision: int, now: datetime) -> Change[tuple[Imported, ...]]:
    """Import these lists and queue the re-pricing of the events they touch.

    Raises CatalogMoved unless the catalog is at this revision, at which somebody tried or approved the import.
    """

    def change() -> tuple[Imported, ...]:
        if price_catalog.current_revision() != revision:
            raise CatalogMoved
        return _write(lists, now)

    return publish(change, now=now)


def _write(lists: Sequence[PriceList], now: datetime) -> tuple[Imported, ...]:
    return tuple(write_price_list(each, now=now) for each in lists)


def _attempt(lists: Sequence[PriceList], now: datetime, second: SecondList | None, check_all: bool) -> _Attempt:
    revision = price_catalog.current_revision()
    known = set(Provider.objects.values_list("slug", flat=True))
    imported = _write(lists, now)
    reach = reach_of([each.difference for each in imported])
    before, after = price_catalog.load(revision), price_catalog.load()
    found = cross_check(after, second, now=now, only=None if check_all else reach.models) if second else []
    disagreements = _marked(found, before, second, now) if second else []
    facts = review.Facts(
        is_first=revision == 0,
        repriced=review.repriced(before, after, reach) if revision else (),
        moved=reach.moved,
        withdrawn=reach.withdrawn,
        changed_providers=sorted(
            {row.slug for each in imported for row in each.difference.providers if row.slug in known}
        ),
        disagreements=[each for each in disagreements if not each.was_known],
    )
    return _Attempt(revision, imported, tuple(disagreements), facts)


def _marked(found: Sequence[Disagreement], before: Catalog, second: SecondList, now: datetime) -> list[Disagreement]:
    """The disagreements, with those marked that were there before the import."""
    models = {(each.provider, each.model) for each in found}
    known = {each.point for each in cross_check(before, second, now=now, only=models)}
    return [replace(each, was_known=each.point in known) for each in found]
