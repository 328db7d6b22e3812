"""What operations declare to answer: ninja makes the schema from it, and a test holds them to it."""

from typing import Any, Final

from metering.api.fields import Outgoing


class WrongField(Outgoing):
    """What is wrong with one field; `field` is its path."""

    field: str
    message: str


class ErrorDetail(Outgoing):
    """`type` is a word for programs, `message` a sentence for people; `errors` names every wrong field."""

    type: str
    message: str
    errors: list[WrongField]
    requestId: str


class Error(Outgoing):
    """The body of every refusal."""

    status: str
    id: None
    createdAt: None
    cost: None
    error: ErrorDetail


ANYWHERE: Final = (400, 403, 404, 405, 413, 422, 503)
"""A broken body or Host, a role or scope, an unknown organization, a method, a size, a query, an outage."""
WRITES: Final = (415,)


def reads(model: Any, *more: int) -> dict[Any, Any]:
    """Of an operation that changes nothing."""
    return _answers(200, model, (*ANYWHERE, 401, *more))


def writes(model: Any, *more: int, status: int = 200) -> dict[Any, Any]:
    """Of an operation that changes something; 201 when it makes it."""
    return _answers(status, model, (*ANYWHERE, *WRITES, 401, 409, *more))


def signs(model: Any, *more: int) -> dict[Any, Any]:
    """Of signing in and out, which ask for no organization."""
    return _answers(200, model, (*(code for code in ANYWHERE if code != 404), *WRITES, *more))


def _answers(status: int, model: Any, refusals: tuple[int, ...]) -> dict[Any, Any]:
    return {status: model} | dict.fromkeys(sorted(set(refusals)), Error)
