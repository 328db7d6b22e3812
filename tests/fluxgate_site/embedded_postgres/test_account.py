"""The user that PostgreSQL runs as, and directories that it cannot reach."""

import os
import shutil
import signal
import stat
import tempfile
from pathlib import Path

import pytest

from fluxgate_site.embedded_postgres import Cluster, roles, running
from fluxgate_site.embedded_postgres.account import Account
from fluxgate_site.embedded_postgres.binaries import Binaries, reachable
from tests.fluxgate_site.embedded_postgres.servers import value


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
