"""Re-pricing: brings stored costs to a newer revision of the catalog, page by page, while events keep coming in.

A page is one transaction: costs, the replaced costs' history, the signed usage deltas and the job's cursor move
together. Only events of an older revision are touched, so a page that is done twice changes nothing the second time,
and two jobs may meet the same event in either order. Whatever is stored after a revision was published carries it
(`pricing/publishing.py`), so one pass over the older events is exact. Raw SQL: the ORM has neither UPDATE … FROM nor
data-modifying CTEs.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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


_PROGRESS = (
    *("done", "total", "changed", "delta_picousd"),
    *("cursor_organization_id", "cursor_environment", "cursor_event_id"),
)


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
    pricing_revision: int


@dataclass(frozen=True, slots=True)
class _Page:
    """Events of one lane in the order of their ids, priced: those whose price is another one now, and that price."""

    lane: Lane
    count: int
    last_id: UUID
    fresh: Sequence[tuple[_Stored, Cost]]


def run_pending(should_stop: Callable[[], bool] = lambda: False, progress: Progress = lambda job: None) -> None:
    """Finish the jobs that are not finished, oldest first. Returns at once when another process is at it.

    Asks `should_stop` before every page; what is done stays done.
    """
    while not should_stop():
        with _alone() as alone:
            while alone and (job := _oldest_open()) and not should_stop():
                _run(job, should_stop, progress)
        # Looked for once more without the lock: whoever queued one just now has met it and gone.
        if not alone or _oldest_open() is None:
            return


def _oldest_open() -> RepriceJob | None:
    return RepriceJob.objects.filter(finished_at=None).order_by("id").first()


def _run(job: RepriceJob, should_stop: Callable[[], bool], progress: Progress) -> None:
    newest = price_catalog.current()
    after = newest if newest.revision == job.to_revision else price_catalog.load(job.to_revision)
    before = None if job.from_revision is None else price_catalog.load(job.from_revision)
    lanes = [lane for lane in lanes_of(before, after) if not _is_behind(job, lane)]
    job.total = max(job.done + sum(lane.events for lane in lanes), job.total if job.started_at else 0)
    job.started_at = job.started_at or datetime.now(UTC)
    job.save(update_fields=["total", "started_at"])
    logger.info("re-pricing %s events for revision %s", job.total, job.to_revision)
    with _ahead(_pages(job, lanes, after)) as pages:
        for page in pages:
            _apply(job, page)
            progress(job)
            if should_stop():
                return
    job.finished_at, job.total = datetime.now(UTC), job.done
    job.save(update_fields=["finished_at", "total"])
    progress(job)
    logger.info("re-priced %s events, %s picousd", job.changed, job.delta_picousd)


def _is_behind(job: RepriceJob, lane: Lane) -> bool:
    """Whether the job has passed this lane."""
    return (lane.organization_id, lane.environment) < (job.cursor_organization_id, job.cursor_environment)


def _pages(job: RepriceJob, lanes: Sequence[Lane], catalog: Catalog) -> Iterator[_Page]:
    """Every page from the job's cursor on, read and priced."""
    # A job that began with no older revision prices everything anew, what carries the revision already included.
    below = job.to_revision + (1 if job.from_revision is None else 0)
    cursor = (job.cursor_organization_id, job.cursor_environment)
    for lane in lanes:
        after_id = UUID(int=lane.start_id.int - 1)
        if (lane.organization_id, lane.environment) == cursor and job.cursor_event_id:
            after_id = max(after_id, job.cursor_event_id)
        while events := _read(lane, after_id, below):
            after_id = events[-1].id
            priced = ((event, _cost(event, catalog, lane.organization_id)) for event in events)
            fresh = [(event, cost) for event, cost in priced if _is_other(event, cost)]
            yield _Page(lane, len(events), after_id, fresh)


def _is_other(event: _Stored, cost: Cost) -> bool:
    """Whether there is anything to say anew. The same cost from another card is not: its own card still explains it."""
    return (cost.picousd, cost.status) != (event.cost_picousd, event.price_status)


@contextmanager
def _ahead(pages: Iterator[_Page]) -> Iterator[Iterator[_Page]]:
    """The same pages, each read and priced in a thread while the caller writes the one before."""
    with ThreadPoolExecutor(1, "reprice") as thread:

        def prefetched() -> Iterator[_Page]:
            pending = thread.submit(next, pages, None)
            while page := pending.result():
                pending = thread.submit(next, pages, None)
                yield page

        try:
            yield prefetched()
        finally:
            thread.submit(lambda: connection.close())


