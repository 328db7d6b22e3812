"""`manage.py serve` as an operator meets it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.real_server import ROOT, RealServer, started_once, wait_for
from tests.wire_client import WireClient, event

pytestmark = pytest.mark.xdist_group("server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    running = RealServer(started_once(tmp_path_factory.mktemp("serve") / "var")).start()
    running.command("create_organization", "Acme", "--slug", "acme", "--owner", "owner@acme.example")
    yield running
    assert running.stop() == 0
    assert "refused to gracefully stop" not in running.log


def get(server: RealServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(server.url + path, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_and_readiness(server: RealServer) -> None:
    assert get(server, "/healthz") == (200, '{"status":"ok"}')
    assert get(server, "/readyz") == (200, '{"status":"ready","database":true,"migrations":true,"catalog":true}')


def test_pages_are_sent_to_the_sign_in_and_carry_the_policy(server: RealServer) -> None:
    with urllib.request.urlopen(server.url + "/", timeout=10) as response:
        assert "/sign-in/" in response.url
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def raw(server: RealServer, request: bytes) -> bytes:
    """The status line that a request, byte for byte, is answered with."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(65_536).split(b"\r\n")[0]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_bytes_beyond_ascii_in_a_query_are_no_fault(server: RealServer, encoding: str) -> None:
    answer = raw(server, "GET /sign-in/?next=é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(encoding))
    assert answer.split()[1] in (b"200", b"400")


def test_callers_who_never_finish_their_form_keep_nobody_out(server: RealServer) -> None:
    head = b"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nCookie: csrftoken=" + b"a" * 32
    head += b"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nabc"
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(40)]
    try:
        for connection in slow:
            connection.sendall(head)
        assert get(server, "/sign-in/")[0] == 200
    finally:
        for connection in slow:
            connection.close()


def test_a_second_server_on_the_same_data_is_refused_with_a_sentence(server: RealServer) -> None:
    second = RealServer(server.data_dir).start(wait=False)
    assert second.process is not None
    assert second.process.wait(60) == 1
    assert str(server.data_dir) in server.log
    assert get(server, "/readyz")[0] == 200


def test_the_application_neither_owns_the_tables_nor_is_a_superuser(server: RealServer) -> None:
    with server.connect() as connection:
        roles = connection.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'fluxgate' AND pid <> pg_backend_pid()"
        ).fetchall()
        assert roles == [("fluxgate_app",)]
        powers = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = 'fluxgate_app'"
        ).fetchone()
        owned = connection.execute("SELECT count(*) FROM pg_tables WHERE tableowner = 'fluxgate_app'").fetchone()
    assert powers == (False, False, False, False)
    assert owned == (0,)


