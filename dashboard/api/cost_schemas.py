"""Sums of usage as the API answers them."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from dashboard.api.fields import ExactUsd, Instant, Usd, exact, instant, number
from dashboard.filters import Filters
from dashboard.queries.grouped import By, Grouped, GroupUsage
from dashboard.queries.usage import Usage
from events.models import Status
from metering.api.fields import Outgoing

MAX_GROUPS: Final = 1000


class Grouping(BaseModel):
    """What is told apart, and how many of it."""

    group_by: By = "feature"
    granularity: Annotated[
        Literal["hour", "day", "month", "total"],
        Field(description="Buckets by the organization's clocks; `total`: one item for each group."),
    ] = "total"
    limit: Annotated[int, Field(ge=1, le=MAX_GROUPS, description="How many groups at most: the dearest.")] = 50


class UsageOut(Outgoing):
    """Sums over requests. `cost` is that of the priced ones, null if there is none; `unpriced` counts the others."""

    requests: int
    errors: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cost: Usd
    cost_usd: ExactUsd


class CostOut(UsageOut):
    """Usage of one group from `start` to before `end`."""

    start: Instant
    end: Instant
    value: Annotated[
        str | None, Field(description="The feature, model, …; of a user your own id. Null: the requests named none.")
    ]
    provider: Annotated[str | None, Field(description="Of a model: whose it is.")]
    name: Annotated[str | None, Field(description="Of a user: its name.")]

    @classmethod
    def of(cls, row: GroupUsage, by: By, bounds: Sequence[tuple[str, str]]) -> "CostOut":
        """From a row of `queries.grouped`; `bounds` are those of each bucket."""
        start, end = bounds[row.bucket]
        value = Status(int(row.value)).label if by == "status" else row.value
        return cls(
            start=start,
            end=end,
            value=value or None,
            provider=row.provider or None,
            name=row.name or None,
            **_sums(row.usage),
        )


class CostsOut(Outgoing):
    """Items by bucket, and in each the group first that costs most over the whole period."""

    group_by: str
    granularity: str
    time_zone: str
    environment: str
    start: Instant
    end: Instant
    groups: Annotated[int, Field(description="How many there are.")]
    truncated: Annotated[bool, Field(description="Whether there are more groups than `limit` lets be listed.")]
    items: list[CostOut]
    total: Annotated[UsageOut, Field(description="Of all groups, also those that are not listed.")]

    @classmethod
    def of(cls, found: Grouped, how: Grouping, filters: Filters, edges: Sequence[datetime]) -> "CostsOut":
        """From what was found between the edges of the buckets."""
        ends = [instant(edge) for edge in edges]
        bounds = list(pairwise(ends))
        items = [CostOut.of(row, how.group_by, bounds) for row in found.rows]
        return cls(
            group_by=how.group_by,
            granularity=how.granularity,
            time_zone=filters.zone.key,
            environment=filters.environment,
            start=ends[0],
            end=ends[-1],
            groups=found.values,
            truncated=found.values > how.limit,
            items=items,
            total=UsageOut(**_sums(found.total)),
        )


def _sums(usage: Usage) -> dict[str, Any]:
    known = None if usage.events and usage.unpriced == usage.events else usage.cost_picousd
    return {
        "requests": usage.events,
        "errors": usage.errors,
        "unpriced": usage.unpriced,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": number(known),
        "cost_usd": exact(known),
    }
