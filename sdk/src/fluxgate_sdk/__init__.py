"""FluxGate's SDK: what every LLM call costs, which feature and which user caused it.

The providers' packages are imported only when their tracker is asked for.
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
]

__version__ = "0.1.0"

_PROVIDERS = {
    "create_anthropic_cost_tracker": "anthropic",
    "create_gemini_cost_tracker": "gemini",
    "create_openai_cost_tracker": "openai",
}


def __getattr__(name: str) -> Any:
    provider = _PROVIDERS.get(name)
    if provider is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"fluxgate_sdk.providers.{provider}"), name)
