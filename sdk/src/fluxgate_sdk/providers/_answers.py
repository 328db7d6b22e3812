"""Looking into a provider's answers, which are models of its package or plain JSON objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, get_args

from fluxgate_sdk.bodies import Editor
from fluxgate_sdk.calls import Notes, Reading
from fluxgate_sdk.events import copied
from fluxgate_sdk.streams import Verdict

_SCALARS: Final = frozenset({int, str, float, bool, type(None)})

ModelNotes = tuple[dict[str, Any], set[str], Any]
"""A model as it was: its fields (models among them are notes as well), the names of those that were sent, the rest.
The names are the model's own: one that is added later stands for a field that was empty."""


class AnswerReader:
    """What the readers of all answers share. A reader is used for one answer."""

    complete = False
    is_billable = True
    wants_body = True
    _reading: Reading | None = None
    """Made when something is read: not on the caller's thread, if that takes notes only."""
    _has_begun = False
    """Whether the answer has said which one it is."""

    def __init__(self, model: object = None) -> None:
        self.model = text(model)

    @property
    def reading(self) -> Reading:
        """What has been read so far."""
        if self._reading is None:
            self._reading = Reading(model=self.model)
        return self._reading

    def is_quiet(self, item: Any) -> bool:
        """Whether a part says nothing new. Never raises."""
        return False

    def take(self, item: Any) -> Verdict:
        """Read one part of a streamed answer."""
        return Verdict.PASS

    def whole(self, answer: Any) -> None:
        """Read an answer that came as one."""

    def note(self, answer: Any) -> Reading | Notes:
        """As `whole`, for a thread that has no time: a reading, or copies of what it takes to make one later."""
        self.whole(answer)
        return self.reading

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


def noted(model: Any) -> ModelNotes | None:
    """A copy of a model that holds numbers, texts and models of such; None for any other. To be read later."""
    try:
        fields, names, extra = model.__dict__.copy(), model.__pydantic_fields_set__, model.__pydantic_extra__
        deep = _deep_fields(model.__class__)
    except (AttributeError, TypeError):  # Another version of pydantic, or no model.
        return None
    for name in deep:
        value = fields.get(name)
        if value.__class__ not in _SCALARS:
            inner = fields[name] = noted(value)
            if inner is None and name in names:
                return None
    return fields, names, copied(extra) if extra else None


@lru_cache(maxsize=64)
def _deep_fields(cls: Any) -> tuple[str, ...]:
    """The fields of a model's class that may hold more than a number or a text: those alone have to be looked into."""
    return tuple(
        name
        for name, field in cls.model_fields.items()
        if not _SCALARS.issuperset(get_args(field.annotation) or (field.annotation,))
    )


def _sent(notes: ModelNotes) -> dict[str, Any]:
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
