"""Lists in pages: the next one starts after the last row of this one, so rows that come and go shift nothing."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, Field

from events.wire import FieldError
from metering.api.errors import invalid
from metering.api.fields import LARGEST_ID, Outgoing, in_our_time

MAX_LIMIT: Final = 200


class Paging(BaseModel):
    """The query of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many at most.")] = 50
    after: Annotated[str | None, Field(max_length=2000, description="`next` of the page before.")] = None

    def start(self, *kinds: type) -> Any:
        """The sort key after which the page starts; None for the first. Raises HttpError 422."""
        if self.after is None:
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(self.after + "=="))
            return tuple(_read(kind, value) for kind, value in zip(kinds, values, strict=True))
        except (binascii.Error, ValueError, TypeError, RecursionError, OverflowError):
            raise invalid([FieldError("after", "must be the `next` of an earlier answer")]) from None


class Page[Item](Outgoing):
    """A part of a list; `next` is null on the last page."""

    items: list[Item]
    next: str | None

    @classmethod
    def of(cls, rows: Sequence[Any], limit: int, key: Any, item: Any) -> Self:
        """A page of the rows, of which one more than `limit` was read; `key` is a row's sort key."""
        shown = rows[:limit]
        return cls(items=[item(row) for row in shown], next=_cursor(key(shown[-1])) if len(rows) > limit else None)


def _cursor(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([_word(value) for value in values]).encode()).decode().rstrip("=")


def _word(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID():
            return value.hex
        case _:
            return value


def _read(kind: type, value: object) -> Any:
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        in_our_time(moment.date())
        return moment
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError
    if isinstance(value, int) and not 0 <= value <= LARGEST_ID:
        raise ValueError
    if isinstance(value, str):
        value.encode()  # no lone surrogates
        if "\0" in value:
            raise ValueError
    return value
