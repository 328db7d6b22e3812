"""How a server ends, and how the next start deals with what was left."""

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from fluxgate_site.embedded_postgres import Cluster, ClusterError, ClusterInUse, is_running, roles, running
from fluxgate_site.embedded_postgres import account as os_user
from tests.fluxgate_site.embedded_postgres.servers import execute, lives, said_pid, supervisor, value, wait_until


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_server_stops_cleanly_whatever_the_body_raises(made: Cluster, error: type[BaseException] | None) -> None:
    with pytest.raises(error) if error else ExitStack(), running(made) as server:
        assert server.is_alive()
        assert server.poll() is None
        if error:
            raise error
    assert server.poll() == 0
    assert not server.is_alive()
    assert not is_running(made)
    assert "database system is shut down" in "".join(file.read_text() for file in made.log_dir.iterdir())
    assert list(made.socket_dir.glob("*")) == []


def test_restart_after_sigkill_keeps_what_was_committed(made: Cluster) -> None:
    told: list[str] = []
    with running(made, on_progress=told.append) as server, closing(psycopg.connect(made.owner_url())) as open_session:
        open_session.execute("INSERT INTO kept VALUES (8)")  # never committed
        for round_number in range(3):
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            wait_until(lambda: server.poll() is not None)
            assert server.poll() == -signal.SIGKILL
            server.restart()
            assert value(made.app_url(), "SELECT count(*) FROM kept") == round_number + 1
            execute(made.app_url(), "INSERT INTO kept VALUES (1)")
    assert told.count("Starting PostgreSQL") == 4


def test_restart_of_a_living_server(made: Cluster) -> None:
    with running(made) as server:
        before = server.pid
        server.restart()
        assert server.pid != before
        assert is_running(made)


def test_restart_waits_for_processes_of_the_killed_server(made: Cluster) -> None:
    told: list[str] = []
    backend = 0

    def on_progress(message: str) -> None:
        told.append(message)
        if message == "Waiting for the processes of a killed PostgreSQL to end":
            os.kill(backend, signal.SIGCONT)

    with running(made, on_progress=on_progress) as server, psycopg.connect(made.app_url()) as session:
        backend = session.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: server.poll() is not None)
        server.restart()
        assert "Waiting for the processes of a killed PostgreSQL to end" in told
        assert value(made.app_url(), "SELECT 1") == 1


def test_server_ends_with_a_killed_supervisor(made: Cluster) -> None:
    with supervisor(made) as process:
        pid = said_pid(process)
        assert lives(pid)
        process.kill()
        wait_until(lambda: not lives(pid))
    log = "".join(file.read_text() for file in made.log_dir.iterdir())
    assert "received fast shutdown request" in log


@pytest.mark.parametrize("also_kill_postgres", [False, True])
def test_start_after_a_killed_supervisor(made: Cluster, also_kill_postgres: bool) -> None:
    with supervisor(made) as process:
        pid = said_pid(process)
        with pytest.raises(ClusterInUse, match=f"process {process.pid}:"), running(made):
            pass
        execute(made.app_url(), "UPDATE kept SET n = 8")
        process.kill()
        process.wait()
        if also_kill_postgres:
            os.kill(pid, signal.SIGKILL)
    with running(made):
        assert value(made.app_url(), "SELECT n FROM kept") == 8


def test_start_waits_for_an_orphan_that_is_slow_to_stop(made: Cluster) -> None:
    told: list[str] = []
    with supervisor(made) as process:
        pid = said_pid(process)
        os.kill(pid, signal.SIGSTOP)
        process.kill()
        process.wait()

    def on_progress(message: str) -> None:
        told.append(message)
        if str(pid) in message:
            os.kill(pid, signal.SIGCONT)

    with running(made, on_progress=on_progress):
        assert f"Waiting for the PostgreSQL of an earlier start (process {pid}) to stop" in told
        assert value(made.app_url(), "SELECT 1") == 1


def test_start_after_initdb_was_killed(cluster: Cluster) -> None:
    with supervisor(cluster) as process:
        wait_until(lambda: list(cluster.home.glob("new-*/PG_VERSION")))
        process.kill()
        process.wait()
    assert not cluster.pgdata.exists()
    drafts = list(cluster.home.glob("new-*"))
    assert drafts
    with running(cluster):
        assert value(cluster.app_url(), "SELECT 1") == 1
    assert not any(draft.exists() for draft in drafts)


def test_start_after_the_roles_were_interrupted(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(roles, "prepare", interrupted)
        with pytest.raises(KeyboardInterrupt), running(cluster):
            pass
    with running(cluster), psycopg.connect(cluster.url(roles.ADMIN, "postgres"), autocommit=True) as admin:
        # As if it had been interrupted after the first role.
        admin.execute("DROP DATABASE fluxgate")
        admin.execute("DROP ROLE fluxgate_app")
    with running(cluster):
        assert value(cluster.app_url(), "SELECT current_user") == "fluxgate_app"


def test_lost_password_file_of_the_application_is_replaced(made: Cluster) -> None:
    before = made.app_url()
    (made.data_dir / "passwords" / roles.APP).unlink()
    with running(made):
        assert made.app_url() != before
        assert value(made.app_url(), "SELECT 1") == 1
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(before).close()


def test_lost_password_file_of_the_supervisor_is_told(made: Cluster) -> None:
    (made.data_dir / "passwords" / roles.ADMIN).unlink()
    with pytest.raises(ClusterError, match="password authentication failed"), running(made):
        pass
    assert not is_running(made)


def test_number_of_the_old_server_that_another_program_has_now(made: Cluster) -> None:
    with running(made):
        stale = (made.pgdata / "postmaster.pid").read_text().split("\n")
    account = os_user.account_for(made.home)
    sleep = shutil.which("sleep")
    assert sleep
    stranger = os_user.start([sleep, "600"], account, cwd=Path("/"), output=subprocess.DEVNULL)
    try:
        wait_until(lambda: Path(f"/proc/{stranger.pid}/comm").read_text() == "sleep\n")
        (made.pgdata / "postmaster.pid").write_text("\n".join([str(stranger.pid), *stale[1:]]))
        with running(made):
            assert value(made.app_url(), "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("17\n", r"was written by PostgreSQL 17, but this FluxGate runs PostgreSQL 18: dump it with pg_dump"),
        ("19\n", r"was written by PostgreSQL 19, but this FluxGate runs PostgreSQL 18: dump it with pg_dump"),
        ("", r"holds no complete PostgreSQL database .*: restore a backup"),
        ("½\n", r"holds no complete PostgreSQL database .*: restore a backup"),
        (None, r"holds no complete PostgreSQL database .*: restore a backup"),
    ],
)
def test_data_directory_of_another_version(cluster: Cluster, content: str | None, sentence: str) -> None:
    cluster.pgdata.mkdir(parents=True)
    if content is not None:
        (cluster.pgdata / "PG_VERSION").write_text(content)
    for _ in range(2):  # the second time too: the lock was given back
        with pytest.raises(ClusterError, match=sentence), running(cluster):
            pass


def test_failed_start_shows_the_log_without_waiting(made: Cluster) -> None:
    with (made.pgdata / "postgresql.auto.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")
    told: list[str] = []
    with (
        pytest.raises(ClusterError, match=r'(?s)did not start.*parameter "no_such_setting"'),
        running(made, on_progress=told.append),
    ):
        pass
    assert "Waiting for the processes of a killed PostgreSQL to end" not in told
