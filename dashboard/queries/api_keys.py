"""An organization's API keys, and how much each is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dashboard.filters import Filters
from dashboard.queries.conditions import environment_of, id_floor
from dashboard.queries.reading import fetch

MOST_KEYS = 200
COUNTED_EVENTS = 50_000
"""How many of the newest events are looked at: no index leads from a key to its events, and each of them would cost."""


@dataclass(frozen=True)
class KeyRow:
    """One key as it is stored; its text is not."""

    id: int
    name: str
    prefix: str
    last4: str
    environment: int
    scopes: list[str]
    created_at: datetime
    created_by: str
    """'' : by a command."""
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_replaced: bool
    is_accepted: bool


@dataclass(frozen=True)
class KeyUse:
    """Events of a period by the id of their key. `since` is None where all of them were counted, else the time of the
    oldest one that was."""

    events: Mapping[int, int]
    since: datetime | None


def of_organization(organization_id: int, now: datetime) -> tuple[KeyRow, ...]:
    """The keys, those that are accepted first, then the newest; at most MOST_KEYS and one more, if there are more."""
    found = fetch(
        """SELECT k.id, k.name, k.prefix, k.last4, k.environment, k.scopes, k.created_at,
coalesce(nullif(p.name, ''), p.email, ''), k.last_used_at, k.expires_at, k.revoked_at, k.replaced_by_id IS NOT NULL,
k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %s) AS is_accepted
FROM api_key k LEFT JOIN person p ON p.id = k.created_by_id WHERE k.organization_id = %s
ORDER BY is_accepted DESC, k.created_at DESC, k.id DESC LIMIT %s""",
        (now, organization_id, MOST_KEYS + 1),
    )
    return tuple(KeyRow(*row) for row in found)


def use(organization_id: int, filters: Filters) -> KeyUse:
    """Events of the filters' period and environment by key, among the COUNTED_EVENTS newest.

    event_newest (organization, environment, id), walked from its newest end.
    """
    found = fetch(
        """SELECT api_key_id, count(*), min(event_time(id)) FROM (
    SELECT api_key_id, id FROM event WHERE organization_id = %s AND environment = %s AND id >= %s AND id < %s
    ORDER BY id DESC LIMIT %s
) newest GROUP BY api_key_id""",
        (
            organization_id,
            environment_of(filters),
            id_floor(filters.start),
            id_floor(filters.end),
            COUNTED_EVENTS,
        ),
    )
    is_whole = sum(count for _, count, _ in found) < COUNTED_EVENTS
    since = None if is_whole else min(oldest for _, _, oldest in found)
    return KeyUse({key_id: count for key_id, count, _ in found}, since)
