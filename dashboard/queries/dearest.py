"""The users that cost most in a period, found among a few: adding up all users takes most of a page's time.

Who is among the dearest of a period was dear in one of its dekads, and those are in an index by the class of their
cost. The sums of these candidates are exact. Everybody else cost at most what the classes that were not looked at
allow; only if that is more than the least of those found, all users are added up.
"""

import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from dashboard.filters import Filters
from dashboard.queries import usage, user_rows
from dashboard.queries.conditions import environment_of
from dashboard.queries.reading import Sql, fetch
from dashboard.queries.user_rows import cover_of, dekad_of

CANDIDATES = 40
"""How many users of each dekad, and of what is not folded yet, are looked at at least."""
CANDIDATES_A_ROW = 3
"""Where many are wanted, so many for each."""
PART = 4
"""So many times as many where only a part of what a user cost counts: others may have cost more of that."""


@dataclass(frozen=True)
class Dear:
    """A user's id, 0 for none, with the feature where users are told apart by it; and what it used."""

    value: int
    feature: str
    events: int
    cost_picousd: int


@dataclass(frozen=True)
class _Candidates:
    users: frozenset[int]
    are_all: bool
    """Whether there is nobody else."""
    others_at_most: float
    """Picousd that nobody else can have cost more than."""


def find(organization_id: int, filters: Filters, kind: usage.Kind, limit: int) -> tuple[Dear, ...]:
    """The users ('user'), or users with features ('feature_user'), that cost most.

    On whole days, of all or of one feature, among the candidates, by usage_dekad_user_dearest; else all are added up.
    """
    if usage.source_of(filters, kind) == "events" or not filters.conditions.keys() <= {"feature"}:
        rows = usage.rows(organization_id, filters, kind, hourly=not filters.whole_days, summed=True)
        return _read(_top(rows), (*rows.params, limit))
    is_whole = usage.source_of(filters, kind) == "users"
    count = max(CANDIDATES if is_whole else PART * CANDIDATES, CANDIDATES_A_ROW * limit)
    some = _candidates(organization_id, filters, count)
    cover = cover_of(filters, by_month=is_whole)
    few = usage.of_users(organization_id, filters, kind, cover, user_rows.one_of(some.users))
    everybody = usage.of_users(organization_id, filters, kind, cover)
    statement = f"""WITH few AS MATERIALIZED ({_top(few)}),
enough AS MATERIALIZED (SELECT %s OR coalesce(count(*) = %s AND min(cost) > %s, false) AS yes FROM few)
SELECT * FROM few WHERE (SELECT yes FROM enough)
UNION ALL (SELECT * FROM ({_top(everybody, "WHERE NOT (SELECT yes FROM enough)")}) a)
ORDER BY cost DESC, events DESC, value, provider"""  # noqa: S608
    enough = (some.are_all, limit, some.others_at_most)
    return _read(statement, (*few.params, limit, *enough, *everybody.params, limit))


def _top(rows: Sql, where: str = "") -> str:
    return f"""SELECT value, provider, sum(events) AS events, sum(cost_picousd) AS cost FROM ({rows.text}) r {where}
GROUP BY value, provider HAVING sum(events) > 0 ORDER BY cost DESC, events DESC, value, provider LIMIT %s"""  # noqa: S608


def _read(statement: str, params: tuple[object, ...]) -> tuple[Dear, ...]:
    return tuple(
        Dear(value, feature, int(events), int(cost)) for value, feature, events, cost in fetch(statement, params)
    )


def _candidates(organization_id: int, filters: Filters, count: int) -> _Candidates:
    """The dearest of each dekad and of what is not folded yet, and what they leave to others.

    Of the deltas, costs taken back are left out: what they take back may be folded already, on a day before the period.
    """
    own, dekads = (organization_id, environment_of(filters)), sorted({dekad_of(day) for day in filters.days})
    statement = """SELECT d.dekad, u.tracked_user_id, u.cost_class FROM unnest(%s::date[]) AS d (dekad)
CROSS JOIN LATERAL (
    SELECT tracked_user_id, cost_class FROM usage_dekad_user
    WHERE organization_id = %s AND environment = %s AND dekad = d.dekad ORDER BY cost_class DESC LIMIT %s
) u
UNION ALL (SELECT NULL, tracked_user_id, sum(greatest(cost_picousd, 0)) FROM usage_delta
WHERE organization_id = %s AND environment = %s GROUP BY 2 ORDER BY 3 DESC LIMIT %s)
ORDER BY 1, 3 DESC"""
    ranked: dict[date | None, list[tuple[int, Decimal]]] = {}
    for dekad, user_id, worth in fetch(statement, (dekads, *own, count, *own, count)):
        ranked.setdefault(dekad, []).append((user_id, worth))
    cut = {dekad: rows[-1][1] for dekad, rows in ranked.items() if len(rows) == count}
    return _Candidates(
        users=frozenset(user_id for rows in ranked.values() for user_id, _ in rows),
        are_all=not cut,
        others_at_most=sum(float(worth) if dekad is None else _upper_edge(worth) for dekad, worth in cut.items()),
    )


def _upper_edge(cost_class: Decimal) -> float:
    """Picousd above every cost of the class, which is computed by floating point: as in migration 0007."""
    return math.exp((float(cost_class) + 1) / 4) * (1 + 1e-9) + 1
