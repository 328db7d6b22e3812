"""The files of an embedded database: making them, judging what an earlier start left, reading the log."""

import os
import secrets
import shutil
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

from fluxgate_site.embedded_postgres import account as os_user
from fluxgate_site.embedded_postgres import roles
from fluxgate_site.embedded_postgres.account import Account
from fluxgate_site.embedded_postgres.binaries import Binaries
from fluxgate_site.embedded_postgres.cluster import Cluster, ClusterError, require_private

LINES_SHOWN = 12


def prepare_directories(cluster: Cluster, account: Account) -> None:
    """Make the directories that PostgreSQL writes to, owned by `account`. Raises ClusterError if another user's."""
    home = cluster.home
    home.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0 and home.stat().st_uid == 0:  # new, or a copy that root made
        _give_to(account, home)
    owner = home.stat().st_uid
    if owner != account.uid:
        raise ClusterError(f"{home} belongs to user number {owner}: run FluxGate as that user or as root.")
    _make_directories(cluster, account, "socket", "log")
    socket_dir = cluster.socket_dir
    if socket_dir.parent != home:
        with suppress(FileExistsError):
            socket_dir.mkdir(mode=0o700)
        require_private(socket_dir)
        os.chown(socket_dir, account.uid, account.gid, follow_symlinks=False)


def initialize(cluster: Cluster, account: Account, binaries: Binaries) -> None:
    """Make `cluster.pgdata`, wholly or not at all. Raises ClusterError with initdb's last lines."""
    for draft in cluster.home.glob("new-*"):  # of an interrupted first start
        shutil.rmtree(draft, ignore_errors=True)
    draft = cluster.home / f"new-{secrets.token_hex(4)}"
    _make_directories(cluster, account, draft.name)
    command = [
        *(binaries.program("initdb"), "-D", as_postgres_sees(draft, account)),
        *("--username", roles.ADMIN, "--pwfile=/dev/stdin", "--auth=scram-sha-256"),
        *("--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--lc-messages=C"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]
    _run(cluster, account, command, cwd=draft, stdin=cluster.password(roles.ADMIN))
    _sync(cluster.data_dir / "passwords" / roles.ADMIN)
    draft.rename(cluster.pgdata)
    _sync(cluster.home)


def check_version(cluster: Cluster, binaries: Binaries) -> None:
    """Raise ClusterError, saying how to upgrade, unless these programs wrote the data directory."""
    try:
        found = (cluster.pgdata / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        found = ""
    if found == binaries.major:
        return
    if not found.isdecimal():
        raise ClusterError(
            f"{cluster.pgdata} holds no complete PostgreSQL database (its file PG_VERSION is missing or damaged): "
            f"restore a backup, or set FLUXGATE_DATA_DIR to a new directory."
        )
    raise ClusterError(
        f"{cluster.pgdata} was written by PostgreSQL {found}, but this FluxGate runs PostgreSQL {binaries.major}: "
        f"dump it with pg_dump while running the FluxGate that wrote it and restore that with this one into a new "
        f"FLUXGATE_DATA_DIR, or start with a new directory."
    )


def postmaster_pid(cluster: Cluster) -> int | None:
    """Return the process that last said it serves the data directory, dead or alive."""
    try:
        return int((cluster.pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def works_in(pid: int, directory: Path) -> bool:
    """Whether the process lives and `directory` is its working directory, as PGDATA is of every PostgreSQL process."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", directory)
    except OSError:
        return False


def remove_stale_names(cluster: Cluster) -> None:
    """Remove what a dead postmaster left. Call it only when no postmaster of this cluster lives.

    PostgreSQL removes these itself, except when the number that they hold is another program's by now, which is
    usual in containers, where the same few numbers come back.
    """
    pid = postmaster_pid(cluster)
    if pid is not None and Path(f"/proc/{pid}").exists():
        (cluster.pgdata / "postmaster.pid").unlink(missing_ok=True)
    for file in cluster.socket_dir.glob(".s.PGSQL.*"):
        file.unlink(missing_ok=True)


def as_postgres_sees(directory: Path, account: Account) -> str:
    """Return the path by which a process of `account` can enter `directory`, its working directory."""
    return str(directory) if account.can_reach(directory / "PG_VERSION") else "/proc/self/cwd"


def open_start_log(cluster: Cluster) -> IO[bytes]:
    """Open the log of one start for writing, emptied."""
    descriptor = os.open(cluster.start_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(descriptor, "wb")


def failure(cluster: Cluster, what: str) -> ClusterError:
    """Return an error that shows the last lines of the logs."""
    logs = sorted(cluster.log_dir.glob("*.log"), key=lambda file: file.stat().st_mtime)
    lines = [line for file in (cluster.start_log, *logs[-1:]) for line in _last_lines(file)]
    return ClusterError("\n".join([f"{what}. The last lines of its log:", *lines]))


def _last_lines(file: Path) -> list[str]:
    try:
        with file.open(errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, LINES_SHOWN)]
    except FileNotFoundError:
        return []


def _give_to(account: Account, directory: Path) -> None:
    # Bottom up: while root walks through it, nobody else can change it.
    for folder, folders, names in os.walk(directory, topdown=False):
        for name in (*folders, *names):
            os.chown(Path(folder, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(directory, account.uid, account.gid, follow_symlinks=False)


def _make_directories(cluster: Cluster, account: Account, *names: str) -> None:
    # As the account itself, so that root follows nothing that the account may have put there.
    mkdir = shutil.which("mkdir", path=os.defpath) or "/bin/mkdir"
    _run(cluster, account, [mkdir, "-p", "-m", "700", *names], cwd=cluster.home)


def _run(cluster: Cluster, account: Account, command: list[str], *, cwd: Path, stdin: str = "") -> None:
    reader, writer = os.pipe()
    try:
        with os.fdopen(writer, "w") as pipe:
            pipe.write(stdin)  # far less than a pipe holds
        if account.uid != os.geteuid():
            os.fchown(reader, account.uid, account.gid)  # initdb opens /dev/stdin by its name
        with open_start_log(cluster) as log:
            process = os_user.start(command, account, cwd=cwd, stdin=reader, output=log)
    finally:
        os.close(reader)
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if status != 0:
        raise failure(cluster, f"{Path(command[0]).name} failed with status {status}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
