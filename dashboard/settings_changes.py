"""What the forms of the settings do once they are sent: checked, made, and told in a sentence."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.http import HttpRequest

from dashboard.access import MemberRequest
from dashboard.forms import AddMemberForm, OrganizationForm, PasswordForm, RoleForm
from dashboard.pages.settings_members import given_roles
from events import form_tokens, members, organizations
from events.members import Added
from events.models import Membership, Organization, Role, User
from events.time_zones import UnknownZone

_SENT_BEFORE = (
    "This form was sent before, and nothing was done a second time. A password is shown once: if it was not noted,"
    " remove the person and add them again, or set a password in the administration."
)

_TOO_OLD = "This page was open for too long, so nobody was added. Send the form again."


def save_organization(
    organization: Organization, sent: Mapping[str, str], by: User, now: datetime
) -> tuple[OrganizationForm | None, str]:
    """The form where it cannot be accepted, else None; and what was done."""
    form = OrganizationForm(sent, organization)
    if not form.is_valid():
        return form, ""
    try:
        with transaction.atomic():
            renamed = organizations.rename(organization, form.cleaned_data["name"], by=by)
            zone = form.cleaned_data["time_zone"]
            change = organizations.move_to_time_zone(organization, zone, by=by, now=now)
    except UnknownZone as unknown:
        form.add_error("time_zone", str(unknown))
        return form, ""
    if change is not None and change.finished_at is None:
        return None, f"Saved. Hours and days start in {zone} from now on; the past is being counted anew."
    return None, "Saved." if renamed or change is not None else "Nothing was different, so nothing was changed."


def adding(request: MemberRequest) -> AddMemberForm | None:
    """An empty form for adding a member; None for those who may not."""
    roles = given_roles(request.visit)
    return AddMemberForm(None, roles, form_tokens.new_token(request)) if roles else None


def add_member(request: MemberRequest, by: User) -> tuple[AddMemberForm | None, Added | None]:
    """The form to show next, and who was added, if anybody was."""
    form = AddMemberForm(request.POST.dict(), given_roles(request.visit))
    if not form.is_valid():
        return form, None
    try:
        with transaction.atomic():
            form_tokens.claim(request)
            added = _added(request.visit.organization_id, form.cleaned_data, by)
            form_tokens.settle(request, added.membership.pk)
    except members.Refused as refusal:
        form.add_error(refusal.field or None, str(refusal))
        return form, None
    except form_tokens.AlreadySent as sent:
        return _to_be_sent_anew(request, form, _TOO_OLD if sent.made_id is None else _SENT_BEFORE), None
    return adding(request), added


def _added(organization_id: int, cleaned: dict[str, Any], by: User) -> Added:
    return members.add(organization_id, cleaned["email"], cleaned["name"], Role(cleaned["role"]), by=by)


def _to_be_sent_anew(request: HttpRequest, form: AddMemberForm, reason: str) -> AddMemberForm:
    form.data = {**form.data, form_tokens.FIELD: form_tokens.new_token(request)}
    form.add_error(None, reason)
    return form


def change_role(membership: Membership, sent: Mapping[str, str], by: User) -> tuple[str, str]:
    """What is wrong, and what was done: one of the two is ''."""
    form = RoleForm(sent)
    if not form.is_valid():
        return f"Role: {form.errors['role'][0]}", ""
    role = Role(form.cleaned_data["role"])
    try:
        changed = members.change_role(membership, role, by=by)
    except members.Refused as refusal:
        return str(refusal), ""
    return "", f"{membership.user} is {role.label} {'now' if changed else 'already'}."


def remove(membership: Membership, by: User) -> tuple[str, str]:
    """What is wrong, and what was done: one of the two is ''."""
    try:
        members.remove(membership, by=by)
    except members.Refused as refusal:
        return str(refusal), ""
    return "", f"{membership.user} is not a member any more."


def call_oneself(person: User, name: str) -> None:
    """Give the person another name."""
    if person.name == name:
        return
    with transaction.atomic():
        person.name = name
        person.save(update_fields=["name"])
        _log(person, "Changed their name.")


def change_password(form: PasswordForm) -> User:
    """Store the new password of a form that is valid."""
    with transaction.atomic():
        person = form.save()
        _log(person, "Changed their password.")
    return person


def _log(person: User, words: str) -> None:
    LogEntry.objects.log_actions(person.pk, [person], CHANGE, words, single_object=True)
