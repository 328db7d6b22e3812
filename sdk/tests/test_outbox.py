"""Batches, answers, retries, halving and giving up, by a clock of our own and a transport that does as it is told."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from ingest import an_event

from fluxgate_sdk.events import wire_event
from fluxgate_sdk.lanes import EVENTS, USAGE, Item, Lane
from fluxgate_sdk.ledger import Ledger
from fluxgate_sdk.outbox import Outbox
from fluxgate_sdk.tracking import CostTrackingResponse
from fluxgate_sdk.transport import Reply, Unreachable

Answering = Callable[[str, Any], Any]


class Wire:
    """Stands in for the transport: `answers` are replies, exceptions, or functions of what was sent."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.sent: list[list[Any]] = []
        self.timeouts: list[float] = []
        self.packs = True

    def post(self, path: str, payload: bytes, timeout: float) -> Reply:
        body = json.loads(payload)
        events = body.get("events", [body])
        self.sent.append([event["metadata"]["number"] for event in events])
        self.timeouts.append(timeout)
        answer = self.answers.pop(0) if self.answers else ok
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            return answer
        reply: Reply = answer(events)
        return reply


def ok(events: list[Any]) -> Reply:
    results = [{"id": "evt_1", "createdAt": "2026-05-05T10:00:00Z", "cost": 0.5, "status": "SUCCESS"} for _ in events]
    return Reply(200, json.dumps({"results": results}).encode())


def refusing(*numbers: int, error: str = "invalid_event") -> Callable[[list[Any]], Reply]:
    def answer(events: list[Any]) -> Reply:
        results = [
            {"status": "ERROR", "error": {"type": error, "message": "usage.inputTokens: is required"}}
            if event["metadata"]["number"] in numbers
            else {"id": "evt_1", "cost": None, "status": "SUCCESS"}
            for event in events
        ]
        return Reply(200, json.dumps({"results": results}).encode())

    return answer


def status_if(number: int, status: int) -> Callable[[list[Any]], Reply]:
    """That status for a batch with that event in it, else a good answer."""
    return lambda events: Reply(status, b"") if number in [e["metadata"]["number"] for e in events] else ok(events)


class Box:
    """An outbox, its wire and its clock."""

    def __init__(self, jitter: Callable[[float, float], float] = lambda least, most: most) -> None:
        self.now = 1000.0
        self.wire = Wire()
        self.ledger = Ledger()
        transport: Any = self.wire
        self.outbox = Outbox(transport, self.ledger, clock=lambda: self.now, jitter=jitter)
        self.responses: list[CostTrackingResponse] = []

    def put(self, count: int = 1, *, lane: Lane = EVENTS, size: int = 0) -> None:
        for _ in range(count):
            response = CostTrackingResponse(timeout=0)
            body = wire_event(an_event(len(self.responses), filling="x" * size))
            self.outbox.intake.append(Item(lane, body, response))
            self.responses.append(response)

    def step(self, **how: Any) -> float | None:
        return self.outbox.step(**how)

    def run(self) -> None:
        """Step until nothing waits, letting the time pass that the outbox asks for."""
        for _ in range(2000):
            delay = self.step(eager=True)
            if delay is None:
                return
            self.now += delay
        raise AssertionError("never done")

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.ledger.stats(0).dropped)


@pytest.fixture
def box() -> Box:
    return Box()


def test_a_few_events_wait_one_second_for_more(box: Box) -> None:
    box.put(3)
    assert box.step() == 1.0
    box.now += 0.4
    assert box.step() == pytest.approx(0.6)
    assert box.wire.sent == []
    box.now += 0.6
    assert box.step() is None
    assert box.wire.sent == [[0, 1, 2]]
    assert [response.cost for response in box.responses] == [pytest.approx(0.5)] * 3


def test_a_hundred_events_are_sent_at_once_and_no_more_than_that(box: Box) -> None:
    box.put(250)
    assert box.step() == 0.0
    assert box.step() == 1.0
    box.now += 1
    assert box.step() is None
    assert [len(sent) for sent in box.wire.sent] == [100, 100, 50]


def test_a_batch_holds_at_most_512_kib(box: Box) -> None:
    box.put(5, size=200 * 1024)
    box.run()
    assert [len(sent) for sent in box.wire.sent] == [2, 2, 1]


