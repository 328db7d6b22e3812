"""The supervisor: starts PostgreSQL, waits for it, stops it."""

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from fluxgate_site.embedded_postgres import account as os_user
from fluxgate_site.embedded_postgres import binaries, files, lock, roles
from fluxgate_site.embedded_postgres.cluster import PORT, Cluster, ClusterError, require_private

START_LIMIT_S = 300.0
STOP_LIMIT_S = 60.0
PATIENCE_S = 3.0
_POLL_S = 0.05
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "../log",
    "log_filename": "postgresql-%a.log",  # seven files; each is emptied when its weekday comes again
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    # Statements and details hold customers' values. The message alone is logged, which also bounds its size.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "cluster_name": "fluxgate",
}
# What a start says while processes of a killed server are still on their way out.
_LEFTOVERS = ("pre-existing shared memory block", 'lock file "postmaster.pid"')

Progress = Callable[[str], None]


def silent(message: str) -> None:
    """Take no notice of progress."""


class Server:
    """A PostgreSQL process of ours. Use `running`, which starts it and stops it for certain."""

    def __init__(self, cluster: Cluster, on_progress: Progress) -> None:
        self._cluster = cluster
        self._on_progress = on_progress
        try:
            self._account = os_user.account_for(cluster.home)
            self._binaries = binaries.reachable(binaries.installed(), self._account)
        except (LookupError, OSError) as error:
            raise ClusterError(f"PostgreSQL's programs cannot be run: {error}") from error
        self._process: subprocess.Popen[bytes] | None = None
        # The death signal comes when the thread that started PostgreSQL ends, so that must not be the caller's.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres")

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, or None before the first start."""
        return self._process.pid if self._process else None

    def poll(self) -> int | None:
        """Return the exit status (negative: the signal that killed it), or None while it runs or before its start."""
        return self._process.poll() if self._process else None

    def is_alive(self) -> bool:
        """Whether the process lives. It may still be recovering: `is_running` tells whether it answers."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers; make the cluster first if there is none. Raises ClusterError."""
        files.prepare_directories(self._cluster, self._account)
        if not self._cluster.pgdata.exists():
            self._on_progress("Making the database (first start only)")
            files.initialize(self._cluster, self._account, self._binaries)
        files.check_version(self._cluster, self._binaries)
        self._start_process()
        try:
            roles.prepare(self._cluster.url, self._cluster.password)
        except psycopg.OperationalError as error:
            raise ClusterError(f"The roles of {self._cluster.pgdata} could not be prepared: {error}") from error

    def restart(self) -> None:
        """Start again, after it was killed or while it runs, and wait out crash recovery. Raises ClusterError."""
        self.stop()
        self._start_process()

    def stop(self) -> None:
        """Stop it as `pg_ctl stop -m fast` does, harder after 60 s. Does nothing if it does not run."""
        self._starter.submit(silent, "").result()  # an interrupted start may still be under way
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process is None or self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._on_progress(f"PostgreSQL does not stop on {number.name}")

    def _start_process(self) -> None:
        """Start until it answers, as often as leftovers of a killed server make it fail, for at most 300 s."""
        self._on_progress("Starting PostgreSQL")
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            self._end_orphan(deadline)
            files.remove_stale_names(self._cluster)
            self._starter.submit(self._launch).result()
            if self._wait_until_ready(deadline):
                return
            said = self._cluster.start_log.read_text(errors="replace")
            if time.monotonic() > deadline or not any(words in said for words in _LEFTOVERS):
                self.stop()
                raise files.failure(self._cluster, "PostgreSQL did not start")
            self._on_progress("Waiting for the processes of a killed PostgreSQL to end")
            time.sleep(0.25)

    def _launch(self) -> None:
        settings = [argument for name, value in _SETTINGS.items() for argument in ("-c", f"{name}={value}")]
        pgdata, socket_dir = self._cluster.pgdata, self._cluster.socket_dir
        command = [
            *(self._binaries.program("postgres"), "-D", files.as_postgres_sees(pgdata, self._account)),
            *("-k", "../socket" if socket_dir.parent == self._cluster.home else str(socket_dir)),
            *settings,
        ]
        with files.open_start_log(self._cluster) as log:
            # Assigned here, not by the caller, who may be interrupted while it waits.
            self._process = os_user.start(command, self._account, cwd=pgdata, output=log, death_signal=signal.SIGINT)

    def _wait_until_ready(self, deadline: float) -> bool:
        """Wait while the process lives, however long it recovers; False if it ends, or is mute until the deadline."""
        tell_at = time.monotonic() + PATIENCE_S
        while self.is_alive():
            answer, now = _ping(self._cluster), time.monotonic()
            if answer == pq.Ping.OK:
                return True
            if answer == pq.Ping.REJECT:
                deadline = math.inf  # SQLSTATE 57P03: it recovers, or will end
            if now > deadline:
                return False
            if now > tell_at:
                self._on_progress("PostgreSQL is still starting; after a crash this can take minutes")
                tell_at = math.inf
            time.sleep(_POLL_S)
        return False

    def _end_orphan(self, deadline: float) -> None:
        """Stop a postmaster that has outlived its supervisor."""
        signals = iter((signal.SIGINT, signal.SIGQUIT))
        next_signal_at = time.monotonic()
        while (pid := files.postmaster_pid(self._cluster)) and files.works_in(pid, self._cluster.pgdata):
            now = time.monotonic()
            if now > deadline:
                raise files.failure(self._cluster, f"The PostgreSQL of an earlier start (process {pid}) does not stop")
            if now >= next_signal_at and (number := next(signals, None)):
                self._on_progress(f"Waiting for the PostgreSQL of an earlier start (process {pid}) to stop")
                next_signal_at = now + STOP_LIMIT_S
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(_POLL_S)


