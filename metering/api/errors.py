"""Every refusal below /api/v1/ in the wire contract's error body, whoever raised it: ours, ninja's, Django's."""

import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import wraps
from typing import Any, Final

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import RawPostDataException, UnreadablePostError
from django.http.response import HttpResponseBase

from events.field_errors import word_for
from events.http import HttpError, too_large
from events.ingest import refused
from events.schema import InvalidEvent, MalformedBody
from events.wire import FieldError
from metering.invoicing import NoSuchInvoice, Refused

logger = logging.getLogger("fluxgate.api")

MAX_BODY_BYTES: Final = 256 * 1024
type View = Callable[..., HttpResponseBase]


def answer(error: HttpError) -> HttpResponse:
    """The contract's error body with the error's status and headers."""
    response = HttpResponse(msgspec.json.encode(error.body()), status=error.status, content_type="application/json")
    response["X-Request-Id"] = error.request_id
    response["Cache-Control"] = "no-store"
    response._has_been_logged = True  # type: ignore[attr-defined]  # a line for each slip of a caller helps nobody
    for name, value in error.headers:
        if name != b"connection":  # WSGI keeps those for the server
            response[name.decode().title()] = value.decode()
    return response


def invalid(errors: Iterable[FieldError]) -> HttpError:
    """422 that names every wrong field."""
    found = list(errors)
    return HttpError(422, "invalid_request", str(InvalidEvent(found)).removeprefix(": "), errors=found)


def not_found(what: str) -> HttpError:
    """404 for what is not there, or is another organization's, which must look the same."""
    return HttpError(404, "not_found", f"there is no such {what}")


def conflict(field: str, message: str) -> HttpError:
    """409: the request is fine, the state of things does not allow it."""
    return HttpError(409, "conflict", f"{field}: {message}" if field else message, errors=[FieldError(field, message)])


def of_exception(error: Exception) -> HttpError:
    """What to answer to any exception; the ones that nobody expected are logged with the request id."""
    match error:
        case HttpError():
            return error
        case UnreadablePostError() | RawPostDataException():
            return HttpError(400, "incomplete_body", "the body ended before it was complete")
        case InvalidEvent() | MalformedBody():
            return refused(error, "invalid_request")
        case NoSuchInvoice():
            return not_found("invoice")
        case Refused(field=field, message=message):
            return conflict(field, message)
        case SuspiciousOperation():
            return HttpError(400, "bad_request", "the request cannot be answered as it was sent")
        case IntegrityError():
            return HttpError(409, "conflict", "somebody else has changed the same at this moment; read it again")
        case OperationalError() | InterfaceError():
            logger.warning("the database did not answer: %s", str(error).strip().partition("\n")[0])
            return HttpError(503, "unavailable", "the database did not answer in time; send it again", headers=_RETRY)
        case _:
            failure = HttpError(503, "internal", "the call could not be answered; send it again", headers=_RETRY)
            logger.error("request %s failed", failure.request_id, exc_info=error)
            return failure


_RETRY: Final = [(b"retry-after", b"1")]


def in_contract(view: View) -> View:
    """The view with its size limit, its 405 and whatever it raises answered as the contract says."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            _check_size(request)
            response = view(request, *args, **kwargs)
        except Exception as error:
            return answer(of_exception(error))
        if isinstance(response, HttpResponseNotAllowed):
            return answer(_not_allowed(response["Allow"]))
        response.setdefault("Cache-Control", "no-store")
        return response

    return wrapped


def _check_size(request: HttpRequest) -> None:
    length = request.META.get("CONTENT_LENGTH") or ""
    if (length.isdigit() and int(length[:20]) > MAX_BODY_BYTES) or len(request.body) > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)


def _not_allowed(allowed: str) -> HttpError:
    methods = ", ".join(sorted(allowed.split(", ")))
    return HttpError(405, "method_not_allowed", f"use {methods}", headers=[(b"allow", methods.encode())])


def parse_body(body: bytes) -> Any:
    """JSON with every number exact. Raises HttpError 400."""
    try:
        return msgspec.json.Decoder(float_hook=Decimal).decode(body)
    except RecursionError:
        raise HttpError(400, "malformed_body", "the body is nested too deep") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, ArithmeticError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise HttpError(400, "malformed_body", f"the body is not valid JSON: {reason}") from None


def field_errors(found: Sequence[Any]) -> list[FieldError]:
    """pydantic's complaints in the contract's words; each has a path in `loc`."""
    return [FieldError(_path(error["loc"]), _message(error)) for error in found]


def _path(loc: Sequence[str | int]) -> str:
    """`("rates", 1, "kind")` is `rates[1].kind`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")[:200]


def _message(error: Any) -> str:
    limits = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not known here"
        case "value_error":
            return str(limits["error"])
        case "enum" | "literal_error":
            return f"must be one of {_words(limits['expected'])}"
        case "greater_than_equal":
            return f"must be {limits['ge']} or more"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case "string_too_short" | "too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {limits['max_length']} characters"
        case "too_long":
            return f"must have at most {limits['max_length']} entries"
    if expected := _EXPECTED.get(error["type"]):
        return f"must be {expected}, got {_word_for(error['input'])}"
    return str(error["msg"])[:1].lower() + str(error["msg"])[1:]


_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "a smaller integer",
    "int_from_float": "an integer",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def _word_for(value: Any) -> str:
    if isinstance(value, Decimal):
        return "a number with a fraction"
    return json.dumps(value)[:60] if isinstance(value, str) and len(value) < 50 else word_for(value)


def _words(expected: str) -> str:
    return ", ".join(re.findall(r"'([^']*)'", expected))