def test_an_event_above_the_contracts_size_is_dropped_before_it_holds_up_others(box: Box) -> None:
    box.put(1, size=256 * 1024)
    box.put(1)
    box.run()
    assert box.wire.sent == [[1]]
    assert box.dropped == {"too_large": 1}
    assert "at most 256" in str(box.responses[0].error_message)


def test_an_event_that_cannot_be_json_is_dropped_alone(box: Box) -> None:
    nested: list[Any] = []
    nested.append(nested)
    response = CostTrackingResponse(timeout=0)
    box.outbox.intake.append(Item(EVENTS, {"metadata": nested}, response))
    box.put(1)
    box.run()
    assert box.dropped == {"unencodable": 1}
    assert response.status == "ERROR"
    assert box.responses[0].status == "SUCCESS"


def test_usage_goes_out_one_by_one_to_its_own_endpoint(box: Box) -> None:
    box.put(2, lane=USAGE)
    box.wire.answers = [Reply(200, b'{"id": "use_1", "timestamp": "2026-05-05T10:00:00Z"}')] * 2
    box.run()
    assert box.wire.sent == [[0], [1]]
    assert [response.tracking_id for response in box.responses] == ["use_1", "use_1"]
    assert box.responses[0].cost is None


@pytest.mark.parametrize(
    "failure",
    [
        Unreachable("refused"),
        Reply(408, b""),
        Reply(425, b""),
        Reply(429, b""),
        Reply(502, b""),
        Reply(503, b""),
        Reply(404, b"<html>"),
        Reply(302, b""),
        Reply(200, b"<html>welcome to this hotel's wireless network"),
        Reply(200, b'{"results": []}'),
        Reply(200, b"[]"),
    ],
)
def test_what_may_pass_is_sent_again_until_it_arrives(box: Box, failure: Any) -> None:
    box.put(2)
    box.wire.answers = [failure] * 20
    box.run()
    assert box.wire.sent == [[0, 1]] * 21
    assert [response.status for response in box.responses] == ["SUCCESS", "SUCCESS"]
    assert box.ledger.stats(0).retries == 20
    assert box.dropped == {}


def test_the_waits_double_with_full_jitter_up_to_the_breaker() -> None:
    asked: list[tuple[float, float]] = []

    def jitter(least: float, most: float) -> float:
        asked.append((least, most))
        return most

    box = Box(jitter)
    box.put(1)
    box.wire.answers = [Unreachable("refused")] * 7
    assert [box.step(eager=True)] == [1.0]
    box.run()
    assert asked == [(0.0, 1.0), (0.0, 2.0), (0.0, 4.0), (0.0, 8.0), (15.0, 30.0), (15.0, 30.0), (15.0, 30.0)]


def test_an_outage_of_days_is_waited_out(box: Box) -> None:
    box.put(1)
    box.wire.answers = [Unreachable("refused")] * 1500
    box.run()
    assert box.responses[0].status == "SUCCESS"
    assert box.now - 1000 > 12 * 3600


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, 1.0), (100_000.0, 300.0)])
def test_retry_after_is_the_least_that_is_waited(box: Box, asked: float, waited: float) -> None:
    box.put(1)
    box.wire.answers = [Reply(503, b"", asked)]
    assert box.step(eager=True) == waited


def test_the_impatient_wait_only_for_what_the_server_asked(box: Box) -> None:
    box.put(1)
    box.wire.answers = [Unreachable("refused"), Reply(429, b"", 60.0)]
    assert box.step(eager=True) == 1.0
    assert box.step(eager=True, impatient=True) == 60.0
    assert box.step(eager=True, impatient=True) == 60.0
    assert len(box.wire.sent) == 2


def test_a_request_ends_when_its_caller_must_go(box: Box) -> None:
    box.put(1)
    box.step(eager=True, until=box.now + 1.5)
    assert box.wire.timeouts == [1.5]


def test_a_batch_that_is_too_large_is_halved_until_one_event_is_left(box: Box) -> None:
    box.put(8)
    box.wire.answers = [status_if(5, 413)] * 20
    box.run()
    assert box.wire.sent == [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]]
    assert [r.status for r in box.responses] == ["SUCCESS"] * 5 + ["ERROR"] + ["SUCCESS"] * 2
    assert box.dropped == {"rejected": 1}


