"""The settings of the organization, and what all tabs of the settings share."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.formats import day
from dashboard.forms import OrganizationForm
from dashboard.pages.parts import Frame, Option
from dashboard.pages.settings_form import PostForm, post_form
from dashboard.pages.settings_time_zone import Progress, progress
from dashboard.queries.members import who_administer
from dashboard.visit import Visit
from events.models import Organization, Role

TABS = {"settings": "Organization", "settings_members": "Members", "settings_account": "Your account"}
_MOST_NAMED = 3


@dataclass(frozen=True)
class OrganizationSettings:
    """All that `settings.html` prints."""

    frame: Frame
    tabs: Sequence[Option]
    form: PostForm | None
    """None for those who may only read."""
    facts: Sequence[tuple[str, str]]
    ask: str
    """Whom to ask for a change; '' where there is a form."""
    progress: Progress


def build(visit: Visit, organization: Organization, form: OrganizationForm | None = None) -> OrganizationSettings:
    """The page; `form` is one that was sent and not accepted."""
    may_edit = visit.has_role(Role.ADMIN)
    shown = form or OrganizationForm(None, organization)
    return OrganizationSettings(
        frame=frame(visit, "settings", shown.is_bound),
        tabs=tabs("settings"),
        form=post_form(shown, reverse("dashboard:settings"), "Save") if may_edit else None,
        facts=_facts(organization, visit, may_edit),
        ask="" if may_edit else f"To change this, ask {whom_to_ask(visit)}.",
        progress=progress(visit),
    )


def frame(visit: Visit, tab: str, is_refused: bool = False) -> Frame:
    """The frame of a tab; a form that was not accepted is said in the title, which screen readers read first."""
    return visit.frame(f"{'Error: ' if is_refused else ''}{TABS[tab]} · Settings", "settings")


def tabs(current: str) -> tuple[Option, ...]:
    """The tabs as links, by the name of their address."""
    return tuple(Option(label, name, reverse(f"dashboard:{name}"), name == current) for name, label in TABS.items())


def whom_to_ask(visit: Visit) -> str:
    """Owners and admins by name: "Ana (ana@example.com) or Bo (bo@example.com)"."""
    found = who_administer(visit.organization_id, _MOST_NAMED)
    names = [f"{name} ({email})" if name else email for name, email in found]
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "an owner or an admin"


def _facts(organization: Organization, visit: Visit, may_edit: bool) -> tuple[tuple[str, str], ...]:
    shown = () if may_edit else (("Name", organization.name), ("Time zone", organization.time_zone))
    since = day(organization.created_at.astimezone(visit.zone))
    return (*shown, ("Short name in commands", organization.slug), ("Since", since))
