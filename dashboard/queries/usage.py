"""Sums of usage: from the narrowest rollup that knows the kind and every condition, else from the events.

Each rollup is read through its `*_now` view, which adds what is not folded yet, so sums are exact at any moment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Any, Literal
from zoneinfo import ZoneInfo

from dashboard.filters import META, Filters, local_day, local_hour, next_day
from dashboard.queries import user_rows
from dashboard.queries.conditions import CELL_WORDS, FINE, environment_of, id_floor, on_cells, on_events, on_users
from dashboard.queries.reading import Sql, fetch
from dashboard.queries.user_rows import MEASURES, SUMS, Cover, cover_of
from metering.periods import day_start

type Kind = str
"""What usage is told apart by: 'total', a dimension, 'user', 'feature_user', or `meta.` and a key of the metadata.

The value of a user is its id, 0 for none, a number: many rows are grouped by it. Of all others it is a text, of a
status and a tier that of the stored number. Beside it stands the other half of the name: a model's provider, the
feature of a feature and user."""
Source = Literal["narrow", "users", "pairs", "cells", "events"]
type Ids = Sequence[int] | None
"""Ids of tracked users, 0 for none; None: of all."""
OF_USERS = ("user", "feature_user")

_MEASURES = ", ".join(MEASURES)
_OF_EVENT = f"""1 AS events, (e.status NOT IN {FINE})::int AS errors, (e.cost_picousd IS NULL)::int AS unpriced,
e.input_tokens, e.output_tokens, coalesce(e.cost_picousd, 0) AS cost_picousd"""
_VALUE: dict[Kind, str] = {
    "total": "''",
    "model": "e.model",
    "provider": "e.provider",
    "feature": "e.feature",
    "step": "e.step",
    "status": "e.status::text",
    "tier": "e.service_tier::text",
    "user": "coalesce(e.tracked_user_id, 0)",
    "feature_user": "coalesce(e.tracked_user_id, 0)",
}
_OTHER_HALF: dict[Kind, str] = {"model": "e.provider", "feature_user": "e.feature"}


def _value(kind: Kind) -> Sql:
    """The value of a row `e` of the events or of the cells."""
    if kind.startswith(META):
        return Sql("coalesce(e.metadata ->> %s, '')", (kind.removeprefix(META),))
    return Sql(_VALUE[kind])


def _provider_of(kind: Kind) -> str:
    return _OTHER_HALF.get(kind, "''")


@dataclass(frozen=True)
class Usage:
    """Sums over some events. `cost_picousd` covers the priced ones; `unpriced` says how many are not."""

    events: int = 0
    errors: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_picousd: int = 0

    @classmethod
    def of(cls, columns: Sequence[Any]) -> "Usage":
        """From the columns of a statement, NULL (the sum of nothing) as 0."""
        return cls(*(int(value or 0) for value in columns))

    @classmethod
    def total(cls, parts: Iterable["Usage"]) -> "Usage":
        """The sum of the parts."""
        rows = [_columns(part) for part in parts]
        return cls(*map(sum, zip(*rows, strict=True)))

    def __add__(self, other: "Usage") -> "Usage":
        return Usage.total((self, other))


_columns = attrgetter(*MEASURES)
NOTHING = Usage()


@dataclass(frozen=True)
class BucketUsage:
    """Usage of one value (a model, a feature; '' for all) from the UTC instant `start` on."""

    start: datetime
    value: str
    provider: str
    usage: Usage


@dataclass(frozen=True)
class ValueUsage:
    """Usage of one value over a whole period."""

    value: str
    usage: Usage


@dataclass(frozen=True)
class PreviousBucket:
    """Cost of one bucket of the comparison period, and the usage of its part that is comparable with now."""

    start: datetime
    cost_picousd: int
    comparable: Usage


def source_of(filters: Filters, kind: Kind = "total", *, hourly: bool = False) -> Source:
    """Which table can answer. Users have days only; metadata is known to the events alone."""
    by_day = filters.whole_days and not hourly
    words = filters.conditions.keys()
    if kind.startswith(META) or (kind in OF_USERS and not by_day):
        return "events"
    if kind in OF_USERS or "user" in words:
        if kind not in (*OF_USERS, "total", "feature") or not by_day or not words <= {"user", "feature"}:
            return "events"
        return "users" if kind in ("user", "total") and "feature" not in words else "pairs"
    if not words:
        return "narrow"
    return "cells" if words <= CELL_WORDS and by_day else "events"


def totals(organization_id: int, filters: Filters) -> Usage:
    """Sums over the period. One index range of usage_hour / usage_day / usage_day_cell / event."""
    source = rows(organization_id, filters, "total", hourly=False)
    found = fetch(f"SELECT {SUMS} FROM ({source.text}) u", source.params)  # noqa: S608
    return Usage.of(found[0])


def by_bucket(organization_id: int, filters: Filters, kind: Kind, *, hourly: bool) -> tuple[BucketUsage, ...]:
    """Sums per hour or local day and value. One index range of usage_hour / usage_day / usage_day_cell / event."""
    source = rows(organization_id, filters, kind, hourly=hourly)
    statement = f"SELECT at, value, provider, {SUMS} FROM ({source.text}) u GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"  # noqa: S608
    return tuple(
        BucketUsage(instant(at, filters), value, provider, Usage.of(sums))
        for at, value, provider, *sums in fetch(statement, source.params)
    )


def by_value(organization_id: int, filters: Filters, kind: Kind, limit: int) -> tuple[ValueUsage, ...]:
    """The values of a kind that cost most. One index range of usage_hour / usage_day / usage_day_cell / event."""
    source = rows(organization_id, filters, kind, hourly=not filters.whole_days)
    statement = f"""SELECT value, {SUMS} FROM ({source.text}) u GROUP BY 1
