"""Which rate a customer's billing month has, and what its quantity costs by it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from metering.models import MeterRate
from metering.rating import Charge, Rate, charge

type Key = tuple[int, int | None]
"""Meter, and the customer whose own rate it is (None: everybody's)."""


@dataclass(frozen=True, slots=True)
class DatedRate:
    """A rate with the day from which it is in force."""

    id: int
    meter_id: int
    customer_id: int | None
    effective_from: date
    rate: Rate


@dataclass(frozen=True)
class Month:
    """The days of a billing month in the organization's zone: the first one, and the first one after it."""

    first_day: date
    next_first_day: date


class RateBook:
    """All rates of an organization's meters."""

    def __init__(self, rates: Iterable[DatedRate]) -> None:
        self._rates: dict[Key, list[DatedRate]] = defaultdict(list)
        self._own: dict[int, set[int]] = defaultdict(set)
        for one in sorted(rates, key=lambda rate: rate.effective_from):
            self._rates[one.meter_id, one.customer_id].append(one)
            if one.customer_id is not None:
                self._own[one.customer_id].add(one.meter_id)

    def rate_for(self, meter_id: int, customer_id: int, month: Month) -> DatedRate | None:
        """The month's one rate: the one in force when it begins, or else the first that starts within it; the
        customer's own before everybody's. None: there is no rate yet."""
        lists = [self._rates.get((meter_id, customer_id), ()), self._rates.get((meter_id, None), ())]
        in_force = [_newest(rates, month.first_day) for rates in lists]
        within = [_first_within(rates, month) for rates in lists]
        return next((rate for rate in (*in_force, *within) if rate is not None), None)

    def own_meters(self, customer_id: int, month: Month) -> set[int]:
        """The meters for which the customer's own rate is the month's: charged also without usage."""
        found = set()
        for meter_id in self._own.get(customer_id, ()):
            rate = self.rate_for(meter_id, customer_id, month)
            if rate is not None and rate.customer_id is not None:
                found.add(meter_id)
        return found

    def customers_with_own(self) -> set[int]:
        """The customers who have rates of their own."""
        return set(self._own)


def load(organization_id: int) -> RateBook:
    """The rates of the organization, those of archived meters included: their last months are still to be billed."""
    rows = MeterRate.objects.filter(meter__organization_id=organization_id).prefetch_related("tiers")
    return RateBook(DatedRate(row.pk, row.meter_id, row.tracked_user_id, row.effective_from, row.rate) for row in rows)


def cost_of(rate: DatedRate | None, quantity: Decimal) -> Charge | None:
    """The charge for a quantity; None without a rate."""
    return None if rate is None else charge(rate.rate, quantity)


def _newest(rates: Sequence[DatedRate], day: date) -> DatedRate | None:
    return next((rate for rate in reversed(rates) if rate.effective_from <= day), None)


def _first_within(rates: Sequence[DatedRate], month: Month) -> DatedRate | None:
    return next((rate for rate in rates if month.first_day < rate.effective_from < month.next_first_day), None)
