"""Where events go in a test: a list, in place of a FluxGate server."""

from __future__ import annotations

from typing import Any

from fluxgate_sdk.events import wire_event
from fluxgate_sdk.tracking import CostTrackingResponse, answered


class Recorder:
    """Takes events as a FluxGate does. `events` are as they were handed over, `wire` as they would be sent.

    Every event is answered at once, with `evt_1`, `evt_2`, … as its id.
    """

    debug = True

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.wire: list[dict[str, Any]] = []

    def enqueue(self, event: Any) -> CostTrackingResponse:
        self.events.append(event)
        self.wire.append(wire_event(event))
        response = CostTrackingResponse()
        response.settle(answered(tracking_id=f"evt_{len(self.events)}"))
        return response

    @property
    def only(self) -> dict[str, Any]:
        """The one event that there is."""
        (event,) = self.events
        return event
