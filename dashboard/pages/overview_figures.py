"""The Overview's figures, before they are text: sums by bucket and model, revenue, the period before."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from dashboard.filters import Bucket, Filters
from dashboard.formats import TINY_REVENUE_PICOUSD
from dashboard.queries import revenue, usage
from dashboard.queries.conditions import environment_of
from dashboard.queries.revenue import Revenue
from dashboard.queries.usage import NOTHING, BucketUsage, PreviousBucket, Usage

SPARSE = timedelta(days=2)
"""History shorter than this is drawn by the hour."""

A_DAY = timedelta(hours=23)
"""A chart by the hour shows at least this much before the current hour: one bar alone says nothing."""

ModelKey = tuple[str, str]
"""Provider and model."""


@dataclass(frozen=True)
class Previous:
    """The comparison period: its total cost by bucket, and its sums up to the moment that matches now."""

    cost_by_bucket: Sequence[int]
    totals: Usage
    revenue_picousd: int | None


@dataclass(frozen=True)
class Figures:
    """Sums of the period. Money in picousd."""

    first_event_at: datetime | None
    hourly: bool
    buckets: Sequence[Bucket]
    by_bucket: Sequence[Usage]
    by_model: dict[ModelKey, Sequence[Usage]]
    """For each model one sum a bucket, the dearest model first."""
    revenue: Revenue | None
    """None: the filters name something that revenue does not belong to. Its buckets are those of the page."""
    revenue_total: int
    metered_total: int
    """How much of `revenue_total` is metered revenue."""
    previous: Previous | None
    """None: not wanted, or the organization is younger than the comparison period."""
    has_models: bool = True
    """Whether models are told apart; else all are one, without a name."""

    @cached_property
    def totals(self) -> Usage:
        """The sums over all buckets."""
        return Usage.total(self.by_bucket)

    @property
    def unpriced_models(self) -> list[ModelKey]:
        """Models with events whose cost is unknown, most events first."""
        counts = {key: sum(one.unpriced for one in series) for key, series in self.by_model.items()}
        return sorted((key for key, count in counts.items() if count), key=lambda key: (-counts[key], key))


def read(organization_id: int, filters: Filters, *, with_models: bool = True) -> Figures:
    """Read the figures: five statements, inside the caller's snapshot."""
    first = usage.first_event_at(organization_id, environment_of(filters))
    sparse = filters.whole_days and first is not None and filters.now - first < SPARSE
    hourly = filters.hourly or sparse
    buckets = [
        bucket
        for bucket in filters.buckets(
            hourly=hourly, since=min(first, filters.now - A_DAY) if sparse and first else None
        )
        if bucket.start <= filters.until
    ]
    kind = "model" if with_models else "total"
    by_model = _by_model(usage.by_bucket(organization_id, filters, kind, hourly=hourly), buckets)
    before = comparison(filters, first)
    earned = _earned(organization_id, filters, buckets, before)
    return Figures(
        first_event_at=first,
        hourly=hourly,
        buckets=buckets,
        by_bucket=[Usage.total(column) for column in zip(*by_model.values(), strict=True)] or [NOTHING] * len(buckets),
        by_model=by_model,
        revenue=earned.shown,
        revenue_total=earned.total,
        metered_total=earned.metered,
        previous=_previous(organization_id, before, earned.before, hourly, len(buckets)) if before else None,
        has_models=with_models,
    )


def comparison(filters: Filters, first_event_at: datetime | None) -> Filters | None:
    """The period to compare with; None when none is wanted, or the organization is younger than it."""
    before = filters.previous()
    is_younger = first_event_at is None or first_event_at > before.start
    return None if filters.compare == "none" or is_younger else before


def _by_model(rows: Sequence[BucketUsage], buckets: Sequence[Bucket]) -> dict[ModelKey, Sequence[Usage]]:
    starts = [bucket.start for bucket in buckets]
    series: dict[ModelKey, list[Usage]] = {}
    for row in rows:
        sums = series.setdefault((row.provider, row.value), [NOTHING] * len(buckets))
        place = _place(starts, row.start)
        sums[place] = row.usage if sums[place] is NOTHING else sums[place] + row.usage
    costs = {key: sum(one.cost_picousd for one in sums) for key, sums in series.items()}
    return {key: series[key] for key in sorted(series, key=lambda key: (-costs[key], key))}


