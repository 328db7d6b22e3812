"""What the tests of the SDK share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from ingest import KEY, IngestServer

from fluxgate_sdk import FluxGate


@pytest.fixture(scope="session", autouse=True)
def quick_collections() -> None:
    """Spare `gc.collect()`, which many tests call, the hundred thousands of objects of the providers' packages."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def server() -> Iterator[IngestServer]:
    with IngestServer() as server:
        yield server


@pytest.fixture
def fluxgate(server: IngestServer) -> Iterator[FluxGate]:
    client = FluxGate(KEY, server.url)
    yield client
    client.close(0)
