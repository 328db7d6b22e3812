"""Faults against the whole product: what was answered is stored, and stored once."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.real_server import RealServer, started_once, wait_for
from tests.wire_client import WireClient, event

pytestmark = pytest.mark.xdist_group("server")

CONNECTIONS = 64
EVENTS = 3_000
"""Of which each kill meets 64 on their way: it is the kills that prove something, not what is stored between them."""
KILLS = 10
KEYS = 400
THREADS = 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    running = RealServer(started_once(tmp_path / "var")).start()
    yield running
    assert running.process is not None
    if running.process.poll() is None:  # the test failed before it stopped it
        running.stop()


def new_key(server: RealServer) -> str:
    server.command("create_organization", "Acme", "--slug", "acme", "--owner", "owner@acme.example")
    return server.command("create_api_key", "acme", "--name", "tests")


def stored_ids(server: RealServer) -> Counter[str]:
    with server.connect() as connection:
        return Counter(f"evt_{row[0].hex}" for row in connection.execute("SELECT id FROM event"))  # type: ignore[attr-defined]


def test_every_answered_event_survives_ten_kills_of_the_server(server: RealServer) -> None:
    key = new_key(server)
    answered: list[str] = []
    left = iter(range(EVENTS))
    lock = threading.Lock()
    failures = Counter[str]()

    def send() -> None:
        client = WireClient(server.port, key)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            # Like a caller with an idempotency key: it sends until it has an answer.
            idempotency_key = uuid4().hex
            while True:
                answer = client.record_event(event(inputTokens=2000 + number), {"Idempotency-Key": idempotency_key})
                if answer is not None and answer.status == 200:
                    answered.append(answer.id)
                    break
                failures[str(answer and answer.status)] += 1
                time.sleep(0.25)  # 64 callers who ask more often take the processor from the server that starts

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        senders = [pool.submit(send) for _ in range(CONNECTIONS)]
        for kill in range(1, KILLS + 1):
            goal = kill * EVENTS // (KILLS + 2)
            wait_for(lambda goal=goal: len(answered) >= goal, 300)  # type: ignore[misc]
            if kill % 2:
                server.kill()
            else:
                server.kill_postgres()
                server.kill()
            server.start()
        for sender in senders:
            sender.result()

    stored = stored_ids(server)
    assert failures, "the kills hit nothing: the test proves nothing"
    assert len(set(answered)) == EVENTS
    assert stored.total() == EVENTS
    assert set(stored) == set(answered)
    assert server.command("audit").startswith("All")
    assert server.stop() == 0
    wait_for(lambda: not server.processes(), 30, lambda: f"left over: {server.processes()}")


def test_one_idempotency_key_from_eight_threads_is_one_row(server: RealServer) -> None:
    key = new_key(server)
    answers: list[dict[int, tuple[str, bool]]] = []
    barrier = threading.Barrier(THREADS)

    def send() -> dict[int, tuple[str, bool]]:
        client = WireClient(server.port, key)
        got: dict[int, tuple[str, bool]] = {}
        for number in range(KEYS):
            if number % 50 == 0:
                barrier.wait(120)
            answer = client.record_event(event(inputTokens=2000 + number), {"Idempotency-Key": f"key-{number}"})
            assert answer is not None
            assert answer.status == 200
            got[number] = (answer.id, answer.headers.get("idempotent-replayed") == "true")
        return got

    with ThreadPoolExecutor(THREADS) as pool:
        answers = [future.result() for future in [pool.submit(send) for _ in range(THREADS)]]

    for number in range(KEYS):
        assert len({answer[number][0] for answer in answers}) == 1
        assert sum(not answer[number][1] for answer in answers) == 1
    stored = stored_ids(server)
    assert set(stored) == {answers[0][number][0] for number in range(KEYS)}
    assert stored.total() == KEYS
    assert server.command("audit").startswith("All")
    assert server.stop() == 0
