"""Usage by tracked user."""

from dataclasses import dataclass

from dashboard.filters import Filters
from dashboard.queries.conditions import environment_of, id_floor, on_events
from dashboard.queries.reading import Sql, fetch


@dataclass(frozen=True)
class UserUsage:
    """What one tracked user cost in a period; `tracked_user_id` 0 and an empty `external_id` mean "no user"."""

    tracked_user_id: int
    external_id: str
    name: str
    events: int
    cost_picousd: int


def top(organization_id: int, filters: Filters, limit: int) -> tuple[UserUsage, ...]:
    """The users that cost most. One index range of usage_day_user; of event when filtered or within 24 hours."""
    rows = _rows(organization_id, filters)
    statement = f"""SELECT t.tracked_user_id, coalesce(u.external_id, ''), coalesce(u.name, ''), t.events, t.cost
FROM (
    SELECT tracked_user_id, sum(events) AS events, sum(cost_picousd) AS cost FROM ({rows.text}) r GROUP BY 1
    HAVING sum(events) > 0 ORDER BY 3 DESC, 2 DESC, 1 LIMIT %s
) t LEFT JOIN tracked_user u ON u.id = t.tracked_user_id AND u.organization_id = %s
ORDER BY t.cost DESC, t.events DESC, t.tracked_user_id"""  # noqa: S608
    return tuple(
        UserUsage(user_id, external_id, name, int(events), int(cost))
        for user_id, external_id, name, events, cost in fetch(statement, (*rows.params, limit, organization_id))
    )


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


def _rows(organization_id: int, filters: Filters) -> Sql:
    if filters.whole_days and not filters.conditions:
        return Sql(
            """SELECT tracked_user_id, events, cost_picousd FROM usage_day_user_now
WHERE organization_id = %s AND environment = %s AND day >= %s AND day <= %s""",
            (organization_id, environment_of(filters), filters.days[0], filters.days[-1]),
        )
    wanted = on_events(organization_id, filters, id_floor(filters.start), id_floor(filters.end))
    return Sql(
        f"""SELECT coalesce(e.tracked_user_id, 0) AS tracked_user_id, 1 AS events,
coalesce(e.cost_picousd, 0) AS cost_picousd FROM event e WHERE {wanted.text}""",  # noqa: S608
        wanted.params,
    )
