"""An organization with meters and a key, and the application that takes its usage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from events.models import Organization, TrackedUser
from metering.models import Meter
from metering.track import TRACK_PATH, Tracking
from pricing.catalog import Catalog
from tests.metering.billing import Billing
from tests.native_client import NativeClient, Response, make_key, opened


@dataclass
class Usage:
    """Sends usage of one organization."""

    client: NativeClient
    organization: Organization

    def track(self, meter: Meter, customer: str = "cust_1", quantity: Any = 1, **fields: Any) -> Response:
        """One call of `/api/v1/sdk/track`."""
        return self.client.post(TRACK_PATH, body(meter, customer, quantity, **fields))


def body(meter: Meter, customer: str = "cust_1", quantity: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"meter_token": str(meter.token), "customer_external_id": customer, "quantity": quantity} | fields


@pytest.fixture
def usage(committed_db: None, catalog: Catalog) -> Iterator[Usage]:
    organization = Organization.objects.create(name="Acme", slug="acme", time_zone="Europe/Berlin")
    key = make_key(organization, scopes=["usage:write"])
    with opened(catalog) as (runner, runtime):
        tracking = Tracking(runtime)
        runner.run(tracking.start())
        yield Usage(NativeClient(runner, runtime, tracking.routes(), key, organization), organization)
        runner.run(tracking.stop())


@pytest.fixture
def meter(usage: Usage) -> Meter:
    return Meter.objects.create(organization=usage.organization, name="Documents", unit="documents")


def stored(columns: str = "*") -> list[Any]:
    """Rows of usage_record in the order of arrival."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM usage_record ORDER BY id")
        rows: list[Any] = cursor.fetchall()
        return rows


def customer(organization: Organization, external_id: str = "cust_1") -> TrackedUser:
    return TrackedUser.objects.get(organization=organization, external_id=external_id)


@pytest.fixture
def billing(db: None) -> Billing:
    """An organization that bills."""
    return Billing()
