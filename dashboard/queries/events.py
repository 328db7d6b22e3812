"""Events themselves: lists by keyset, one event in full, and bounded counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import OperationalError
from psycopg.errors import QueryCanceled

from dashboard.filters import Filters
from dashboard.queries.conditions import id_floor, on_events
from dashboard.queries.reading import Sql, fetch
from dashboard.queries.usage import Usage
from dashboard.request_search import Place, RequestSearch, Sort
from events.models import Flag, ServiceTier, Status
from events.models.event import time_of
from pricing.costs import Usage as PricedUsage
from pricing.receipts import CardReference, Receipt, explain

COUNT_CAP = 10_000
ORDER_TIMEOUT_MS = 5_000
"""How long reading all events of a period may take to order them by something else than time."""


class TooManyToOrder(Exception):
    """The filters find more events than can be read in time to order them."""


@dataclass(frozen=True)
class EventRow:
    """One event as lists show it. `cost_picousd` None: no price is known. `user` '' : no user was given."""

    id: UUID
    status: Status
    service_tier: ServiceTier
    model: str
    provider: str
    feature: str
    step: str
    session_id: str
    conversation_id: str
    user: str
    user_name: str
    monthly_revenue_usd: Decimal | None
    """What the user paid per month when the call was made; None: not known."""
    api_key: str
    """The key's name."""
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    latency_ms: float | None
    streaming_duration_ms: float | None
    cost_picousd: int | None
    pricing_revision: int

    @property
    def occurred_at(self) -> datetime:
        """When the call happened, UTC."""
        return time_of(self.id)


@dataclass(frozen=True)
class EventDetail:
    """One event with all that is kept of it; JSON as the text that PostgreSQL stores, every digit as sent."""

    id: UUID
    environment: int
    status: Status
    service_tier: ServiceTier
    is_streamed: bool | None
    flags: tuple[Flag, ...]
    received_at: datetime
    api_key: str
    user: str
    user_name: str
    feature: str
    step: str
    session_id: str
    conversation_id: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    latency_ms: float | None
    streaming_duration_ms: float | None
    cost_picousd: int | None
    price_status: str
    rate_card_id: int | None
    tier_policy_id: int | None
    pricing_revision: int
    region: str
    error_message: str
    api_flavor: str
    provider_usage: str
    metadata: str

    @property
    def occurred_at(self) -> datetime:
        """When the call happened, UTC."""
        return time_of(self.id)


@dataclass(frozen=True)
class FormerCost:
    """A cost that an event had until a revision of the catalog replaced it. None: no price was known."""

    cost_picousd: int | None
    replaced_at: datetime
    revision: int
    note: str


_ORDERS: dict[Sort, tuple[str, str]] = {
    "time": ("e.id", "uuid"),
    "cost": ("e.cost_picousd", "numeric"),
    "tokens": ("e.input_tokens + e.output_tokens", "numeric"),
    "latency": ("e.latency_ms", "float8"),
}
"""What a list is ordered by, and the type of its values. Equal ones are told apart by the id."""


def newest(organization_id: int, filters: Filters, limit: int, before: UUID | None = None) -> tuple[EventRow, ...]:
    """Events of the period, newest first; `before` (an event id, excluded) continues a list."""
    return listed(organization_id, RequestSearch(filters, after=Place(before) if before else None), limit)


