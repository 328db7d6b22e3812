"""What values are called: users are told apart by a number, and named by their external id and their name."""

from dashboard.queries.reading import Sql
from dashboard.queries.usage import OF_USERS, Kind


def label(kind: Kind) -> str:
    """The columns value, provider and name of a row `p`, which `join` has given its user."""
    if kind in OF_USERS:
        return "coalesce(t.external_id, ''), p.provider, coalesce(t.name, '')"
    return "p.value, p.provider, ''"


def join(kind: Kind, organization_id: int) -> Sql:
    """Joins the user of a row `p`. Key of tracked_user."""
    if kind in OF_USERS:
        return Sql("LEFT JOIN tracked_user t ON t.id = p.value AND t.organization_id = %s", (organization_id,))
    return Sql("")
