"""Usage: what every event adds to the rollups, and the folder that brings it there.

Each event (and each later change to one) appends a row to `usage_delta` in its own transaction. A folder, one at a
time, moves those rows into the rollup tables. The `*_now` views add both up, so every sum is exact after each commit,
and `sum(usage) = aggregate(events)` holds always. Raw SQL: the ORM has neither data-modifying CTEs nor lateral joins.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from psycopg import AsyncConnection

from events.models.event import FINE_STATUSES

LATENCY_GAMMA = 1.05
"""Each latency bucket is 5 % wider than the one before it."""
_LOG_GAMMA = math.log(LATENCY_GAMMA)
_SHORTEST_MS = 0.01

MEASURES = (
    "events",
    "errors",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_picousd",
)
PAIR_MEASURES = ("events", "errors", "unpriced", "input_tokens", "output_tokens", "cost_picousd")
"""What is summed up by user and feature together."""
DIMENSIONS = (
    "organization_id",
    "environment",
    "hour",
    "day",
    "tracked_user_id",
    "feature",
    "step",
    "provider",
    "model",
    "status",
    "service_tier",
)
BUCKETS = ("latency_bucket", "stream_bucket")
"""Of a call's time to its answer and to its last token; NULL where none was sent."""
DELTA_COLUMNS = DIMENSIONS + BUCKETS + MEASURES

FOLD_LOCK = 7_201_001
"""Advisory lock: whoever holds it may move deltas into rollups."""
REVISION = """concat_ws('-',
    coalesce((SELECT revision FROM usage_revision WHERE organization_id = %(id)s), 0),
    (SELECT count(*) FROM usage_delta WHERE organization_id = %(id)s),
    coalesce((SELECT max(id) FROM rejected_call WHERE organization_id = %(id)s), 0),
    coalesce((SELECT max(id) FROM rejected_call WHERE organization_id IS NULL), 0))"""
"""An expression that changes with every commit that changes what the pages of the organization `id` show of usage.

The folder raises a counter when it takes deltas away; until then every commit adds delta rows. A counter raised by each
event would make all writers of an organization wait for one row.
"""

# Deltas are added up once by each of these keys; every rollup is made from the few rows that remain.
_TENANT = ("organization_id", "environment", "day")
_CELL = ("feature", "step", "provider", "model", "status", "service_tier")
_STAGES = {
    "cells": ((*_TENANT, "hour", *_CELL), MEASURES, ""),
    "users": ((*_TENANT, "tracked_user_id"), MEASURES, ""),
    "pairs": ((*_TENANT, "tracked_user_id", "feature"), PAIR_MEASURES, ""),
    "latencies": (
        (*_TENANT, "feature", "provider", "model", "latency_bucket"),
        ("events",),
        "WHERE latency_bucket IS NOT NULL",
    ),
    "streams": (
        (*_TENANT, "feature", "provider", "model", "stream_bucket"),
        ("events",),
        "WHERE stream_bucket IS NOT NULL",
    ),
}
# One event counts once under each kind; the same lists stand in the views of migrations 0003 and 0005.
_KINDS = """CROSS JOIN LATERAL (VALUES
    ('total', '', ''), ('model', d.model, d.provider), ('provider', d.provider, ''), ('feature', d.feature, ''),
    ('step', d.step, ''), ('status', d.status::text, ''), ('tier', d.service_tier::text, '')
) AS k (kind, value, provider)"""
_LATENCY_KINDS = """CROSS JOIN LATERAL (VALUES
    ('total', '', ''), ('model', d.model, d.provider), ('feature', d.feature, '')
) AS k (kind, value, provider)"""


@dataclass(frozen=True)
class Rollup:
    """A rollup table: the stage it is made from, and how each of its key columns is computed."""

    table: str
    stage: str
    keys: dict[str, str]
    kinds: str = ""
    conflict_target: str = ""
    """The columns of its unique index, where those are not the keys as they are."""

    @property
    def upsert(self) -> str:
        """INSERT … SELECT from the stage, adding to the rows that exist.

        In order of the keys, time first: what is read together then lies together, however much comes at once.
        """
        measures = _STAGES[self.stage][1]
        sums = ", ".join(f"sum(d.{name})" for name in measures)
        added = ", ".join(f"{name} = {self.table}.{name} + excluded.{name}" for name in measures)
        places = ", ".join(str(n + 1) for n in range(len(self.keys)))
        return f"""INSERT INTO {self.table} ({", ".join((*self.keys, *measures))})
SELECT {", ".join(self.keys.values())}, {sums} FROM {self.stage} d {self.kinds}
GROUP BY {places} ORDER BY {places}
ON CONFLICT ({self.conflict_target or ", ".join(self.keys)}) DO UPDATE SET {added}"""  # noqa: S608  built from constants of this module


def _same(*names: str) -> dict[str, str]:
    return {name: f"d.{name}" for name in names}


