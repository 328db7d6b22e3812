"""Servers in temporary directories."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxgate_site.embedded_postgres import Cluster, running
from tests.fluxgate_site.embedded_postgres.servers import Running, execute


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that tests may read and write, but not stop."""
    cluster = Cluster(tmp_path_factory.mktemp("shared"))
    with running(cluster) as server:
        yield Running(cluster, server)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "var")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that was used once, to be copied: initdb takes longer than a copy."""
    cluster = Cluster(tmp_path_factory.mktemp("template") / "var")
    with running(cluster):
        execute(cluster.owner_url(), "CREATE TABLE kept (n int)")
        execute(cluster.app_url(), "INSERT INTO kept VALUES (7)")
    return cluster.data_dir


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A stopped cluster with the table `kept`, which holds the number 7."""
    subprocess.run(["cp", "-a", template, tmp_path / "made"], check=True)
    cluster = Cluster(tmp_path / "made")
    yield cluster
    if cluster.socket_dir.parent != cluster.home:  # of a supervisor that the test killed
        shutil.rmtree(cluster.socket_dir, ignore_errors=True)
