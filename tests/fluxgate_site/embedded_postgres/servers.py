"""What the tests of the embedded database share."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from fluxgate_site.embedded_postgres import Cluster, Server

REPOSITORY = Path(__file__).parents[3]
# A server in a process of its own, which the test can kill. It says its postmaster's pid and waits to be killed.
SUPERVISOR = """
import sys, time
from pathlib import Path
from fluxgate_site.embedded_postgres import Cluster, running
with running(Cluster(Path(sys.argv[1]))) as server:
    print(server.pid, flush=True)
    time.sleep(600)
"""


class Running(NamedTuple):
    cluster: Cluster
    server: Server


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def supervisor(cluster: Cluster) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SUPERVISOR, str(cluster.data_dir)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said_pid(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())