def listed(organization_id: int, search: RequestSearch, limit: int) -> tuple[EventRow, ...]:
    """Events of the period in the order of `search`, behind its place; those without a cost or a latency last.

    By time: event_newest (organization, environment, id), or the index of the filtered column, walked. By anything
    else every event that the filters find is read, and the first `limit` of them are kept while reading: where that
    takes longer than ORDER_TIMEOUT_MS, TooManyToOrder. Call it last in a snapshot: the limit of time stays in force.
    """
    filters, (by, _) = search.filters, _ORDERS[search.sort]
    lower, upper = id_floor(filters.start), id_floor(filters.end)
    conditions = []
    if search.after and search.sort != "time":
        conditions = [_behind(search, search.after)]
    elif search.after and search.ascending:
        lower = max(lower, UUID(int=search.after.id.int + 1))
    elif search.after:
        upper = min(upper, search.after.id)
    wanted = Sql.all_of([on_events(organization_id, filters, lower, upper), *conditions])
    direction = "ASC" if search.ascending else "DESC"
    order = f"e.id {direction}" if search.sort == "time" else f"{by} {direction} NULLS LAST, e.id {direction}"
    statement = f"""SELECT e.id, e.status, e.service_tier, e.model, e.provider, e.feature, e.step, e.session_id,
e.conversation_id, coalesce(u.external_id, ''), coalesce(u.name, ''),
(SELECT r.monthly_revenue_usd FROM revenue_change r
    WHERE r.tracked_user_id = e.tracked_user_id AND r.effective_at <= uuid_extract_timestamp(e.id)
    ORDER BY r.effective_at DESC LIMIT 1),
coalesce(k.name, ''), e.input_tokens, e.output_tokens, e.cached_tokens, e.reasoning_tokens, e.latency_ms,
e.streaming_duration_ms, e.cost_picousd, e.pricing_revision
FROM (SELECT e.* FROM event e WHERE {wanted.text} ORDER BY {order} LIMIT %s) e
LEFT JOIN tracked_user u ON u.id = e.tracked_user_id
LEFT JOIN api_key k ON k.id = e.api_key_id
ORDER BY {order}"""  # noqa: S608
    read = fetch if search.sort == "time" else _fetch_soon
    return tuple(_row(columns) for columns in read(statement, (*wanted.params, limit)))


