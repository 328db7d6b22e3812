"""Who belongs to an organization, changed by one of its members: within their own role, and noted in the admin's log.

The rules are those of events/admin_access.py. Here rights come from the role in this organization alone, for superusers
too: what they may do beyond it they do in the admin.
"""

import secrets
from dataclasses import dataclass

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db import transaction
from django.db.models import Model

from events.admin_access import Access, has_owner_besides, open_admin_to
from events.models import Membership, Organization, Role, User

LAST_OWNER = "An organization keeps at least one active owner: make another owner first."
GIVEN_ROLES = {
    Role.OWNER: tuple(Role),
    Role.ADMIN: (Role.ADMIN, Role.MEMBER, Role.VIEWER),
}
"""The roles that each role may give and take; the others give none."""


class Refused(Exception):
    """The change is not made. `field` is what must be given differently, '' for the change as such."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Added:
    """A new membership, and the password that was made up for its person; '' for one who had an account already."""

    membership: Membership
    password: str


def add(organization_id: int, email: str, name: str, role: Role, *, by: User) -> Added:
    """Give the person of this e-mail address a role, and an account if they have none yet.

    An account that exists keeps its name and its password. Raises Refused.
    """
    with transaction.atomic():
        _check_right(organization_id, None, role, by)
        person = User.objects.filter(email__iexact=email).first()
        if person is not None and not person.is_active:
            raise Refused("This account is switched off. Who operates FluxGate can switch it on again.", "email")
        if Membership.objects.filter(organization=organization_id, user=person).exists():
            raise Refused("This person is a member already: change their role in the list.", "email")
        password = "" if person else secrets.token_urlsafe(12)
        if person is None:
            person = User.objects.create_user(email, password, name=name)
            _log(person, by, ADDITION, "Added with a first password.")
        membership = Membership.objects.create(organization_id=organization_id, user=person, role=role)
        open_admin_to(person)
        _log(membership, by, ADDITION, f"Added as {role.label}.")
    return Added(membership, password)


def change_role(membership: Membership, role: Role, *, by: User) -> bool:
    """Give a member another role; False when they have it already. Raises Refused."""
    with transaction.atomic():
        old = _locked_role(membership, role, by)
        if old == role:
            return False
        if membership.user_id == by.pk and tuple(Role).index(role) < tuple(Role).index(old):
            raise Refused("Nobody can give themselves a higher role: ask an owner.", "role")
        membership.role = role
        membership.save(update_fields=["role"])
        open_admin_to(membership.user)
        _log(membership, by, CHANGE, f"Role: {old.label} → {role.label}.")
    return True


def remove(membership: Membership, *, by: User) -> None:
    """Take a member out of the organization; their account and what they did stay. Raises Refused."""
    with transaction.atomic():
        old = _locked_role(membership, None, by)
        _log(membership, by, DELETION, f"Removed; was {old.label}.")
        membership.delete()


def _locked_role(membership: Membership, new: Role | None, by: User) -> Role:
    """The member's role as it is now, of which `by` may make `new`; None stands for no membership."""
    found = Membership.objects.filter(pk=membership.pk).first()
    if found is None:
        raise Refused("This person is not a member any more.")
    old = Role(found.role)
    _check_right(membership.organization_id, old, new, by)
    if old == Role.OWNER != new and not has_owner_besides(membership.organization_id, [membership.pk]):
        raise Refused(LAST_OWNER, "role")
    return old


def _check_right(organization_id: int, old: Role | None, new: Role | None, by: User) -> None:
    """Refuse what the role of `by` does not allow. One change of an organization's members at a time."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization_id)
    acting = Membership.objects.filter(organization=organization_id, user=by, role__in=GIVEN_ROLES).first()
    access = Access(everything=False, roles={organization_id: Role(acting.role)} if acting else {})
    if not access.manages(organization_id):
        raise Refused("Only owners and admins change members.")
    if refusal := access.role_refusal(organization_id, old, new):
        raise Refused(refusal, "role")


def _log(instance: Model, by: User, flag: int, words: str) -> None:
    LogEntry.objects.log_actions(by.pk, [instance], flag, words, single_object=True)
