"""The types of the answers' fields. Money is there twice: a number with every digit, and text with 12 decimals."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from django.http import HttpResponse
from pydantic import BaseModel, WithJsonSchema

from events.wire_json import usd_number
from pricing.costs import usd

_JSON: Final = msgspec.json.Encoder()

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Usd = Annotated[Any, WithJsonSchema({"type": ["number", "null"], "description": "USD; null while no price is known."})]
ExactUsd = Annotated[
    str | None,
    WithJsonSchema({"type": ["string", "null"], "description": "The same as text with 12 decimals, exact."}),
]
JsonObject = Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": True})]
JsonObjectOrNull = Annotated[Any, WithJsonSchema({"type": ["object", "null"], "additionalProperties": True})]


def instant(at: datetime) -> str:
    """UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(picousd: int | None) -> msgspec.Raw | None:
    """USD as a JSON number with every digit."""
    return None if picousd is None else msgspec.Raw(usd_number(picousd).encode())


def exact(picousd: int | None) -> str | None:
    """USD as text with 12 decimals."""
    return None if picousd is None else f"{usd(picousd):f}"


def as_stored(json: str) -> msgspec.Raw | None:
    """JSON text as it is, every digit as sent; None for none."""
    return msgspec.Raw(json.encode()) if json else None


def answer(model: BaseModel) -> HttpResponse:
    """The model as JSON. Not by ninja, which would read numbers and stored JSON as floating point and round them."""
    return HttpResponse(_JSON.encode(model.model_dump()), content_type="application/json")
