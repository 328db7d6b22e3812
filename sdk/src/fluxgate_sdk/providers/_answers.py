"""Looking into a provider's answers, which are models of its package or plain JSON objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fluxgate_sdk.bodies import Editor
from fluxgate_sdk.calls import Reading
from fluxgate_sdk.events import copied
from fluxgate_sdk.streams import Verdict

_SCALARS: Final = frozenset({int, str, float, bool})


class AnswerReader:
    """What the readers of all answers share. A reader is used for one answer."""

    complete = False
    is_billable = True
    wants_body = True

    def __init__(self, model: object = None) -> None:
        self.reading = Reading(model=text(model))

    def is_quiet(self, item: Any) -> bool:
        """Whether a part says nothing new. Never raises."""
        return False

    def take(self, item: Any) -> Verdict:
        """Read one part of a streamed answer."""
        return Verdict.PASS

    def whole(self, answer: Any) -> None:
        """Read an answer that came as one."""

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
    sent = usage if isinstance(usage, dict) else _sent_fields(usage) or plain(usage)
    return sent if sent is not None and is_well_formed(sent) else None


def _sent_fields(model: Any) -> dict[str, Any] | None:
    """What was sent of a model that holds numbers, texts and models of such; None for any other.

    The model's own dump is made for all kinds of models, and takes several times as long.
    """
    try:
        names, fields = model.__pydantic_fields_set__, model.__dict__
        sent = copied(model.__pydantic_extra__) or {}
    except AttributeError:  # Another version of pydantic.
        return None
    for name, value in fields.items():
        if name not in names:
            continue
        if value is not None and type(value) not in _SCALARS:
            value = _sent_fields(value)
            if value is None:
                return None
        sent[name] = value
    return sent


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
