"""Tracked users as events name them: made on first sight, described by the newest event, their revenue with history."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg import AsyncConnection

from events.schema import IncomingUser

if TYPE_CHECKING:
    from events.rows import Row

UserKey = tuple[int, str]
"""Organization and external id."""
KNOWN_USERS = 100_000


class KnownUsers:
    """The ids of users seen by this process, so that most events need no look-up. Bounded; holds committed ids only."""

    def __init__(self) -> None:
        self._ids: OrderedDict[UserKey, int] = OrderedDict()

    def get(self, key: UserKey) -> int | None:
        return self._ids.get(key)

    def remember(self, learned: Mapping[UserKey, int]) -> None:
        self._ids.update(learned)
        while len(self._ids) > KNOWN_USERS:
            self._ids.popitem(last=False)


async def store(connection: AsyncConnection[Any], rows: Sequence["Row"], known: KnownUsers) -> dict[UserKey, int]:
    """Create and update the users that the rows name, in the caller's transaction; sets each row's `tracked_user_id`.

    Returns the ids that were not known yet: remember them once the transaction is committed.
    """
    named: dict[UserKey, list[Row]] = {}
    for row in rows:
        if row.event.user is not None:
            named.setdefault((row.key.organization_id, row.event.user.external_id), []).append(row)
    if not named:
        return {}
    # Sorted, so that two processes that name the same users wait for each other in the same order.
    unknown = [key for key in sorted(named) if known.get(key) is None]
    learned = await ensure(connection, {key: _at(_in_order(named[key])[0]) for key in unknown})
    ids = {key: learned.get(key) or known.get(key) for key in named}
    for key, rows_of_user in named.items():
        for row in rows_of_user:
            row.tracked_user_id = ids[key]
    described = [
        row for key in sorted(named) for row in _in_order(named[key]) if row.event.user != _bare(row.event.user)
    ]
    if described:
        await _describe(connection, described)
        await _store_revenue(connection, described)
    return learned


async def ensure(connection: AsyncConnection[Any], first_seen: Mapping[UserKey, datetime]) -> dict[UserKey, int]:
    """The ids of the users, made where they are not there, in the caller's transaction. Give them sorted."""
    if not first_seen:
        return {}
    keys = [[key[0] for key in first_seen], [key[1] for key in first_seen]]
    cursor = await connection.execute(
        """INSERT INTO tracked_user (organization_id, external_id, name, email, image, created_at)
SELECT organization_id, external_id, '', '', '', created_at
FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS n (organization_id, external_id, created_at)
ON CONFLICT (organization_id, external_id) DO NOTHING RETURNING organization_id, external_id, id""",
        [*keys, list(first_seen.values())],
    )
    found = {(row[0], row[1]): row[2] for row in await cursor.fetchall()}
    if len(found) < len(first_seen):
        cursor = await connection.execute(
            """SELECT organization_id, external_id, id FROM tracked_user
WHERE (organization_id, external_id) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))""",
            keys,
        )
        found |= {(row[0], row[1]): row[2] for row in await cursor.fetchall()}
    return found


async def _describe(connection: AsyncConnection[Any], rows: Sequence["Row"]) -> None:
    """Write the fields that were sent, unless a newer event has described the user already.

    Where nothing but the time is new, it is noted once a minute, so that busy users are not written with every event.
    """
    newest: dict[int, tuple[datetime, str | None, str | None, str | None]] = {}
    for row in rows:
        user, user_id = row.event.user, row.tracked_user_id
        assert user is not None
        assert user_id is not None
        _, name, email, image = newest.get(user_id, (None, None, None, None))
        newest[user_id] = (
            _at(row),
            name if user.name is None else user.name,
            email if user.email is None else user.email,
            image if user.image is None else user.image,
        )
    columns = list(zip(*newest.values(), strict=True))
    await connection.execute(
        """UPDATE tracked_user AS u SET described_at = n.at, name = coalesce(n.name, u.name),
email = coalesce(n.email, u.email), image = coalesce(n.image, u.image)
FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[]) AS n (id, at, name, email, image)
WHERE u.id = n.id AND coalesce(u.described_at <= n.at, true) AND (
    coalesce(u.described_at < n.at - interval '1 minute', true) OR (u.name, u.email, u.image)
    IS DISTINCT FROM (coalesce(n.name, u.name), coalesce(n.email, u.email), coalesce(n.image, u.image)))""",
        [list(newest), *(list(column) for column in columns)],
    )


async def _store_revenue(connection: AsyncConnection[Any], rows: Iterable["Row"]) -> None:
    """Add a change to the history where an event's revenue differs from the one in force at its time."""
    changes: dict[tuple[int, datetime], Decimal] = {}
    last: dict[int, Decimal] = {}
    first: set[tuple[int, datetime]] = set()
    for row in rows:
        user, user_id = row.event.user, row.tracked_user_id
        assert user is not None
        assert user_id is not None
        amount = user.monthly_revenue_usd
        if amount is not None and last.get(user_id) != amount:
            if user_id not in last:
                first.add((user_id, _at(row)))
            last[user_id] = changes[user_id, _at(row)] = amount
    if changes:
        await connection.execute(
            """INSERT INTO revenue_change (tracked_user_id, effective_at, monthly_revenue_usd)
SELECT n.id, n.at, n.amount
FROM unnest(%s::bigint[], %s::timestamptz[], %s::numeric[], %s::boolean[]) AS n (id, at, amount, is_first)
WHERE NOT n.is_first OR n.amount IS DISTINCT FROM (
    SELECT r.monthly_revenue_usd FROM revenue_change r
    WHERE r.tracked_user_id = n.id AND r.effective_at <= n.at ORDER BY r.effective_at DESC LIMIT 1)
ON CONFLICT (tracked_user_id, effective_at) DO UPDATE SET monthly_revenue_usd = excluded.monthly_revenue_usd""",
            [
                [key[0] for key in changes],
                [key[1] for key in changes],
                list(changes.values()),
                [key in first for key in changes],
            ],
        )


def _in_order(rows: Sequence["Row"]) -> list["Row"]:
    return sorted(rows, key=lambda row: row.event.occurred_at_ms)


def _bare(user: IncomingUser | None) -> IncomingUser | None:
    return None if user is None else IncomingUser(user.external_id)


def _at(row: "Row") -> datetime:
    return datetime.fromtimestamp(row.event.occurred_at_ms / 1000, UTC)
