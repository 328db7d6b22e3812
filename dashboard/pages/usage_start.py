"""How metering begins: a meter, then one call that reports usage."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.queries.meter_usage import MeterFacts
from dashboard.visit import Visit

_CURL = """curl {url}/api/v1/sdk/track \\
  -H "X-API-Key: $FLUXGATE_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"meter_token": "{token}",
       "customer_external_id": "cust_123", "quantity": 1,
       "idempotency_key": "req_unique_key_123"{metadata}}}'"""


@dataclass(frozen=True)
class Start:
    """The first steps, of which the first may be done already."""

    has_meter: bool
    add_href: str
    """Where a meter is made; '' for who may not."""
    keys_href: str
    curl: str


def start(visit: Visit, meters: Sequence[MeterFacts]) -> Start:
    """The steps, with the call of the first meter where there is one."""
    first = next((one for one in meters if not one.is_archived), None)
    key = first.unique_key if first else ""
    return Start(
        has_meter=first is not None,
        add_href=reverse("admin:metering_meter_add") if visit.can_administer else "",
        keys_href=reverse("dashboard:api_keys"),
        curl=_CURL.format(
            url=visit.base_url, token=first.token if first else "the meter's token", metadata=_metadata(key)
        ),
    )


def _metadata(key: str) -> str:
    """What a meter that counts different values needs; keys that a shell might read stay out of the command."""
    return f',\n       "metadata": {{"{key}": "a"}}' if key.isidentifier() else ""
