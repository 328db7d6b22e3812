"""Sessions and conversations: calls that share an id. There is no rollup of them; all figures come from the events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from dashboard.filters import Filters
from dashboard.queries.conditions import FINE, id_floor, on_events
from dashboard.queries.reading import Sql, fetch
from dashboard.queries.usage import Usage
from events.models import Status
from events.models.event import time_of

By = Literal["session", "conversation"]
BYS: tuple[By, ...] = get_args(By)
COLUMNS: dict[By, str] = {"session": "session_id", "conversation": "conversation_id"}
LED = ("feature", "user", "status", "session", "conversation", "priced")
"""Conditions that an index of the events begins with. All others are looked at event by event."""
WALK = 20_000
"""How many events one page of the list looks at, at most."""
LIST_CAP = 10_000
"""How many calls of one session the list sums, at most: the latest."""
PAGE_CAP = 100_000
"""The same for the page of one session."""
USERS = 3
"""How many users of one session are named."""
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True)
class Place:
    """Where a session stands in the list: at its newest call that the filters find."""

    name: str
    newest: UUID


@dataclass(frozen=True)
class Places:
    """Sessions in the order of the list. `rest`: events older than this one were not looked at; None: all were."""

    found: tuple[Place, ...]
    rest: UUID | None


@dataclass(frozen=True)
class News:
    """How many sessions have calls since the list was made; more of them when `is_capped`."""

    sessions: int
    is_capped: bool


@dataclass(frozen=True)
class Figures:
    """One session's sums over its calls that meet the conditions; `is_capped`: only its latest ones were read."""

    name: str
    is_capped: bool
    usage: Usage
    dearest_picousd: int | None
    """The cost of its most expensive call."""
    first: UUID
    last: UUID
    models: tuple[tuple[str, str], ...]
    """Provider and model, in alphabetical order."""
    features: tuple[str, ...]
    user_count: int
    """How many known users made its calls."""
    users: tuple[tuple[str, str], ...]
    """External id and name of at most USERS of them."""

    @property
    def started_at(self) -> datetime:
        """When the first call happened, UTC."""
        return time_of(self.first)

    @property
    def ended_at(self) -> datetime:
        """When the last call happened, UTC."""
        return time_of(self.last)


@dataclass(frozen=True)
class Call:
    """One call of a session. `cost_picousd` None: no price is known. `user` '': no user was given."""

    id: UUID
    status: Status
    provider: str
    model: str
    feature: str
    step: str
    user: str
    user_name: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    latency_ms: float | None
    cost_picousd: int | None

    @property
    def occurred_at(self) -> datetime:
        """When the call happened, UTC."""
        return time_of(self.id)


@dataclass(frozen=True)
class Sums:
    """What a session's calls, from the first to one of them, add up to."""

    calls: int = 0
    unpriced: int = 0
    cost_picousd: int = 0

    def with_call(self, cost_picousd: int | None) -> "Sums":
        """The same with one more call; None: its price is not known."""
        return Sums(self.calls + 1, self.unpriced + (cost_picousd is None), self.cost_picousd + (cost_picousd or 0))


