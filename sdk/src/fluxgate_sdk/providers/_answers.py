"""Looking into a provider's answers, which are models of its package or plain JSON objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fluxgate_sdk.bodies import Editor
from fluxgate_sdk.calls import Reading
from fluxgate_sdk.events import copied
from fluxgate_sdk.streams import Verdict

_SCALARS: Final = frozenset({int, str, float, bool, type(None)})

Notes = tuple[dict[str, Any], set[str], Any]
"""A model as it was: its fields (models among them are notes as well), the names of those that were sent, the rest."""


class AnswerReader:
    """What the readers of all answers share. A reader is used for one answer."""

    complete = False
    is_billable = True
    wants_body = True

    def __init__(self, model: object = None) -> None:
        self.reading = Reading.of_model(text(model))

    def is_quiet(self, item: Any) -> bool:
        """Whether a part says nothing new. Never raises."""
        return False

    def take(self, item: Any) -> Verdict:
        """Read one part of a streamed answer."""
        return Verdict.PASS

    def whole(self, answer: Any) -> None:
        """Read an answer that came as one."""

    def note(self, answer: Any) -> None:
        """As `whole`, for a thread that has no time: what costs much is noted, and left for `reading.understand`.

        Of the content nothing is kept, and of the rest a copy: it may change, as libraries add up usage in it.
        """
        self.whole(answer)

    def key(self) -> str | None:
        """An idempotency key out of the answer, where it can be read more than once."""
        return None

    def editor(self, headers: Mapping[str, str]) -> Editor | None:
        """What is to be changed in the bytes of the answer for a caller who reads them."""
        return None


def get(subject: Any, name: str) -> Any:
    """A field of a model or of a JSON object; None where it is not there."""
    if isinstance(subject, dict):
        return subject.get(name)
    return getattr(subject, name, None)


def fields_of(subject: Any) -> Mapping[str, Any]:
    """The fields of a model or of a JSON object, those too that the model's class does not know of."""
    if isinstance(subject, dict):
        return subject
    fields: Mapping[str, Any] = getattr(subject, "__dict__", None) or {}
    extra = getattr(subject, "__pydantic_extra__", None)
    # Asking a model for a field that it does not have takes twenty times as long as asking a dictionary.
    return {**extra, **fields} if extra else fields


def text(value: object) -> str | None:
    """A text that is not empty; None for everything else."""
    return value if isinstance(value, str) and value else None


def count(value: object) -> int | None:
    """A number of tokens; None for everything else."""
    return value if type(value) is int and value >= 0 else None


def plain(subject: Any) -> dict[str, Any] | None:
    """A model as the JSON object that the provider sent; None where there is none."""
    if subject is None or isinstance(subject, dict):
        return subject
    if hasattr(subject, "to_dict"):
        found = subject.to_dict(mode="json", warnings=False)
        return found if isinstance(found, dict) else None
    return None


def sent_usage(usage: Any) -> dict[str, Any] | None:
    """A usage object as the provider sent it, if every part of it is of the kind that it should be; else None."""
    sent = sent_fields(usage)
    return sent if sent is not None and is_well_formed(sent) else None


def sent_fields(usage: Any) -> dict[str, Any] | None:
    """A usage object (a model, its notes, a JSON object) as the provider sent it; None for what is none of these.

    The model's own dump is made for all kinds of models, and takes several times as long.
    """
    if isinstance(usage, dict):
        return usage
    notes = usage if isinstance(usage, tuple) else noted(usage)
    return plain(usage) if notes is None else _sent(notes) or plain(usage)


def noted(model: Any) -> Notes | None:
    """A copy of a model that holds numbers, texts and models of such; None for any other. To be read later."""
    try:
        fields, names, extra = model.__dict__.copy(), model.__pydantic_fields_set__.copy(), model.__pydantic_extra__
    except AttributeError:  # Another version of pydantic, or no model.
        return None
    for name, value in fields.items():
        if value.__class__ not in _SCALARS:
            inner = fields[name] = noted(value)
            if inner is None and name in names:
                return None
    return fields, names, copied(extra) if extra else None


def _sent(notes: Notes) -> dict[str, Any]:
    fields, names, extra = notes
    sent = {name: value for name, value in fields.items() if name in names}
    return {**(extra or {}), **{name: _sent(it) if type(it) is tuple else it for name, it in sent.items()}}


def is_well_formed(usage: Mapping[str, Any]) -> bool:
    """Whether every part of a usage object is of the kind that it should be, so that the server can read it."""
    for name, value in usage.items():
        if value is None:
            continue
        kind = type(value)
        if kind is dict:
            if not is_well_formed(value):
                return False
        elif kind is int:
            if value < 0:
                return False
        elif name.endswith(("_details", "_tokens")):
            return False
    return True