def test_secrets_are_readable_by_their_owner_only(server: RealServer) -> None:
    for path in (server.data_dir / "secret_key", *(server.data_dir / "passwords").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_revoked_key_is_refused_soon(server: RealServer) -> None:
    key = server.command("create_api_key", "acme", "--name", "short-lived")
    client = WireClient(server.port, key)

    def status() -> int:
        answer = client.record_event(event())
        assert answer is not None
        return answer.status

    assert status() == 200
    server.command("revoke_api_key", key[:15])
    wait_for(lambda: status() == 401, 5)


def test_postgres_killed_under_a_running_server_comes_back(server: RealServer) -> None:
    client = WireClient(server.port, server.command("create_api_key", "acme", "--name", "crash"))
    answer = client.record_event(event())
    assert answer is not None
    assert answer.status == 200
    old = server.postmaster_pid()
    server.kill_postgres()

    def stored_again() -> bool:
        again = client.record_event(event())
        return again is not None and again.status == 200

    # A backend of the killed server may still store an event before it notices.
    wait_for(lambda: "PostgreSQL ended unexpectedly" in server.log, 30)
    wait_for(stored_again, 120, lambda: server.log)
    assert server.postmaster_pid() != old
    with server.connect() as connection:
        ids = {f"evt_{row[0].hex}" for row in connection.execute("SELECT id FROM event")}  # type: ignore[attr-defined]
    assert answer.id in ids
    assert server.process is not None
    assert server.process.poll() is None


def test_a_web_process_killed_is_replaced(server: RealServer) -> None:
    assert server.process is not None
    granian = subprocess.run(
        ["pgrep", "-P", str(server.process.pid), "-f", "granian"], capture_output=True, text=True, check=True
    )
    os.kill(int(granian.stdout.split()[0]), signal.SIGKILL)
    wait_for(lambda: "starting it again" in server.log, 30)
    wait_for(server._ready, 60, lambda: server.log)


def child_pids(server: RealServer, name: str = "") -> list[int]:
    """The processes that `serve` has started, or those of them whose command line has the name."""
    assert server.process is not None
    listed = subprocess.run(["pgrep", "-P", str(server.process.pid), "-f", name or "."], capture_output=True, text=True)
    return [int(pid) for pid in listed.stdout.split()]


def test_a_queued_job_is_run_by_the_worker(server: RealServer) -> None:
    with server.connect() as connection:
        job = queue_cleaning(connection)
        wait_for(lambda: status(connection, job) is None, 60, lambda: server.log)


def test_a_job_worker_killed_is_replaced_and_its_job_done(server: RealServer) -> None:
    with server.connect() as connection:
        with cleaning_that_lasts(server) as (job, old):
            wait_for(lambda: status(connection, job) == "doing", 60, lambda: server.log)
            # Not before: one that lost the database in an earlier test ends by itself.
            (killed,) = child_pids(server, "manage.py jobs")
            os.kill(killed, signal.SIGKILL)
            wait_for(lambda: not Path(f"/proc/{killed}").exists(), 20)
            # In place of waiting until its silence is noticed.
            connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
        wait_for(lambda: status(connection, job) is None, 60, lambda: server.log)
        assert status(connection, old) is None
    assert "The job worker ended unexpectedly (code -9); starting it again." in server.log
    assert killed not in child_pids(server)


def test_sigterm_ends_a_running_job_and_every_process(server: RealServer) -> None:
    with cleaning_that_lasts(server) as (job, _):
        with server.connect() as connection:
            wait_for(lambda: status(connection, job) == "doing", 60, lambda: server.log)
        pids = child_pids(server)
        assert len(pids) == 3, "PostgreSQL, the web server, the job worker"
        assert server.stop() == 0
    wait_for(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], 20)
    server.start()
    with server.connect() as connection:
        assert status(connection, job) == "aborted", "it was told, not killed"


def queue_cleaning(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    """Queue a job that comes with procrastinate: it removes jobs that succeeded more than an hour ago."""
    row = connection.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES
        ('builtin', 'builtin:procrastinate.builtin_tasks.remove_old_jobs', '{"max_hours": 1}') RETURNING id"""
    ).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


@contextmanager
def cleaning_that_lasts(server: RealServer) -> Iterator[tuple[int, int]]:
    """The same, with one old job to remove, which nobody can while the body runs. Yields the ids of both."""
    with server.connect() as connection:
        row = connection.execute(
            """WITH job AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status)
            VALUES ('builtin', 'old', 'succeeded') RETURNING id)
            INSERT INTO procrastinate_events (job_id, type, at)
            SELECT id, 'succeeded', now() - interval '2 hours' FROM job RETURNING job_id"""
        ).fetchone()
        assert row is not None
        assert isinstance(row[0], int)
    with closing(server.connect()) as holder:  # not committed but closed: PostgreSQL may have been stopped
        holder.autocommit = False
        holder.execute("SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE", row)
        with server.connect() as connection:
            job = queue_cleaning(connection)
        yield job, row[0]


def status(connection: psycopg.Connection[tuple[object, ...]], job: int) -> object:
    """None once the job is gone: those that succeed are removed."""
    row = connection.execute("SELECT status::text FROM procrastinate_jobs WHERE id = %s", [job]).fetchone()
    return row and row[0]


# `manage.py serve` that does not wait until the processes of a killed server have let go of the port.
IMPATIENT = """
from fluxgate_site.management.commands import serve
serve.PORT_SECONDS = 0
import manage, sys
sys.argv = ["manage.py", "serve"]
manage.main()
"""


def test_a_port_that_is_taken_is_named(server: RealServer, tmp_path: Path) -> None:
    other = RealServer(started_once(tmp_path / "var"), port=server.port)
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT],
        cwd=ROOT,
        env=other._environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"Port {server.port} on 127.0.0.1 cannot be used" in done.stderr
    assert "Set PORT" in done.stderr
