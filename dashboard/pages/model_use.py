"""Calls under the names that applications sent, brought to the catalog's models."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dashboard.queries.prices import ModelUse, NameUse
from metering.periods import day_start
from pricing.catalog import Catalog, epoch_ms

_NOON = timedelta(hours=12)


def by_model(uses: Iterable[NameUse], catalog: Catalog, organization_id: int, zone: ZoneInfo) -> tuple[ModelUse, ...]:
    """The uses whose model the catalog knows, summed by name and model.

    A name is read as at noon of each day, because names move from one model to another. Whose model a name means
    does not depend on the tier or the region. Microseconds a day and name: the catalog is in memory.
    """
    sums: dict[tuple[str, str, str, str, int | None], tuple[int, int]] = {}
    noons: dict[object, int] = {}
    for use in uses:
        at = noons.setdefault(use.day, epoch_ms(day_start(use.day, zone) + _NOON))
        found = catalog.resolve(use.provider, use.model, at, organization_id=organization_id)
        if not found.model:
            continue
        key = (use.provider, use.model, found.model_provider, found.model, found.card.card_id if found.card else None)
        events, cost = sums.get(key, (0, 0))
        sums[key] = events + use.events, cost + use.cost_picousd
    return tuple(ModelUse(*key, *figures) for key, figures in sums.items())


def card_of_name(name: str, catalog: Catalog, organization_id: int, now: datetime) -> int | None:
    """The rate card of a model name as an application sends it, if exactly one provider knows it."""
    found = catalog.resolve("", name, epoch_ms(now), organization_id=organization_id) if name else None
    return found.card.card_id if found and found.card else None
