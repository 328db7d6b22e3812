"""Usage by tracked user."""

from dataclasses import dataclass

from dashboard.filters import Filters
from dashboard.queries import dearest
from dashboard.queries.reading import fetch

MANY = 2_000


@dataclass(frozen=True)
class UserUsage:
    """What one tracked user cost in a period; `tracked_user_id` 0 and an empty `external_id` mean "no user"."""

    tracked_user_id: int
    external_id: str
    name: str
    events: int
    cost_picousd: int


def top(organization_id: int, filters: Filters, limit: int) -> tuple[UserUsage, ...]:
    """The users that cost most: as `dearest.find` finds them, with their names by the key of tracked_user."""
    found = dearest.find(organization_id, filters, "user", limit)
    statement = "SELECT id, external_id, name FROM tracked_user WHERE organization_id = %s AND id = ANY(%s)"
    names = {user_id: named for user_id, *named in fetch(statement, (organization_id, [one.value for one in found]))}
    return tuple(
        UserUsage(one.value, external_id, name, one.events, one.cost_picousd)
        for one in found
        for external_id, name in [names.get(one.value, ("", ""))]
    )


def are_many(organization_id: int) -> bool:
    """Whether adding up all of them takes long enough to be noticed. Unique index of tracked_user."""
    statement = "SELECT count(*) > %s FROM (SELECT FROM tracked_user WHERE organization_id = %s LIMIT %s) u"
    return bool(fetch(statement, (MANY, organization_id, MANY + 1))[0][0])


def tracked_user_id(organization_id: int, external_id: str) -> int | None:
    """The id of a tracked user by the organization's own id for it. Unique index of tracked_user."""
    found = fetch(
        "SELECT id FROM tracked_user WHERE organization_id = %s AND external_id = %s", (organization_id, external_id)
    )
    return int(found[0][0]) if found else None


def name_of(organization_id: int, external_id: str) -> str | None:
    """A tracked user's name, '' where none was sent; None for nobody. Unique index of tracked_user."""
    found = fetch(
        "SELECT name FROM tracked_user WHERE organization_id = %s AND external_id = %s", (organization_id, external_id)
    )
    return str(found[0][0]) if found else None
