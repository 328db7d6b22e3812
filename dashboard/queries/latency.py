"""Percentiles of how long calls took: to their answer, and, of streams that tell, to their last token.

Raw SQL: the ORM knows neither the views over rollups nor ordered-set aggregates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.filters import Filters
from dashboard.queries.conditions import environment_of, id_floor, parted
from dashboard.queries.reading import fetch
from events.rollups import LATENCY_GAMMA

SHARES = (0.5, 0.95, 0.99)
SCANNED = 20_000
"""How many of the latest requests are looked at where no rollup knows the filters."""


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds that 50, 95 and 99 percent of `calls` did not exceed."""

    calls: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Latency:
    """How long the calls of a period took. None: no call told."""

    answer: Percentiles | None
    last_token: Percentiles | None
    latest: int = 0
    """Where only the latest requests were looked at: how many; 0 when all were."""
    among: str = ""
    """Of what these were the latest: of one 'user', 'session', 'conversation' or 'feature', or '' of all."""


def of_period(organization_id: int, filters: Filters) -> Latency:
    """Percentiles of what the filters find: from the buckets of a day, which are 5 % wide, or exact from the events.

    Index ranges of usage_day_latency and usage_day_stream for everything, one feature or one model on whole days; else
    the matches among the latest SCANNED requests by event_newest, or by the index of one condition.
    """
    kind = _kind(filters)
    return _of_events(organization_id, filters) if kind is None else _of_days(organization_id, filters, *kind)


def percentile(buckets: Sequence[tuple[int, int]], share: float) -> float:
    """The value below which `share` of all lies; buckets are (number, calls) in order of their number.

    Inside the bucket the calls are taken to lie evenly on the scale of ratios, as the bucket's edges do.
    """
    rank, below = share * sum(calls for _, calls in buckets), 0
    for number, calls in buckets:
        if below + calls >= rank:
            return math.pow(LATENCY_GAMMA, number + (rank - below) / calls)
        below += calls
    raise ValueError("the share is above 1, or nothing lies in the buckets")


def _kind(filters: Filters) -> tuple[str, str, str | None] | None:
    """Kind, value and provider in the daily rollups; None where they cannot answer."""
    given = filters.conditions
    if not filters.whole_days:
        return None
    if not given:
        return "total", "", ""
    if given.keys() == {"feature"}:
        return "feature", given["feature"], ""
    if given.keys() == {"model"} or given.keys() == {"model", "provider"}:
        return "model", given["model"], given.get("provider")
    return None


def _of_days(organization_id: int, filters: Filters, kind: str, value: str, provider: str | None) -> Latency:
    where = """organization_id = %(organization)s AND environment = %(environment)s AND kind = %(kind)s
    AND day >= %(first)s AND day <= %(last)s AND value = %(value)s
    AND (%(provider)s::text IS NULL OR provider = %(provider)s)"""
    statement = f"""SELECT 'answer', latency_bucket, sum(events) FROM usage_day_latency_now WHERE {where} GROUP BY 2
UNION ALL SELECT 'last_token', stream_bucket, sum(events) FROM usage_day_stream_now WHERE {where} GROUP BY 2
ORDER BY 1, 2"""  # noqa: S608
    params = {
        "organization": organization_id,
        "environment": environment_of(filters),
        "kind": kind,
        "value": value,
        "provider": provider,
        "first": filters.days[0],
        "last": filters.days[-1],
    }
    found: dict[str, list[tuple[int, int]]] = {"answer": [], "last_token": []}
    for measure, number, calls in fetch(statement, params):
        found[measure].append((number, int(calls)))
    return Latency(_of_buckets(found["answer"]), _of_buckets(found["last_token"]))


def _of_buckets(buckets: Sequence[tuple[int, int]]) -> Percentiles | None:
    counted = [(number, calls) for number, calls in buckets if calls > 0]
    if not counted:
        return None
    return Percentiles(sum(calls for _, calls in counted), *(percentile(counted, share) for share in SHARES))


def _of_events(organization_id: int, filters: Filters) -> Latency:
    """Not the latest matches but the matches among the latest: to find many of a rare kind takes seconds."""
    among = next((word for word in ("user", "session", "conversation", "feature") if word in filters.conditions), "")
    lower, upper = id_floor(filters.start), id_floor(filters.end)
    found_by_index, wanted = parted(organization_id, filters, among or None, lower, upper)
    shares, matching = f"ARRAY{list(SHARES)}", f"FILTER (WHERE {wanted.text})"
    measures = ", ".join(
        f"count({name}) {matching}, percentile_cont({shares}) WITHIN GROUP (ORDER BY {name}) {matching}"
        for name in ("latency_ms", "streaming_duration_ms")
    )
    statement = f"""SELECT count(*), {measures}
FROM (SELECT e.* FROM event e WHERE {found_by_index.text} ORDER BY e.id DESC LIMIT {SCANNED}) e"""  # noqa: S608
    [(events, answered, answer, streamed, last_token)] = fetch(
        statement, (*(wanted.params * 4), *found_by_index.params)
    )
    latest = (SCANNED, among) if events == SCANNED else ()
    return Latency(
        Percentiles(answered, *answer) if answered else None,
        Percentiles(streamed, *last_token) if streamed else None,
        *latest,
    )
