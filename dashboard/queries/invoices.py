"""Invoices as lists show them, and what it cost to serve a customer for a billing month.

Raw SQL: row comparisons of the keyset, sums of credit notes beside each row, and many periods summed in one statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from dashboard.invoice_search import InvoiceSearch
from dashboard.queries.conditions import id_floor
from dashboard.queries.reading import Sql, fetch
from events.models import Environment
from metering.periods import day_start


@dataclass(frozen=True, slots=True)
class ListedInvoice:
    """One invoice; amounts of a draft are zero, as they are stored."""

    id: int
    status: str
    number: str
    customer_id: int
    external_id: str
    customer_name: str
    start: datetime
    end: datetime
    time_zone: str
    subtotal_usd: Decimal
    total_usd: Decimal
    credited_usd: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """How many invoices there are of each status, and what the finalized ones leave to pay."""

    drafts: int
    finalized: int
    void: int
    due_usd: Decimal


@dataclass(frozen=True, slots=True)
class Served:
    """A customer in a span of time, with the number that the answer has."""

    number: int
    customer_id: int
    start: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ServingCost:
    """What live requests cost; `unpriced` of them have no known cost."""

    requests: int = 0
    unpriced: int = 0
    cost_picousd: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook message about an invoice."""

    event_type: str
    url: str
    tries: int
    next_try_at: datetime | None
    delivered_at: datetime | None
    http_status: int | None
    problem: str


def newest(organization_id: int, search: InvoiceSearch, limit: int) -> list[ListedInvoice]:
    """The invoices that the search finds, the newest period first. Index invoice_newest."""
    pieces = [_found(organization_id, search)]
    if search.after is not None:
        place = "(SELECT period_start, id FROM invoice WHERE id = %s AND organization_id = %s)"
        pieces.append(Sql(f"(i.period_start, i.id) < {place}", (search.after, organization_id)))
    wanted = Sql.all_of(pieces)
    statement = f"""SELECT i.id, i.status, i.number, u.id, u.external_id,
    CASE WHEN i.status = 'draft' THEN u.name ELSE i.customer_name END, i.period_start, i.period_end, i.time_zone,
    i.subtotal_usd, i.total_usd, coalesce((SELECT sum(n.amount_usd) FROM credit_note n WHERE n.invoice_id = i.id), 0)
FROM invoice i JOIN tracked_user u ON u.id = i.tracked_user_id
WHERE {wanted.text} ORDER BY i.period_start DESC, i.id DESC LIMIT %s"""  # noqa: S608
    return [ListedInvoice(*row) for row in fetch(statement, (*wanted.params, limit))]


def summary(organization_id: int, search: InvoiceSearch) -> Summary:
    """All that the search finds. Index invoice_newest."""
    wanted = _found(organization_id, search)
    statement = f"""SELECT count(*) FILTER (WHERE i.status = 'draft'), count(*) FILTER (WHERE i.status = 'finalized'),
    count(*) FILTER (WHERE i.status = 'void'), coalesce(sum(i.total_usd - coalesce(n.amount_usd, 0))
        FILTER (WHERE i.status = 'finalized'), 0)
FROM invoice i JOIN tracked_user u ON u.id = i.tracked_user_id
LEFT JOIN (SELECT invoice_id, sum(amount_usd) AS amount_usd FROM credit_note WHERE organization_id = %s GROUP BY 1) n
    ON n.invoice_id = i.id WHERE {wanted.text}"""  # noqa: S608
    return Summary(*fetch(statement, (organization_id, *wanted.params))[0])


def serving_costs(organization_id: int, zone: ZoneInfo, served: Sequence[Served]) -> dict[int, ServingCost]:
    """What each customer's live requests cost in their span, by its number: two statements, however many there are.

    Spans of whole days of the organization's present `zone` are read from the rollup, others from the events.
    """
    whole, others = [], []
    for one in served:
        days = _days(one, zone)
        if days is None:
            others.append(one)
        else:
            whole.append((one, *days))
    found = dict.fromkeys((one.number for one in served), ServingCost())
    return found | _by_day(organization_id, whole) | _by_event(organization_id, others)


def deliveries(organization_id: int, invoice_id: int, limit: int) -> list[Delivery]:
    """The newest webhook messages about the invoice or its credit notes, as `metering.invoice_events` writes them.

    There is no index: it reads all messages of the organization.
    """
    statement = """SELECT d.event_type, e.url, d.tries, d.next_try_at, d.delivered_at, d.http_status, d.problem
FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id
WHERE e.organization_id = %(organization)s
    AND coalesce(d.payload #>> '{data,invoice,id}', d.payload #>> '{data,id}') = %(invoice)s
ORDER BY d.id DESC LIMIT %(limit)s"""
    values = {"organization": organization_id, "invoice": str(invoice_id), "limit": limit}
    return [Delivery(*row) for row in fetch(statement, values)]


def _found(organization_id: int, search: InvoiceSearch) -> Sql:
    found = [Sql("i.organization_id = %s", (organization_id,))]
    if search.status:
        found.append(Sql("i.status = %s", (search.status,)))
    if search.user:
        found.append(Sql("u.external_id = %s", (search.user,)))
    return Sql.all_of(found)


def _days(one: Served, zone: ZoneInfo) -> tuple[date, date] | None:
    """The first and the last local day, where the span is made of whole ones."""
    first, after = (at.astimezone(zone).date() for at in (one.start, one.until))
    is_whole = day_start(first, zone) == one.start and day_start(after, zone) == one.until
    return (first, after - timedelta(days=1)) if is_whole else None


def _by_day(organization_id: int, whole: Sequence[tuple[Served, date, date]]) -> dict[int, ServingCost]:
    """One index range of usage_day_user, from the first of the days to the last."""
    if not whole:
        return {}
    statement = f"""SELECT s.number, sum(d.events), sum(d.unpriced), sum(d.cost_picousd)
FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::date[]) AS s (number, customer_id, first, last)
JOIN usage_day_user_now d ON d.organization_id = %s AND d.environment = {Environment.LIVE.value}
    AND d.tracked_user_id = s.customer_id AND d.day >= s.first AND d.day <= s.last AND d.day >= %s AND d.day <= %s
GROUP BY s.number"""  # noqa: S608
    columns = [[one[0].number for one in whole], [one[0].customer_id for one in whole]]
    firsts, lasts = [one[1] for one in whole], [one[2] for one in whole]
    rows = fetch(statement, (*columns, firsts, lasts, organization_id, min(firsts), max(lasts)))
    return {row[0]: ServingCost(*map(int, row[1:])) for row in rows}


def _by_event(organization_id: int, others: Sequence[Served]) -> dict[int, ServingCost]:
    """One range of event_tracked_user for each span."""
    if not others:
        return {}
    statement = f"""SELECT s.number, count(*), count(*) FILTER (WHERE e.cost_picousd IS NULL),
    coalesce(sum(e.cost_picousd), 0)
FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[], %s::uuid[]) AS s (number, customer_id, lower, upper)
JOIN event e ON e.organization_id = %s AND e.environment = {Environment.LIVE.value}
    AND e.tracked_user_id = s.customer_id AND e.id >= s.lower AND e.id < s.upper
GROUP BY s.number"""  # noqa: S608
    columns = [[one.number for one in others], [one.customer_id for one in others]]
    bounds = [[id_floor(one.start) for one in others], [id_floor(one.until) for one in others]]
    rows = fetch(statement, (*columns, *bounds, organization_id))
    return {row[0]: ServingCost(*map(int, row[1:])) for row in rows}
