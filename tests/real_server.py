"""The product as an operator starts it: `manage.py serve` with a data directory of its own, in a process of its own."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from django.conf import settings

from fluxgate_site.embedded_postgres import Cluster

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180
"""Generous: a shared machine may be slow; nothing is judged by it."""


@dataclass
class RealServer:
    """One data directory and one port; may be started, killed and started again."""

    data_dir: Path
    port: int = field(default_factory=lambda: free_port())
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def log(self) -> str:
        return (self.data_dir / "serve.log").read_text()

    def start(self, *, wait: bool = True) -> "RealServer":
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"], cwd=ROOT, env=self._environment(), stdout=log, stderr=log
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Ends the server where it does not get ready: nobody else would."""
        try:
            wait_for(self._ready, START_SECONDS, lambda: f"the server did not get ready:\n{self.log}")
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> int:
        """SIGTERM, as an operator's service manager does it; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(START_SECONDS)

    def kill(self) -> None:
        """kill -9 of the process that was started."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def command(self, *arguments: str) -> str:
        """A management command beside the running server; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection as the role that owns the tables, for looking at what is stored."""
        return psycopg.connect(Cluster(self.data_dir).owner_url(), autocommit=True)

    def processes(self) -> list[str]:
        """The command lines of this machine's processes that serve this server's port."""
        listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if f"--port {self.port}" in line]

    def postmaster_pid(self) -> int:
        return int((Cluster(self.data_dir).pgdata / "postmaster.pid").read_text().splitlines()[0])

    def kill_postgres(self) -> None:
        """kill -9 of PostgreSQL's main process."""
        os.kill(self.postmaster_pid(), signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        own = {"DATABASE_URL", "DJANGO_SETTINGS_MODULE", "FLUXGATE_DATA_DIR", "PORT", "FLUXGATE_DEMO"}
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        return (
            inherited
            | {"FLUXGATE_DATA_DIR": str(self.data_dir), "PORT": str(self.port), "FLUXGATE_DEMO": "0"}
            | _bytecode(self.data_dir.parent)
            | self.environment
        )

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended:\n{self.log}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False


def _bytecode(beside: Path) -> dict[str, str]:
    """Where Python may not leave bytecode beside the sources, as in many containers: a place that the run removes.

    Without any, each of the hundred processes that the tests start compiles all that it imports. Benchmarks run
    without Django's settings: theirs lies `beside` the server's data.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    folder = Path(settings.DATA_DIR) if settings.configured else beside
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def started_once(data_dir: Path) -> Path:
    """`data_dir`, as a first start without demo data leaves it: a copy, because making one takes half a minute.

    The first to ask does start a server in an empty directory, for all test processes; whoever asks meanwhile waits.
    """
    original = Path(settings.DATA_DIR) / "started-once"
    with (Path(settings.DATA_DIR) / "started-once.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not original.exists():
            shutil.rmtree(draft := original.with_suffix(".draft"), ignore_errors=True)
            assert RealServer(draft).start().stop() == 0
            draft.rename(original)
    subprocess.run(["cp", "-a", original, data_dir], check=True)  # with the owner of PostgreSQL's files
    return data_dir


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float, problem: Callable[[], str] = lambda: "") -> None:
    """Return as soon as the condition holds; fail after a deadline that is far beyond what is expected."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, problem() or "the condition never came true"
        time.sleep(0.05)
