"""`/api/v1/events`: what calls are kept, one by one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from ninja import Query, Router

from dashboard.api import conditions, fields
from dashboard.api.conditions import Conditions
from dashboard.api.event_schemas import EventInFullOut, EventOut
from dashboard.queries import events
from dashboard.queries.conditions import parse_public_id
from dashboard.queries.events import EventDetail
from dashboard.queries.reading import snapshot
from metering.api import answers
from metering.api.access import ApiRequest, Caller, signed_in
from metering.api.errors import not_found
from metering.api.paging import Page, Paging

router = Router(tags=["Events"])
MOST_METADATA: Final = 8 * 1024 * 1024
"""Characters of metadata after which a page ends before its limit: one event may have 256 KiB."""


@router.get(
    "",
    auth=signed_in(),
    response=answers.reads(Page[EventOut]),
    openapi_extra={"parameters": [conditions.METADATA]},
)
def list_events(request: ApiRequest, query: Query[Paging], which: Query[Conditions]) -> Any:
    """Events, the newest first. A page may hold fewer than its limit, and is the last one when `next` is null.

    Without `from`, the pages of a list go back as far as its first one did.
    """
    caller, (start, before) = request.auth, query.start(datetime, UUID) or (None, None)
    filters = conditions.read(which, request.GET, caller, start)
    with snapshot():
        found = events.details(caller.organization_id, filters, query.limit + 1, before)
    shown = _fitting(found[: query.limit])
    return fields.answer(Page[EventOut].of(found, shown, lambda event: (filters.start, event.id), EventOut.of))


@router.get("/{event_id}", auth=signed_in(), response=answers.reads(EventInFullOut))
def get_event(request: ApiRequest, event_id: str) -> Any:
    """One event in full, with its receipt line by line."""
    return fields.answer(_in_full(request.auth, event_id))


def _in_full(caller: Caller, text: str) -> EventInFullOut:
    """Raises HttpError 404, also for an event outside of the environment that an API key is for."""
    event_id = parse_public_id(text)
    with snapshot():
        found = events.detail(caller.organization_id, event_id) if event_id else None
        if found is None or (caller.api_key_id is not None and found.environment != caller.environment):
            raise not_found("event")
        receipt = events.receipt_of(found)
        former = events.cost_history(caller.organization_id, found.id)
    return EventInFullOut.in_full(found, receipt, former)


def _fitting(found: Sequence[EventDetail]) -> int:
    """How many of the events one answer holds, at least one."""
    size = 0
    for number, event in enumerate(found):
        size += len(event.metadata)
        if number and size > MOST_METADATA:
            return number
    return len(found)
