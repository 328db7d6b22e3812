"""Who belongs to an organization."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.queries.reading import fetch

MOST = 500
_ROLES = ["owner", "admin", "member", "viewer"]


@dataclass(frozen=True)
class MemberRow:
    """One member. `last_sign_in_at` None: never."""

    id: int
    user_id: int
    name: str
    email: str
    role: str
    is_active: bool
    since: datetime
    last_sign_in_at: datetime | None


def of_organization(organization_id: int) -> tuple[MemberRow, ...]:
    """The members, owners first, at most MOST and one more, if there are more. membership_once (organization, user)."""
    found = fetch(
        """SELECT m.id, p.id, p.name, p.email, m.role, p.is_active, m.created_at, p.last_login
FROM membership m JOIN person p ON p.id = m.user_id WHERE m.organization_id = %s
ORDER BY array_position(%s::text[], m.role), lower(p.email) LIMIT %s""",
        (organization_id, _ROLES, MOST + 1),
    )
    return tuple(MemberRow(*row) for row in found)


def who_administer(organization_id: int, most: int) -> tuple[tuple[str, str], ...]:
    """Name and e-mail address of active owners and admins, owners first."""
    found = fetch(
        """SELECT p.name, p.email FROM membership m JOIN person p ON p.id = m.user_id
WHERE m.organization_id = %s AND m.role IN ('owner', 'admin') AND p.is_active
ORDER BY array_position(%s::text[], m.role), lower(p.email) LIMIT %s""",
        (organization_id, _ROLES, most),
    )
    return tuple((name, email) for name, email in found)
