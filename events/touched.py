"""Which stored events a change of the catalog touches, and what that does to their cost. Raw SQL: sums over unnested
arrays, which the ORM cannot write.

The names under which calls were sent come from the rollups, the stretches of time from comparing the two catalogs, so
only the events of those names in those stretches are read. `effect_of` adds up in the database what re-pricing writes
event by event; a test holds the two against each other.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from events.models import ServiceTier
from pricing.catalog import Catalog, epoch_ms
from pricing.comparison import Piece, changed_pieces

REGIONS = ("global", "us")
"""Where calls may have run, as far as their events say; see `pricing.provider_usage.region_of`."""
_DAY = timedelta(days=1)


class Names(NamedTuple):
    """How calls name what served them: provider and model as sent, the tier as stored."""

    provider: str
    model: str
    service_tier: int


@dataclass(frozen=True, slots=True)
class Lane:
    """The touched events of an organization and environment: start_id <= id < end_id, under these names.

    `events` is how many there are at most: whole days are counted.
    """

    organization_id: int
    environment: int
    start_id: UUID
    end_id: UUID
    names: tuple[Names, ...]
    events: int


@dataclass(frozen=True, slots=True)
class ModelEffect:
    """What a change does to the calls of one model as sent; money in 1e-12 USD over priced calls."""

    provider: str
    model: str
    events: int
    before_picousd: int
    after_picousd: int
    unpriced_before: int
    unpriced_after: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to stored events whose cost it changes, the dearest change first."""

    models: tuple[ModelEffect, ...] = ()

    @property
    def events(self) -> int:
        """How many events get another cost."""
        return sum(model.events for model in self.models)

    @property
    def delta_picousd(self) -> int:
        """What all of it adds to the spend."""
        return sum(model.after_picousd - model.before_picousd for model in self.models)

    def as_json(self) -> dict[str, Any]:
        """For a revision's summary; amounts as text, since JSON's numbers are not exact."""
        return {
            "events": self.events,
            "delta_picousd": str(self.delta_picousd),
            "models": [
                {
                    "provider": model.provider,
                    "model": model.model,
                    "events": model.events,
                    "before_picousd": str(model.before_picousd),
                    "after_picousd": str(model.after_picousd),
                    "unpriced_before": model.unpriced_before,
                    "unpriced_after": model.unpriced_after,
                }
                for model in self.models
            ],
        }


@dataclass(frozen=True, slots=True)
class _Use:
    """The calls of an organization and environment under one name, and the days between which they lie."""

    organization_id: int
    environment: int
    names: Names
    first_day: date
    last_day: date
    events: int

    def period(self) -> tuple[int, int]:
        """Milliseconds around those days in any zone."""
        return _midnight(self.first_day - _DAY), _midnight(self.last_day + 2 * _DAY)


def lanes_of(before: Catalog | None, after: Catalog) -> list[Lane]:
    """Where events may need another price, by organization and environment; without `before`, everywhere."""
    found: defaultdict[tuple[int, int], list[tuple[_Use, int, int]]] = defaultdict(list)
    for use in _uses():
        start, end = use.period()
        if before is not None:
            pieces = [piece for _, piece in _pieces(use, before, after)]
            if not pieces:
                continue
            start, end = min(piece.start_ms for piece in pieces), max(piece.end_ms for piece in pieces)
        found[use.organization_id, use.environment].append((use, start, end))
    return [
        Lane(
            *key,
            UUID(int=min(start for _, start, _ in uses) << 80),
            UUID(int=max(end for _, _, end in uses) << 80),
            tuple(use.names for use, _, _ in uses),
            sum(use.events for use, _, _ in uses),
        )
        for key, uses in sorted(found.items())
    ]


