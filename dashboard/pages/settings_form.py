"""Forms that are sent by POST, as values: what Django's form holds, for `components/post_form.html` to print."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts

from dashboard.pages.parts import Option

_AUTOCOMPLETE = {"old_password": "current-password", "new_password1": "new-password", "new_password2": "new-password"}


@dataclass(frozen=True)
class OptionGroup:
    """Choices under a common heading; '' for those without one."""

    label: str
    options: Sequence[Option]


@dataclass(frozen=True)
class PostField:
    """One field with its value, and what is wrong with it."""

    id: str
    name: str
    label: str
    kind: str
    """'select' or an input's type."""
    value: str = ""
    groups: Sequence[OptionGroup] = ()
    help: Sequence[str] = ()
    error: str = ""
    required: bool = False
    max_length: int | None = None
    autocomplete: str = "off"


@dataclass(frozen=True)
class PostForm:
    """A form: where it goes, its fields, what is wrong with it as a whole, and the words of its button."""

    action: str
    submit: str
    fields: Sequence[PostField]
    hidden: Sequence[tuple[str, str]] = ()
    error: str = ""

    @property
    def has_errors(self) -> bool:
        """Whether it was sent and not accepted."""
        return bool(self.error) or any(field.error for field in self.fields)


def post_form(form: forms.BaseForm, action: str, submit: str) -> PostForm:
    """The form as it is to be shown: bound to what was sent, or with its initial values."""
    whole = form.non_field_errors() if form.is_bound else []
    return PostForm(
        action=action,
        submit=submit,
        fields=tuple(_field(bound) for bound in form if not bound.is_hidden),
        hidden=tuple((bound.html_name, str(bound.value() or "")) for bound in form if bound.is_hidden),
        error=str(whole[0]) if whole else "",
    )


def _field(bound: forms.BoundField) -> PostField:
    field, value = bound.field, str(bound.value() or "")
    secret = isinstance(field.widget, forms.PasswordInput)
    choices: Any = field.choices if isinstance(field, forms.ChoiceField) else ()
    return PostField(
        id=bound.id_for_label,
        name=bound.html_name,
        label=str(bound.label),
        kind="select" if choices else str(field.widget.input_type),
        value="" if secret else value,
        groups=option_groups(choices, value),
        help=_help(bound),
        error=str(bound.errors[0]) if bound.errors else "",
        required=field.required,
        max_length=None if secret else getattr(field, "max_length", None),
        autocomplete=_AUTOCOMPLETE.get(bound.name, "off"),
    )


def _help(bound: forms.BoundField) -> tuple[str, ...]:
    """The help as plain sentences. Django gives the rules of passwords as a list in HTML."""
    if bound.name == "new_password1":
        return tuple(password_validators_help_texts())
    return (str(bound.help_text),) if bound.help_text and bound.name != "new_password2" else ()


def option_groups(choices: Iterable[Any], chosen: str) -> tuple[OptionGroup, ...]:
    """Choices as Django has them: pairs of value and label, or of a heading and such pairs."""
    groups: list[tuple[str, list[Option]]] = []
    for value, label in choices:
        if isinstance(label, (list, tuple)):
            groups.append((str(value), [_option(one, words, chosen) for one, words in label]))
        else:
            if not groups or groups[-1][0]:
                groups.append(("", []))
            groups[-1][1].append(_option(value, label, chosen))
    return tuple(OptionGroup(label, tuple(options)) for label, options in groups)


def _option(value: object, label: object, chosen: str) -> Option:
    return Option(str(label), str(value), selected=str(value) == chosen)
