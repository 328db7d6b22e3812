"""Re-pricing: brings stored costs to a newer revision of the catalog, page by page, while events keep coming in.

A page is one transaction: costs, the replaced costs' history, the signed usage deltas and the job's cursor move
together. Only events of an older revision are touched, so a page that is done twice changes nothing the second time,
and two jobs may meet the same event in either order. Whatever is stored after a revision was published carries it
(`pricing/publishing.py`), so one pass over the older events is exact. Raw SQL: the ORM has neither UPDATE … FROM nor
data-modifying CTEs.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from events import rollups
from events.models import RepriceJob, ServiceTier
from events.touched import Lane, lanes_of
from pricing import catalog as price_catalog
from pricing.catalog import Catalog
from pricing.costs import Cost, Usage

logger = logging.getLogger("fluxgate.repricing")

PAGE_EVENTS = 5_000
REPRICE_LOCK = 7_201_002
"""Advisory lock: whoever holds it may re-price."""

Progress = Callable[[RepriceJob], None]


class _Stored(NamedTuple):
    """What an event says about its price, as stored."""

    id: UUID
    provider: str
    model: str
    service_tier: int
    region: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    cost_picousd: int | None
    price_status: str
    rate_card_id: int | None
    tier_policy_id: int | None


@dataclass(frozen=True, slots=True)
class _Page:
    """Events of one lane in the order of their ids, and where the next page begins; None at the lane's end."""

    events: Sequence[_Stored]
    last_id: UUID | None


def run_pending(should_stop: Callable[[], bool] = lambda: False, progress: Progress = lambda job: None) -> None:
    """Finish the jobs that are not finished, oldest first. Returns at once when another process is at it.

    Asks `should_stop` before every page; what is done stays done.
    """
    with _alone() as alone:
        while alone and not should_stop():
            job = RepriceJob.objects.filter(finished_at=None).order_by("id").first()
            if job is None:
                return
            _run(job, should_stop, progress)


def _run(job: RepriceJob, should_stop: Callable[[], bool], progress: Progress) -> None:
    after = price_catalog.load(job.to_revision)
    before = None if job.from_revision is None else price_catalog.load(job.from_revision)
    lanes = lanes_of(before, after)
    job.total, job.started_at = max(sum(lane.events for lane in lanes), job.done), job.started_at or datetime.now(UTC)
    job.save(update_fields=["total", "started_at"])
    logger.info("re-pricing %s events for revision %s", job.total, job.to_revision)
    # The price of every event anew includes those that carry the revision already.
    below = job.to_revision + (1 if before is None else 0)
    for lane in lanes:
        if _is_behind(job, lane):
            continue
        for page in _pages(job, lane, below):
            _apply(job, lane, page, after, below)
            progress(job)
            if should_stop():
                return
    job.finished_at = datetime.now(UTC)
    job.done = job.total
    job.save(update_fields=["finished_at", "done"])
    progress(job)
    logger.info("re-priced %s events, %s picousd", job.changed, job.delta_picousd)


def _is_behind(job: RepriceJob, lane: Lane) -> bool:
    """Whether the job has passed this lane."""
    return (lane.organization_id, lane.environment) < (job.cursor_organization_id, job.cursor_environment)


def _pages(job: RepriceJob, lane: Lane, below: int) -> Iterator[_Page]:
    here = (lane.organization_id, lane.environment) == (job.cursor_organization_id, job.cursor_environment)
    after_id = job.cursor_event_id if here and job.cursor_event_id else UUID(int=lane.start_id.int - 1)
    while True:
        page = _read(lane, max(after_id, UUID(int=lane.start_id.int - 1)), below)
        yield page
        if page.last_id is None:
            return
        after_id = page.last_id


_READ = """SELECT e.id, e.provider, e.model, e.service_tier, e.region, e.input_tokens, e.output_tokens, e.cached_tokens,
e.cache_write_tokens, e.cache_write_1h_tokens, e.reasoning_tokens, e.cost_picousd, e.price_status, e.rate_card_id,
e.tier_policy_id
FROM event e
WHERE e.organization_id = %s AND e.environment = %s AND e.id > %s AND e.id < %s AND e.pricing_revision < %s
AND (e.provider, e.model, e.service_tier) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::smallint[]))
ORDER BY e.id LIMIT %s"""


