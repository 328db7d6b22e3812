"""Where an embedded database lies, and how its URL is read."""

import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import environ
import pytest
from psycopg.conninfo import conninfo_to_dict

from fluxgate_site.embedded_postgres import Cluster, ClusterError, running
from tests.fluxgate_site.embedded_postgres.servers import REPOSITORY, value


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


def test_imports_no_django() -> None:
    script = "import sys, fluxgate_site.embedded_postgres; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)
