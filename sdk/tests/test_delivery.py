"""The thread: exactly once through every kind of failure, nobody kept waiting, nothing left behind."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ingest import KEY, Fault, IngestServer, an_event
from programs import run

from fluxgate_sdk import FluxGate, client, delivery
from fluxgate_sdk.events import wire_event
from fluxgate_sdk.lanes import EVENTS, Item
from fluxgate_sdk.ledger import Ledger
from fluxgate_sdk.outbox import Outbox
from fluxgate_sdk.tracking import CostTrackingResponse
from fluxgate_sdk.transport import Transport

LONG = 60.0
MANY = 10_000


@pytest.fixture(autouse=True)
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "Outbox", partial(Outbox, jitter=lambda least, most: 0.0))


def delivery_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fluxgate-delivery"]


def test_ten_thousand_events_arrive_once_after_the_server_was_away(server: IngestServer) -> None:
    late = threading.Event()
    with FluxGate(KEY, server.url, timeout=0.5) as fluxgate:
        server.stop()
        responses = [fluxgate.enqueue(an_event(number)) for number in range(MANY)]
        assert fluxgate.flush(0) is False
        assert fluxgate.stats.dropped == {}
        server.fail(
            *(Fault(503), Fault(500, commits=True), Fault(hangs_up=True), Fault(hangs_up=True, commits=True)),
            *(Fault(until=late, commits=True), Fault(429, {"Retry-After": "0"}), Fault(200, body=b"<html>")),
        )
        server.start()
        assert fluxgate.flush(LONG)
        late.set()
        assert fluxgate.stats.sent == MANY
        assert fluxgate.stats.dropped == {}
        assert sorted(event["metadata"]["number"] for event in server.stored.values()) == list(range(MANY))
        assert server.replayed > 0
        assert {response.status for response in responses} == {"SUCCESS"}


def test_a_flush_covers_what_comes_while_the_thread_finds_nothing(
    server: IngestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, goes_on = threading.Event(), threading.Event()
    drained = delivery.Delivery._drained

    def slowly(self: delivery.Delivery, *arguments: Any) -> None:
        if not looked.is_set():
            looked.set()
            goes_on.wait(LONG)
        drained(self, *arguments)

    monkeypatch.setattr(delivery.Delivery, "_drained", slowly)
    with FluxGate(KEY, server.url) as fluxgate:
        assert fluxgate.record_event(an_event(1)) is not None
        fluxgate.enqueue(an_event(2)).wait(LONG)
        assert looked.wait(LONG)
        fluxgate.enqueue(an_event(3))
        threading.Timer(0.05, goes_on.set).start()
        assert fluxgate.flush(LONG)
        assert len(server.stored) == 3


def test_a_server_that_answers_nothing_keeps_nobody_waiting(server: IngestServer) -> None:
    answers = threading.Event()
    server.fail(Fault(until=answers))
    with FluxGate(KEY, server.url, timeout=LONG) as fluxgate:
        fluxgate.enqueue(an_event()).wait(0)
        server.arrived.acquire()
        # The delivery hangs in its first request all the while.
        responses = [fluxgate.enqueue(an_event(number)) for number in range(MANY)]
        assert fluxgate.stats.pending == MANY
        assert fluxgate.stats.dropped == {"queue_full": 1}
        assert responses[-1].error_message == "dropped: the queue is full"
        assert len(server.requests) == 1
        answers.set()
        assert fluxgate.flush(LONG)
        assert fluxgate.stats.sent == MANY


def test_a_full_queue_stays_small() -> None:
    transport = Transport("http://127.0.0.1:9", KEY)
    outbox = Outbox(transport, Ledger(), jitter=lambda least, most: 30.0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(MANY // 4):
            outbox.intake.append(Item(EVENTS, wire_event(an_event(number)), CostTrackingResponse()))
            if len(outbox.intake) == 100:
                outbox.step()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert outbox.size == MANY // 4
    assert held * 4 < 10 * 1024 * 1024


def test_the_thread_starts_with_the_first_event_and_ends_with_the_client(server: IngestServer) -> None:
    before = delivery_threads()
    fluxgate = FluxGate(KEY, server.url)
    assert delivery_threads() == before
    response = fluxgate.enqueue(an_event())
    (thread,) = (thread for thread in delivery_threads() if thread not in before)
    assert thread.daemon
    assert response.cost is not None
    assert fluxgate.close()
    assert not thread.is_alive()


def test_a_client_that_is_dropped_still_sends_and_leaves_no_thread(server: IngestServer) -> None:
    before = delivery_threads()
    fluxgate = FluxGate(KEY, server.url)
    response = fluxgate.enqueue(an_event())
    (thread,) = (thread for thread in delivery_threads() if thread not in before)
    del fluxgate
    gc.collect()
    thread.join(LONG)
    assert not thread.is_alive()
    assert response.status == "SUCCESS"


def test_an_idle_thread_ends_and_the_next_event_starts_another(
    server: IngestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = delivery_threads()
    with FluxGate(KEY, server.url) as fluxgate:
        monkeypatch.setattr(delivery, "IDLE_SECONDS", 0.001)
        for _ in range(20):
            assert fluxgate.enqueue(an_event()).wait(LONG)
            for thread in delivery_threads():
                if thread not in before:
                    thread.join(LONG)
            assert delivery_threads() == before
    assert len(server.stored) == 20


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts handles as Linux lists them")
def test_no_handle_is_left(server: IngestServer, tmp_path: Path) -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    def use(number: int) -> None:
        fluxgate = FluxGate(KEY, server.url, spool_directory=tmp_path)
        fluxgate.record_event(an_event())
        assert fluxgate.enqueue(an_event()).wait(LONG)
        if number % 2:
            fluxgate.close()

    use(1)
    gc.collect()
    for thread in delivery_threads():
        thread.join(LONG)
    server.cut_idle_connections()
    before = handles()
    for number in range(6):
        use(number)
    gc.collect()
    for thread in delivery_threads():
        thread.join(LONG)
    # Waits for the server's threads, and so for its own ends of the connections.
    server.stop()
    assert handles() < before


def test_events_of_a_finalizer_in_the_midst_of_the_delivery(server: IngestServer) -> None:
    fluxgate = FluxGate(KEY, server.url)
    made: list[CostTrackingResponse] = []

    class Dropped:
        def __str__(self) -> str:
            # Called by the encoder, inside of everything that the delivery holds.
            made.append(fluxgate.enqueue(an_event(2)))
            return "dropped"

    assert fluxgate.enqueue(an_event(1, thing=Dropped())).wait(LONG)
    assert made[0].wait(LONG)
    assert fluxgate.close()
    assert len(server.stored) == 2


def test_where_no_thread_can_be_started_the_caller_sends(server: IngestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "fluxgate-delivery":
            raise RuntimeError("can't start new thread at interpreter shutdown")
        start(thread)

    with FluxGate(KEY, server.url) as fluxgate:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            response = fluxgate.enqueue(an_event())
        assert response.status == "SUCCESS"


def test_a_fault_of_the_delivery_costs_one_batch_and_is_said(
    fluxgate: FluxGate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: Any) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(delivery, "FAULT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Transport, "post", broken)
        response = fluxgate.enqueue(an_event())
        assert response.wait(LONG)
    assert response.status == "ERROR"
    assert "delivery failed on an error of its own" in caplog.text
    assert fluxgate.enqueue(an_event()).cost is not None


def test_after_close_nothing_is_sent_and_that_is_counted(server: IngestServer) -> None:
    fluxgate = FluxGate(KEY, server.url)
    assert fluxgate.close()
    assert fluxgate.close()
    assert fluxgate.enqueue(an_event()).error_message == "came after close()"
    assert fluxgate.record_event(an_event()) is None
    assert fluxgate.stats.dropped == {"closed": 2}
    assert server.requests == []


def test_close_gives_up_what_hangs_in_a_request(server: IngestServer) -> None:
    never = threading.Event()
    server.fail(Fault(until=never))
    fluxgate = FluxGate(KEY, server.url, timeout=0.2)
    response = fluxgate.enqueue(an_event())
    response.wait(0)
    server.arrived.acquire()
    waiting = fluxgate.enqueue(an_event())
    assert fluxgate.close(0) is False
    assert (response.status, waiting.status) == ("ERROR", "ERROR")
    assert fluxgate.stats.dropped == {"undelivered": 2}
    assert fluxgate.stats.pending == 0
    never.set()


def test_close_gives_up_what_the_thread_has_just_taken_in_hand(server: IngestServer) -> None:
    taken, goes_on = threading.Event(), threading.Event()

    class Slow:
        def __str__(self) -> str:
            # Called by the encoder: the event is in no queue at this moment.
            taken.set()
            goes_on.wait(LONG)
            return "slow"

    before = delivery_threads()
    fluxgate = FluxGate(KEY, server.url)
    response = fluxgate.enqueue(an_event(1, thing=Slow()))
    assert taken.wait(LONG)
    (thread,) = (thread for thread in delivery_threads() if thread not in before)
    assert fluxgate.close(0) is False
    goes_on.set()
    thread.join(LONG)
    assert response.error_message == "undelivered"
    assert (fluxgate.stats.dropped, fluxgate.stats.pending) == ({"undelivered": 1}, 0)
    assert server.requests == []


END_OF_PROGRAM: dict[str, tuple[str, int]] = {
    "plain": ("fluxgate = FluxGate(KEY, URL)\nfor _ in range(250): fluxgate.enqueue(EVENT)", 250),
    "error": ("fluxgate = FluxGate(KEY, URL)\nfluxgate.enqueue(EVENT)\nraise SystemExit(3)", 1),
    "dropped": ("FluxGate(KEY, URL).enqueue(EVENT)", 1),
    "module": ("import builtins\nbuiltins.kept = FluxGate(KEY, URL)\nbuiltins.kept.enqueue(EVENT)", 1),
    "thread": (
        "fluxgate = FluxGate(KEY, URL)\nthreading.Thread(target=fluxgate.enqueue, args=(EVENT,)).start()",
        1,
    ),
    "atexit": ("import atexit\nfluxgate = FluxGate(KEY, URL)\natexit.register(fluxgate.enqueue, EVENT)", 1),
}


@pytest.mark.parametrize("name", END_OF_PROGRAM)
def test_the_end_of_the_program_sends_what_waits(server: IngestServer, tmp_path: Path, name: str) -> None:
    program, count = END_OF_PROGRAM[name]
    done = run(tmp_path, program, server.url, KEY)
    assert done.stderr == ""
    assert len(server.stored) == count


def test_the_end_of_the_program_does_not_wait_for_a_server_that_hangs(server: IngestServer, tmp_path: Path) -> None:
    server.fail(Fault(until=threading.Event()))
    # The limit of the request is longer than this test may take.
    done = run(tmp_path, "FluxGate(KEY, URL, timeout=3600).enqueue(EVENT)", server.url, KEY)
    assert done.returncode == 0
    assert "[fluxgate] 1 event was dropped: the program ended before the server took them" in done.stderr
