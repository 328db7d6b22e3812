"""Who runs the embedded database, and who uses it: advisory locks that the kernel releases when their holder ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fluxgate_site.embedded_postgres.cluster import Cluster, ClusterError

_descriptors: set[int] = set()


class ClusterInUse(ClusterError):
    """Another process runs the database of this data directory; the text names both and says what to do."""


@contextmanager
def sole_supervisor(cluster: Cluster) -> Iterator[None]:
    """Be the one process that runs the database. Raises ClusterInUse at once if there is one already."""
    with _opened(cluster.lock_file) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterInUse(
                f"The data directory {cluster.data_dir} is in use by {_holder(cluster.lock_file)}: "
                f"stop that process, or set FLUXGATE_DATA_DIR to another directory."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield


@contextmanager
def client(cluster: Cluster) -> Iterator[None]:
    """Keep a database that another command runs from being stopped. Waits while it is being stopped."""
    with _opened(cluster.clients_lock_file) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def host(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """Yield a function that waits until the last client is done; from then on none gets in until the body ends."""
    with _opened(cluster.clients_lock_file) as descriptor:
        yield lambda: fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _descriptors.add(descriptor)
    try:
        yield descriptor
    finally:
        if descriptor in _descriptors:
            _descriptors.remove(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also if a child that is only just forked still has the file
            os.close(descriptor)


def _holder(path: Path) -> str:
    pid = path.read_text().strip()
    return f"process {pid}" if pid else "another process"


def _forget_in_child() -> None:
    # A forked child shares the open file, and with it the lock, which would outlive its real holder.
    while _descriptors:
        os.close(_descriptors.pop())


os.register_at_fork(after_in_child=_forget_in_child)
