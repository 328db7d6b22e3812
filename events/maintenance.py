"""What keeps the tables in shape while the server runs: months created ahead, old idempotency keys removed."""

from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection as django_connection
from django.db.migrations.loader import MigrationLoader
from psycopg import AsyncConnection

IDEMPOTENCY_DAYS = 35
CREATE_MONTHS_AHEAD = "SELECT ensure_event_partitions(now()::date, (now() + interval '3 months')::date)"
_PRUNE_ROWS = 10_000


async def run(connection: AsyncConnection[Any]) -> None:
    """Everything that is due; safe to run at any time and by several processes at once."""
    await connection.execute(CREATE_MONTHS_AHEAD)
    removed = _PRUNE_ROWS
    while removed == _PRUNE_ROWS:
        cursor = await connection.execute(
            """DELETE FROM idempotency_key WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_key WHERE created_at < now() - make_interval(days => %s) LIMIT %s))""",
            [IDEMPOTENCY_DAYS, _PRUNE_ROWS],
        )
        removed = cursor.rowcount


_expected: frozenset[tuple[str, str]] | None = None


async def expected_migrations() -> frozenset[tuple[str, str]]:
    """The migrations that this code needs; read from disk once."""
    global _expected
    if _expected is None:
        _expected = await sync_to_async(_migrations_on_disk)()
    return _expected


def _migrations_on_disk() -> frozenset[tuple[str, str]]:
    loader = MigrationLoader(django_connection, ignore_no_migrations=True)
    return frozenset(loader.disk_migrations or ())