HAVING sum(events) > 0 ORDER BY sum(cost_picousd) DESC, sum(events) DESC, 1 LIMIT %s"""  # noqa: S608
    return tuple(ValueUsage(row[0], Usage.of(row[1:])) for row in fetch(statement, (*source.params, limit)))


def previous(organization_id: int, filters: Filters, *, hourly: bool) -> tuple[PreviousBucket, ...]:
    """The comparison period by bucket; `comparable` counts only what happened up to `filters.now`, to the hour.

    usage_hour of kind total when nothing is filtered; else whole days from usage_day_cell and the one day that `now`
    cuts from event.
    """
    source = _until(organization_id, filters, hourly)
    sums = ", ".join(f"sum({name}) FILTER (WHERE comparable)" for name in MEASURES)
    statement = f"SELECT at, sum(cost_picousd), {sums} FROM ({source.text}) u GROUP BY 1 ORDER BY 1"  # noqa: S608
    return tuple(
        PreviousBucket(instant(at, filters), int(cost), Usage.of(comparable))
        for at, cost, *comparable in fetch(statement, source.params)
    )


def first_event_at(organization_id: int, environment: int) -> datetime | None:
    """The start of the hour of the organization's oldest event, None without one. First row of usage_hour's key."""
    statement = """SELECT least(
    (SELECT hour FROM usage_hour WHERE organization_id = %(organization)s AND environment = %(environment)s
        AND kind = 'total' ORDER BY hour LIMIT 1),
    (SELECT min(hour) FROM usage_delta WHERE organization_id = %(organization)s AND environment = %(environment)s))"""
    return fetch(statement, {"organization": organization_id, "environment": environment})[0][0]  # type: ignore[no-any-return]


def instant(at: datetime | date, filters: Filters) -> datetime:
    """The UTC instant of a row's `at`: an hour's, or the start of a local day."""
    return at.astimezone(UTC) if isinstance(at, datetime) else day_start(at, filters.zone)


def rows(
    organization_id: int, filters: Filters, kind: Kind, *, hourly: bool, summed: bool = False, among: Ids = None
) -> Sql:
    """Rows (at, value, provider, measures) of the period, to be summed up: by hour, else by local day.

    `summed` says that nothing but the sum over the whole period is wanted: `at` may then be anything. Of a kind of
    users, only those `among` some may be read.
    """
    match source_of(filters, kind, hourly=hourly):
        case "narrow":
            return _narrow(organization_id, filters, kind, hourly=hourly or not filters.whole_days)
        case "users" | "pairs" as source:
            cover = cover_of(filters, by_month=source == "users") if summed else Cover(days=filters.days)
            only = [] if among is None else [user_rows.one_of(among)]
            return of_users(organization_id, filters, kind, cover, *only)
        case "cells":
            return _cells(organization_id, filters, kind)
        case "events":
            only = [] if among is None else [_events_of(among)]
            return of_events(organization_id, filters, kind, *only, hourly=hourly)


def compared(organization_id: int, before: Filters, kind: Kind, among: Ids = None) -> Sql:
    """Rows (value, provider, measures) of the comparison period up to the moment that matches now, as in `previous`."""
    stop = before.until if before.conditions else _nearest_hour(before.until, before.zone)
    cut = local_day(stop, before.zone) if before.whole_days else before.start
    last = replace(before, period="24h", start=cut, end=stop)
    parts = [rows(organization_id, last, kind, hourly=True, among=among)]
    if cut > before.start:
        # All of it lies in the past, the rest of its last month too.
        whole = replace(before, end=cut, now=cut)
        parts.append(rows(organization_id, whole, kind, hourly=False, summed=True, among=among))
    text = " UNION ALL ".join(f"SELECT value, provider, {_MEASURES} FROM ({part.text}) p" for part in parts)  # noqa: S608
    return Sql(text, tuple(value for part in parts for value in part.params))


def _narrow(organization_id: int, filters: Filters, kind: Kind, *, hourly: bool) -> Sql:
    own = (organization_id, environment_of(filters), kind)
    if hourly:
        return Sql(
            f"""SELECT hour AS at, value, provider, {_MEASURES} FROM usage_hour_now
WHERE organization_id = %s AND environment = %s AND kind = %s AND hour >= %s AND hour < %s""",  # noqa: S608
            (*own, filters.start, filters.end),
        )
    return Sql(
        f"""SELECT day AS at, value, provider, {_MEASURES} FROM usage_day_now