def newest(organization_id: int, filters: Filters, by: By, limit: int, before: UUID | None = None) -> Places:
    """The sessions with calls in the period that meet the conditions, the latest active first; `before` continues.

    The period's events are walked from the newest on, by event_newest or the index of a condition in LED, and at most
    WALK of them: the time it takes does not grow with the table. A session stands where it has no newer call that the
    filters find, which is one look-up in event_session / event_conversation; so it never comes twice, and the walk
    ends with the last row that is needed.
    """
    start, end = id_floor(filters.start), id_floor(filters.end)
    upper = min(before or end, end)
    read = on_events(organization_id, _led(filters), start, upper)
    wanted = on_events(organization_id, filters, start, upper)
    newer = on_events(organization_id, filters, start, end)
    column = COLUMNS[by]
    statement = f"""WITH found AS MATERIALIZED (
    SELECT w.name, w.id FROM (
        SELECT e.{column} AS name, e.id
        FROM (SELECT e.* FROM event e WHERE {read.text} ORDER BY e.id DESC LIMIT {WALK}) e
        WHERE {wanted.text} AND e.{column} <> ''
    ) w WHERE (
        SELECT 1 FROM event e
        WHERE {newer.text} AND e.{column} = w.name AND e.{column} <> '' AND e.id > w.id LIMIT 1
    ) IS NULL
    ORDER BY w.id DESC LIMIT %s
)
SELECT (SELECT array_agg(name ORDER BY id DESC) FROM found), (SELECT array_agg(id ORDER BY id DESC) FROM found),
    CASE WHEN (SELECT count(*) FROM found) < %s THEN (
        SELECT e.id FROM event e WHERE {read.text} ORDER BY e.id DESC OFFSET {WALK - 1} LIMIT 1
    ) END"""  # noqa: S608
    names, ids, rest = fetch(statement, (*read.params, *wanted.params, *newer.params, limit, limit, *read.params))[0]
    return Places(tuple(map(Place, names or (), ids or ())), rest)


def news(organization_id: int, filters: Filters, by: By, after: UUID, cap: int) -> News:
    """How many sessions have calls that are newer than `after`, among its next `cap` events. Indexes of `newest`."""
    column, lower, end = COLUMNS[by], max(_following(after), id_floor(filters.start)), id_floor(filters.end)
    read, wanted = (on_events(organization_id, one, lower, end) for one in (_led(filters), filters))
    statement = f"""SELECT count(DISTINCT e.{column}) FILTER (WHERE {wanted.text} AND e.{column} <> ''),
    count(*) >= %s
FROM (SELECT e.* FROM event e WHERE {read.text} ORDER BY e.id LIMIT %s) e"""  # noqa: S608
    return News(*fetch(statement, (*wanted.params, cap, *read.params, cap))[0])


def any_of(organization_id: int, by: By) -> bool:
    """Whether the organization ever sent such an id. One look-up in event_session / event_conversation."""
    column = COLUMNS[by]
    statement = f"SELECT EXISTS (SELECT FROM event e WHERE e.organization_id = %s AND e.{column} <> '')"  # noqa: S608
    return bool(fetch(statement, (organization_id,))[0][0])


def figures(
    organization_id: int, filters: Filters, by: By, names: Sequence[str], cap: int = LIST_CAP
) -> dict[str, Figures]:
    """The sums of these sessions over their whole time: of each one's latest `cap` calls, those that meet the filters.

    One index range of event_session / event_conversation each. Sessions without such calls are left out.
    """
    wanted = on_events(organization_id, filters, _FIRST, _LAST)
    own = on_events(organization_id, filters.without(filters.conditions), _FIRST, _LAST)
    column = COLUMNS[by]
    statement = f"""SELECT s.name, f.*, (
    SELECT array_agg(ARRAY[u.external_id, coalesce(u.name, '')] ORDER BY u.external_id)
    FROM tracked_user u WHERE u.organization_id = %s AND u.id = ANY (f.users[1:{USERS}])
)
FROM unnest(%s::text[]) AS s (name) CROSS JOIN LATERAL (
    SELECT count(*) >= %s AS is_capped, {_SUMS}
    FROM (
        SELECT e.*, {wanted.text} AS fits FROM (
            SELECT e.* FROM event e WHERE {own.text} AND e.{column} = s.name AND e.{column} <> ''
            ORDER BY e.id DESC LIMIT %s
        ) e
    ) e
) f"""  # noqa: S608
    params = (organization_id, list(names), cap, *wanted.params, *own.params, cap)
    rows = fetch(statement, params)
    return {row[0]: _figures(row) for row in rows if row[2]}


