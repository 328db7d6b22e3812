"""What the demo's company bills: meters with their rates, plans, and the usage of some of its accounts.

Pure and deterministic, like `events/demo.py`, whose accounts and days these are. Prices are for the default traffic;
more of it is more usage, so that the margin stays believable.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from random import Random
from typing import Final, NamedTuple

from events import demo, demo_company
from events.demo import HOURS, WEEKEND, Traffic
from metering.rating import Graduated, Package, PerUnit, Rate, Tier, Volume


@dataclass(frozen=True, slots=True)
class DemoMeter:
    """A meter and everybody's rate; `own` are the rates of single accounts."""

    name: str
    unit: str
    aggregation: str
    rate: Rate
    unique_key: str = ""
    own: tuple[tuple[str, Rate], ...] = ()


def _tiers(*tiers: tuple[str | None, str]) -> tuple[Tier, ...]:
    return tuple(Tier(Decimal(up_to) if up_to else None, Decimal(price)) for up_to, price in tiers)


DOCUMENTS: Final = DemoMeter(
    "Documents processed",
    "documents",
    "SUM",
    Rate(Graduated(_tiers(("500", "0.012"), ("2000", "0.008"), (None, "0.005")))),
    own=(("Initech", Rate(Volume(_tiers(("1000", "0.008"), (None, "0.004"))), minimum_usd=Decimal(5))),),
)
SEATS: Final = DemoMeter("Active seats", "seats", "UNIQUE_COUNT", Rate(PerUnit(Decimal("1.50"))), unique_key="seat")
STORAGE: Final = DemoMeter("Storage", "GB", "MAX", Rate(Package(Decimal(10), Decimal("0.80"))))
CALLS: Final = DemoMeter("API calls", "calls", "COUNT", Rate(PerUnit(Decimal("0.02")), allowance=Decimal(50)))
METERS: Final = (DOCUMENTS, SEATS, STORAGE, CALLS)
PLANS: Final = ("team", "business")


class Habit(NamedTuple):
    """What an account uses: per working day, seats and GB in all."""

    account: str
    documents: int
    calls: float
    seats: int
    storage_gb: int


HABITS: Final = (
    Habit("Northwind", 130, 9, 6, 52),
    Habit("Initech", 90, 12, 5, 34),
    Habit("Contoso", 60, 3, 8, 21),
    Habit("Hooli", 12, 2, 1, 4),  # costs more than it pays, still
    Habit("Globex", 45, 5, 4, 18),
    Habit("Fabrikam", 30, 2, 3, 12),
    Habit("Adventure Works", 55, 4, 5, 27),
    Habit("Tailspin Toys", 22, 2, 2, 8),
    Habit("Wide World Importers", 26, 0, 2, 15),
    Habit("Trey Research", 18, 6, 2, 9),
    Habit("Litware", 4, 1, 1, 2),  # as Hooli
    Habit("Proseware", 8, 1, 1, 3),
)
CREDITED: Final = ("Contoso", Decimal(15), "Welcome credit")
REFUNDED: Final = ("Fabrikam", Decimal("1.50"), "A seat was counted that had been given up.")


class DemoRecord(NamedTuple):
    """One report of a meter by an account; `seat` is what the meter of seats counts."""

    meter: str
    external_id: str
    quantity: Decimal
    occurred_at: datetime
    seat: str | None = None

    @property
    def metadata(self) -> str | None:
        """As a program would have sent it."""
        return None if self.seat is None else json.dumps({"seat": self.seat})


class DemoSubscription(NamedTuple):
    """A plan of an account from a local day to the day before another."""

    plan: str
    external_id: str
    starts_on: date
    ends_on: date | None


def first_day(traffic: Traffic) -> date:
    """The day from which rates hold: the first of the month in which the traffic begins."""
    return traffic.at(0).astimezone(traffic.zone).date().replace(day=1)


def subscriptions(traffic: Traffic) -> Iterator[DemoSubscription]:
    """The plans of accounts that have one of `PLANS`, as they changed."""
    for account in demo_company.ACCOUNTS:
        starts_on = max(first_day(traffic), traffic.day_at(account.joined).date()) if account.joined else None
        changes = [(starts_on or first_day(traffic), account.plan)]
        if account.changed_plan:
            changes.append((traffic.day_at(account.change_at).date(), account.changed_plan))
        for (day, plan), (end, _) in pairwise([*changes, (None, "")]):
            if plan in PLANS and day != end and day is not None:
                yield DemoSubscription(plan, account.external_id, day, end)


def records(traffic: Traffic) -> Iterator[DemoRecord]:
    """All usage up to the traffic's end, account by account and day by day."""
    joined = {user.external_id: user.joined_at for user in demo.users(traffic)}
    by_name = {account.name: account for account in demo_company.ACCOUNTS}
    for habit in HABITS:
        external_id = by_name[habit.account].external_id
        random = demo.chance(traffic, f"usage of {habit.account}")
        for day in range(traffic.days):
            for record in _Day(traffic, habit, external_id, day, random).records():
                if joined[external_id] <= record.occurred_at < traffic.now:
                    yield record


class _Day:
    """24 hours of one account."""

    def __init__(self, traffic: Traffic, habit: Habit, external_id: str, day: int, random: Random) -> None:
        self.habit = habit
        self.external_id = external_id
        self.random = random
        self.start = traffic.now - timedelta(days=traffic.days - day)
        local = self.start.astimezone(traffic.zone)
        self.hours = list(accumulate(HOURS[(local.hour + hour) % 24] for hour in range(24)))
        self.part = day / traffic.days
        working = WEEKEND if (local + timedelta(hours=12)).isoweekday() > 5 else 1.0
        self.busy = working * traffic.scale * (0.8 + 0.5 * self.part)

    def records(self) -> Iterator[DemoRecord]:
        habit, random = self.habit, self.random
        for share in _shares(random, habit.documents * self.busy * random.lognormvariate(0, 0.25)):
            yield self._record(DOCUMENTS, Decimal(share))
        for _ in range(_about(random, habit.calls * self.busy)):
            yield self._record(CALLS, Decimal(1))
        seats = max(1, round(habit.seats * (0.7 + 0.4 * self.part)))
        for number in range(seats):
            if random.random() < min(0.8, self.busy):
                yield self._record(SEATS, Decimal(1), f"seat-{number + 1:02d}")
        stored = habit.storage_gb * (0.6 + 0.6 * self.part) * random.uniform(0.97, 1.03)
        yield self._record(STORAGE, Decimal(f"{stored:.1f}"))

    def _record(self, meter: DemoMeter, quantity: Decimal, seat: str | None = None) -> DemoRecord:
        hour = self.random.choices(range(24), cum_weights=self.hours)[0]
        at = self.start + timedelta(hours=hour, seconds=self.random.randrange(3600))
        return DemoRecord(meter.name, self.external_id, quantity, at, seat)


def _shares(random: Random, documents: float) -> Iterator[int]:
    """The documents of a day in one to three batches, none of them empty."""
    left = _about(random, documents)
    for _ in range(random.randint(0, 2)):
        if left > 1:
            share = random.randint(1, left - 1)
            left -= share
            yield share
    if left:
        yield left


def _about(random: Random, number: float) -> int:
    """A whole number that is this one on average."""
    return math.floor(number) + (random.random() < number % 1)