def _read(lane: Lane, after_id: UUID, below: int) -> _Page:
    """The next events of the lane: event_newest (organization, environment, id) walked forwards."""
    names = [list(column) for column in zip(*lane.names, strict=True)]
    with transaction.atomic(), connection.cursor() as cursor:
        # Any other plan reads the rest of the lane for every page.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute(
            _READ,
            [lane.organization_id, lane.environment, after_id, lane.end_id, below, *names, PAGE_EVENTS],
        )
        events = [_Stored(*row) for row in cursor.fetchall()]
    return _Page(events, events[-1].id if len(events) == PAGE_EVENTS else None)


_TIERS = {tier.value: tier.label for tier in ServiceTier}


def _apply(job: RepriceJob, lane: Lane, page: _Page, catalog: Catalog, below: int) -> None:
    """Write the new costs of a page and move the job's cursor, in one transaction."""
    fresh = []
    for event in page.events:
        cost = _cost(event, catalog, lane.organization_id)
        if (cost.picousd, cost.status, cost.card_id, cost.tier_policy_id) != event[-4:]:
            fresh.append((event.id, cost))
    with transaction.atomic(), connection.cursor() as cursor:
        # What a crash undoes is done again from the cursor: nobody waits for this commit to reach the disk.
        cursor.execute("SET LOCAL synchronous_commit = off")
        changed, delta = _store(cursor, fresh, catalog.revision, below) if fresh else (0, 0)
        job.done = min(job.done + len(page.events), job.total)
        job.changed += changed
        job.delta_picousd += delta
        job.cursor_organization_id, job.cursor_environment = lane.organization_id, lane.environment
        job.cursor_event_id = page.last_id or lane.end_id
        job.save(
            update_fields=[
                *("done", "changed", "delta_picousd"),
                *("cursor_organization_id", "cursor_environment", "cursor_event_id"),
            ]
        )


def _cost(event: _Stored, catalog: Catalog, organization_id: int) -> Cost:
    return catalog.price(
        event.provider,
        event.model,
        event.id.int >> 80,
        Usage(*event[5:11]),
        _TIERS[event.service_tier],
        event.region,
        organization_id,
    )


_STORE = f"""WITH fresh AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(slots)s::smallint[], %(costs)s::numeric[], %(statuses)s::text[],
        %(cards)s::bigint[], %(policies)s::bigint[])
        AS f (id, slot, new_cost, new_status, new_card, new_policy)
), changed AS (
    UPDATE event SET cost_picousd = f.new_cost, price_status = f.new_status, rate_card_id = f.new_card,
        tier_policy_id = f.new_policy, pricing_revision = %(revision)s
    FROM fresh f JOIN event e ON e.id = f.id AND e.slot = f.slot
    WHERE event.id = e.id AND event.slot = e.slot AND e.pricing_revision < %(below)s
    RETURNING e.*, f.new_cost
), history AS (
    INSERT INTO event_cost_history (event_id, replaced_at, replaced_by_revision, cost_picousd, price_status,
        rate_card_id, tier_policy_id, pricing_revision)
    SELECT id, clock_timestamp(), %(revision)s, cost_picousd, price_status, rate_card_id, tier_policy_id,
        pricing_revision
    FROM changed
), moved AS (
    {rollups.revaluation("changed", old="e.cost_picousd", new="e.new_cost")}
)
SELECT count(*), coalesce(sum(coalesce(new_cost, 0) - coalesce(cost_picousd, 0)), 0) FROM changed"""  # noqa: S608


def _store(cursor: Any, fresh: Sequence[tuple[UUID, Cost]], revision: int, below: int) -> tuple[int, int]:
    """How many events were changed, and by how many picousd in all."""
    cursor.execute(
        _STORE,
        {
            "ids": [event_id for event_id, _ in fresh],
            "slots": [event_id.int & 0xFF for event_id, _ in fresh],
            "costs": [cost.picousd for _, cost in fresh],
            "statuses": [cost.status for _, cost in fresh],
            "cards": [cost.card_id for _, cost in fresh],
            "policies": [cost.tier_policy_id for _, cost in fresh],
            "revision": revision,
            "below": below,
        },
    )
    changed, delta = cursor.fetchone()
    return int(changed), int(delta)


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether this process may re-price until the block ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [REPRICE_LOCK])
        held = bool(cursor.fetchone()[0])
        try:
            yield held
        finally:
            if held:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [REPRICE_LOCK])


def request_all(now: datetime) -> RepriceJob:
    """A job that prices every stored event anew at the current revision; `run_pending` does it, here or elsewhere."""
    return RepriceJob.objects.create(to_revision=price_catalog.current_revision(), created_at=now)
