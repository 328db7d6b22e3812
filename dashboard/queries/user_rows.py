"""Rows of usage by user, and by user and feature: as few as add up to a period.

Most periods begin and end within a month, and a row for each of their days and users would be many rows. So a period is
covered by whole months, by whole dekads (thirds of a month, as `usage_dekad_user` has them) and by the days at its
edges; where most days of a dekad are wanted, the others are taken off it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Literal

from dashboard.filters import Filters
from dashboard.queries.reading import Sql
from events.rollups import PAIR_MEASURES

type Step = Literal["month", "dekad", "day"]
CLOCK_AHEAD = timedelta(minutes=5)
"""How far ahead of now an event may be dated."""
MEASURES = PAIR_MEASURES
"""What pages sum up: what every rollup of usage has."""
SUMS = ", ".join(f"sum({name}) AS {name}" for name in MEASURES)
_TABLES: dict[Step, str] = {
    "month": "usage_month_user_now",
    "dekad": "usage_dekad_user_now",
    "day": "usage_day_user_now",
}
_PAIR_TABLES: dict[Step, str] = {"dekad": "usage_dekad_user_feature_now", "day": "usage_day_user_feature_now"}


@dataclass(frozen=True)
class Cover:
    """Steps, by their first days, whose sums make a period; those of `without` are taken off."""

    months: tuple[date, ...] = ()
    dekads: tuple[date, ...] = ()
    days: tuple[date, ...] = ()
    without: tuple[date, ...] = ()

    @classmethod
    def of(cls, days: Sequence[date], latest: date | None, *, by_month: bool = True) -> "Cover":
        """The cover of neighbouring local days in order. After the day `latest`, if given, nothing has happened yet."""
        wanted, months, dekads, single, without = frozenset(days), [], [], [], []
        for month, whole_month in groupby(_all_days(days[0], days[-1]), key=lambda day: day.replace(day=1)):
            whole, parts = [], 0
            for dekad, whole_dekad in groupby(whole_month, key=dekad_of):
                happened = [day for day in whole_dekad if latest is None or day <= latest]
                inside = [day for day in happened if day in wanted]
                parts += bool(happened)
                if len(happened) < 2 * len(inside):
                    whole.append(dekad)
                    without += [day for day in happened if day not in wanted]
                else:
                    single += inside
            if by_month and len(whole) == parts > 0:
                months.append(month)
            else:
                dekads += whole
        return cls(tuple(months), tuple(dekads), tuple(single), tuple(without))

    @property
    def steps(self) -> list[tuple[Step, tuple[date, ...], str]]:
        """The kind of step, the first days and the sign of each part that is not empty."""
        parts: list[tuple[Step, tuple[date, ...], str]] = [
            ("month", self.months, ""),
            ("dekad", self.dekads, ""),
            ("day", self.days, ""),
            ("day", self.without, "-"),
        ]
        return [part for part in parts if part[1]] or [("day", (), "")]


def dekad_of(day: date) -> date:
    """The first day of the third of a month that holds `day`: the 1st, the 11th or the 21st."""
    return day.replace(day=1 + 10 * min(2, (day.day - 1) // 10))


def cover_of(filters: Filters, *, by_month: bool) -> Cover:
    """The cover of a period of whole days. Of one that goes on, dekads and months count although they are not over."""
    latest = (filters.now + CLOCK_AHEAD).astimezone(filters.zone).date() if filters.now < filters.end else None
    return Cover.of(filters.days, latest, by_month=by_month)


def rows(organization_id: int, environment: int, cover: Cover, *only: Sql, with_feature: bool = False) -> Sql:
    """Rows (at, value, provider, measures) by user, of all or only of rows `e`; with the feature as the `provider`.

    Ranges of the keys of the rollups by user, or by user and feature; these have no months.
    """
    tables, wanted = _PAIR_TABLES if with_feature else _TABLES, Sql.all_of(only) if only else Sql("true")
    pieces = [
        Sql(
            f"""SELECT e.{step} AS at, e.tracked_user_id AS value, {"e.feature" if with_feature else "''"} AS provider,
    {", ".join(f"{sign}e.{name} AS {name}" for name in MEASURES)}
FROM {tables[step]} e
WHERE e.organization_id = %s AND e.environment = %s AND e.{step} = ANY(%s::date[]) AND {wanted.text}""",  # noqa: S608
            (organization_id, environment, list(first_days), *wanted.params),
        )
        for step, first_days, sign in cover.steps
    ]
    return Sql(" UNION ALL ".join(piece.text for piece in pieces), tuple(p for piece in pieces for p in piece.params))


def one_of(ids: Iterable[int]) -> Sql:
    """The condition that a row `e` is of one of these users."""
    return Sql("e.tracked_user_id = ANY(%s)", (sorted(set(ids)),))


def _all_days(first: date, last: date) -> list[date]:
    """The days of the dekads and months that hold `first` and `last`."""
    start, end = first.replace(day=1), (last.replace(day=1) + timedelta(days=32)).replace(day=1)
    return [start + timedelta(days=n) for n in range((end - start).days)]
