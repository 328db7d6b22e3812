"""Why a body was refused, field by field. The long way, taken only once the short one has failed. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from events.usage import COUNTERS, REQUIRED, required
from events.wire import MAX_COUNT, FieldError, Metadata, PriceItem, Status, Usage, User

_TYPE_WORDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number with a fraction"),
    (str, "a string"),
    (list, "a list"),
    (dict, "an object"),
    (type(None), "null"),
)
_EXPECTED = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "null": "null",
}


def malformed(error: Exception) -> str:
    """A decoder's complaint as a sentence for the sender."""
    if isinstance(error, RecursionError):
        return "the body is nested too deep"
    return f"the body is not valid JSON: {str(error).removeprefix('JSON is malformed: ')}"


def event_errors(value: dict[str, Any]) -> Iterator[FieldError]:
    """Every field of an event whose type or range is wrong, or that is missing."""
    yield from _usage_errors(value)
    usage = value.get("usage")
    if isinstance(usage, dict) and usage.get("providerUsage") is None:
        yield from (required(word) for word in REQUIRED.values() if word not in usage)
    status = value.get("status")
    if isinstance(status, dict):
        yield from _struct_errors(Status, status, "status.")
    elif status is not None and not isinstance(status, str):
        yield FieldError("status", f"must be a string or an object, got {word_for(status)}")
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        yield from _metadata_errors(metadata)
    elif metadata is not None:
        yield FieldError("metadata", f"must be an object, got {word_for(metadata)}")
    key = value.get("idempotencyKey")
    if key is not None and not isinstance(key, str):
        yield FieldError("idempotencyKey", f"must be a string, got {word_for(key)}")


def price_item_errors(value: dict[str, Any]) -> Iterator[FieldError]:
    """Every field of a call to be priced whose type or range is wrong, or that is missing."""
    yield from (error for error in _struct_errors(PriceItem, value, "") if error.field != "usage")
    yield from _usage_errors(value)
    usage = value.get("usage")
    if isinstance(usage, dict) and usage.get("providerUsage") is None:
        counted = any(usage.get(word) is not None for word in COUNTERS.values())
        yield from (required(word) for word in REQUIRED.values() if counted and word not in usage)


def _usage_errors(value: dict[str, Any]) -> Iterator[FieldError]:
    usage = value.get("usage")
    if isinstance(usage, dict):
        yield from _struct_errors(Usage, usage, "usage.")
    elif "usage" in value:
        yield FieldError("usage", f"must be an object, got {word_for(usage)}")
    else:
        yield FieldError("usage", "is required")


def _metadata_errors(metadata: dict[str, Any]) -> Iterator[FieldError]:
    user = metadata.get("user")
    if isinstance(user, dict):
        yield from _struct_errors(User, user, "metadata.user.")
    elif user is not None and not isinstance(user, str):
        yield FieldError("metadata.user", f"must be a string or an object with an id, got {word_for(user)}")
    yield from _struct_errors(Metadata, {k: v for k, v in metadata.items() if k != "user"}, "metadata.")


def _struct_errors(struct: type[Struct], value: dict[str, Any], path: str) -> Iterator[FieldError]:
    for field in msgspec.structs.fields(struct):
        if field.encode_name not in value:
            if field.required:
                yield FieldError(path + field.encode_name, "is required")
        elif field.type not in (Raw, dict[str, Raw] | None):
            try:
                msgspec.convert(value[field.encode_name], field.type)
            except msgspec.ValidationError as error:
                yield field_error(path + field.encode_name, error, value[field.encode_name])
        elif field.name == "provider_usage" and not isinstance(value[field.encode_name], dict | None):
            yield FieldError(path + field.encode_name, f"must be an object, got {word_for(value[field.encode_name])}")


def field_error(path: str, error: Exception, value: Any = UNSET) -> FieldError:
    """msgspec's words for a wrong value, as a sentence for the sender."""
    text, _, where = str(error).partition(" - at `$")
    field = path or where.rstrip("`").lstrip(".")
    if match := re.match(r"Expected `int` (<=|>=)", text):
        return FieldError(field, "must be 0 or more" if match[1] == ">=" else f"must be at most {MAX_COUNT}")
    if match := re.match(r"Expected `float` (<=|>=)", text):
        return FieldError(field, "must be 0 or more" if match[1] == ">=" else "must be at most 1e12")
    if match := re.match(r"Expected `([a-z]+)", text):
        got = f", got {word_for(value)}" if value is not UNSET else ""
        return FieldError(field, f"must be {_EXPECTED.get(match[1], match[1])}{got}")
    return FieldError(field, text[:1].lower() + text[1:])


def word_for(value: Any) -> str:
    """What kind of JSON value this is, with its article."""
    return next((word for kind, word in _TYPE_WORDS if isinstance(value, kind)), type(value).__name__)


def without(value: dict[str, Any], errors: Sequence[FieldError]) -> dict[str, Any]:
    """`value` without the fields named by `errors`, so that what is left can be read and judged as well."""
    left = {key: dict(part) if isinstance(part, dict) else part for key, part in value.items()}
    for error in errors:
        first, _, second = error.field.partition(".")
        if isinstance(left.get(first), dict) and second and first != "status":
            left[first].pop(second.partition(".")[0], None)
        else:
            left.pop(first, None)
    left.setdefault("usage", {})
    return left