WHERE organization_id = %s AND environment = %s AND kind = %s AND day >= %s AND day <= %s""",  # noqa: S608
        (*own, filters.days[0], filters.days[-1]),
    )


def of_users(organization_id: int, filters: Filters, kind: Kind, cover: Cover, *only: Sql) -> Sql:
    """Rows (at, value, provider, measures) by user, user and feature, feature, or in total, from users' rollups."""
    wanted = Sql.all_of([on_users(organization_id, filters), *only])
    by_feature = source_of(filters, kind) == "pairs"
    found = user_rows.rows(organization_id, environment_of(filters), cover, wanted, with_feature=by_feature)
    if kind == "feature_user" or (kind == "user" and not by_feature):
        return found
    value = {"user": "value", "feature": "provider", "total": "''"}[kind]
    return Sql(f"SELECT at, {value} AS value, '' AS provider, {_MEASURES} FROM ({found.text}) r", found.params)  # noqa: S608


def _cells(organization_id: int, filters: Filters, kind: Kind) -> Sql:
    value, wanted = _value(kind), on_cells(filters)
    return Sql(
        f"""SELECT e.day AS at, {value.text} AS value, {_provider_of(kind)} AS provider, {_MEASURES}
FROM usage_day_cell_now e
WHERE e.organization_id = %s AND e.environment = %s AND e.day >= %s AND e.day <= %s AND {wanted.text}""",  # noqa: S608
        (organization_id, environment_of(filters), filters.days[0], filters.days[-1], *wanted.params),
    )


def of_events(organization_id: int, filters: Filters, kind: Kind, *only: Sql, hourly: bool) -> Sql:
    """Rows (at, value, provider, measures), one for each event: of any period, also one that cuts hours."""
    value, found = _value(kind), on_events(organization_id, filters, id_floor(filters.start), id_floor(filters.end))
    wanted = Sql.all_of([found, *only])
    at = _event_bucket(hourly)
    return Sql(
        f"""SELECT {at.text} AS at, {value.text} AS value, {_provider_of(kind)} AS provider, {_OF_EVENT}
FROM event e WHERE {wanted.text}""",  # noqa: S608
        (*(filters.zone.key for _ in range(at.text.count("%s"))), *value.params, *wanted.params),
    )


def _events_of(ids: Sequence[int]) -> Sql:
    """The condition that an event `e` is of one of these users; 0 for those of none."""
    text = "e.tracked_user_id = ANY(%s)"
    return Sql(f"({text} OR e.tracked_user_id IS NULL)" if 0 in ids else text, (list(ids),))


def _event_bucket(hourly: bool) -> Sql:
    if hourly:
        # The local minute is taken off the instant itself: the two hours of an autumn night stay apart.
        return Sql(
            "date_trunc('minute', event_time(e.id))"
            " - make_interval(mins => extract(minute FROM event_time(e.id) AT TIME ZONE %s)::int)"
        )
    return Sql("(event_time(e.id) AT TIME ZONE %s)::date")


def _until(organization_id: int, filters: Filters, hourly: bool) -> Sql:
    own = (organization_id, environment_of(filters))
    if not filters.conditions:
        at = "hour" if hourly else "(hour AT TIME ZONE %s)::date"
        return Sql(
            f"""SELECT {at} AS at, hour < %s AS comparable, {_MEASURES} FROM usage_hour_now
WHERE organization_id = %s AND environment = %s AND kind = 'total' AND hour >= %s AND hour < %s""",  # noqa: S608
            (
                *(() if hourly else (filters.zone.key,)),
                _nearest_hour(filters.until, filters.zone),
                *own,
                filters.start,
                filters.end,
            ),
        )
    cut_day = local_day(filters.until, filters.zone)
    if source_of(filters, hourly=hourly) == "events" or not filters.start <= cut_day < filters.end:
        return _events_until(organization_id, filters, hourly, filters.start, filters.end)
    day, whole = cut_day.astimezone(filters.zone).date(), rows(organization_id, filters, "total", hourly=False)
    rest = _events_until(organization_id, filters, hourly, cut_day, next_day(cut_day, filters.zone))
    return Sql(
        f"""SELECT at, at < %s AS comparable, {_MEASURES} FROM ({whole.text}) w WHERE at <> %s
UNION ALL {rest.text}""",  # noqa: S608
        (day, *whole.params, day, *rest.params),
    )


def _events_until(organization_id: int, filters: Filters, hourly: bool, start: datetime, end: datetime) -> Sql:
    wanted = on_events(organization_id, filters, id_floor(start), id_floor(end))
    at = _event_bucket(hourly)
    return Sql(
        f"SELECT {at.text} AS at, e.id < %s AS comparable, {_OF_EVENT} FROM event e WHERE {wanted.text}",  # noqa: S608
        (filters.zone.key, id_floor(filters.until), *wanted.params),
    )


def _nearest_hour(at: datetime, zone: ZoneInfo) -> datetime:
    return local_hour(at + timedelta(minutes=30), zone)
