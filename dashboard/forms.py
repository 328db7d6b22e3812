"""The forms of the settings: what a person typed, read and checked by Django, in sentences that say what to do."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib.auth.forms import PasswordChangeForm

from events import sign_in_throttle
from events.models import Organization, Role, User

_REGIONS = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


def time_zones(current: str) -> list[tuple[str, str | list[tuple[str, str]]]]:
    """The choices of time zones by region: names of places, UTC, and the `current` one whatever it is."""
    regions: dict[str, list[tuple[str, str]]] = {}
    for zone in sorted(available_timezones()):
        region, _, place = zone.partition("/")
        if region in _REGIONS:
            regions.setdefault(region, []).append((zone, f"{place.replace('_', ' ')} ({region})"))
    alone = ["UTC", *([current] if current != "UTC" and current.partition("/")[0] not in _REGIONS else [])]
    return [*((zone, zone) for zone in alone), *regions.items()]


class OrganizationForm(forms.Form):
    """Name and time zone of an organization."""

    name = forms.CharField(
        max_length=Organization._meta.get_field("name").max_length,
        error_messages={"required": "Give the organization a name."},
    )
    time_zone = forms.ChoiceField(
        help_text="Hours, days and months of every page start in this zone. Another one moves the past as well: it is"
        " counted anew in the background, while requests keep coming in.",
        error_messages={"invalid_choice": "%(value)s is not in the list: choose a zone from it."},
    )

    def __init__(self, data: Mapping[str, str] | None, organization: Organization) -> None:
        super().__init__(data, initial={"name": organization.name, "time_zone": organization.time_zone})
        zone = self.fields["time_zone"]
        assert isinstance(zone, forms.ChoiceField)
        zone.choices = time_zones(organization.time_zone)


class AddMemberForm(forms.Form):
    """A person to add, with one of the roles that may be given."""

    email = forms.EmailField(
        label="E-mail",
        max_length=User._meta.get_field("email").max_length,
        error_messages={
            "required": "Give the e-mail address with which the person signs in.",
            "invalid": "This is not an e-mail address; write it like name@example.com.",
        },
    )
    name = forms.CharField(
        required=False,
        max_length=User._meta.get_field("name").max_length,
        help_text="May be empty. Who has an account keeps its name.",
    )
    role = forms.ChoiceField(initial=Role.MEMBER)
    form_token = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, str] | None, roles: Iterable[Role], token: str = "") -> None:
        super().__init__(data, initial={"form_token": token})
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices = [(role.value, role.label) for role in reversed(list(roles))]


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(
        choices=Role.choices, error_messages={"invalid_choice": "%(value)s is not a role: choose one of the list."}
    )


class NameForm(forms.Form):
    """What a person is called."""

    name = forms.CharField(
        required=False,
        max_length=User._meta.get_field("name").max_length,
        help_text="Shown to the other members. Empty: your e-mail address is shown.",
    )


class PasswordForm(PasswordChangeForm):
    """Django's form, which does not look at the old password of who has guessed it too often."""

    address = ""
    """Where the request comes from."""

    def clean_old_password(self) -> str:
        folder, now = Path(settings.DATA_DIR) / "sign_in", datetime.now(UTC)
        if sign_in_throttle.is_refused(folder, self.user.email, self.address, now):
            raise forms.ValidationError("Too many failed tries. Wait 15 minutes, then try again.", code="throttled")
        try:
            password: str = super().clean_old_password()
        except forms.ValidationError:
            sign_in_throttle.record(folder, self.user.email, self.address, now, succeeded=False)
            raise
        return password
