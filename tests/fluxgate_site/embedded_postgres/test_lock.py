"""One server for each directory, and commands that share it."""

import os
import re
import threading
import warnings
from contextlib import ExitStack
from pathlib import Path

import pytest

from fluxgate_site.embedded_postgres import Cluster, ClusterInUse, available, is_running, lock, running
from tests.fluxgate_site.embedded_postgres.servers import Running, lives, value, wait_until


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
    assert told[:2] == ["Making the database (first start only)", "Starting PostgreSQL"]
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
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    with lock.sole_supervisor(cluster):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the child does nothing that a thread could hold up
            child = os.fork()
        if child == 0:
            held = [
                file for file in Path("/proc/self/fd").iterdir() if os.path.realpath(file) == str(cluster.lock_file)
            ]
            os.write(to_parent, b"%d" % len(held))
            os.close(to_child)
            os.read(from_parent, 1)  # until the parent is done
            os._exit(0)
        assert os.read(from_child, 1) == b"0"
    with lock.sole_supervisor(cluster):
        assert lives(child)
    for descriptor in (to_child, from_parent, from_child, to_parent):
        os.close(descriptor)
    os.waitpid(child, 0)
