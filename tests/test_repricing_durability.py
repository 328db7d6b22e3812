"""Killing the process that re-prices, and the database under it, loses nothing and counts nothing twice."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests import stored_prices
from tests.real_server import RealServer, started_once, wait_for
from tests.wire_client import WireClient, event

pytestmark = pytest.mark.xdist_group("server")
EVENTS = 50_000


def workers(server: RealServer) -> list[int]:
    """Processes that run background jobs for this server."""
    assert server.process
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, parent, command in rows if parent == str(server.process.pid) and "jobs" in command]


def progress(server: RealServer) -> tuple[int, bool]:
    """How many events the newest job has done, and whether it is finished; nothing while the database is away."""
    try:
        done, _, seconds = stored_prices.jobs(server)[0]
    except psycopg.OperationalError:
        return 0, False
    return done, seconds is not None


def kill_at_work(server: RealServer, *, with_database: bool) -> None:
    """kill -9 of the worker, and of PostgreSQL, once the job has moved on."""
    begun = progress(server)[0]
    wait_for(lambda: bool(workers(server)) and progress(server)[0] > begun, 120, lambda: server.log)
    for worker in workers(server):
        os.kill(worker, signal.SIGKILL)
    if with_database:
        server.kill_postgres()


def test_a_killed_re_pricing_goes_on_and_ends_exact(tmp_path: Path) -> None:
    server = RealServer(started_once(tmp_path / "var")).start()
    try:
        client = WireClient(server.port, stored_prices.fill(server, "acme", EVENTS))
        cost = stored_prices.correct(server, "4")
        sent = 0
        for with_database in (False, True, False):
            kill_at_work(server, with_database=with_database)
            answer = client.record_event(event())
            sent += answer is not None and answer.status == 200
        wait_for(lambda: progress(server)[1], 120, lambda: server.log)
        with server.connect() as connection:
            events = "SELECT count(*), count(DISTINCT id), min(cost_picousd), max(cost_picousd) FROM event"
            assert connection.execute(events).fetchone() == (EVENTS + sent, EVENTS + sent, cost, cost)
            kept = "SELECT count(*), count(DISTINCT event_id), max(cost_picousd) FROM event_cost_history"
            assert connection.execute(kept).fetchone() == (EVENTS, EVENTS, stored_prices.OLD_COST)
        assert "agrees" in server.command("audit")
    finally:
        server.stop()
