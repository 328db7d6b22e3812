"""Processes that must not outlive the server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real_server import ROOT, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="death signals are Linux's")

# The middle process plays granian: it starts a worker that learns late of its duties.
MIDDLE = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]])
print(worker.pid, flush=True)
time.sleep(300)
"""
WORKER = """
import sys, time
time.sleep({delay})
from fluxgate_site.child_process import die_with_grandparent
die_with_grandparent(int(sys.argv[1]))
open({ready!r}, "w").close()
time.sleep(300)
"""


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("delay", "wait_first"), [(0, True), (1, False)], ids=["in time", "orphaned before"])
def test_a_worker_ends_with_the_process_above_it(tmp_path: Path, delay: int, wait_first: bool) -> None:
    ready = tmp_path / "ready"
    worker = WORKER.format(delay=delay, ready=str(ready))
    middle = subprocess.Popen(
        [sys.executable, "-c", MIDDLE, str(os.getpid()), worker], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert middle.stdout is not None
    pid = int(middle.stdout.readline())
    if wait_first:
        wait_for(ready.exists, 60)
        assert alive(pid)
    middle.kill()
    middle.wait()
    wait_for(lambda: not alive(pid), 60)
    assert ready.exists() == wait_first
