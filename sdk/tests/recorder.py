"""Where events go in a test: a list, in place of a FluxGate server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluxgate_sdk.events import wire_event
from fluxgate_sdk.tracking import CostTrackingResponse, answered


class Recorder:
    """Takes events as a FluxGate does: those of tracked calls are made when somebody looks, long after the call.

    `events` are as they were handed over, `wire` as they would be sent. Every event is answered at once, with `evt_1`,
    `evt_2`, … as its id.
    """

    debug = True

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._to_be_made: list[Callable[[], dict[str, Any]]] = []

    def enqueue(self, event: Any) -> CostTrackingResponse:
        return self._enqueue_later(lambda: event)

    def _enqueue_later(self, make: Callable[[], dict[str, Any]]) -> CostTrackingResponse:
        self._to_be_made.append(make)
        response = CostTrackingResponse()
        response.settle(answered(tracking_id=f"evt_{len(self._events) + len(self._to_be_made)}"))
        return response

    @property
    def events(self) -> list[dict[str, Any]]:
        while self._to_be_made:
            self._events.append(self._to_be_made.pop(0)())
        return self._events

    @property
    def wire(self) -> list[dict[str, Any]]:
        return [wire_event(event) for event in self.events]

    @property
    def only(self) -> dict[str, Any]:
        """The one event that there is."""
        (event,) = self.events
        return event