def _place(starts: Sequence[datetime], at: datetime) -> int:
    """The bucket that holds `at`. What lies outside (an event dated minutes ahead) counts in the nearest one."""
    return max(0, bisect_right(starts, at) - 1)


@dataclass(frozen=True)
class _Earned:
    shown: Revenue | None = None
    """By the buckets of the page; None where the filters name something that revenue does not belong to."""
    total: int = 0
    metered: int = 0
    before: int | None = None


def _earned(organization_id: int, filters: Filters, buckets: Sequence[Bucket], before: Filters | None) -> _Earned:
    if not has_revenue(filters) or not buckets:
        return _Earned()
    edges = [filters.start, *(bucket.start for bucket in buckets[1:]), buckets[-1].end]
    if buckets[0].start > filters.start:
        edges.insert(1, buckets[0].start)
    # Mostly one period ends where the other begins: one look at what all users pay is then enough for both.
    former = [before.start, before.until] if before and before.end == filters.start else []
    found = revenue.by_bucket(organization_id, [*former, *edges], filters.until, filters.zone, filters.user)
    own, metered = found.by_bucket[len(former) :], found.metered[len(former) :]
    hidden = len(own) - len(buckets)
    return _Earned(
        Revenue(own[hidden:], found.ever_sent, metered[hidden:]),
        sum(own),
        sum(metered),
        found.by_bucket[0] if former else _earned_before(organization_id, before) if before else None,
    )


def _earned_before(organization_id: int, before: Filters) -> int:
    edges = [before.start, before.end]
    return revenue.by_bucket(organization_id, edges, before.until, before.zone, before.user).total


def has_revenue(filters: Filters) -> bool:
    """Revenue belongs to users: it has a meaning for all of them and for one, not for a model or a feature."""
    return not why_no_revenue(filters)


def why_no_revenue(filters: Filters) -> str:
    """Why what is shown has no revenue, as a sentence without its full stop; '' where it has one."""
    if filters.environment != "live":
        return "Users pay for what is live: test requests earn nothing"
    is_of_users = not filters.conditions or (filters.conditions.keys() == {"user"} and bool(filters.user))
    return "" if is_of_users else "Revenue belongs to users, not to what is filtered here"


def no_revenue_note(filters: Filters) -> str:
    """The same as a note, with what can be done about it."""
    is_filtered = filters.environment == "live"
    return f"{why_no_revenue(filters)}." + (" Remove the other filters to see it." if is_filtered else "")


def _previous(organization_id: int, before: Filters, earned: int | None, hourly: bool, length: int) -> Previous:
    rows = usage.previous(organization_id, before, hourly=hourly)
    return Previous(_costs(rows, before, hourly, length), Usage.total(row.comparable for row in rows), earned)


def _costs(rows: Sequence[PreviousBucket], before: Filters, hourly: bool, length: int) -> list[int]:
    starts = [bucket.start for bucket in before.buckets(hourly=hourly)]
    costs = [0] * max(length, len(starts))
    for row in rows:
        costs[_place(starts, row.start)] += row.cost_picousd
    return costs[:length]


def margin(revenue_picousd: int | None, cost_picousd: int) -> Decimal | None:
    """Gross margin as a ratio of revenue; None without revenue, or with too little to say anything."""
    if revenue_picousd is None or revenue_picousd < TINY_REVENUE_PICOUSD:
        return None
    return Decimal(revenue_picousd - cost_picousd) / revenue_picousd


def cost_per_1k(sums: Usage) -> int | None:
    """Picousd per 1,000 priced requests, rounded half up; None when none is priced."""
    priced = sums.events - sums.unpriced
    return (sums.cost_picousd * 2000 + priced) // (2 * priced) if priced else None


def error_rate(sums: Usage) -> Decimal | None:
    """Failed requests as a ratio of all; None without requests."""
    return Decimal(sums.errors) / sums.events if sums.events else None
