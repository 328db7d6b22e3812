"""Metered revenue of any span of time: what customers' usage is worth at the meters' rates.

A rate prices a billing month, so a span is worth what the month comes to at its end, less what it came to at its start:
spans that follow each other add up to the month, whatever its tiers. Fees and minimums count with the month's first
record, those of a customer's own rate with its first moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from events.models import Organization
from metering import quantities, rate_book
from metering.models import Aggregation
from metering.months import anchor_day_of, month_of
from metering.periods import period_at
from metering.quantities import Part
from metering.rate_book import DatedRate, Month, RateBook
from metering.rating import charge

type Key = tuple[int, int]
"""Customer and meter."""
_ZERO = Decimal(0)


@dataclass
class Accrued:
    """What was earned in a span, in USD, exact; and the meters that have usage in it but no rate."""

    by_customer_meter: dict[Key, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    unrated: set[int] = field(default_factory=set)

    def by_customer(self) -> dict[int, Decimal]:
        """Summed over the meters."""
        found: dict[int, Decimal] = defaultdict(Decimal)
        for (customer_id, _), usd in self.by_customer_meter.items():
            found[customer_id] += usd
        return dict(found)

    def by_meter(self) -> dict[int, Decimal]:
        """Summed over the customers."""
        found: dict[int, Decimal] = defaultdict(Decimal)
        for (_, meter_id), usd in self.by_customer_meter.items():
            found[meter_id] += usd
        return dict(found)

    @property
    def total_usd(self) -> Decimal:
        """Of everybody, for everything."""
        return sum(self.by_customer_meter.values(), _ZERO)


@dataclass(frozen=True)
class Terms:
    """By what an organization charges: its zone and the day on which its months start, its meters, its rates."""

    zone: ZoneInfo
    anchor_day: int
    aggregations: Mapping[int, str]
    """Of each meter."""
    book: RateBook


def terms_of(organization: Organization) -> Terms:
    """The organization's terms. Four statements; one where there are no meters."""
    aggregations = dict(organization.meters.values_list("pk", "aggregation"))
    if not aggregations:
        return Terms(organization.zone, 1, {}, RateBook(()))
    return Terms(organization.zone, anchor_day_of(organization.pk), aggregations, rate_book.load(organization.pk))


@dataclass(frozen=True, slots=True)
class _Cell:
    """A piece of one billing month that lies within one span, or before the first one (None)."""

    start: datetime
    month: int
    span: int | None


def accrued(
    organization: Organization,
    start: datetime,
    until: datetime,
    *,
    customer_ids: Iterable[int] | None = None,
    terms: Terms | None = None,
) -> Accrued:
    """What usage from `start` to before `until` is worth, of all customers or of some."""
    return by_span(organization, [start, until], customer_ids=customer_ids, terms=terms)[0]


def by_span(
    organization: Organization,
    edges: Sequence[datetime],
    *,
    customer_ids: Iterable[int] | None = None,
    terms: Terms | None = None,
) -> list[Accrued]:
    """What usage between neighbouring edges is worth, a span each; `terms` are read where they are not given.

    Reads usage_record once, from the beginning of the first edge's billing month: index usage_record_by_time, or
    usage_record_of_customer for some customers.
    """
    spans = [Accrued() for _ in pairwise(edges)]
    terms = terms_of(organization) if terms is None else terms
    kinds = set(terms.aggregations.values())
    if not spans or not kinds or edges[0] >= edges[-1]:
        return spans
    ids = None if customer_ids is None else list(customer_ids)
    months, cells = _cells(terms, edges)
    parts = quantities.by_part(
        organization.pk,
        [*(cell.start for cell in cells), edges[-1]],
        [cell.month for cell in cells],
        customer_ids=ids,
        counts_values=Aggregation.UNIQUE_COUNT in kinds,
        takes_latest=Aggregation.LATEST in kinds,
    )
    _Reading(terms, months, ids).add_up(cells, parts, spans)
    return spans


def _cells(terms: Terms, edges: Sequence[datetime]) -> tuple[list[Month], list[_Cell]]:
    """The billing months that the edges touch, and their pieces between edges and the months' ends, in order."""
    months: list[Month] = []
    cells: list[_Cell] = []
    period = period_at(edges[0], terms.zone, terms.anchor_day)
    while period.start_at < edges[-1]:
        # Edges may repeat: of a period that is not over, the last ones are all at the present moment.
        inside = [edge for edge in edges if period.start_at < edge < min(period.end_at, edges[-1])]
        for start in dict.fromkeys([period.start_at, *inside]):
            span = sum(edge <= start for edge in edges) - 1
            cells.append(_Cell(start, len(months), span if span >= 0 else None))
        months.append(month_of(period.start_at, period.end_at, terms.zone))
        period = period.next()
    return months, cells


class _Reading:
    """One pass over the cells, in order, with what each month has come to so far."""

    def __init__(self, terms: Terms, months: Sequence[Month], customer_ids: list[int] | None) -> None:
        self.book = terms.book
        self.months = months
        self.aggregations = terms.aggregations
        self.customer_ids = customer_ids
        self.used: dict[Key, Decimal] = {}
        self.worth: dict[Key, Decimal] = {}
        self.rates: dict[Key, DatedRate | None] = {}

    def add_up(self, cells: Sequence[_Cell], parts: Mapping[int, Sequence[Part]], spans: Sequence[Accrued]) -> None:
        """Give each span what its cells add to their months."""
        before: _Cell | None = None
        for number, cell in enumerate(cells):
            span = Accrued() if cell.span is None else spans[cell.span]
            if before is None or cell.month != before.month:
                self._begin(self.months[cell.month], span)
            for part in parts.get(number, ()):
                key = (part.customer_id, part.meter_id)
                self.used[key] = self._merged(self.used.get(key, _ZERO), part)
                self._charge(key, self.months[cell.month], span)
            before = cell

    def _begin(self, month: Month, span: Accrued) -> None:
        """A new month: nothing is used, and customers with rates of their own owe what does not depend on it."""
        self.used, self.worth, self.rates = {}, {}, {}
        owners = self.book.customers_with_own()
        for customer_id in sorted(owners if self.customer_ids is None else owners & set(self.customer_ids)):
            for meter_id in sorted(self.book.own_meters(customer_id, month)):
                self.used[customer_id, meter_id] = _ZERO
                self._charge((customer_id, meter_id), month, span)

    def _charge(self, key: Key, month: Month, span: Accrued) -> None:
        if key not in self.rates:
            customer_id, meter_id = key
            self.rates[key] = self.book.rate_for(meter_id, customer_id, month)
        rate = self.rates[key]
        if rate is None:
            span.unrated.add(key[1])
            return
        worth = charge(rate.rate, self.used[key]).total_usd
        span.by_customer_meter[key] += worth - self.worth.get(key, _ZERO)
        self.worth[key] = worth

    def _merged(self, used: Decimal, part: Part) -> Decimal:
        match self.aggregations[part.meter_id]:
            case Aggregation.SUM:
                return used + part.sum
            case Aggregation.COUNT:
                return used + part.records
            case Aggregation.MAX:
                return max(used, part.max)
            case Aggregation.LATEST:
                return part.latest
            case _:
                return used + part.new_values
