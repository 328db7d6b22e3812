"""What became of one tracked call: filled in when the server has answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

TrackingStatus = Literal["PENDING", "SUCCESS", "ERROR"]

ATTRIBUTE = "flux_gate_cost_tracking_response"
"""The name under which a tracked response carries its CostTrackingResponse."""

DEFAULT_TIMEOUT = 5.0


class Answer:
    """What the server said, or why it was not asked."""

    __slots__ = ("cost", "created_at", "error_message", "status", "tracking_id")

    def __init__(
        self,
        status: TrackingStatus,
        cost: Decimal | None = None,
        tracking_id: str | None = None,
        created_at: datetime | None = None,
        error_message: str | None = None,
    ) -> None:
        self.status: TrackingStatus = status
        self.cost = cost
        self.tracking_id = tracking_id
        self.created_at = created_at
        self.error_message = error_message


class CostTrackingResponse:
    """The answer to one recorded call; PENDING until it has arrived.

    Reading `cost`, `tracking_id`, `created_at` or `error_message` waits for the answer, at most the client's timeout in
    seconds; `status` and `done` never wait. In an event loop, `await response.wait_async()` first: reading would block
    the loop. The object never raises for what happened to the call.
    """

    __slots__ = ("__weakref__", "_answer", "_hurry", "_timeout", "_waiting")

    def __init__(self, timeout: float = DEFAULT_TIMEOUT, hurry: Callable[[], object] | None = None) -> None:
        """`timeout` in seconds bounds the readers' wait; `hurry` is called when somebody starts to wait."""
        self._answer: Answer | None = None
        self._timeout = timeout
        self._hurry = hurry
        # Appending to and popping from a list needs no lock, and so cannot hang in a fork or a finalizer.
        self._waiting: list[Callable[[], object]] = []

    @property
    def status(self) -> TrackingStatus:
        """Whether the tracking worked: PENDING, SUCCESS or ERROR. The call's own outcome is not told here."""
        return self._answer.status if self._answer is not None else "PENDING"

    @property
    def done(self) -> bool:
        """Whether the answer has arrived, or is known never to arrive."""
        return self._answer is not None

    @property
    def cost(self) -> Decimal | None:
        """What the call cost, in USD, exact; None while no price is known, or when tracking failed or is late."""
        return self._arrived().cost

    @property
    def tracking_id(self) -> str | None:
        """The server's id of the event (`evt_…`), or of the usage record (`use_…`)."""
        return self._arrived().tracking_id

    @property
    def created_at(self) -> datetime | None:
        """When the event was stored, in UTC."""
        return self._arrived().created_at

    @property
    def error_message(self) -> str | None:
        """Why tracking failed; None when it worked, or is still under way."""
        return self._arrived().error_message

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the answer, at most `timeout` seconds (default: the client's). True when it is there."""
        if self._answer is not None:
            return True
        gate = threading.Lock()
        gate.acquire()
        self._when_done(gate.release)
        return gate.acquire(timeout=max(0.0, self._timeout if timeout is None else timeout))

    async def wait_async(self, timeout: float | None = None) -> bool:
        """As `wait`, without blocking the event loop. Being cancelled does not touch the delivery."""
        if self._answer is not None:
            return True
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[None] = loop.create_future()

        def release() -> None:
            if not arrived.done():
                arrived.set_result(None)

        def from_any_thread() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(release)

        self._when_done(from_any_thread)
        try:
            await asyncio.wait_for(arrived, self._timeout if timeout is None else timeout)
        except asyncio.TimeoutError:
            return False
        return True

    def __repr__(self) -> str:
        answer = self._answer
        if answer is None:
            return "CostTrackingResponse(status='PENDING')"
        return (
            f"CostTrackingResponse(status={answer.status!r}, cost={answer.cost!r}, "
            f"tracking_id={answer.tracking_id!r}, error_message={answer.error_message!r})"
        )

    def __copy__(self) -> CostTrackingResponse:
        """Itself: a copied response names the same call."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> CostTrackingResponse:
        return self

    def __reduce__(self) -> tuple[Callable[..., CostTrackingResponse], tuple[Answer | None]]:
        return _restored, (self._answer,)

    def settle(self, answer: Answer) -> None:
        """Fill in the answer and wake who waits for it. The first answer stays. Called by the delivery."""
        if self._answer is None:
            self._answer = answer
            self._hurry = None
        while self._waiting:
            try:
                release = self._waiting.pop()
            except IndexError:
                break
            # The waiter's event loop may have closed meanwhile, or the waiter has been released already.
            with suppress(RuntimeError):
                release()

    def _when_done(self, release: Callable[[], object]) -> None:
        self._waiting.append(release)
        hurry = self._hurry
        if self._answer is not None:
            # It arrived before the waiter was in the list.
            self.settle(self._answer)
        elif hurry is not None:
            hurry()

    def _arrived(self) -> Answer:
        self.wait()
        return self._answer or _NOTHING


_NOTHING = Answer("PENDING")


def _restored(answer: Answer | None) -> CostTrackingResponse:
    response = CostTrackingResponse()
    response.settle(answer or failed("the tracking was still under way when this was copied to another process"))
    return response


def failed(message: str) -> Answer:
    """The answer of a call that could not be tracked."""
    return Answer("ERROR", error_message=message)


def answered(
    *, cost: Decimal | None = None, tracking_id: str | None = None, created_at: datetime | None = None
) -> Answer:
    """The answer of a call that was tracked."""
    return Answer("SUCCESS", cost, tracking_id, created_at)


def attach(subject: object, response: CostTrackingResponse | None) -> None:
    """Have a provider's object carry the response, unseen by its fields, its dump, its equality and its repr.

    What has no room for it (a `str`, None) stays as it is, and so does everything where there is no response.
    """
    if response is None or subject is None:
        return
    try:
        # Not setattr: the providers' models would take it for a field of theirs, or refuse it.
        object.__setattr__(subject, ATTRIBUTE, response)
    except (AttributeError, TypeError):
        return


def tracking_of(response: object) -> CostTrackingResponse | None:
    """The tracking of a provider's response, of a stream that has ended, or of one of their copies; None without."""
    found = getattr(response, ATTRIBUTE, None)
    return found if isinstance(found, CostTrackingResponse) else None
