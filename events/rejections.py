"""The list of refused calls: bounded, free of secrets, written beside the requests and never in their way."""

import asyncio
import logging
import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

KEPT_PER_ORGANIZATION = 500
MAX_WAITING = 1_000
EXCERPT_CHARACTERS = 2_048

logger = logging.getLogger("fluxgate.rejections")
_SECRETS = re.compile(
    r"org_(?:live|test)_[0-9A-Za-z]+|sk-[0-9A-Za-z_-]{8,}|AIza[0-9A-Za-z_-]{20,}|(?i:bearer)\s+[^\s\"',]+"
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused call or event. `organization_id` is None where the key told nothing."""

    at: datetime
    endpoint: str
    http_status: int
    error_type: str
    message: str
    organization_id: int | None = None
    key_prefix: str = ""
    body: bytes = b""

    @property
    def excerpt(self) -> str:
        """The beginning of the body, with what looks like a secret taken out and without U+0000."""
        text = self.body[: 2 * EXCERPT_CHARACTERS].decode(errors="replace").replace("\x00", "�")
        return _SECRETS.sub("[removed]", text)[:EXCERPT_CHARACTERS]


class RejectionLog:
    """Takes refusals at once, writes them when `flush` is called; beyond MAX_WAITING it counts and drops."""

    def __init__(self) -> None:
        self._waiting: deque[Rejection] = deque()
        self.dropped = 0
        self.added = asyncio.Event()

    def add(self, rejection: Rejection) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(rejection)
        self.added.set()

    async def flush(self, connection: AsyncConnection[Any]) -> None:
        """Write what waits, and keep only the newest KEPT_PER_ORGANIZATION of each organization concerned."""
        self.added.clear()
        if self.dropped:
            logger.warning("%d refused calls were not listed: too many at once", self.dropped)
            self.dropped = 0
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(
                """INSERT INTO rejected_call
(organization_id, at, endpoint, http_status, error_type, message, key_prefix, excerpt)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    (
                        r.organization_id,
                        r.at,
                        r.endpoint,
                        r.http_status,
                        r.error_type,
                        r.message[:1000],
                        r.key_prefix,
                        r.excerpt,
                    )
                    for r in batch
                ],
            )
            await cursor.execute(
                """DELETE FROM rejected_call WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY organization_id ORDER BY id DESC) AS place FROM rejected_call
    ) AS placed WHERE place > %s)""",
                [KEPT_PER_ORGANIZATION],
            )