def effect_of(before: Catalog, after: Catalog) -> Effect:
    """What re-pricing from one revision to the other will do to the events that are stored now."""
    rows = [
        row for use in _uses() for region, piece in _pieces(use, before, after) for row in _rows(use, region, piece)
    ]
    if not rows:
        return Effect()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_EFFECT, [list(column) for column in zip(*rows, strict=True)])
        models = [ModelEffect(row[0], row[1], *(int(figure) for figure in row[2:])) for row in cursor.fetchall()]
    return Effect(tuple(sorted(models, key=lambda model: -abs(model.after_picousd - model.before_picousd))))


def _uses() -> Iterator[_Use]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT organization_id, environment, provider, model, service_tier, min(day), max(day), sum(events)
FROM usage_day_cell_now GROUP BY 1, 2, 3, 4, 5 HAVING sum(events) > 0 ORDER BY 1, 2, 3, 4, 5"""
        )
        for organization_id, environment, provider, model, tier, first, last, events in cursor.fetchall():
            yield _Use(organization_id, environment, Names(provider, model, tier), first, last, int(events))


def _pieces(use: _Use, before: Catalog, after: Catalog) -> Iterator[tuple[str, Piece]]:
    tier = ServiceTier(use.names.service_tier).label
    for region in REGIONS:
        key = (use.names.provider, use.names.model, tier, region, use.organization_id)
        yield from ((region, piece) for piece in changed_pieces(before, after, key, *use.period()))


def _rows(use: _Use, region: str, piece: Piece) -> Iterator[tuple[Any, ...]]:
    """One row for each band of prompt sizes: who, when, from and to how many tokens, and the six rates."""
    who = (use.organization_id, use.environment, *use.names, region)
    when = (UUID(int=piece.start_ms << 80), UUID(int=piece.end_ms << 80))
    card = piece.now.card
    if card is None:
        yield (*who, *when, -1, None, False, *[None] * 6)
        return
    for number, band in enumerate(card.bands):
        over = band.prompt_over if number else -1
        upto = card.bands[number + 1].prompt_over if number + 1 < len(card.bands) else None
        yield (*who, *when, over, upto, True, *band.per_token)


_BUCKETS = {
    "input": "e.input_tokens - e.cached_tokens - e.cache_write_tokens",
    "cache_read": "e.cached_tokens",
    "cache_write_5m": "e.cache_write_tokens - e.cache_write_1h_tokens",
    "cache_write_1h": "e.cache_write_1h_tokens",
    "output": "e.output_tokens - e.reasoning_tokens",
    "reasoning": "e.reasoning_tokens",
}
_MISSING = " OR ".join(f"(p.{meter} IS NULL AND {tokens} > 0)" for meter, tokens in _BUCKETS.items())
_SUM = " + ".join(f"({tokens}) * coalesce(p.{meter}, 0)" for meter, tokens in _BUCKETS.items())
_EFFECT = f"""SELECT p.provider, p.model, count(*), coalesce(sum(e.cost_picousd), 0), coalesce(sum(c.now), 0),
count(*) - count(e.cost_picousd), count(*) - count(c.now)
FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::smallint[], %s::text[], %s::uuid[], %s::uuid[],
    %s::bigint[], %s::bigint[], %s::bool[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
    %s::numeric[])
    AS p (organization_id, environment, provider, model, service_tier, region, start_id, end_id, prompt_over,
        prompt_upto, has_card, {", ".join(_BUCKETS)})
JOIN event e ON e.organization_id = p.organization_id AND e.environment = p.environment
    AND e.id >= p.start_id AND e.id < p.end_id
    AND e.provider = p.provider AND e.model = p.model AND e.service_tier = p.service_tier AND e.region = p.region
    AND e.input_tokens > p.prompt_over AND (p.prompt_upto IS NULL OR e.input_tokens <= p.prompt_upto)
CROSS JOIN LATERAL (SELECT CASE WHEN NOT p.has_card OR {_MISSING} THEN NULL ELSE {_SUM} END) AS c (now)
WHERE e.cost_picousd IS DISTINCT FROM c.now
GROUP BY p.provider, p.model"""  # noqa: S608


def _midnight(day: date) -> int:
    return epoch_ms(datetime.combine(day, time(), UTC))
