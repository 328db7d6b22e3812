"""What one server process holds: connections, key ring, catalog, writer, and the tasks that run beside them."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from asgiref.sync import sync_to_async
from django.db import connection as django_connection
from psycopg_pool import AsyncConnectionPool

from events import maintenance, rollups
from events.deadlines import Deadlines
from events.keys import KeyRecord, KeyRing
from events.rejections import RejectionLog
from events.tracked_users import KnownUsers
from events.writer import event_writer
from pricing import catalog as price_catalog
from pricing.catalog import Catalog

logger = logging.getLogger("fluxgate.runtime")

FOLD_SECONDS = 0.5
CATALOG_SECONDS = 1.0
MAINTENANCE_SECONDS = 3600.0

_KEY = """SELECT k.id, k.organization_id, k.environment, k.scopes, o.time_zone, k.prefix, k.expires_at, k.revoked_at,
k.last_used_at IS NULL OR k.last_used_at < now() - interval '15 minutes'
FROM api_key k JOIN organization o ON o.id = k.organization_id WHERE k.sha256 = %s"""


class Runtime:
    """Made once per process; `start` and `stop` frame its life."""

    def __init__(self) -> None:
        conninfo = database_conninfo()
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=4,
            open=False,
            timeout=3,
            max_idle=300,
            kwargs={"autocommit": True, "options": "-c statement_timeout=30000 -c lock_timeout=5000"},
        )
        self.deadlines = Deadlines()
        self.keys = KeyRing(self._load_key)
        self.rejections = RejectionLog()
        self.users = KnownUsers()
        self.writer = event_writer(conninfo, self.users, self.deadlines, self._newest_catalog)
        self.catalog: Catalog | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take events: open the pool, without waiting for the database, and start the writer."""
        await self._pool.open()
        self._writing = asyncio.create_task(self.writer.run())
        self._tasks = [asyncio.create_task(self.deadlines.sweep())]

    async def start(self) -> None:
        """Open, and start the tasks that run beside: folding, prices, upkeep, the list of refused calls."""
        await self.open()
        self._tasks += [
            asyncio.create_task(_every(FOLD_SECONDS, self._fold)),
            asyncio.create_task(_every(CATALOG_SECONDS, self._refresh_catalog)),
            asyncio.create_task(_every(MAINTENANCE_SECONDS, self._maintain)),
            asyncio.create_task(self._write_rejections()),
        ]

    async def stop(self) -> None:
        """Answer what was submitted, write what was refused, close."""
        self.writer.stop()
        if self._writing is not None:
            await self._writing
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.list_rejections()
        await self._pool.close()

    async def list_rejections(self) -> None:
        """Write the refused calls that wait; without the database they are lost, and a line says so."""
        try:
            async with self._pool.connection() as connection:
                await self.rejections.flush(connection)
        except Exception as error:
            # The list is for people; losing some of it must not end the task that writes it.
            logger.warning("refused calls were not listed: %s", type(error).__name__)

    def connection(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]:
        """A connection of the pool, autocommit, for short reads."""
        return self._pool.connection()

    async def is_ready(self) -> dict[str, bool]:
        """What `/readyz` answers: the database takes statements, its schema is current, prices are loaded."""
        ready = {"database": False, "migrations": False, "catalog": self.catalog is not None}
        try:
            async with asyncio.timeout(1), self._pool.connection(timeout=1) as connection:
                cursor = await connection.execute("SELECT app, name FROM django_migrations")
                applied = {(row[0], row[1]) for row in await cursor.fetchall()}
            ready |= {"database": True, "migrations": await maintenance.expected_migrations() <= applied}
        except (psycopg.Error, TimeoutError) as error:
            logger.warning("not ready: %s", error)
        return ready

    async def _load_key(self, sha256: bytes) -> KeyRecord | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_KEY, [sha256])
            row = await cursor.fetchone()
            if row is None:
                return None
            if row[8]:
                await connection.execute("UPDATE api_key SET last_used_at = now() WHERE id = %s", [row[0]])
        return KeyRecord(
            id=row[0],
            organization_id=row[1],
            environment=row[2],
            scopes=frozenset(row[3]),
            zone=ZoneInfo(row[4]),
            prefix=row[5],
            expires_at=row[6],
            revoked_at=row[7],
        )

    async def _fold(self) -> None:
        async with self._pool.connection() as connection:
            while await rollups.fold(connection) == rollups.FOLD_ROWS:
                pass

    async def _newest_catalog(self) -> Catalog:
        await self._refresh_catalog()
        assert self.catalog is not None
        return self.catalog

    async def _refresh_catalog(self) -> None:
        catalog = await sync_to_async(_current_catalog)()
        if self.catalog is None or catalog.revision > self.catalog.revision:
            self.catalog = catalog
            # Tens of thousands of tuples that live until the next revision: the collector need not look at them again.
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    async def _maintain(self) -> None:
        async with self._pool.connection() as connection:
            await maintenance.run(connection)

    async def _write_rejections(self) -> None:
        while True:
            await self.rejections.added.wait()
            await self.list_rejections()
            await asyncio.sleep(0.25)


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work again and again; a failure is logged and tried anew after the same time, at least a second."""
    failing = False
    while True:
        try:
            await work()
            failing = False
        except Exception as error:
            if not failing:
                # The first line alone: details quote rows, and rows hold customers' values.
                reason = str(error).strip().partition("\n")[0]
                logger.warning("%s failed, will go on trying: %s", getattr(work, "__name__", work), reason)
            failing = True
        await asyncio.sleep(min(seconds, 5.0) if failing else seconds)


def _current_catalog() -> Catalog:
    """The newest catalog. In a thread of its own: it reads through the ORM."""
    try:
        return price_catalog.current()
    finally:
        django_connection.close_if_unusable_or_obsolete()


def database_conninfo() -> str:
    """libpq's words for the database that Django is configured with."""
    given = django_connection.get_connection_params()
    known = {"host", "port", "user", "password", "dbname", "connect_timeout", "tcp_user_timeout", "keepalives_idle"}
    return psycopg.conninfo.make_conninfo(
        "", **{name: value for name, value in given.items() if name in known or name.startswith("ssl")}
    )
