"""Rows of billing for tests: meters, rates, records, all of one organization."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from events.models import Environment, Organization, TrackedUser
from metering.models import Meter, MeterRate, RateKind, RateTier, UsageRecord

_numbers = count(1)


def at(text: str) -> datetime:
    """A moment in UTC, from `2026-03-05` or `2026-03-05T10:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Billing:
    """Makes rows of one organization, a new one where none is given."""

    def __init__(self, time_zone: str = "UTC", of: Organization | None = None) -> None:
        number = next(_numbers)
        self.organization = of or Organization.objects.create(
            name=f"Biller {number}", slug=f"biller-{number}", time_zone=time_zone
        )

    def customer(self, external_id: str = "cust_1") -> TrackedUser:
        """The customer, made where there is none."""
        return TrackedUser.objects.get_or_create(organization=self.organization, external_id=external_id)[0]

    def meter(self, name: str = "Documents", aggregation: str = "SUM", **fields: Any) -> Meter:
        """A meter; one that counts different values does so by `seat`."""
        key = {"unique_key": "seat"} if aggregation == "UNIQUE_COUNT" else {}
        return Meter.objects.create(organization=self.organization, name=name, aggregation=aggregation, **key, **fields)

    def per_unit(self, meter: Meter, price: str, since: str = "2020-01-01", **fields: Any) -> MeterRate:
        """A price for each unit."""
        return self.rate(meter, RateKind.PER_UNIT, since, unit_price_usd=Decimal(price), **fields)

    def rate(
        self, meter: Meter, kind: str, since: str = "2020-01-01", tiers: Any = (), customer: Any = None, **fields: Any
    ) -> MeterRate:
        """A rate; `tiers` are (up to, unit price, flat fee)."""
        rate = MeterRate.objects.create(
            meter=meter, kind=kind, effective_from=date.fromisoformat(since), tracked_user=customer, **fields
        )
        for up_to, unit_price, flat_fee in tiers:
            end = None if up_to is None else Decimal(up_to)
            RateTier.objects.create(
                rate=rate, up_to=end, unit_price_usd=Decimal(unit_price), flat_fee_usd=Decimal(flat_fee)
            )
        return rate

    def used(self, meter: Meter, quantity: str = "1", when: str = "2026-03-10", **fields: Any) -> UsageRecord:
        """A record of `cust_1`, or of `customer`."""
        customer = fields.pop("customer", None) or self.customer()
        moment = at(when)
        return UsageRecord.objects.create(
            **{
                "id": record_id(),
                "organization_id": self.organization.pk,
                "environment": Environment.LIVE,
                "meter_id": meter.pk,
                "tracked_user_id": customer.pk,
                "quantity": Decimal(quantity),
                "occurred_at": moment,
                "received_at": moment,
                "content_hash": uuid4(),
            }
            | fields
        )


def record_id() -> UUID:
    """Ids in the order in which they are asked for."""
    return UUID(int=next(_numbers) << 80 | 0x7 << 76 | 0b10 << 62)
