"""API keys: their form, and the look-up that turns what a program shows into what it may do.

A key is `org_live_` or `org_test_`, 32 base62 characters from `secrets`, and 6 base62 characters of the CRC32 of all
that stands before them: garbage is refused without asking the database. Stored is the SHA-256 only.
"""

import hashlib
import secrets
import string
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from events.fresh_cache import FreshCache

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIXES = ("org_live_", "org_test_")
LENGTH = 9 + 32 + 6
SHOWN_CHARACTERS = 15


def generate(environment: str) -> str:
    """A new key for `environment` ("live" or "test"), from the system's secure random source."""
    body = f"org_{environment}_" + "".join(secrets.choice(BASE62) for _ in range(32))
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether the text has a key's form and a right checksum; says nothing about whether such a key exists."""
    return len(key) == LENGTH and key.startswith(PREFIXES) and key.isascii() and key[-6:] == _checksum(key[:-6])


def digest(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    characters = []
    for _ in range(6):
        number, rest = divmod(number, 62)
        characters.append(BASE62[rest])
    return "".join(reversed(characters))


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the database knows of a key, as the ingest paths need it."""

    id: int
    organization_id: int
    environment: int
    scopes: frozenset[str]
    zone: ZoneInfo
    prefix: str
    expires_at: datetime | None
    revoked_at: datetime | None

    def refusal(self, now: datetime) -> str | None:
        """Why the key is not accepted at `now`, as a sentence; None when it is."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "this API key was revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "this API key has expired"
        return None


class KeyRing:
    """The records of keys that programs show, from a cache in front of the database."""

    def __init__(
        self,
        load: Callable[[bytes], Awaitable[KeyRecord | None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = FreshCache(load, clock)

    def known(self, key: str) -> KeyRecord | None:
        """The record if it is in the cache and fresh, without waiting; None when `find` must be asked."""
        return self._records.known(digest(key))

    async def find(self, key: str) -> KeyRecord | None:
        """The record of a well-formed key, at most CACHE_SECONDS old; None for a key that does not exist."""
        return await self._records.find(digest(key))
