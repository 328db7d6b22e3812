"""Members changed by members: who may give and take which role, and what is noted."""

from contextlib import suppress

import pytest
from django.contrib.admin.models import LogEntry

from events import members
from events.members import LAST_OWNER, Refused
from events.models import Membership, Organization, Role, User
from tests.factories import MembershipFactory, OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    made: Organization = OrganizationFactory()
    return made


def member(organization: Organization, role: Role) -> Membership:
    made: Membership = MembershipFactory(organization=organization, role=role)
    return made


def noted() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


ROLES = (None, *Role)
CHANGES = {(old, new) for old in ROLES for new in ROLES if old != new}
ALLOWED = {
    Role.OWNER: CHANGES,
    Role.ADMIN: {change for change in CHANGES if Role.OWNER not in change},
    Role.MEMBER: set(),
    Role.VIEWER: set(),
}


@pytest.mark.parametrize("by", Role)
def test_a_role_gives_and_takes_what_it_may(organization: Organization, by: Role) -> None:
    member(organization, Role.OWNER)
    actor, done = member(organization, by).user, set()
    for old, new in CHANGES:
        with suppress(Refused):
            if old is None and new is not None:
                members.add(organization.pk, UserFactory().email, "", new, by=actor)
            elif old is not None and new is None:
                members.remove(member(organization, old), by=actor)
            elif old is not None and new is not None:
                changed = member(organization, old)
                assert members.change_role(changed, new, by=actor)
                assert Membership.objects.get(pk=changed.pk).role == new
                assert not members.change_role(changed, new, by=actor)
            done.add((old, new))
    assert done == ALLOWED[by]


def test_nobody_raises_themselves_and_a_superuser_has_no_more_rights_than_their_role(
    organization: Organization,
) -> None:
    member(organization, Role.OWNER)
    admin = member(organization, Role.ADMIN)
    admin.user.is_superuser = True
    admin.user.save()
    with pytest.raises(Refused, match="Only an owner can make"):
        members.change_role(admin, Role.OWNER, by=admin.user)
    assert members.change_role(admin, Role.VIEWER, by=admin.user)
    with pytest.raises(Refused, match="Only owners and admins"):
        members.change_role(admin, Role.ADMIN, by=admin.user)
    outsider = member(OrganizationFactory(), Role.OWNER).user
    with pytest.raises(Refused, match="Only owners and admins"):
        members.remove(admin, by=outsider)


def test_the_last_active_owner_stays(organization: Organization) -> None:
    owner, second = member(organization, Role.OWNER), member(organization, Role.OWNER)
    User.objects.filter(pk=second.user_id).update(is_active=False)
    for change in (
        lambda: members.remove(owner, by=owner.user),
        lambda: members.change_role(owner, Role.ADMIN, by=owner.user),
    ):
        with pytest.raises(Refused) as refusal:
            change()
        assert str(refusal.value) == LAST_OWNER
    User.objects.filter(pk=second.user_id).update(is_active=True)
    members.remove(owner, by=owner.user)
    assert [one.user_id for one in organization.memberships.all()] == [second.user_id]


def test_a_new_person_gets_a_password_that_works_and_one_with_an_account_keeps_theirs(
    organization: Organization,
) -> None:
    owner = member(organization, Role.OWNER).user
    added = members.add(organization.pk, "New@Example.com", "Nia New", Role.ADMIN, by=owner)
    person = User.objects.get(email="New@example.com")
    assert person.check_password(added.password)
    assert (person.name, person.is_staff) == ("Nia New", True), "the admin is open to admins"
    known = UserFactory(name="Kit Known")
    again = members.add(organization.pk, known.email.upper(), "Other", Role.VIEWER, by=owner)
    known.refresh_from_db()
    assert (again.password, known.name, known.is_staff) == ("", "Kit Known", False)
    assert noted() == ["Added with a first password.", "Added as Admin.", "Added as Viewer."]
    assert added.password not in "".join(noted())
    for email, message in ((known.email, "a member already"), (_switched_off().email, "switched off")):
        with pytest.raises(Refused, match=message):
            members.add(organization.pk, email, "", Role.VIEWER, by=owner)


def _switched_off() -> User:
    made: User = UserFactory(is_active=False)
    return made


def test_changes_and_removals_are_noted(organization: Organization) -> None:
    owner, other = member(organization, Role.OWNER).user, member(organization, Role.VIEWER)
    members.change_role(other, Role.MEMBER, by=owner)
    members.remove(other, by=owner)
    with pytest.raises(Refused, match="not a member any more"):
        members.remove(Membership(pk=other.pk or 0, organization=organization, user=owner), by=owner)
    assert noted() == ["Role: Viewer → Member.", "Removed; was Member."]
    assert {entry.user_id for entry in LogEntry.objects.all()} == {owner.pk}
