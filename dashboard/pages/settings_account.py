"""What a person sets for themselves: their name, their password, how the pages behave."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.access import THEMES
from dashboard.forms import NameForm, PasswordForm
from dashboard.pages.parts import Frame, Option
from dashboard.pages.settings import frame, tabs
from dashboard.pages.settings_form import PostForm, post_form
from dashboard.visit import Visit
from events.models import Role, User

_THEMES = {"auto": "As the system", "light": "Light", "dark": "Dark"}
_KEYS = {"on": "On", "off": "Off"}


@dataclass(frozen=True)
class Account:
    """All that `settings_account.html` prints."""

    frame: Frame
    tabs: Sequence[Option]
    email: str
    role: str
    organization: str
    name_form: PostForm
    password_form: PostForm
    themes: Sequence[Option]
    keys: Sequence[Option]


def build(visit: Visit, person: User, *, name: NameForm | None = None, password: PasswordForm | None = None) -> Account:
    """The page; `name` and `password` are forms that were sent and not accepted."""
    return Account(
        frame=frame(visit, "settings_account", bool(name or password)),
        tabs=tabs("settings_account"),
        email=person.email,
        role=Role(visit.role).label,
        organization=visit.organization,
        name_form=post_form(
            name or NameForm(initial={"name": person.name}), reverse("dashboard:settings_account"), "Save"
        ),
        password_form=post_form(
            password or PasswordForm(person), reverse("dashboard:settings_password"), "Change password"
        ),
        themes=tuple(Option(_THEMES[theme], theme, selected=theme == visit.theme) for theme in THEMES),
        keys=tuple(Option(label, value, selected=value == visit.keys) for value, label in _KEYS.items()),
    )