def _fetch_soon(statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    fetch("SELECT set_config('statement_timeout', %s, true)", (str(ORDER_TIMEOUT_MS),))
    try:
        return fetch(statement, params)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooManyToOrder from error
        raise


def _behind(search: RequestSearch, place: Place) -> Sql:
    """Events that stand behind the place: unknown values come last in either direction."""
    by, type_name = _ORDERS[search.sort]
    sign = ">" if search.ascending else "<"
    if place.value is None:
        return Sql(f"{by} IS NULL AND e.id {sign} %s", (place.id,))
    return Sql(f"(({by}, e.id) {sign} (%s::{type_name}, %s) OR {by} IS NULL)", (place.value, place.id))


def newest_id(organization_id: int, filters: Filters) -> UUID:
    """The newest event of the period, or the smallest id that one of it could have. Same indexes as the list."""
    lower = id_floor(filters.start)
    wanted = on_events(organization_id, filters, lower, id_floor(filters.end))
    statement = f"SELECT e.id FROM event e WHERE {wanted.text} ORDER BY e.id DESC LIMIT 1"  # noqa: S608
    found = fetch(statement, wanted.params)
    return found[0][0] if found else lower


def capped_totals(organization_id: int, filters: Filters) -> Usage:
    """Sums over at most COUNT_CAP + 1 events of the period, the newest ones: more means "at least". Same indexes."""
    wanted = on_events(organization_id, filters, id_floor(filters.start), id_floor(filters.end))
    statement = f"""SELECT count(*), count(*) FILTER (WHERE status NOT IN (0, 3)),
count(*) FILTER (WHERE cost_picousd IS NULL), sum(input_tokens), sum(output_tokens), sum(cost_picousd)
FROM (
    SELECT e.status, e.cost_picousd, e.input_tokens, e.output_tokens FROM event e
    WHERE {wanted.text} ORDER BY e.id DESC LIMIT {COUNT_CAP + 1}
) capped"""  # noqa: S608
    return Usage.of(fetch(statement, wanted.params)[0])


def count_after(organization_id: int, filters: Filters, after: UUID, cap: int) -> int:
    """How many events newer than `after` the filters show, at most `cap`. Same indexes as the list."""
    lower = max(UUID(int=after.int + 1), id_floor(filters.start))
    wanted = on_events(organization_id, filters, lower, id_floor(filters.end))
    statement = f"SELECT count(*) FROM (SELECT FROM event e WHERE {wanted.text} LIMIT %s) newer"  # noqa: S608
    return int(fetch(statement, (*wanted.params, cap))[0][0])


def environments_in_use(organization_id: int) -> frozenset[int]:
    """The environments in which the organization has events at all. Two look-ups in event_newest.

    Each by a subquery of its own: as rows of one list the planner joins them with all events.
    """
    exists = "EXISTS (SELECT FROM event WHERE organization_id = %s AND environment = %s)"
    statement = f"SELECT {exists}, {exists}"
    [found] = fetch(statement, (organization_id, 0, organization_id, 1))
    return frozenset(environment for environment, exist in enumerate(found) if exist)


def detail(organization_id: int, event_id: UUID) -> EventDetail | None:
    """One event in full, None when the organization has no such event. Primary key (id, slot)."""
    statement = f"{_DETAIL} FROM event e {_OWNERS} WHERE e.id = %s AND e.slot = %s AND e.organization_id = %s"
    found = fetch(statement, (event_id, event_id.int & 0xFF, organization_id))
    return _detail(found[0]) if found else None


def details(organization_id: int, filters: Filters, limit: int, before: UUID | None = None) -> tuple[EventDetail, ...]:
    """Events of the period in full, newest first; `before` (an id, excluded) continues. Indexes as of `listed`."""
    upper = id_floor(filters.end)
    wanted = on_events(organization_id, filters, id_floor(filters.start), min(upper, before or upper))
    statement = f"""{_DETAIL} FROM (SELECT e.* FROM event e WHERE {wanted.text} ORDER BY e.id DESC LIMIT %s) e
{_OWNERS} ORDER BY e.id DESC"""  # noqa: S608
    return tuple(_detail(columns) for columns in fetch(statement, (*wanted.params, limit)))


def receipt_of(found: EventDetail) -> Receipt | None:
    """What the event's cost is made of, None when no price is known. Queries for the card, and for the tier's rule."""
    if found.rate_card_id is None or found.cost_picousd is None:
        return None
    usage = PricedUsage(
        found.input_tokens,
        found.output_tokens,
        found.cached_tokens,
        found.cache_write_tokens,
        found.cache_write_1h_tokens,
        found.reasoning_tokens,
    )
    return explain(CardReference(found.rate_card_id, found.tier_policy_id), usage)


def cost_history(organization_id: int, event_id: UUID) -> tuple[FormerCost, ...]:
    """What the event cost before it was priced anew, the latest first. Primary key of event_cost_history.

    The note of a revision of another organization's own prices is left out.
    """
    statement = """SELECT h.cost_picousd, h.replaced_at, h.replaced_by_revision, coalesce(r.note, '')
FROM event_cost_history h LEFT JOIN pricing_revision r
    ON r.id = h.replaced_by_revision AND (r.organization_id IS NULL OR r.organization_id = %s)
WHERE h.event_id = %s ORDER BY h.replaced_at DESC"""
    return tuple(FormerCost(_whole(cost), *shown) for cost, *shown in fetch(statement, (organization_id, event_id)))


_DETAIL = """SELECT e.id, e.environment, e.status, e.service_tier, e.is_streamed, e.flags, e.received_at,
coalesce(k.name, ''), coalesce(u.external_id, ''), coalesce(u.name, ''), e.feature, e.step, e.session_id,
e.conversation_id, e.provider, e.model, e.input_tokens, e.output_tokens, e.cached_tokens, e.cache_write_tokens,
e.cache_write_1h_tokens, e.reasoning_tokens, e.latency_ms, e.streaming_duration_ms, e.cost_picousd, e.price_status,
e.rate_card_id, e.tier_policy_id, e.pricing_revision, e.region, coalesce(e.error_message, ''),
coalesce(e.api_flavor, ''), coalesce(e.provider_usage::text, ''), coalesce(e.metadata::text, '')"""
_OWNERS = "LEFT JOIN tracked_user u ON u.id = e.tracked_user_id LEFT JOIN api_key k ON k.id = e.api_key_id"


def _detail(row: Sequence[Any]) -> EventDetail:
    columns = list(row)
    columns[2], columns[3] = Status(columns[2]), ServiceTier(columns[3])
    columns[5] = tuple(flag for flag in Flag if columns[5] & flag)
    columns[24] = _whole(columns[24])
    return EventDetail(*columns)


def _row(columns: Sequence[Any]) -> EventRow:
    event_id, status, tier, *shown, cost, revision = columns
    return EventRow(*[event_id, Status(status), ServiceTier(tier), *shown, _whole(cost), revision])


def _whole(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount)
