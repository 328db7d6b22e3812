"""A worker that is told to stop while it starts."""

import os
import signal
import subprocess
import sys

import pytest

from tests.real_server import ROOT

# As granian's main process forks it, with handlers that merely note a signal; told to stop during the long import.
FORKED = """
import os, signal, sys, types
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: None)
from fluxgate_site import web_worker
class Slow:
    def find_spec(self, name, *_):
        if name == "fluxgate_site.asgi":
            os.kill(os.getpid(), int(sys.argv[1]))
            sys.exit("served on")
sys.meta_path.insert(0, Slow())
web_worker.application()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_still_starting_ends_at_once(number: signal.Signals) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FLUXGATE_SERVE_PID"}
    done = subprocess.run([sys.executable, "-c", FORKED, str(int(number))], cwd=ROOT, env=environment, check=False)
    assert done.returncode == -number
