"""`/api/v1/meters` and their rates."""

from typing import Annotated, Any

from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from events.models import Role
from metering.api import answers, meter_store
from metering.api.access import ApiRequest, signed_in
from metering.api.meter_schemas import MeterIn, MeterOut, MeterPatch, RateIn, RateOut
from metering.api.paging import Page, Paging
from metering.models import Meter

router = Router(tags=["Meters"])
administers = signed_in(Role.ADMIN)


class MeterQuery(Paging):
    """Which meters."""

    archived: Annotated[bool, Field(description="The archived ones instead of the others.")] = False


@router.get("", auth=signed_in(), response=answers.reads(Page[MeterOut]))
def list_meters(request: ApiRequest, query: Query[MeterQuery]) -> Any:
    """Meters with their rates, by name."""
    after = query.start(str, int)
    rows = meter_store.listed(request.auth.organization_id, after, query.limit + 1, archived=query.archived)
    return Page[MeterOut].of(rows, query.limit, _sort_key, MeterOut.of)


@router.post("", auth=administers, response=answers.writes(MeterOut, status=201))
def create_meter(request: ApiRequest, sent: MeterIn) -> Any:
    """Make a meter, with its rates if you like; its token is made by the server."""
    return Status(201, MeterOut.of(meter_store.create(request.auth.organization_id, sent)))


@router.get("/{int:meter_id}", auth=signed_in(), response=answers.reads(MeterOut))
def get_meter(request: ApiRequest, meter_id: int) -> Any:
    """One meter, archived or not."""
    return MeterOut.of(meter_store.get(request.auth.organization_id, meter_id))


@router.patch("/{int:meter_id}", auth=administers, response=answers.writes(MeterOut))
def change_meter(request: ApiRequest, meter_id: int, sent: MeterPatch) -> Any:
    """Change a meter; how it counts cannot change once it has records (409)."""
    return MeterOut.of(meter_store.change(request.auth.organization_id, meter_id, sent))


@router.delete("/{int:meter_id}", auth=administers, response=answers.writes(MeterOut))
def archive_meter(request: ApiRequest, meter_id: int) -> Any:
    """Archive a meter: it takes no more usage, and what it has recorded is still billed."""
    return MeterOut.of(meter_store.archive(request.auth.organization_id, meter_id, request.auth.now))


@router.post("/{int:meter_id}/rates", auth=administers, response=answers.writes(RateOut, status=201))
def add_rate(request: ApiRequest, meter_id: int, sent: RateIn) -> Any:
    """Add a rate from a day on, for everybody or for one customer."""
    return Status(201, RateOut.of(meter_store.add_rate(request.auth.organization_id, meter_id, sent)))


@router.delete("/{int:meter_id}/rates/{int:rate_id}", auth=administers, response=answers.writes(MeterOut))
def remove_rate(request: ApiRequest, meter_id: int, rate_id: int) -> Any:
    """Remove a rate, unless an invoice was made by it (409); answers the meter without it."""
    meter_store.remove_rate(request.auth.organization_id, meter_id, rate_id)
    return MeterOut.of(meter_store.get(request.auth.organization_id, meter_id))


def _sort_key(meter: Meter) -> tuple[str, int]:
    return meter.name, meter.pk
