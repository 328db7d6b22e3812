"""Who belongs to the organization, and in which role."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.formats import ago, day, moment
from dashboard.forms import AddMemberForm
from dashboard.pages.parts import Frame, Option
from dashboard.pages.settings import frame, tabs, whom_to_ask
from dashboard.pages.settings_form import PostForm, post_form
from dashboard.queries import members
from dashboard.queries.members import MOST, MemberRow
from dashboard.visit import Visit
from events.members import GIVEN_ROLES, Added
from events.models import Membership, Role

ROLES = {
    Role.OWNER: "Everything, and who the owners are.",
    Role.ADMIN: "API keys, prices, settings, and members but owners.",
    Role.MEMBER: "Reads every page and shares saved views.",
    Role.VIEWER: "Reads every page.",
}


@dataclass(frozen=True)
class Member:
    """One row of the list."""

    name: str
    email: str
    role: str
    is_you: bool
    is_active: bool
    since: str
    last_sign_in: str
    last_sign_in_title: str
    roles: Sequence[Option]
    """What they can be made; empty where the person who looks may not change it."""
    role_href: str
    remove_href: str


@dataclass(frozen=True)
class NewMember:
    """Somebody who was just added; `password` is shown now and never again, '' for one who has an account."""

    who: str
    email: str
    role: str
    password: str
    sign_in_href: str


@dataclass(frozen=True)
class Members:
    """All that `settings_members.html` prints."""

    frame: Frame
    tabs: Sequence[Option]
    members: Sequence[Member]
    summary: str
    more: str
    """What the list leaves out; '' for nothing."""
    roles: Sequence[tuple[str, str]]
    form: PostForm | None
    ask: str
    added: NewMember | None
    problem: str
    """Why a change of a member was not made."""


@dataclass(frozen=True)
class RemoveMember:
    """All that `settings_remove_member.html` prints."""

    frame: Frame
    tabs: Sequence[Option]
    who: str
    role: str
    is_you: bool
    organization: str
    action: str
    back_href: str
    problem: str


def build(
    visit: Visit,
    user_id: int,
    form: AddMemberForm | None,
    *,
    added: Added | None = None,
    problem: str = "",
) -> Members:
    """The page for the person `user_id`; `form` is the one for adding, None for those who may not."""
    found = members.of_organization(visit.organization_id)
    refused = bool(problem) or (form is not None and form.is_bound and added is None)
    shown = found[:MOST]
    return Members(
        frame=frame(visit, "settings_members", refused),
        tabs=tabs("settings_members"),
        members=tuple(_member(row, visit, user_id) for row in shown),
        summary="1 member" if len(shown) == 1 else f"{len(shown)} members",
        more=f"Only the first {MOST} are shown." if len(found) > MOST else "",
        roles=tuple((role.label, words) for role, words in ROLES.items()),
        form=post_form(form, reverse("dashboard:settings_members"), "Add") if form else None,
        ask="" if form else f"To add or change members, ask {whom_to_ask(visit)}.",
        added=_new(added, visit) if added else None,
        problem=problem,
    )


def given_roles(visit: Visit) -> tuple[Role, ...]:
    """The roles that the person who looks may give."""
    return GIVEN_ROLES.get(visit.role, ())


def removal(visit: Visit, user_id: int, member: Membership, problem: str = "") -> RemoveMember:
    """The question before a member is removed; `problem` is why they were not."""
    return RemoveMember(
        frame=frame(visit, "settings_members", bool(problem)),
        tabs=tabs("settings_members"),
        who=_who(member.user.name, member.user.email),
        role=Role(member.role).label,
        is_you=member.user_id == user_id,
        organization=visit.organization,
        action=reverse("dashboard:settings_member_remove", args=[member.pk]),
        back_href=reverse("dashboard:settings_members"),
        problem=problem,
    )


def _member(row: MemberRow, visit: Visit, user_id: int) -> Member:
    given = given_roles(visit)
    may_change = row.role in given
    last = row.last_sign_in_at
    return Member(
        name=row.name,
        email=row.email,
        role=Role(row.role).label,
        is_you=row.user_id == user_id,
        is_active=row.is_active,
        since=day(row.since.astimezone(visit.zone)),
        last_sign_in=ago(last, visit.now) if last else "never",
        last_sign_in_title=moment(last, visit.zone) if last else "",
        roles=tuple(Option(role.label, role.value, selected=role == row.role) for role in given) if may_change else (),
        role_href=reverse("dashboard:settings_member_role", args=[row.id]),
        remove_href=reverse("dashboard:settings_member_remove", args=[row.id]) if may_change else "",
    )


def _new(added: Added, visit: Visit) -> NewMember:
    person = added.membership.user
    return NewMember(
        who=_who(person.name, person.email),
        email=person.email,
        role=Role(added.membership.role).label,
        password=added.password,
        sign_in_href=f"{visit.base_url}{reverse('dashboard:sign_in')}",
    )


def _who(name: str, email: str) -> str:
    return f"{name} ({email})" if name else email
