"""FluxGate's SDK: what every LLM call costs, which feature and which user caused it.

The providers' packages are imported only when their tracker is asked for, and so is all that knows of providers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fluxgate_sdk.client import FluxGate
from fluxgate_sdk.events import Event, Metadata, ServiceTier, TrackingContext, Usage, User
from fluxgate_sdk.ledger import Stats
from fluxgate_sdk.statuses import Status
from fluxgate_sdk.tracking import CostTrackingResponse, tracking_of

if TYPE_CHECKING:
    from fluxgate_sdk.providers.anthropic import create_anthropic_cost_tracker
    from fluxgate_sdk.providers.gemini import create_gemini_cost_tracker
    from fluxgate_sdk.providers.openai import create_openai_cost_tracker
    from fluxgate_sdk.usages import usage_of

__all__ = [
    "CostTrackingResponse",
    "Event",
    "FluxGate",
    "Metadata",
    "ServiceTier",
    "Stats",
    "Status",
    "TrackingContext",
    "Usage",
    "User",
    "create_anthropic_cost_tracker",
    "create_gemini_cost_tracker",
    "create_openai_cost_tracker",
    "tracking_of",
    "usage_of",
]

__version__ = "0.1.0"

_ON_DEMAND = {
    "create_anthropic_cost_tracker": "providers.anthropic",
    "create_gemini_cost_tracker": "providers.gemini",
    "create_openai_cost_tracker": "providers.openai",
    "usage_of": "usages",
}


def __getattr__(name: str) -> Any:
    module = _ON_DEMAND.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"fluxgate_sdk.{module}"), name)
