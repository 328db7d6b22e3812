"""The client of a FluxGate server: make one per process and share it."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from fluxgate_sdk.custom import ReadUsage, Tracker
from fluxgate_sdk.delivery import Delivery
from fluxgate_sdk.events import Event, TrackingContext, context_of, encode, new_idempotency_key, wire_event
from fluxgate_sdk.lanes import EVENTS, USAGE, Body, Item, Lane
from fluxgate_sdk.ledger import Ledger, Stats
from fluxgate_sdk.outbox import CAPACITY, Outbox
from fluxgate_sdk.spool import Spool
from fluxgate_sdk.tracking import CostTrackingResponse, failed
from fluxgate_sdk.transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

DEFAULT_ENDPOINT: Final = "http://localhost:8000"

logger = logging.getLogger("fluxgate")


class FluxGate:
    """Records LLM calls and metered usage.

    Threads, event loops and forked children may share one. But for a wrong key or address at construction, nothing here
    raises into the caller: what fails is counted in `stats` and logged to the logger `fluxgate`.
    """

    def __init__(
        self,
        api_key: str,
        endpoint: str = DEFAULT_ENDPOINT,
        timeout: float = 5.0,
        debug: bool = False,
        *,
        queue_size: int = CAPACITY,
        spool_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        """`endpoint` is the server's address, `timeout` in seconds bounds every request and every wait for an answer.

        At most `queue_size` events wait in memory. With `spool_directory`, what cannot be delivered is kept there (at
        most 100 MB, readable by its owner alone) and sent at the next opportunity, by the next start too. `debug` logs
        what happens. Raises ValueError, naming the argument, when one cannot be used.
        """
        _check_positive(timeout=timeout, queue_size=queue_size)
        self.debug = debug
        self._timeout = float(timeout)
        self._ledger = Ledger()
        transport = Transport(endpoint, api_key)
        spool = None if spool_directory is None else Spool(spool_directory)
        outbox = Outbox(transport, self._ledger, spool, timeout=self._timeout, capacity=queue_size)
        self._delivery = Delivery(outbox, transport, self._ledger, self._timeout)
        self._hurry = self._delivery.hurry
        if debug:
            _show_debug_log()
        # A client that is dropped without close() leaves neither a thread nor a connection.
        weakref.finalize(self, self._delivery.retire).atexit = False
        if spool is not None and spool.has_files():
            self._delivery.start()

    def record_event(self, event: Event | Mapping[str, Any]) -> CostTrackingResponse | None:
        """Record one event now and return the server's answer, with its cost.

        None when tracking failed. Without an answer within the timeout the event stays queued and is sent again in the
        background, counted once: do not send it again yourself. In asynchronous code use `arecord_event`.
        """
        item = self._item(event)
        if item.response.done:
            return None
        try:
            return self._delivery.post_now(item)
        except Exception as error:
            self._drop(item, "unencodable", error)
            return None

    async def arecord_event(self, event: Event | Mapping[str, Any]) -> CostTrackingResponse | None:
        """As `record_event`, without blocking the event loop. Being cancelled does not take the event back."""
        response = self.enqueue(event)
        if self._delivery.is_reachable:
            await response.wait_async(self._timeout)
        return response if response.status == "SUCCESS" else None

    def enqueue(self, event: Event | Mapping[str, Any]) -> CostTrackingResponse:
        """Record one event in the background: returns at once, and what it returns is filled in by the answer."""
        item = self._item(event)
        if not item.response.done:
            self._delivery.submit(item)
        return item.response

    def _enqueue_later(self, make: Callable[[], dict[str, Any]]) -> CostTrackingResponse:
        """As `enqueue`, of an event that the delivery's thread makes when it gets to it."""
        response = CostTrackingResponse(self._timeout, self._hurry)
        self._delivery.submit(Item(EVENTS, make, response))
        return response

    def track(
        self,
        provider: str,
        model: str | None = None,
        usage: ReadUsage | None = None,
        **context: Unpack[TrackingContext],
    ) -> Tracker:
        """Track calls of any provider: a block (`with`, `async with`), or a function as its decorator.

        In a block, say what was used: `call.usage(input_tokens=…, output_tokens=…)`. For a decorated function `usage`
        reads it from what the function returns, or from each item that it yields (the last one that has any counts).
        Raises TypeError for a word that no context has.
        """
        return Tracker(self, provider, model, context_of(context, "track"), usage)

    def track_usage(
        self,
        meter_token: str,
        customer_external_id: str,
        quantity: int | float | Decimal,
        idempotency_key: str | None = None,
        timestamp: datetime | str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> CostTrackingResponse:
        """Record metered usage of a customer in the background; the same `idempotency_key` counts once.

        `quantity` is more than 0; a Decimal keeps all its digits. `timestamp` defaults to now. Of the answer,
        `tracking_id` is the usage record's id; usage has no cost.
        """
        item = self._new_item(USAGE, None)
        try:
            rest = encode(
                {
                    "meter_token": str(meter_token),
                    "customer_external_id": str(customer_external_id),
                    "timestamp": timestamp or datetime.now(timezone.utc),
                    "idempotency_key": idempotency_key or new_idempotency_key(),
                    "metadata": dict(metadata or {}),
                }
            )
            # By hand: json would write a Decimal as a float, and lose digits.
            item.payload = b'{"quantity":' + _number(quantity).encode() + b"," + rest[1:]
        except Exception as error:
            self._drop(item, "invalid", error)
            return item.response
        self._delivery.submit(item)
        return item.response

    @property
    def stats(self) -> Stats:
        """What was sent, what waits, and what was dropped and why, in this process."""
        return self._delivery.stats

    def flush(self, timeout: float | None = None) -> bool:
        """Send everything that waits, within `timeout` seconds (default: the client's). True when nothing waits."""
        return self._delivery.flush(self._timeout if timeout is None else timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Flush and end. What could not be sent is kept in the spool or dropped, counted and logged.

        What is recorded afterwards is dropped. At the end of the program this happens by itself, within two seconds.
        Returns whether everything was sent.
        """
        return self._delivery.close(self._timeout if timeout is None else timeout)

    def __enter__(self) -> FluxGate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _item(self, event: Event | Mapping[str, Any]) -> Item:
        """The event as it will be sent; settled already when it is none."""
        item = self._new_item(EVENTS, None)
        try:
            item.body = wire_event(event)
            # It may be sent much later than it happened.
            metadata = item.body.setdefault("metadata", {})
            if metadata.get("timestamp") is None:
                metadata["timestamp"] = datetime.now(timezone.utc)
        except Exception as error:
            self._drop(item, "invalid", error)
        return item

    def _new_item(self, lane: Lane, body: Body) -> Item:
        return Item(lane, body, CostTrackingResponse(self._timeout, self._hurry))

    def _drop(self, item: Item, reason: str, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"
        self._ledger.dropped(reason, 1, said)
        item.settle(failed(said))
        logger.debug("[fluxgate] not recorded: %s", said)


def _number(quantity: int | float | Decimal) -> str:
    """The quantity as a JSON number with all its digits. Raises with a sentence when it is no finite number above 0."""
    if isinstance(quantity, bool) or not isinstance(quantity, (int, float, Decimal)):
        raise TypeError(f"quantity: must be a number, got {type(quantity).__name__}")
    exact = quantity if isinstance(quantity, Decimal) else Decimal(str(quantity))
    if not exact.is_finite() or exact <= 0:
        raise ValueError("quantity: must be a finite number above 0")
    return format(exact, "f")


def _check_positive(**arguments: float) -> None:
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise ValueError(f"{name}: must be a number above 0, got {value!r}")


def _show_debug_log() -> None:
    """Debug lines are asked for to be seen: on standard error, unless the program has set logging up itself."""
    logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
