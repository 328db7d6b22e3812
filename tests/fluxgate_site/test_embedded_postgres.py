"""The embedded database, with real servers in temporary directories: privileges, faults, interrupted starts."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import environ  # type: ignore[import-untyped]
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from fluxgate_site.embedded_postgres import (
    Cluster,
    ClusterError,
    ClusterInUse,
    Server,
    available,
    is_running,
    lock,
    roles,
    running,
)
from fluxgate_site.embedded_postgres import account as os_user
from fluxgate_site.embedded_postgres.account import Account
from fluxgate_site.embedded_postgres.binaries import Binaries, reachable

REPOSITORY = Path(__file__).parents[2]
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that tests may read and write, but not stop."""
    cluster = Cluster(tmp_path_factory.mktemp("shared"))
    with running(cluster) as server:
        yield Running(cluster, server)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "var")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that was used once, to be copied: initdb takes longer than a copy."""
    cluster = Cluster(tmp_path_factory.mktemp("template") / "var")
    with running(cluster):
        execute(cluster.owner_url(), "CREATE TABLE kept (n int)")
        execute(cluster.app_url(), "INSERT INTO kept VALUES (7)")
    return cluster.data_dir


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Cluster:
    """A stopped cluster with the table `kept`, which holds the number 7."""
    subprocess.run(["cp", "-a", template, tmp_path / "made"], check=True)
    return Cluster(tmp_path / "made")


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


# Where things lie


@pytest.mark.parametrize(
    "name", ["var", "Var", "with space", "per%cent", "at@colon:slash", "[bracket]", "ümlaut", "q?a#b&c", "com,ma"]
)
def test_url_is_read_alike_by_libpq_and_django_environ(tmp_path: Path, name: str) -> None:
    cluster = Cluster(tmp_path / name)
    for url, role in ((cluster.app_url(), "fluxgate_app"), (cluster.owner_url(), "fluxgate_owner")):
        by_django = environ.Env.db_url_config(url)
        assert unquote(by_django["HOST"]) == str(cluster.socket_dir)
        assert (by_django["NAME"], by_django["USER"], by_django["PORT"]) == ("fluxgate", role, 5432)
        assert by_django["PASSWORD"] == cluster.password(role)
        assert conninfo_to_dict(url) == {
            "host": str(cluster.socket_dir),
            "port": "5432",
            "dbname": "fluxgate",
            "user": role,
            "password": cluster.password(role),
        }


def test_relative_directory_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Cluster(Path("var")) == Cluster(tmp_path / "var")


@pytest.mark.parametrize("length", [1, 40, 79, 80, 81, 107, 108, 200])
def test_socket_path_fits_however_long_the_directory_is(length: int) -> None:
    cluster = Cluster(Path("/" + "d" * (length - 1)))
    path = str(cluster.socket_dir / ".s.PGSQL.5432")
    assert len(path) <= 103
    assert (cluster.socket_dir == cluster.home / "socket") == (length <= 71)
    assert cluster.socket_dir == Cluster(cluster.data_dir).socket_dir


def test_long_directory_has_a_private_short_socket_directory(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / ("long-" * 30))
    assert cluster.socket_dir.parent in (Path("/run"), Path("/tmp"))
    with running(cluster):
        assert stat.S_IMODE(cluster.socket_dir.stat().st_mode) == 0o700
        assert cluster.socket_dir.stat().st_uid == cluster.home.stat().st_uid
        assert value(cluster.app_url(), "SELECT current_user") == "fluxgate_app"
    assert not cluster.socket_dir.exists()


@pytest.mark.parametrize("squatter", ["open directory", "link", "file"])
def test_short_socket_directory_of_somebody_else_is_refused(tmp_path: Path, squatter: str) -> None:
    cluster = Cluster(tmp_path / ("long-" * 30))
    if squatter == "open directory":
        cluster.socket_dir.mkdir()
        cluster.socket_dir.chmod(0o755)
    elif squatter == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        cluster.socket_dir.symlink_to(tmp_path / "theirs")
    else:
        cluster.socket_dir.touch()
    try:
        with pytest.raises(ClusterError, match="not a private directory"):
            cluster.app_url()
        with pytest.raises(ClusterError, match="not a private directory"), running(cluster):
            pass
    finally:
        cluster.socket_dir.rmdir() if squatter == "open directory" else cluster.socket_dir.unlink()


# Who may do what


@pytest.mark.parametrize(
    ("role", "may_create_databases"), [("fluxgate_app", False), ("fluxgate_owner", True)], ids=["app", "owner"]
)
def test_role_is_not_privileged(shared: Running, role: str, may_create_databases: bool) -> None:
    with psycopg.connect(shared.cluster.url(role)) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolreplication, rolbypassrls, rolcreatedb FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
    assert row == (False, False, False, False, may_create_databases)


def test_application_reads_and_writes_rows_but_not_the_schema(shared: Running) -> None:
    owner, app = shared.cluster.owner_url(), shared.cluster.app_url()
    execute(owner, "CREATE TABLE thing (id int GENERATED BY DEFAULT AS IDENTITY, n int); CREATE SEQUENCE counter")
    execute(owner, "CREATE FUNCTION seven() RETURNS int LANGUAGE sql AS 'SELECT 7'")
    for statement in (
        "INSERT INTO thing (n) VALUES (1), (2)",
        "UPDATE thing SET n = 3",
        "DELETE FROM thing WHERE id=1",
    ):
        execute(app, statement)
    assert value(app, "SELECT count(*) + nextval('counter') + seven() FROM thing") == 1 + 1 + 7
    for statement in (
        "CREATE TABLE public.mine ()",
        "CREATE SCHEMA mine",
        "ALTER TABLE thing ADD COLUMN x int",
        "TRUNCATE thing",
        "DROP TABLE thing",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        "SET ROLE fluxgate_owner",
        "COPY thing TO PROGRAM 'cat'",
    ):
        with psycopg.connect(app, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_owner_makes_and_drops_databases(shared: Running) -> None:
    with psycopg.connect(shared.cluster.url(roles.OWNER, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_fluxgate")
        connection.execute("DROP DATABASE test_fluxgate")


@pytest.mark.parametrize("role", [roles.ADMIN, roles.OWNER, roles.APP])
def test_nobody_enters_without_the_password(shared: Running, role: str) -> None:
    for password in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match=r"password authentication failed|no password supplied"):
            psycopg.connect(shared.cluster.url(role), password=password).close()


def test_nobody_listens_on_tcp(shared: Running) -> None:
    assert shared.server.pid is not None
    descriptors = Path(f"/proc/{shared.server.pid}/fd").iterdir()
    sockets = {match[1] for file in descriptors if (match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(file)))}
    assert sockets
    for family in ("tcp", "tcp6", "udp", "udp6"):
        table = Path(f"/proc/net/{family}")
        inodes = {line.split()[9] for line in table.read_text().splitlines()[1:]} if table.exists() else set()
        assert not sockets & inodes
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", 5432))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("listen_addresses", ""),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
        ("shared_buffers", "256MB"),
        ("max_wal_size", "2GB"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
        ("log_truncate_on_rotation", "on"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "1min"),
    ],
)
def test_setting(shared: Running, name: str, expected: str) -> None:
    assert value(shared.cluster.app_url(), f"SHOW {name}") == expected


def test_text_sorts_and_folds_by_unicode(shared: Running) -> None:
    assert value(shared.cluster.app_url(), "SELECT lower('ÄÖЖ') || ('Z' < 'a')::text") == "äöжtrue"


def test_files_are_private(shared: Running) -> None:
    cluster = shared.cluster
    cluster.app_url(), cluster.owner_url()
    private = [cluster.lock_file, cluster.start_log, *(cluster.data_dir / "passwords").iterdir()]
    assert len(private) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}
    assert {file.stat().st_uid for file in private} == {os.geteuid()}
    folders = [cluster.home, cluster.pgdata, cluster.log_dir, cluster.socket_dir]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert {folder.stat().st_uid for folder in folders} == {cluster.home.stat().st_uid}


def test_process_is_unprivileged_apart_and_without_our_environment(shared: Running) -> None:
    pid = shared.server.pid
    assert pid is not None
    status = Path(f"/proc/{pid}/status").read_text()
    uid = shared.cluster.home.stat().st_uid
    assert uid != 0
    assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
    if os.geteuid() == 0:
        assert re.search(r"^Groups:\s*$", status, re.MULTILINE)
    assert os.getsid(pid) == pid
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"LC_ALL=C.UTF-8" in environment
    assert b"DJANGO_SETTINGS_MODULE" not in environment


def test_log_holds_no_values(shared: Running) -> None:
    execute(shared.cluster.owner_url(), "CREATE TABLE person (email text PRIMARY KEY)")
    execute(shared.cluster.app_url(), "INSERT INTO person VALUES ('secret@example.com')")
    with pytest.raises(psycopg.errors.UniqueViolation, match=r"secret@example\.com"):
        execute(shared.cluster.app_url(), "INSERT INTO person VALUES ('secret@example.com')")
    text = "".join(file.read_text() for file in shared.cluster.log_dir.iterdir())
    assert 'duplicate key value violates unique constraint "person_pkey"' in text
    assert "secret@example.com" not in text


# One server for each directory


def test_second_server_is_refused_at_once(shared: Running) -> None:
    with pytest.raises(ClusterInUse) as caught, running(shared.cluster):
        pass
    assert str(caught.value) == (
        f"The data directory {shared.cluster.data_dir} is in use by process {os.getpid()}: "
        f"stop that process, or set FLUXGATE_DATA_DIR to another directory."
    )
    assert is_running(shared.cluster)


def test_command_uses_the_server_that_runs(shared: Running) -> None:
    with available(shared.cluster):
        assert value(shared.cluster.app_url(), "SELECT 1") == 1
        assert shared.cluster.lock_file.read_text() == f"{os.getpid()}\n"
    assert is_running(shared.cluster)
    assert shared.server.is_alive()


def test_command_runs_the_database_for_itself(cluster: Cluster) -> None:
    told: list[str] = []
    with available(cluster, on_progress=told.append):
        assert value(cluster.app_url(), "SELECT 1") == 1
        with available(cluster), pytest.raises(ClusterInUse), running(cluster):
            pass
    assert told == ["Making the database (first start only)", "Starting PostgreSQL"]
    assert not is_running(cluster)


def test_command_stops_its_server_after_the_last_guest(made: Cluster) -> None:
    with ExitStack() as host, ExitStack() as guest:
        host.enter_context(available(made))
        guest.enter_context(available(made))
        leaving = threading.Thread(target=host.pop_all().close)
        leaving.start()
        inode = made.clients_lock_file.stat().st_ino
        wait_until(lambda: re.search(rf"-> FLOCK .*:{inode} ", Path("/proc/locks").read_text()))
        assert value(made.app_url(), "SELECT 1") == 1
        guest.close()
        leaving.join(60)
        assert not is_running(made)


def test_lock_is_not_kept_by_a_forked_child(cluster: Cluster) -> None:
    reader, writer = os.pipe()
    with lock.sole_supervisor(cluster):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the child does nothing that a thread could hold up
            child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent is done
            os._exit(0)
    with lock.sole_supervisor(cluster):
        assert lives(child)
    os.close(writer)
    os.close(reader)
    os.waitpid(child, 0)


# Ends and faults


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
    assert [file.name for file in made.socket_dir.iterdir()] == []


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
    assert told == ["Starting PostgreSQL"]


# Users and directories


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [
        (0o755, 90001, 90001, True),
        (0o711, 90001, 90001, True),
        (0o700, 90001, 90001, False),
        (0o750, 90001, 90001, False),
        (0o750, 90001, None, True),
        (0o705, 90001, None, False),
        (0o677, None, 90001, True),  # this user itself: root may, anybody else finds out by trying
    ],
)
def test_whether_an_account_can_reach_a_file(mode: int, uid: int | None, gid: int | None, expected: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(mode)
        status = Path(folder).stat()
        account = Account(status.st_uid if uid is None else uid, status.st_gid if gid is None else gid)
        assert account.can_reach(Path(folder) / "file") is expected


def test_programs_out_of_reach_are_copied_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    source = Binaries(tmp_path / "site", "18.6.3")
    for name in ("postgres", "initdb", "psql"):
        Path(source.program(name)).parent.mkdir(parents=True, exist_ok=True)
        Path(source.program(name)).touch(mode=0o700)
    for folder in ("embedded_postgres/pginstall/lib", "embedded_postgres/pginstall/share/timezone"):
        (source.site / folder).mkdir(parents=True)
        (source.site / folder / "file").touch(mode=0o600)
    copies, stranger = tmp_path / "copies", Account(90001, 90001)
    copy = reachable(source, stranger, copies)
    assert copy == Binaries(copies / "postgresql-18.6.3", "18.6.3")
    assert reachable(source, stranger, copies) == copy
    modes = {
        str(path.relative_to(copy.site / "embedded_postgres/pginstall")): stat.S_IMODE(path.stat().st_mode)
        for path in (copy.site / "embedded_postgres/pginstall").rglob("*")
    }
    assert modes == {
        "bin": 0o755,
        "bin/initdb": 0o755,
        "bin/postgres": 0o755,
        "lib": 0o755,
        "lib/file": 0o644,
        "share": 0o755,
        "share/timezone": 0o755,
        "share/timezone/file": 0o644,
    }
    assert [folder.name for folder in copies.iterdir()] == ["postgresql-18.6.3"]
    assert reachable(source, Account(os.geteuid(), os.getegid()), copies) == source


@pytest.mark.parametrize("reachable_by_all", [False, True])
def test_data_directory_within_and_out_of_reach(reachable_by_all: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755 if reachable_by_all else 0o700)
        cluster = Cluster(Path(folder) / "var")
        with running(cluster) as server:
            seen = value(cluster.url(roles.ADMIN), "SHOW data_directory")
            expected_in_place = reachable_by_all or os.geteuid() != 0
            assert seen == (str(cluster.pgdata) if expected_in_place else "/proc/self/cwd")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGHUP)  # its configuration is found again
            assert value(cluster.url(roles.ADMIN), "SELECT pg_reload_conf()") is True
            assert value(cluster.url(roles.ADMIN), "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NULL") == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_copy_that_root_cluster_is_given_to_postgres(made: Cluster) -> None:
    copy = Cluster(made.data_dir.with_name("copy"))
    shutil.copytree(made.data_dir, copy.data_dir)
    assert copy.home.stat().st_uid == 0
    with running(copy):
        assert value(copy.app_url(), "SELECT n FROM kept") == 7


def test_imports_no_django() -> None:
    script = "import sys, fluxgate_site.embedded_postgres; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)


def test_statement_of_roles_names_the_constants() -> None:
    statement = sql.SQL(roles._PRIVILEGES).as_string()
    assert {roles.OWNER, roles.APP, roles.DATABASE} == set(re.findall(r"\bfluxgate\w*", statement))