_SUMS = ", ".join(
    f"{aggregate} FILTER (WHERE e.fits{also}) AS {name}"
    for name, aggregate, also in (
        ("events", "count(*)", ""),
        ("errors", "count(*)", f" AND e.status NOT IN {FINE}"),
        ("unpriced", "count(*)", " AND e.cost_picousd IS NULL"),
        ("input_tokens", "sum(e.input_tokens)", ""),
        ("output_tokens", "sum(e.output_tokens)", ""),
        ("cost_picousd", "sum(e.cost_picousd)", ""),
        ("dearest", "max(e.cost_picousd)", ""),
        ("ids", "array_agg(e.id ORDER BY e.id DESC)", ""),
        ("models", "array_agg(DISTINCT ARRAY[e.provider, e.model])", ""),
        ("features", "array_agg(DISTINCT e.feature)", ""),
        ("users", "array_agg(DISTINCT e.tracked_user_id)", " AND e.tracked_user_id IS NOT NULL"),
    )
)


def _figures(row: Sequence[Any]) -> Figures:
    name, is_capped, *sums, dearest, ids, models, features, user_ids, users = row
    return Figures(
        name=name,
        is_capped=is_capped,
        usage=Usage.of(sums),
        dearest_picousd=_whole(dearest),
        first=ids[-1],
        last=ids[0],
        models=tuple((provider, model) for provider, model in models),
        features=tuple(features),
        user_count=len(user_ids or ()),
        users=tuple((external_id, user_name) for external_id, user_name in users or ()),
    )


def calls(
    organization_id: int, filters: Filters, by: By, name: str, limit: int, after: UUID | None = None
) -> tuple[Call, ...]:
    """The calls of one session in order of time; `after` (an event id, excluded) continues.

    One index range of event_session / event_conversation.
    """
    wanted = _of_one(organization_id, filters, by, name, lower=_following(after))
    statement = f"""SELECT e.id, e.status, e.provider, e.model, e.feature, e.step, coalesce(u.external_id, ''),
coalesce(u.name, ''), e.input_tokens, e.output_tokens, e.cached_tokens, e.latency_ms, e.cost_picousd
FROM event e LEFT JOIN tracked_user u ON u.id = e.tracked_user_id
WHERE {wanted.text} ORDER BY e.id LIMIT %s"""  # noqa: S608
    return tuple(
        Call(*[event_id, Status(status), *shown, _whole(cost)])
        for event_id, status, *shown, cost in fetch(statement, (*wanted.params, limit))
    )


def sums_until(organization_id: int, filters: Filters, by: By, name: str, until: UUID) -> Sums:
    """The sums of one session's calls up to the event `until`, included: what a later page's running cost starts at.

    One index range of event_session / event_conversation.
    """
    wanted = _of_one(organization_id, filters, by, name, upper=_following(until))
    statement = f"""SELECT count(*), count(*) FILTER (WHERE e.cost_picousd IS NULL), coalesce(sum(e.cost_picousd), 0)
FROM event e WHERE {wanted.text}"""  # noqa: S608
    return Sums(*(int(one) for one in fetch(statement, wanted.params)[0]))


def count_after(organization_id: int, filters: Filters, by: By, name: str, after: UUID, cap: int) -> int:
    """How many calls one session has after the event `after`, at most `cap`. One index range like `calls`."""
    wanted = _of_one(organization_id, filters, by, name, lower=_following(after))
    statement = f"SELECT count(*) FROM (SELECT FROM event e WHERE {wanted.text} LIMIT %s) newer"  # noqa: S608
    return int(fetch(statement, (*wanted.params, cap))[0][0])


def _of_one(
    organization_id: int, filters: Filters, by: By, name: str, lower: UUID = _FIRST, upper: UUID = _LAST
) -> Sql:
    column = COLUMNS[by]
    own = on_events(organization_id, filters.without(filters.conditions), lower, upper)
    # "<> ''" says again what the name implies, so that the partial index fits.
    return Sql.all_of([own, Sql(f"e.{column} = %s AND e.{column} <> ''", (name,))])


def _following(event_id: UUID | None) -> UUID:
    return _FIRST if event_id is None else UUID(int=min(event_id.int + 1, _LAST.int))


def _led(filters: Filters) -> Filters:
    return filters.without([word for word in filters.conditions if word not in LED])


def _whole(amount: Any) -> int | None:
    return None if amount is None else int(amount)