_CELL_TARGET = "organization_id, environment, day, status, service_tier, label_digest(feature, step, provider, model)"
_DEKAD = _same("organization_id", "environment") | {"dekad": "dekad_of(d.day)"}
_KIND = {"kind": "k.kind", "value": "k.value", "provider": "k.provider"}
ROLLUPS = (
    Rollup("usage_hour", "cells", _same("organization_id", "environment", "hour") | _KIND, _KINDS),
    Rollup("usage_day", "cells", _same(*_TENANT) | _KIND, _KINDS),
    Rollup("usage_day_cell", "cells", _same(*_TENANT, *_CELL), conflict_target=_CELL_TARGET),
    Rollup("usage_day_user", "users", _same(*_TENANT, "tracked_user_id")),
    Rollup(
        "usage_month_user",
        "users",
        _same("organization_id", "environment")
        | {"month": "date_trunc('month', d.day)::date"}
        | _same("tracked_user_id"),
    ),
    Rollup("usage_day_user_feature", "pairs", _same(*_TENANT, "tracked_user_id", "feature")),
    Rollup("usage_dekad_user", "pairs", _DEKAD | _same("tracked_user_id")),
    Rollup("usage_dekad_user_feature", "pairs", _DEKAD | _same("tracked_user_id", "feature")),
    Rollup("usage_day_latency", "latencies", _same(*_TENANT) | _KIND | _same("latency_bucket"), _LATENCY_KINDS),
    Rollup("usage_day_stream", "streams", _same(*_TENANT) | _KIND | _same("stream_bucket"), _LATENCY_KINDS),
)


def _stage(name: str) -> str:
    keys, measures, where = _STAGES[name]
    sums = ", ".join(f"sum({measure}) AS {measure}" for measure in measures)
    columns = ", ".join(keys)
    return f"{name} AS MATERIALIZED (SELECT {columns}, {sums} FROM deltas {where} GROUP BY {columns})"  # noqa: S608


def fold_statement(source: str) -> str:
    """One statement that takes the delta rows of `source` into every rollup and raises the revisions."""
    upserts = ",\n".join(f"r{n} AS ({rollup.upsert})" for n, rollup in enumerate(ROLLUPS))
    return f"""WITH deltas AS ({source}),
{", ".join(_stage(name) for name in _STAGES)},
{upserts},
revised AS (
    INSERT INTO usage_revision SELECT DISTINCT organization_id, 1 FROM users
    ON CONFLICT (organization_id) DO UPDATE SET revision = usage_revision.revision + 1
)
SELECT count(*) FROM deltas"""  # noqa: S608


FOLD_ROWS = 50_000
"""How many deltas one statement takes: it must end well within the role's statement timeout."""
FOLD = fold_statement(
    f"DELETE FROM usage_delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_delta LIMIT {FOLD_ROWS})) RETURNING *"  # noqa: S608
)


async def fold(connection: AsyncConnection[Any]) -> int:
    """Move up to FOLD_ROWS deltas into the rollups; returns how many. Returns 0 when another process is at it."""
    async with connection.transaction():
        cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [FOLD_LOCK])
        if not (await cursor.fetchone() or [False])[0]:
            return 0
        cursor = await connection.execute(FOLD)
        return int((await cursor.fetchone() or [0])[0])


def fold_now() -> int:
    """Move all deltas, through Django's connection, waiting for a folder that is at work: for commands and tests."""
    total, folded = 0, FOLD_ROWS
    while folded == FOLD_ROWS:
        with transaction.atomic(), connection.cursor() as cursor:
            # The folder of a busy machine may hold the lock for longer than a page may wait for one.
            cursor.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FOLD_LOCK])
            cursor.execute(FOLD)
            folded = int(cursor.fetchone()[0])
        total += folded
    return total


# The expression of each delta column over the event table `e`, for rebuilding and for the audit.
_BUCKET_OF = f"floor(ln(greatest(%s, {_SHORTEST_MS})) / ln({LATENCY_GAMMA}::float8))::smallint"
# OFFSET 0 keeps the planner from working the time out again for each of its uses.
_AT = (
    "CROSS JOIN LATERAL (SELECT event_time(e.id) AS at, event_time(e.id) AT TIME ZONE o.time_zone AS local OFFSET 0) t"
)
_FROM_EVENT = {
    "organization_id": "e.organization_id",
    "environment": "e.environment",
    "hour": "t.at - (t.local - date_trunc('hour', t.local))",
    "day": "t.local::date",
    "tracked_user_id": "coalesce(e.tracked_user_id, 0)",
    **{name: f"e.{name}" for name in ("feature", "step", "provider", "model", "status", "service_tier")},
    "latency_bucket": _BUCKET_OF % "e.latency_ms",
    "stream_bucket": _BUCKET_OF % "e.streaming_duration_ms",
    "events": "1::bigint",
    "errors": f"(e.status NOT IN {tuple(status.value for status in FINE_STATUSES)})::int::bigint",
    "unpriced": "(e.cost_picousd IS NULL)::int::bigint",
    **{name: f"e.{name}" for name in MEASURES[3:8]},
    "cost_picousd": "coalesce(e.cost_picousd, 0)",
}
EVENTS_AS_DELTA = f"""SELECT {", ".join(f"{expression} AS {name}" for name, expression in _FROM_EVENT.items())}
FROM event e JOIN organization o ON o.id = e.organization_id {_AT}"""  # noqa: S608
REBUILD = fold_statement(EVENTS_AS_DELTA)


