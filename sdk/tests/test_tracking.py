"""The object that carries the answer."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from fluxgate_sdk.tracking import CostTrackingResponse, answered, attach, failed, tracking_of

AT = datetime(2026, 5, 5, 10, tzinfo=timezone.utc)
ANSWER = answered(cost=Decimal("0.00525"), tracking_id="evt_1", created_at=AT)


def test_pending_then_answered() -> None:
    response = CostTrackingResponse(timeout=0)
    assert (response.status, response.done, response.cost, response.error_message) == ("PENDING", False, None, None)
    assert repr(response) == "CostTrackingResponse(status='PENDING')"
    response.settle(ANSWER)
    assert (response.status, response.done, response.cost) == ("SUCCESS", True, Decimal("0.00525"))
    assert (response.tracking_id, response.created_at, response.error_message) == ("evt_1", AT, None)


def test_the_first_answer_stays() -> None:
    response = CostTrackingResponse()
    response.settle(ANSWER)
    response.settle(failed("late"))
    assert response.status == "SUCCESS"


def test_reading_waits_and_asks_for_haste() -> None:
    hurried = threading.Event()
    response = CostTrackingResponse(timeout=30, hurry=hurried.set)

    def answer_in_haste() -> None:
        hurried.wait(30)
        response.settle(ANSWER)

    thread = threading.Thread(target=answer_in_haste)
    thread.start()
    assert response.cost == Decimal("0.00525")
    thread.join()


def test_several_wait_at_once() -> None:
    response = CostTrackingResponse()
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(response.wait(30))) for _ in range(5)]
    for thread in threads:
        thread.start()
    response.settle(ANSWER)
    for thread in threads:
        thread.join()
    assert found == [True] * 5


def test_an_answer_that_arrives_just_before_the_wait_begins() -> None:
    response = CostTrackingResponse(timeout=30)
    response._hurry = lambda: response.settle(ANSWER)
    assert response.wait()


def test_no_answer_within_the_time() -> None:
    response = CostTrackingResponse(timeout=0)
    assert response.wait(0) is False
    assert response.cost is None
    response.settle(ANSWER)  # The one who has gone is not waited for.
    assert response.wait(0) is True


def test_waiting_in_an_event_loop() -> None:
    async def main() -> tuple[bool, bool, Decimal | None]:
        response = CostTrackingResponse()
        early = await response.wait_async(0)
        thread = threading.Thread(target=response.settle, args=(ANSWER,))
        waiting = asyncio.ensure_future(response.wait_async(30))
        await asyncio.sleep(0)
        thread.start()
        late = await waiting
        thread.join()
        return early, late, response.cost

    assert asyncio.run(main()) == (False, True, Decimal("0.00525"))


def test_a_waiter_whose_loop_is_closed_harms_nobody() -> None:
    response = CostTrackingResponse()
    assert asyncio.run(response.wait_async(0)) is False
    response.settle(ANSWER)
    assert response.status == "SUCCESS"


def test_copies_name_the_same_call() -> None:
    response = CostTrackingResponse()
    assert copy.copy(response) is response
    assert copy.deepcopy({"a": [response]})["a"][0] is response
    restored = pickle.loads(pickle.dumps(response))
    assert restored.status == "ERROR"
    response.settle(ANSWER)
    assert pickle.loads(pickle.dumps(response)).cost == Decimal("0.00525")


def test_what_an_object_carries() -> None:
    class Answer:
        pass

    carrier, response = Answer(), CostTrackingResponse()
    assert tracking_of(carrier) is None
    attach(carrier, None)
    assert tracking_of(carrier) is None
    attach(carrier, response)
    assert tracking_of(carrier) is response
    assert carrier.flux_gate_cost_tracking_response is response  # type: ignore[attr-defined]


@pytest.mark.parametrize("target", ["text", 3, None, object()])
def test_what_has_no_room_carries_nothing(target: object) -> None:
    attach(target, CostTrackingResponse())
    assert tracking_of(target) is None
