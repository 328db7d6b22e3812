"""Where everything of one embedded database lies, and how to sign in to it. Starts nothing."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from fluxgate_site.embedded_postgres import roles
from fluxgate_site.secret_key import load_or_create

SOCKET_PATH_BYTES = 100  # Linux has room for 107, macOS for 103
PORT = 5432  # only a part of the socket's name
_SOCKET_NAME = f".s.PGSQL.{PORT}"
_PLAIN_IN_URL = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")


class ClusterError(Exception):
    """The database cannot be started or used; the text says why and what to do."""


@dataclass(frozen=True)
class Cluster:
    """Where everything of one data directory lies. A relative `data_dir` counts from the working directory."""

    data_dir: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", Path(self.data_dir).resolve())

    @property
    def home(self) -> Path:
        """The directory that belongs to PostgreSQL's user."""
        return self.data_dir / "postgres"

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / "data"

    @property
    def log_dir(self) -> Path:
        """PostgreSQL's log, one file per weekday."""
        return self.home / "log"

    @property
    def start_log(self) -> Path:
        """What initdb or the last start said before the log was open."""
        return self.data_dir / "postgres-start.log"

    @property
    def lock_file(self) -> Path:
        """Locked by, and holding the pid of, the process that runs the database."""
        return self.data_dir / "server.lock"

    @property
    def clients_lock_file(self) -> Path:
        """Locked, shared, by commands that use a database which another process runs."""
        return self.data_dir / "clients.lock"

    @property
    def socket_dir(self) -> Path:
        """The directory of the socket: in the data directory, or a short private one if that path is too long."""
        own = self.home / "socket"
        # libpq would take a comma for the end of a host's name.
        if len(os.fsencode(own / _SOCKET_NAME)) <= SOCKET_PATH_BYTES and "," not in str(own):
            return own
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        if os.geteuid() == 0 and Path("/run").is_dir():
            return Path(f"/run/fluxgate-{digest}")
        # Not the environment's idea of a temporary directory: every process must come to the same path.
        return Path(f"/tmp/fluxgate-{os.geteuid()}-{digest}")  # noqa: S108

    def password(self, role: str) -> str:
        """The password of one role, made on the first call. Raises OSError if the data directory is not ours."""
        folder = self.data_dir / "passwords"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return load_or_create(folder / role)

    def url(self, role: str, database: str = roles.DATABASE) -> str:
        """A libpq URL. Raises ClusterError if somebody else owns the socket's directory.

        django-environ reads it too, but leaves the host percent-encoded: unquote it once. Capital letters are encoded
        as well, because urllib lowers a host's name.
        """
        if self.socket_dir.parent != self.home and self.socket_dir.exists():
            require_private(self.socket_dir)
        octets = os.fsencode(self.socket_dir)
        host = "".join(chr(octet) if octet in _PLAIN_IN_URL else f"%{octet:02x}" for octet in octets)
        return f"postgresql://{role}:{self.password(role)}@{host}:{PORT}/{database}"

    def owner_url(self) -> str:
        """For migrations and tests: the role that owns the database."""
        return self.url(roles.OWNER)

    def app_url(self) -> str:
        """For the running application: may read and write rows, nothing else."""
        return self.url(roles.APP)


def require_private(directory: Path) -> None:
    """Raise ClusterError unless `directory` is one, not a link to one, that only its owner, ours, can enter.

    Root accepts any owner: its directories lie where only root can have made them.
    """
    status = directory.lstat()
    owned = os.geteuid() in (0, status.st_uid)
    if not stat.S_ISDIR(status.st_mode) or not owned or status.st_mode & 0o077:
        raise ClusterError(
            f"{directory} is not a private directory of this user: remove it, or set FLUXGATE_DATA_DIR to a directory "
            f"with a shorter path, so that the database's socket can lie there."
        )