EVENT_DIMENSIONS = ("organization_id", "environment", *DIMENSIONS[4:])
"""The columns of an event by which usage is told apart, beside its id, which holds the time."""


def revaluation(source: str, *, old: str, new: str) -> str:
    """INSERT of the deltas by which new costs of events differ from their old ones; nothing else of them changes.

    `source` has the events' id and EVENT_DIMENSIONS and is read as `e`; `old` and `new` are expressions over it, NULL
    for unpriced. The latencies stay as they are, so these deltas have none.
    """
    keys = {name: expression for name, expression in _FROM_EVENT.items() if name in DIMENSIONS}
    measures = {
        **dict.fromkeys(MEASURES, "0"),
        "unpriced": f"sum(({new} IS NULL)::int - ({old} IS NULL)::int)",
        "cost_picousd": f"sum(coalesce({new}, 0) - coalesce({old}, 0))",
    }
    return f"""INSERT INTO usage_delta ({", ".join((*keys, *measures))})
SELECT {", ".join((*keys.values(), *measures.values()))}
FROM {source} e JOIN organization o ON o.id = e.organization_id {_AT}
GROUP BY {", ".join(str(number + 1) for number in range(len(keys)))}
HAVING {measures["unpriced"]} <> 0 OR {measures["cost_picousd"]} <> 0"""  # noqa: S608


@contextmanager
def _folder_stopped() -> Iterator[None]:
    """Hold the folder's lock outside of any transaction: a snapshot taken while waiting for it would be stale."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [FOLD_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [FOLD_LOCK])


def rebuild() -> int:
    """Make every rollup anew from the events; returns how many events there are. Ingestion may go on meanwhile.

    One REPEATABLE READ snapshot holds both the events and the deltas that were committed with them: those deltas are
    deleted, later ones stay for the folder.
    """
    with _folder_stopped(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("DELETE FROM usage_delta")
        for rollup in ROLLUPS:
            cursor.execute(f"DELETE FROM {rollup.table}")  # noqa: S608
        cursor.execute(REBUILD)
        return int(cursor.fetchone()[0])


_AUDITED = (
    ("usage_day_cell_now", "day", MEASURES),
    ("usage_day_user_now", "day", MEASURES),
    ("usage_day_user_feature_now", "day", PAIR_MEASURES),
    ("(SELECT *, month AS day FROM usage_month_user_now) t", "date_trunc('month', day)::date", MEASURES),
    ("(SELECT *, dekad AS day FROM usage_dekad_user_now) t", "dekad_of(day)", PAIR_MEASURES),
    ("(SELECT *, dekad AS day FROM usage_dekad_user_feature_now) t", "dekad_of(day)", PAIR_MEASURES),
    ("(SELECT * FROM usage_day_now WHERE kind = 'total') t", "day", MEASURES),
    ("(SELECT * FROM usage_day_now WHERE kind = 'model') t", "day", MEASURES),
    (
        "(SELECT *, (hour AT TIME ZONE o.time_zone)::date AS day FROM usage_hour_now"
        " JOIN organization o ON o.id = organization_id WHERE kind = 'feature') t",
        "day",
        MEASURES,
    ),
)
"""Each rollup, how its days come from an event's day, and what it sums up."""


def audit() -> list[str]:
    """Sentences about every day and organization whose rollups differ from its events; empty when all agree."""
    keys = "organization_id, environment, day"
    problems = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL statement_timeout = 0")
        for source, day_of, measures in _AUDITED:
            sums = ", ".join(f"sum({name}) AS {name}" for name in measures)
            differing = " OR ".join(f"coalesce(u.{name}, 0) <> coalesce(e.{name}, 0)" for name in measures)
            cursor.execute(
                f"""WITH delta AS ({EVENTS_AS_DELTA}),
e AS (SELECT organization_id, environment, {day_of} AS day, {sums} FROM delta GROUP BY 1, 2, 3),
u AS (SELECT {keys}, {sums} FROM {source} GROUP BY {keys})
SELECT {keys}, u.events, e.events, u.cost_picousd, e.cost_picousd FROM e FULL JOIN u USING ({keys})
WHERE {differing} ORDER BY {keys}"""  # noqa: S608
            )
            problems += [
                f"organization {organization}, {day}: {source} has {usage_events} events worth {usage_cost},"
                f" the events are {events} worth {cost} (1e-12 USD)"
                for organization, _, day, usage_events, events, usage_cost, cost in cursor.fetchall()
            ]
    return problems


def latency_bucket(latency_ms: float | None) -> int | None:
    """The logarithmic bucket of a latency in milliseconds."""
    if latency_ms is None:
        return None
    return math.floor(math.log(max(latency_ms, _SHORTEST_MS)) / _LOG_GAMMA)


def local_hour(at: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the hour of `zone` that holds `at` began: zones may be off by half an hour."""
    local = at.astimezone(zone)
    into_hour = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return at.astimezone(UTC) - into_hour


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The date in `zone`."""
    return at.astimezone(zone).date()
