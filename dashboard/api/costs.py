"""`/api/v1/costs`: what calls cost by feature, user, model, provider, status or step, over time."""

from datetime import datetime, timedelta
from typing import Any, Final

from ninja import Query, Router

from dashboard.api import conditions, fields
from dashboard.api.conditions import Conditions
from dashboard.api.cost_schemas import CostsOut, Grouping
from dashboard.filters import MAX_DAYS, Filters
from dashboard.queries.grouped import grouped
from dashboard.queries.reading import snapshot
from events.wire import FieldError
from metering.api import answers, buckets
from metering.api.access import ApiRequest, signed_in
from metering.api.errors import invalid

router = Router(tags=["Costs"])
MAX_DAYS_BY_HOUR: Final = 31
MAX_ITEMS: Final = 50_000


@router.get(
    "",
    auth=signed_in(),
    response=answers.reads(CostsOut),
    openapi_extra={"parameters": [conditions.METADATA]},
)
def summarize_costs(request: ApiRequest, how: Query[Grouping], which: Query[Conditions]) -> Any:
    """What calls cost, exact. Groups and buckets without events are left out; `total` is of all groups."""
    caller = request.auth
    filters = conditions.read(which, request.GET, caller)
    edges = _edges(how, filters)
    with snapshot():
        found = grouped(caller.organization_id, filters, how.group_by, edges, how.limit)
    return fields.answer(CostsOut.of(found, how, filters, edges))


def _edges(how: Grouping, filters: Filters) -> list[datetime]:
    """The ends of the buckets. Raises HttpError 422 for a period that is too long, or too many groups for it."""
    by_hour = how.granularity == "hour" or not filters.whole_days
    most = MAX_DAYS_BY_HOUR if by_hour else MAX_DAYS
    local = [edge.astimezone(filters.zone).replace(tzinfo=None) for edge in (filters.start, filters.end)]
    if local[1] - local[0] > timedelta(days=most):
        by = " by the hour, or from or to a moment within a day" if by_hour else ""
        raise invalid([FieldError("from", f"must be at most {most} days before to{by}")])
    if how.granularity == "total":
        return [filters.start, filters.end]
    edges = buckets.edges(filters.start, filters.end, how.granularity, filters.zone)
    if how.limit * (len(edges) - 1) > MAX_ITEMS:
        most = MAX_ITEMS // (len(edges) - 1)
        raise invalid([FieldError("limit", f"must be at most {most} for {len(edges) - 1} buckets")])
    return edges