_READ = """SELECT e.id, e.provider, e.model, e.service_tier, e.region, e.input_tokens, e.output_tokens, e.cached_tokens,
e.cache_write_tokens, e.cache_write_1h_tokens, e.reasoning_tokens, e.cost_picousd, e.price_status, e.rate_card_id,
e.tier_policy_id, e.pricing_revision
FROM event e
WHERE e.organization_id = %s AND e.environment = %s AND e.id > %s AND e.id < %s AND e.pricing_revision < %s
AND (e.provider, e.model, e.service_tier) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::smallint[]))
ORDER BY e.id LIMIT %s"""


def _read(lane: Lane, after_id: UUID, below: int) -> list[_Stored]:
    """The next events of the lane: event_newest (organization, environment, id) walked forwards."""
    names = [list(column) for column in zip(*lane.names, strict=True)]
    with transaction.atomic(), connection.cursor() as cursor:
        # Any other plan reads the rest of the lane for every page.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute(
            _READ, [lane.organization_id, lane.environment, after_id, lane.end_id, below, *names, PAGE_EVENTS]
        )
        return [_Stored(*row) for row in cursor.fetchall()]


_TIERS = {tier.value: tier.label for tier in ServiceTier}


def _apply(job: RepriceJob, page: _Page) -> None:
    """Write the new costs of a page and move the job's cursor, in one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        # What a crash undoes is done again from the cursor: nobody waits for this commit to reach the disk.
        cursor.execute("SET LOCAL synchronous_commit = off")
        changed, delta = _store(cursor, page.fresh, job.to_revision) if page.fresh else (0, 0)
        job.done += page.count
        job.total = max(job.total, job.done)
        job.changed += changed
        job.delta_picousd += delta
        job.cursor_organization_id, job.cursor_environment = page.lane.organization_id, page.lane.environment
        job.cursor_event_id = page.last_id
        job.save(update_fields=_PROGRESS)


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
    SELECT f.id, get_byte(uuid_send(f.id), 15) AS slot, f.new_cost, f.old_cost, k.*
    FROM unnest(%s::uuid[], %s::numeric[], %s::numeric[], %s::int[]) AS f (id, new_cost, old_cost, kind)
    JOIN unnest(%s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::int[])
        AS k (kind, new_status, new_card, new_policy, old_status, old_card, old_policy, old_revision) USING (kind)
), changed AS (
    UPDATE event e SET cost_picousd = f.new_cost, price_status = f.new_status, rate_card_id = f.new_card,
        tier_policy_id = f.new_policy, pricing_revision = %s
    FROM fresh f
    WHERE e.id = f.id AND e.slot = f.slot AND e.pricing_revision = f.old_revision
    RETURNING {", ".join(f"e.{column}" for column in rollups.EVENT_DIMENSIONS)}, f.*
), history AS (
    INSERT INTO event_cost_history (event_id, replaced_at, replaced_by_revision, cost_picousd, price_status,
        rate_card_id, tier_policy_id, pricing_revision)
    SELECT id, clock_timestamp(), %s, old_cost, old_status, old_card, old_policy, old_revision FROM changed
), moved AS (
    {rollups.revaluation("changed", old="e.old_cost", new="e.new_cost")}
)
SELECT count(*), coalesce(sum(coalesce(new_cost, 0) - coalesce(old_cost, 0)), 0) FROM changed"""  # noqa: S608


def _store(cursor: Any, fresh: Sequence[tuple[_Stored, Cost]], revision: int) -> tuple[int, int]:
    """How many events were changed, and by how many picousd in all."""
    # All but the costs is the same for many events, and is sent once.
    kinds: dict[tuple[Any, ...], int] = {}
    of_each = [
        kinds.setdefault((cost.status, cost.card_id, cost.tier_policy_id, *event[12:]), len(kinds))
        for event, cost in fresh
    ]
    cursor.execute(
        _STORE,
        [
            [event.id for event, _ in fresh],
            [cost.picousd for _, cost in fresh],
            [event.cost_picousd for event, _ in fresh],
            of_each,
            list(kinds.values()),
            *(list(column) for column in zip(*kinds, strict=True)),
            revision,
            revision,
        ],
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
