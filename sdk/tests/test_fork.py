"""Children: each event is sent by the process that recorded it, once, and no child hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ingest import KEY, IngestServer
from programs import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_a_forked_child_sends_its_own_events_and_none_of_its_parents(server: IngestServer, tmp_path: Path) -> None:
    program = """
import json
fluxgate = FluxGate(KEY, URL)
fluxgate.record_event(EVENT)  # Leaves a kept connection behind.
waiting = [fluxgate.enqueue(EVENT) for _ in range(50)]
child = os.fork()
if child == 0:
    inherited = waiting[0]
    for _ in range(3):
        fluxgate.enqueue(EVENT)
    fluxgate.record_event(EVENT)
    sent = fluxgate.flush(30)
    print(json.dumps([inherited.status, sent, fluxgate.stats.sent, fluxgate.stats.dropped]), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps([fluxgate.flush(30), fluxgate.stats.sent, waiting[0].status]))
"""
    done = run(tmp_path, program, server.url, KEY)
    child, parent = done.stdout.splitlines()
    assert child == '["ERROR", true, 4, {}]'
    assert parent == '[true, 51, "SUCCESS"]'
    assert len(server.stored) == 55
    assert server.replayed == 0


def test_a_fork_while_many_threads_record(server: IngestServer, tmp_path: Path) -> None:
    program = """
fluxgate = FluxGate(KEY, URL)
stop = threading.Event()
def record():
    while not stop.is_set():
        fluxgate.enqueue(EVENT)
        stop.wait(0.0001)
threads = [threading.Thread(target=record) for _ in range(4)]
for thread in threads: thread.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        fluxgate.enqueue(EVENT)
        os._exit(0 if fluxgate.flush(30) and fluxgate.stats.sent == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
assert fluxgate.flush(30)
print(fluxgate.stats.sent)
"""
    done = run(tmp_path, program, server.url, KEY)
    assert done.returncode == 0, done.stderr
    assert len(server.stored) == int(done.stdout) + 5
    assert server.replayed == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_of_multiprocessing_sends_what_waits_when_it_ends(
    server: IngestServer, tmp_path: Path, method: str
) -> None:
    program = f"""
import multiprocessing
fluxgate = FluxGate(KEY, URL)
def work(count):
    for _ in range(count):
        fluxgate.enqueue(EVENT)
if __name__ == "__main__":
    fluxgate.record_event(EVENT)
    context = multiprocessing.get_context("{method}")
    children = [context.Process(target=work, args=(count,)) for count in (2, 3)]
    for child in children: child.start()
    for child in children: child.join()
"""
    done = run(tmp_path, program, server.url, KEY)
    assert done.returncode == 0, done.stderr
    assert len(server.stored) == 6
    assert server.replayed == 0
