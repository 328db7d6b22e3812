"""Which events are meant: the filter language of the pages as query parameters, with nothing passed over.

The words are those of `dashboard/filters.py`, which reads them as well. What a page would replace by a default is 422.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Field

from dashboard import filters
from dashboard.filters import META, NONE, Filters
from events.http import HttpError
from events.wire import FieldError
from metering.api.access import Caller
from metering.api.buckets import moment_of
from metering.api.errors import invalid
from metering.api.fields import Identifier, Moment
from metering.periods import day_start

DEFAULT_DAYS: Final = 30
METADATA: Final = {
    "name": f"{META}*",
    "in": "query",
    "required": False,
    "description": f"The text of a metadata key's value: `{META}plan=pro`; `{NONE}` where the key is not there. "
    f"At most {filters.MAX_META} of them.",
    "schema": {"type": "string", "minLength": 1, "maxLength": filters.MAX_TEXT},
}
"""Names of parameters that only the sender knows; read by `_metadata`."""


def _number(text: str, *, whole: bool) -> str:
    found = filters.amount(text, whole=whole)
    if found is None:
        raise ValueError("must be a whole number like 1500" if whole else "must be a number in digits like 0.25")
    return found


def _about(text: str) -> Any:
    return Field(description=text)


Amount = Annotated[str, Field(max_length=30), AfterValidator(partial(_number, whole=False))]
Tokens = Annotated[str, Field(max_length=30), AfterValidator(partial(_number, whole=True))]
_NOT_GIVEN: Final = f"`{NONE}` finds those without one."


class Conditions(BaseModel):
    """The period, and what must be true of an event; a day as `from` or `to` begins by the organization's clocks."""

    from_: Annotated[Moment | None, Field(alias="from", description="Included. Without it, 30 days up to `to`.")] = None
    to: Annotated[Moment | None, _about("Not included. Without it, the end of this day.")] = None
    environment: Annotated[Literal["live", "test"] | None, _about("Without it `live`; of an API key, its own.")] = None
    feature: Annotated[Identifier | None, _about(_NOT_GIVEN)] = None
    step: Annotated[Identifier | None, _about(_NOT_GIVEN)] = None
    user: Annotated[Identifier | None, _about(f"Your own id of a user. {_NOT_GIVEN}")] = None
    model: Annotated[Identifier | None, _about(_NOT_GIVEN)] = None
    provider: Annotated[Identifier | None, _about(_NOT_GIVEN)] = None
    status: Annotated[
        Literal[
            "ok",
            "error",
            "SUCCESS",
            "ERROR",
            "BLOCKED",
            "MAX_TOKENS",
            "CONTENT_FILTER",
            "RECITATION",
            "MALFORMED_REQUEST",
        ]
        | None,
        _about("`error`: all statuses but SUCCESS and MAX_TOKENS, which are `ok`."),
    ] = None
    tier: Literal["standard", "batch", "flex", "priority"] | None = None
    session: Annotated[Identifier | None, _about(_NOT_GIVEN)] = None
    conversation: Annotated[Identifier | None, _about(_NOT_GIVEN)] = None
    key: Annotated[Identifier | None, _about("How the API key begins that sent it: its first 15 characters.")] = None
    priced: Annotated[Literal["no"] | None, _about("`no`: only events whose cost is not known.")] = None
    min_cost: Annotated[Amount | None, _about("USD, included.")] = None
    max_cost: Annotated[Amount | None, _about("USD, included.")] = None
    min_latency: Annotated[Amount | None, _about("Milliseconds, included.")] = None
    max_latency: Annotated[Amount | None, _about("Milliseconds, included.")] = None
    min_tokens: Annotated[Tokens | None, _about("Tokens in and out together, included.")] = None
    max_tokens: Annotated[Tokens | None, _about("Tokens in and out together, included.")] = None
    q: Annotated[Identifier | None, _about("A part of a model, feature, step, user, session, error … or an id.")] = None


def read(sent: Conditions, query: Mapping[str, str], caller: Caller, start: datetime | None = None) -> Filters:
    """The conditions with those of `query` on metadata. `start` is where the period begins that does not say so.

    Raises HttpError 403 for another environment than a key's own, 422 for what the filter language does not know.
    """
    words = sent.model_dump(exclude_none=True, exclude={"from_", "to", "environment"}) | _metadata(query)
    found = Filters.from_query(words, caller.now, caller.zone)
    since, until = _period(sent, caller, start)
    whole = all(filters.local_day(edge, caller.zone) == edge for edge in (since, until))
    return replace(
        found,
        environment=_environment(sent, caller),
        start=since,
        end=until,
        period="custom" if whole else "24h",
    )


def _environment(sent: Conditions, caller: Caller) -> str:
    own = caller.environment.label
    if caller.api_key_id is not None and sent.environment not in (None, own):
        raise HttpError(403, "wrong_environment", f"this API key reads the environment {own} and no other")
    return sent.environment or own


def _period(sent: Conditions, caller: Caller, start: datetime | None) -> tuple[datetime, datetime]:
    zone = caller.zone
    until = moment_of(sent.to, zone) or filters.next_day(filters.local_day(caller.now, zone), zone)
    since = moment_of(sent.from_, zone) or start
    if since is None:
        last = (until - timedelta(microseconds=1)).astimezone(zone).date()
        since = day_start(last - timedelta(days=DEFAULT_DAYS - 1), zone)
    if since >= until:
        raise invalid([FieldError("from", "must be before to")])
    return since, until


def _metadata(query: Mapping[str, str]) -> dict[str, str]:
    words = {word: query[word] for word in query if word.startswith(META)}
    wrong = [FieldError(word[:100], problem) for word, value in words.items() if (problem := _problem(word, value))]
    if len(words) > filters.MAX_META:
        wrong.append(FieldError(f"{META}*", f"at most {filters.MAX_META} conditions on metadata can be met at once"))
    if wrong:
        raise invalid(wrong)
    return words


def _problem(word: str, value: str) -> str:
    name = word.removeprefix(META)
    if not name or len(name) > filters.MAX_TEXT or "\0" in name:
        return f"must name a key of the metadata of at most {filters.MAX_TEXT} characters"
    if "\0" in value:
        return "must not contain U+0000"
    if len(value) > filters.MAX_TEXT:
        return f"must have at most {filters.MAX_TEXT} characters"
    return "" if value.strip() else "must not be empty"