def is_running(cluster: Cluster) -> bool:
    """Whether a server answers on the socket and takes connections (not while it starts, recovers or stops)."""
    return _ping(cluster) == pq.Ping.OK


@contextmanager
def running(cluster: Cluster, *, on_progress: Progress = silent) -> Iterator[Server]:
    """Run the database while the body runs, making it on the first use, and stop it whatever the body raises.

    Raises ClusterInUse at once if another process runs it, ClusterError if it cannot be started. Signals other than
    SIGINT are the caller's business.
    """
    with lock.sole_supervisor(cluster), _started(cluster, on_progress) as server:
        yield server


@contextmanager
def available(cluster: Cluster, *, on_progress: Progress = silent) -> Iterator[None]:
    """For a command of its own: use the database that another process runs, or else run it while the body runs.

    Waits up to 300 s for another process that is starting or stopping it, then raises ClusterInUse. If other commands
    use the database that this one has started, it is stopped after the last of them.
    """
    deadline = time.monotonic() + START_LIMIT_S
    with ExitStack() as stack:
        while not _joined(cluster, stack):
            try:
                stack.enter_context(lock.sole_supervisor(cluster))
            except lock.ClusterInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
            else:
                wait_for_clients = stack.enter_context(lock.host(cluster))
                stack.enter_context(_started(cluster, on_progress))
                stack.callback(wait_for_clients)
                break
        yield


@contextmanager
def _started(cluster: Cluster, on_progress: Progress) -> Iterator[Server]:
    server = Server(cluster, on_progress)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        if cluster.socket_dir.parent != cluster.home:
            with suppress(OSError, ClusterError):
                require_private(cluster.socket_dir)
                cluster.socket_dir.rmdir()


def _joined(cluster: Cluster, stack: ExitStack) -> bool:
    """Become a client for as long as `stack`, if the application can sign in."""
    with ExitStack() as attempt:
        attempt.enter_context(lock.client(cluster))
        try:
            psycopg.connect(cluster.app_url(), connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        stack.push(attempt.pop_all())
    return True


def _ping(cluster: Cluster) -> pq.Ping:
    # A ping ends before the password is asked for, so it neither needs nor logs one.
    conninfo = make_conninfo(
        host=str(cluster.socket_dir), port=PORT, user=roles.ADMIN, dbname="postgres", connect_timeout=2
    )
    return pq.Ping(pq.PGconn.ping(conninfo.encode()))
