"""Who looks at a page, in which organization, and when: what every page is built from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dashboard.pages.parts import Frame, Option
from events.models import Role

RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}
"""Each role may do what the ones before it may."""


@dataclass(frozen=True)
class Visit:
    """A signed-in member's look at one organization at one moment."""

    organization_id: int
    organization: str
    zone: ZoneInfo
    role: Role
    person: str
    is_superuser: bool
    organizations: Sequence[Option]
    theme: str
    base_url: str
    """Scheme and host as the person's browser knows them, without a slash at the end."""
    now: datetime
    keys: str = "on"
    """Keyboard shortcuts: on or off."""
    first_look: bool = False
    """Whether a script asks for the page's live part at once: what takes long to add up may be left to that."""

    def has_role(self, role: Role) -> bool:
        """Whether the person may do what `role` may."""
        return RANK[self.role] >= RANK[role]

    @property
    def can_administer(self) -> bool:
        """Whether the admin is open to the person: it is to owners and admins."""
        return self.is_superuser or self.has_role(Role.ADMIN)

    @property
    def sees_unknown_keys(self) -> bool:
        """Calls whose key belongs to nobody may be anybody's: only those who administer see them."""
        return self.can_administer

    def frame(self, title: str, section: str, environment: str = "live") -> Frame:
        """What surrounds a page of this visit."""
        return Frame(
            title=title,
            section=section,
            organization=self.organization,
            organizations=self.organizations,
            person=self.person,
            environment=environment,
            theme=self.theme,
            can_administer=self.can_administer,
            keys=self.keys,
        )
