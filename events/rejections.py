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
READ_BYTES = 2 * EXCERPT_CHARACTERS
"""How much of a body is kept until it is listed: enough for the excerpt."""

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
        return _listed(self.body[:READ_BYTES].decode(errors="replace"), EXCERPT_CHARACTERS)


def _listed(text: str, most: int) -> str:
    """Text that may be stored and shown: secrets and U+0000 taken out, cut to `most` characters."""
    return _SECRETS.sub("[removed]", text.replace("\x00", "�"))[:most]


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
                [_row(rejection) for rejection in batch],
            )
            for organization in sorted({rejection.organization_id or 0 for rejection in batch}):
                # The newest ones stay; whoever prunes at the same moment deletes the same rows.
                await cursor.execute(
                    """DELETE FROM rejected_call WHERE id IN (
    SELECT id FROM rejected_call WHERE coalesce(organization_id, 0) = %s ORDER BY id DESC OFFSET %s
    FOR UPDATE SKIP LOCKED)""",
                    [organization, KEPT_PER_ORGANIZATION],
                )


def _row(rejection: Rejection) -> tuple[Any, ...]:
    return (
        rejection.organization_id,
        rejection.at,
        _listed(rejection.endpoint, 50),
        rejection.http_status,
        rejection.error_type,
        _listed(rejection.message, 1000),
        rejection.key_prefix,
        rejection.excerpt,
    )
