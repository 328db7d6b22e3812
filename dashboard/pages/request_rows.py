"""Events as rows of a list: all text and links ready to print."""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dashboard import formats
from dashboard.filters import Filters
from dashboard.pages.links import model_name, named, request_href
from dashboard.queries.conditions import FINE
from dashboard.queries.events import EventRow
from events.models import Status
from events.models.event import public_id

STATUS_WORDS = {
    Status.SUCCESS: "Succeeded",
    Status.ERROR: "Error",
    Status.BLOCKED: "Blocked",
    Status.MAX_TOKENS: "Stopped at max tokens",
    Status.CONTENT_FILTER: "Content filter",
    Status.RECITATION: "Recitation",
    Status.MALFORMED_REQUEST: "Malformed request",
}
NO_PRICE = "No price is known for this call; it is left out of every total."


@dataclass(frozen=True)
class RequestRow:
    """One request in a list."""

    id: str
    href: str
    tone: str
    status: str
    day: str
    clock: str
    moment: str
    year: str
    """The year and the zone, which the day leaves out."""
    model: str
    feature: str
    user: str
    cost: str
    cost_title: str


def tone_of(status: Status) -> str:
    """How a status is coloured: good, warn (a full answer that met its limit) or bad."""
    if status == Status.SUCCESS:
        return "good"
    return "warn" if status.value in FINE else "bad"


def request_rows(rows: Iterable[EventRow], filters: Filters) -> tuple[RequestRow, ...]:
    """The events as rows, with times in the zone of `filters`."""
    return tuple(_row(row, filters.zone) for row in rows)


def _row(row: EventRow, zone: ZoneInfo) -> RequestRow:
    event_id = public_id(row.id)
    return RequestRow(
        id=event_id,
        href=request_href(event_id),
        tone=tone_of(row.status),
        status=STATUS_WORDS[row.status],
        day=formats.short_day(row.occurred_at.astimezone(zone)),
        clock=formats.clock(row.occurred_at, zone),
        moment=formats.moment(row.occurred_at, zone),
        year=f"{row.occurred_at.astimezone(zone):%Y, %Z}",
        model=model_name(row.provider, row.model),
        feature=named(row.feature),
        user=row.user_name or named(row.user),
        cost=formats.money(row.cost_picousd),
        cost_title=NO_PRICE if row.cost_picousd is None else formats.money_exact(row.cost_picousd),
    )
