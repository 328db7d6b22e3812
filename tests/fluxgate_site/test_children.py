"""Keeping processes alive: started again, left alone, given up, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxgate_site import children
from fluxgate_site.children import Child, KeepsEnding
from tests.real_server import ROOT, wait_for

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


class Nursery:
    """Makes children, notes what they say, and ends them."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.made: list[Child] = []

    def child(self, code: str, *, is_vital: bool = False) -> Child:
        child = Child("thing", [sys.executable, "-c", code], self.said.append, is_vital=is_vital)
        self.made.append(child)
        child.start()
        return child


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    for child in nursery.made:
        child.ask_to_stop()
        child.end(0.0)


def pid(child: Child) -> int:
    assert child._process is not None
    return child._process.pid


def ended(child: Child) -> bool:
    return not child.is_running


def test_a_child_that_is_killed_is_replaced(nursery: Nursery) -> None:
    child = nursery.child(SLEEP)
    first = pid(child)
    child.keep_alive(0.0)
    assert pid(child) == first
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: ended(child), 20)
    child.keep_alive(1.0)
    assert nursery.said == ["The thing ended unexpectedly (code -9); starting it again."]
    assert child.is_running
    assert pid(child) != first


def end_quickly(child: Child, times: int) -> None:
    for number in range(times):
        wait_for(lambda: ended(child), 20)
        child.keep_alive(float(number))


def test_a_vital_child_that_keeps_ending_is_given_up(nursery: Nursery) -> None:
    child = nursery.child("raise SystemExit(3)", is_vital=True)
    with pytest.raises(KeepsEnding, match="thing keeps ending"):
        end_quickly(child, children.QUICK_DEATHS + 1)


def test_any_other_is_left_alone_for_a_while(nursery: Nursery) -> None:
    child = nursery.child("raise SystemExit(3)")
    end_quickly(child, children.QUICK_DEATHS + 1)
    assert nursery.said[-1] == "The thing keeps ending; trying again in 30 seconds."
    rests_until = children.QUICK_DEATHS + children.REST_SECONDS
    child.keep_alive(rests_until - 1)
    assert child._process is None
    child.keep_alive(rests_until)
    assert child._process is not None


def test_one_that_lives_long_between_its_ends_is_started_again_each_time(nursery: Nursery) -> None:
    child = nursery.child("raise SystemExit(3)", is_vital=True)
    for number in range(2 * children.QUICK_DEATHS):
        wait_for(lambda: ended(child), 20)
        child.keep_alive(number * 60.0)
    assert len(nursery.said) == 2 * children.QUICK_DEATHS


def test_a_child_leads_a_session_of_its_own_and_knows_its_parent(nursery: Nursery) -> None:
    child = nursery.child(SLEEP)
    assert os.getsid(pid(child)) == pid(child)
    assert f"FLUXGATE_SERVE_PID={os.getpid()}".encode() in Path(f"/proc/{pid(child)}/environ").read_bytes()


def test_all_are_stopped_and_one_that_was_never_started_is_no_fault(nursery: Nursery) -> None:
    running = [nursery.child(SLEEP), nursery.child(SLEEP)]
    children.stop([*running, Child("thing", ["nothing"], nursery.said.append, is_vital=True)])
    assert [child._process and child._process.returncode for child in running] == [-signal.SIGTERM] * 2


def test_one_that_does_not_stop_is_killed_at_the_deadline(nursery: Nursery, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    child = nursery.child(STUBBORN.replace("print(flush=True)", f"open({str(heard)!r}, 'w').close()"))
    wait_for(heard.exists, 20)
    child.ask_to_stop()
    child.end(time.monotonic() + 0.1)
    assert child._process is not None
    assert child._process.returncode == -signal.SIGKILL


# A process that is asked to stop at the very moment when it starts a child.
STOPPED_WHILE_IT_STARTS_ONE = """
import os, signal, django
django.setup()
from fluxgate_site.children import Child

class Stop(Exception):
    pass

def stop(*_):
    raise Stop

signal.signal(signal.SIGTERM, stop)
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM))
child = Child("thing", ["sleep", "600"], print, is_vital=True)
try:
    child.start()
except Stop:
    print("stopped", child.is_running)
finally:
    child.ask_to_stop()
    child.end(60.0)
print("ended by", child._process.returncode)
"""


def test_who_is_asked_to_stop_while_it_starts_one_stops() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_WHILE_IT_STARTS_ONE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == f"stopped True\nended by {-signal.SIGTERM}\n", done.stderr
