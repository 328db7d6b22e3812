"""`/api/v1/usage`: what people record by hand, and what usage came to."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from django.http import HttpResponse
from ninja import Query, Router
from pydantic import BaseModel, Field, WithJsonSchema

from events.models import Role
from metering import track
from metering.api import answers, native_schema, usage_store, usage_summary
from metering.api.access import ApiRequest, signed_in
from metering.api.buckets import Granularity
from metering.api.fields import Id, Moment, Outgoing

router = Router(tags=["Usage"])
EXACT: Final = msgspec.json.Encoder(decimal_format="number")


BODY: Final = {"required": True, "content": {"application/json": {"schema": native_schema.ref("RecordedUsage")}}}
ANSWER: Final = {200: {"content": {"application/json": {"schema": native_schema.ref("StoredUsage")}}}}


@router.post(
    "",
    auth=signed_in(Role.MEMBER),
    response=answers.writes(None),
    openapi_extra={"requestBody": BODY, "responses": ANSWER, "parameters": [native_schema.IDEMPOTENCY_KEY]},
)
def record_usage(request: ApiRequest) -> Any:
    """Record a quantity of a meter for a customer, both named by id; a customer that does not exist is 404.

    The same `idempotency_key` again in the organization stores nothing and gets the first answer.
    """
    caller, header_key = request.auth, usage_store.checked_key(request.headers.get("Idempotency-Key", ""))
    usage = usage_store.parsed(request.body, header_key, caller.now)
    assert caller.person_id is not None
    row = usage_store.record(caller.organization_id, caller.person_id, usage, caller.now)
    track.check_same_content(row, header_key)
    response = HttpResponse(msgspec.json.encode(track.answer(row)), content_type="application/json")
    if row.replayed:
        response["Idempotent-Replayed"] = "true"
    return response


class SummaryQuery(BaseModel):
    """Which usage, and in which buckets; days and months are those of the organization's zone."""

    meter_id: Id
    customer_id: Annotated[Id | None, Field(description="Without it, all customers as if they were one.")] = None
    from_: Annotated[Moment | None, Field(alias="from", description="Included. Without it, the month's start.")] = None
    to: Annotated[Moment | None, Field(description="Not included. Without it, now.")] = None
    granularity: Granularity = "day"


class BucketOut(Outgoing):
    """Usage from `start` to before `end`, by the meter's aggregation; null for MAX and LATEST without records."""

    start: datetime
    end: datetime
    quantity: Annotated[Decimal | None, WithJsonSchema({"type": ["number", "null"]})]
    records: int
    customers: int


class SummaryOut(Outgoing):
    """`total` is the aggregation of the whole span, which for some meters is not the sum of the buckets."""

    meter_id: int
    customer_id: int | None
    aggregation: str
    unit: str
    granularity: str
    time_zone: str
    items: list[BucketOut]
    total: BucketOut


@router.get("/summary", auth=signed_in(), response=answers.reads(SummaryOut))
def summarize_usage(request: ApiRequest, query: Query[SummaryQuery]) -> Any:
    """What a meter's usage came to, bucket by bucket, exact."""
    caller = request.auth
    found = usage_summary.build(caller, query.meter_id, query.customer_id, (query.from_, query.to), query.granularity)
    return HttpResponse(EXACT.encode(found), content_type="application/json")
