"""The types of the API's fields: read strictly, as the contract asks, and written without rounding. Pure."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema

from events.field_errors import word_for

_DECIMAL: Final = re.compile(r"-?\d{1,60}(\.\d{1,60})?")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2199
LARGEST_ID: Final = 2**63 - 1


class Incoming(BaseModel):
    """A body: types are not converted, what is not known is refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Outgoing(BaseModel):
    """An answer."""

    model_config = ConfigDict(from_attributes=True)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain U+0000")
    return text


def _number(value: object) -> Decimal:
    match value:
        case int() if not isinstance(value, bool):
            read = Decimal(value)
        case Decimal():
            read = value
        case str() if _DECIMAL.fullmatch(value):
            read = Decimal(value)
        case str():
            raise ValueError("must be a number in digits, like 0.002")
        case _:
            raise ValueError(f"must be a number, or a string that holds one, got {word_for(value)}")
    return read or Decimal(0)  # of 0E+999999 and -0 as well


def _day(value: object) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            found = date.fromisoformat(value)
        except ValueError:
            raise ValueError("is a day that the calendar does not have") from None
        return in_our_time(found)
    raise ValueError("must be a day like 2026-01-31")


def _moment(value: object) -> date | datetime:
    """A day, or a moment with its zone; a moment without one is meant in UTC."""
    if isinstance(value, str) and len(value) == 10:
        return _day(value)
    try:
        # A plus sign that was not escaped in a URL comes as a blank.
        found = datetime.fromisoformat(value.replace(" ", "+") if isinstance(value, str) and "T" in value else "")
        moment = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a day like 2026-01-31, or a moment like 2026-01-31T12:00:00Z") from None
    in_our_time(moment.date())
    return moment


def in_our_time(day: date) -> date:
    """The day. Raises ValueError for one far from ours, with which nothing could be reckoned."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"must be in the years {FIRST_YEAR} to {LAST_YEAR}")
    return day


def plain(value: Decimal) -> str:
    """All digits, no exponent, no zeros at the end: 0.002."""
    return f"{value.normalize():f}" if value else "0"


_STRIPPED: Final = StringConstraints(strip_whitespace=True)
_NOT_EMPTY: Final = StringConstraints(strip_whitespace=True, min_length=1)
_NO_NUL: Final = AfterValidator(_without_nul)

Name = Annotated[str, _NOT_EMPTY, Field(max_length=100), _NO_NUL]
Unit = Annotated[str, _STRIPPED, Field(max_length=50), _NO_NUL]
Label = Annotated[str, _STRIPPED, Field(max_length=255), _NO_NUL]
Identifier = Annotated[str, _NOT_EMPTY, Field(max_length=255), _NO_NUL]
Reason = Annotated[str, _NOT_EMPTY, Field(max_length=500), _NO_NUL]
Secret = Annotated[str, Field(min_length=1, max_length=1000), _NO_NUL]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Number = Annotated[
    Decimal,
    PlainValidator(_number),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, {"type": "number"}]}),
]
Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Moment = Annotated[
    date | datetime,
    PlainValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}),
]
