"""The SDK's delivery against the real server: what was recorded while it was away is stored, once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fluxgate_sdk import FluxGate

from tests.real_server import RealServer, started_once

pytestmark = pytest.mark.xdist_group("server")

EVENTS = 10_000
SECONDS = 120.0
"""Far beyond what is expected; nothing is judged by it."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    running = RealServer(started_once(tmp_path / "var")).start()
    yield running
    assert running.process is not None
    if running.process.poll() is None:
        running.stop()


def event(number: int, **usage: Any) -> dict[str, Any]:
    return {
        "usage": {"provider": "openai", "model": "gpt-4o", "input_tokens": 1200, "output_tokens": 350, **usage},
        "metadata": {"feature": "chat-assistant", "user": f"user-{number % 7}", "number": number},
    }


def test_what_was_recorded_while_the_server_was_away_is_stored_once(server: RealServer) -> None:
    server.command("create_organization", "Acme", "--slug", "acme", "--owner", "owner@acme.example")
    key = server.command("create_api_key", "acme", "--name", "sdk")
    with FluxGate(key, server.url, timeout=30) as fluxgate:
        known = fluxgate.record_event(event(-1, cached_tokens=1000))
        assert known is not None
        assert str(known.cost) == "0.00525"
        server.kill()
        server.kill_postgres()
        responses = [fluxgate.enqueue(event(number)) for number in range(EVENTS)]
        assert fluxgate.flush(0) is False
        server.start()
        assert fluxgate.flush(SECONDS)
        stats = fluxgate.stats
    assert (stats.sent, dict(stats.dropped)) == (EVENTS + 1, {})
    assert len({response.tracking_id for response in responses}) == EVENTS
    assert {str(response.cost) for response in responses} == {"0.0065"}
    with server.connect() as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT metadata->>'number') FROM event").fetchone()
    assert found == (EVENTS + 1, EVENTS + 1)