@pytest.mark.parametrize("status", [400, 409, 422])
def test_one_bad_event_costs_itself_alone(box: Box, status: int) -> None:
    box.put(4)
    box.wire.answers = [status_if(2, status)] * 9
    box.run()
    assert [r.status for r in box.responses] == ["SUCCESS", "SUCCESS", "ERROR", "SUCCESS"]
    assert f"HTTP {status}" in str(box.responses[2].error_message)


def test_the_answer_is_read_event_by_event(box: Box) -> None:
    box.put(3)
    box.wire.answers = [refusing(1)]
    box.run()
    assert [r.status for r in box.responses] == ["SUCCESS", "ERROR", "SUCCESS"]
    assert box.responses[1].error_message == "usage.inputTokens: is required"
    assert box.responses[0].cost is None
    assert len(box.wire.sent) == 1


def test_an_event_the_server_had_no_time_for_is_sent_again_alone(box: Box) -> None:
    box.put(3)
    box.wire.answers = [refusing(0, 2, error="unavailable")]
    box.run()
    assert box.wire.sent == [[0, 1, 2], [0, 2]]
    assert box.dropped == {}


def test_events_the_server_fails_on_are_found_and_given_up_after_six_tries(box: Box) -> None:
    box.put(200)
    box.wire.answers = [status_if(150, 500)] * 200
    box.run()
    assert [number for number, r in enumerate(box.responses) if r.status == "ERROR"] == [150]
    assert box.wire.sent.count([150]) == 6
    assert box.dropped == {"failed": 1}


def test_a_batch_that_never_gets_through_does_not_hold_up_the_others(box: Box) -> None:
    box.put(300)

    def cut_off(events: list[Any]) -> Reply:
        if events[0]["metadata"]["number"] == 0:
            raise Unreachable("cut off")
        return ok(events)

    box.wire.answers = [cut_off] * 100
    for _ in range(30):
        box.now += box.step(eager=True) or 0
    assert [r.status for r in box.responses] == ["PENDING"] * 100 + ["SUCCESS"] * 200


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_the_sending_and_is_said_once(
    box: Box, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    box.put(150)
    box.wire.answers = [Reply(status, b'{"error": {"message": "there is no such API key"}}')]
    for _ in range(5):
        box.step(eager=True)
        box.put(10)
        box.now += 3600
    box.step(eager=True)
    assert len(box.wire.sent) == 1
    assert box.dropped == {"unauthorized": 200}
    assert {r.status for r in box.responses} == {"ERROR"}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "there is no such API key" in record.getMessage()


def test_a_key_without_the_scope_of_metering_still_sends_events(box: Box) -> None:
    box.put(1, lane=USAGE)
    box.wire.answers = [Reply(403, b"")]
    box.run()
    box.put(1)
    box.run()
    assert [r.status for r in box.responses] == ["ERROR", "SUCCESS"]


def test_a_server_that_knows_no_gzip_gets_none(box: Box) -> None:
    box.put(1)
    box.wire.answers = [Reply(415, b"")]
    box.run()
    assert box.wire.packs is False
    assert box.responses[0].status == "SUCCESS"
    box.put(1)
    box.wire.answers = [Reply(415, b"")]
    box.run()
    assert box.responses[1].status == "ERROR"


def test_what_is_dropped_is_said_once_a_minute(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(count: int) -> None:
        box.put(count)
        box.wire.answers = [refusing(*range(1000))]
        box.run()
        box.step()

    refuse(2)
    refuse(3)
    box.now += 59
    refuse(4)
    assert len(caplog.records) == 1
    box.now += 1
    box.step()
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "[fluxgate] 2 events were dropped: the server refused them (usage.inputTokens: is required)"
    assert second.startswith("[fluxgate] 7 events were dropped")


def test_the_first_drop_is_said_on_a_machine_that_has_just_started(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    ledger.dropped("queue_full")
    ledger.say(3.0)
    assert len(caplog.records) == 1


def test_what_is_left_at_the_end_is_counted(box: Box) -> None:
    box.put(101)
    box.wire.answers = [Unreachable("refused")]
    box.step(eager=True)
    box.put(1)
    box.outbox.abandon()
    assert box.dropped == {"undelivered": 102}
    assert {r.status for r in box.responses} == {"ERROR"}
    assert box.outbox.size == 0
