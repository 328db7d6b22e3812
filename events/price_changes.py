"""Changes of the catalog with what they do to stored events: tried first, then published with their re-pricing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from events import jobs
from events.models import RepriceJob
from events.touched import Effect, effect_of
from pricing import catalog as price_catalog
from pricing.catalog import Catalog
from pricing.models import PricingRevision
from pricing.publishing import catalog_locked


@dataclass(frozen=True, slots=True)
class Change[T]:
    """What a change did, or would do. `job` is the re-pricing that follows; None when it touches no event."""

    result: T
    effect: Effect = field(default_factory=Effect)
    job: RepriceJob | None = None


def try_out[T](change: Callable[[], T]) -> Change[T]:
    """What `change` would do: it is made, measured against the stored events, and undone."""
    with catalog_locked(dry_run=True):
        before = price_catalog.current()
        return Change(result=change(), effect=_effect(before))


def publish[T](change: Callable[[], T], *, now: datetime) -> Change[T]:
    """Make the change, and queue the re-pricing of the events that it touches, in one transaction.

    Every revision that `change` makes keeps the effect in its summary. A change that raises leaves nothing behind.
    """
    with catalog_locked():
        before = price_catalog.current()
        result = change()
        effect = _effect(before)
        return Change(result, effect, _queue_repricing(before.revision, effect, now))


def _queue_repricing(first: int, effect: Effect, now: datetime) -> RepriceJob | None:
    """The job, also where no event is touched yet: until the commit, more of them come in at the old price."""
    last = price_catalog.current_revision()
    if first in (0, last):
        return None
    newest = PricingRevision.objects.get(pk=last)
    newest.summary = newest.summary | {"effect": effect.as_json()}
    newest.save(update_fields=["summary"])
    job = RepriceJob.objects.create(
        from_revision=first, to_revision=last, created_at=now, total=effect.events, expected=effect.as_json()
    )
    jobs.defer_reprice()
    return job


def _effect(before: Catalog) -> Effect:
    """The effect of everything that changed in this transaction since that catalog."""
    if price_catalog.current_revision() == before.revision:
        return Effect()
    return effect_of(before, price_catalog.load())
