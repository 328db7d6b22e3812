"""What an organization without events sees: how to send the first one, and whether anything was refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.pages.parts import Frame
from dashboard.pages.rejected import RejectedCall, rejected_calls
from dashboard.queries import events, rejected
from dashboard.visit import Visit
from events.models import ApiKey

SHOWN_REJECTED = 5

_CURL = """curl {url}/api/events \\
  -H "Authorization: Bearer $FLUXGATE_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"usage": {{"model": "gpt-4o", "provider": "openai",
                 "inputTokens": 1200, "outputTokens": 350}},
       "metadata": {{"feature": "chat-assistant", "user": "user-123"}}}}'"""

_PYTHON = """import json, os, urllib.request

event = {{
    "usage": {{"model": "gpt-4o", "provider": "openai",
              "inputTokens": 1200, "outputTokens": 350}},
    "metadata": {{"feature": "chat-assistant", "user": "user-123"}},
}}
request = urllib.request.Request(
    "{url}/api/events",
    json.dumps(event).encode(),
    {{
        "Authorization": "Bearer " + os.environ["FLUXGATE_API_KEY"],
        "Content-Type": "application/json",
    }},
)
print(urllib.request.urlopen(request).read().decode())"""

_SDK = """import os
from fluxgate_sdk import FluxGate, create_openai_cost_tracker
from openai import OpenAI

fluxgate = FluxGate(
    os.environ["FLUXGATE_API_KEY"],
    endpoint="{url}",
)
openai = create_openai_cost_tracker(OpenAI(), fluxgate)
chat = openai.with_context(feature="chat-assistant", user="user-123")
chat.chat.completions.create(
    model="gpt-4o",
    messages=[{{"role": "user", "content": "What is a flux gate?"}}],
)
fluxgate.flush()"""

_OTEL = """export OTEL_EXPORTER_OTLP_ENDPOINT="{url}"
export OTEL_EXPORTER_OTLP_HEADERS="x-api-key=$FLUXGATE_API_KEY"
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"""


@dataclass(frozen=True)
class FirstRun:
    """All that `first_run.html` prints."""

    frame: Frame
    live_href: str
    has_key: bool
    keys_href: str
    """Where keys are made; '' for who may not."""
    export: str
    curl: str
    python: str
    sdk: str
    otel: str
    rejected: Sequence[RejectedCall]


def is_due(visit: Visit) -> bool:
    """Whether the organization has no event yet, in any environment."""
    return not events.environments_in_use(visit.organization_id)


def build(visit: Visit, revision: str) -> FirstRun:
    """The three steps, with what has been done already."""
    refused = rejected.newest(visit.organization_id, with_unknown=visit.sees_unknown_keys, limit=SHOWN_REJECTED)
    keys = ApiKey.objects.in_force(visit.now).filter(organization=visit.organization_id)
    return FirstRun(
        frame=visit.frame("Overview", "overview"),
        live_href=f"{reverse('dashboard:overview')}?rev={revision}",
        has_key=keys.exists(),
        keys_href=reverse("admin:events_apikey_add") if visit.can_administer else "",
        export='export FLUXGATE_API_KEY="org_live_…"',
        curl=_CURL.format(url=visit.base_url),
        python=_PYTHON.format(url=visit.base_url),
        sdk=_SDK.format(url=visit.base_url),
        otel=_OTEL.format(url=visit.base_url),
        rejected=rejected_calls(refused, visit),
    )
