"""What a program calls: it gets answers, or None, and never an exception."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from datetime import datetime, timezone
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ingest import KEY, Fault, IngestServer, an_event
from programs import SOURCE, run

import fluxgate_sdk
from fluxgate_sdk import FluxGate

LONG = 60.0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"api_key": ""}, "api_key"),
        ({"api_key": None}, "api_key"),
        ({"api_key": KEY, "endpoint": "localhost"}, "endpoint"),
        ({"api_key": KEY, "timeout": 0}, "timeout"),
        ({"api_key": KEY, "timeout": "5"}, "timeout"),
        ({"api_key": KEY, "queue_size": -1}, "queue_size"),
    ],
)
def test_a_wrong_argument_is_an_error_at_construction(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        FluxGate(**arguments)


def test_record_event_returns_the_servers_answer(fluxgate: FluxGate, server: IngestServer) -> None:
    response = fluxgate.record_event(an_event())
    assert response is not None
    (key, stored), *_ = server.stored.items()
    assert (response.status, response.cost) == ("SUCCESS", Decimal("0.00525"))
    assert response.tracking_id == f"evt_{key}"
    assert response.created_at == datetime(2026, 5, 5, 10, 0, 0, 123000, timezone.utc)
    assert server.requests[0].path == "/api/events"
    assert stored["usage"]["inputTokens"] == 1200
    sent_at = datetime.fromisoformat(stored["metadata"]["timestamp"])
    assert abs((datetime.now(timezone.utc) - sent_at).total_seconds()) < LONG


def test_a_timestamp_of_ones_own_is_kept(fluxgate: FluxGate, server: IngestServer) -> None:
    at = datetime(2026, 5, 5, 10, tzinfo=timezone.utc)
    fluxgate.record_event(an_event(timestamp=at))
    assert next(iter(server.stored.values()))["metadata"]["timestamp"] == at.isoformat()


def test_arecord_event_returns_the_answer_too(fluxgate: FluxGate, server: IngestServer) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*(fluxgate.arecord_event(an_event(number)) for number in range(20)))

    assert {response.cost for response in asyncio.run(main())} == {Decimal("0.00525")}
    assert len(server.stored) == 20


def test_a_cancelled_arecord_event_is_delivered_all_the_same(server: IngestServer) -> None:
    released = threading.Event()
    server.fail(Fault(until=released))

    async def main(fluxgate: FluxGate) -> None:
        recording = asyncio.ensure_future(fluxgate.arecord_event(an_event()))
        await asyncio.get_running_loop().run_in_executor(None, server.arrived.acquire)
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording

    with FluxGate(KEY, server.url, timeout=LONG) as fluxgate:
        asyncio.run(main(fluxgate))
        released.set()
        assert fluxgate.flush(LONG)
    assert len(server.stored) == 1


@pytest.mark.parametrize(
    "fault",
    [Fault(503, commits=True), Fault(500), Fault(hangs_up=True), Fault(200, body=b"<html>"), Fault(415), Fault(404)],
)
def test_without_an_answer_the_event_is_sent_again_in_the_background(
    fluxgate: FluxGate, server: IngestServer, fault: Fault
) -> None:
    server.fail(fault)
    assert fluxgate.record_event(an_event()) is None
    assert fluxgate.flush(LONG)
    assert len(server.stored) == 1
    assert fluxgate.stats.sent == 1
    assert fluxgate.stats.dropped == {}


@pytest.mark.parametrize(
    ("event", "reason", "message"),
    [
        (None, "invalid", "AttributeError"),
        ({"usage": None}, "invalid", "usage: must be a mapping"),
        ({"usage": {}, "metadata": "text"}, "invalid", "metadata: must be a mapping"),
        ({"usage": {}, "metadata": {("a", "b"): 1}}, "unencodable", ""),
    ],
)
def test_what_is_no_event_raises_nothing(fluxgate: FluxGate, event: Any, reason: str, message: str) -> None:
    assert fluxgate.record_event(event) is None
    response = fluxgate.enqueue(event)
    assert response.wait(LONG)
    assert response.status == "ERROR"
    assert message in str(response.error_message)
    assert asyncio.run(fluxgate.arecord_event(event)) is None
    assert fluxgate.stats.dropped == {reason: 3}


def test_a_refused_event_is_none_and_is_said(
    fluxgate: FluxGate, server: IngestServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail(Fault(422, body=b'{"error": {"message": "usage.inputTokens: is required"}}'))
    assert fluxgate.record_event({"usage": {}}) is None
    assert fluxgate.stats.dropped == {"rejected": 1}
    assert "usage.inputTokens: is required" in caplog.text
    assert fluxgate.flush(LONG)
    assert len(server.requests) == 1


def test_a_refused_key_ends_the_sending(
    fluxgate: FluxGate, server: IngestServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail(Fault(401, body=b'{"error": {"message": "there is no such API key"}}'))
    for _ in range(3):
        assert fluxgate.record_event(an_event()) is None
    assert asyncio.run(fluxgate.arecord_event(an_event())) is None
    assert fluxgate.flush(LONG)
    assert len(server.requests) == 1
    assert fluxgate.stats.dropped == {"unauthorized": 4}
    assert caplog.text.count("there is no such API key") == 1


def test_the_breaker_keeps_callers_from_waiting_for_a_dead_server(server: IngestServer) -> None:
    server.stop()
    fluxgate = FluxGate(KEY, server.url)
    for _ in range(5):
        assert fluxgate.record_event(an_event()) is None
    retries = fluxgate.stats.retries
    # Open now: neither of them tries or waits.
    assert fluxgate.record_event(an_event()) is None
    assert asyncio.run(fluxgate.arecord_event(an_event())) is None
    assert fluxgate.stats.retries - retries <= 1
    assert fluxgate.stats.pending == 7
    server.start()
    assert fluxgate.flush(LONG)
    assert len(server.stored) == 7
    fluxgate.close()


def test_usage_is_recorded_with_all_its_digits(fluxgate: FluxGate, server: IngestServer) -> None:
    at = datetime(2026, 1, 15, 10, 30, tzinfo=timezone.utc)
    server.fail(Fault(503), Fault(hangs_up=True, commits=True))
    exact = fluxgate.track_usage(
        "550e8400", "cust_123", Decimal("123456789.123456789"), "req_1", timestamp=at, metadata={"seat": "a"}
    )
    assert fluxgate.flush(LONG)
    assert exact.tracking_id == "use_req_1"
    assert exact.cost is None
    request = server.requests[-1]
    assert request.path == "/api/v1/sdk/track"
    assert request.body == {
        "quantity": 123456789.123456789,
        "meter_token": "550e8400",
        "customer_external_id": "cust_123",
        "timestamp": "2026-01-15T10:30:00+00:00",
        "idempotency_key": "req_1",
        "metadata": {"seat": "a"},
    }
    assert [r.keys for r in server.requests] == [("req_1",)] * 3


@pytest.mark.parametrize(
    ("quantity", "text"),
    [(1, b"1"), (0.1, b"0.1"), (1e-9, b"0.000000001"), (Decimal("1E+3"), b"1000"), (Decimal("0.10"), b"0.10")],
)
def test_quantities_are_written_as_they_are_meant(quantity: Any, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with FluxGate(KEY, "http://127.0.0.1:9") as fluxgate:
        handed: list[Any] = []
        monkeypatch.setattr(fluxgate._delivery, "submit", handed.append)
        fluxgate.track_usage("m", "c", quantity)
        assert handed[0].payload.startswith(b'{"quantity":' + text + b",")


@pytest.mark.parametrize("quantity", [0, -1, float("nan"), Decimal("Infinity"), True, "3", None])
def test_a_quantity_that_is_none_raises_nothing(fluxgate: FluxGate, quantity: Any) -> None:
    response = fluxgate.track_usage("m", "c", quantity)
    assert "quantity: must be a" in str(response.error_message)
    assert fluxgate.stats.dropped == {"invalid": 1}


def test_debug_says_what_happens_and_neither_keys_nor_content(
    server: IngestServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "fluxgate")
    server.fail(Fault(503))
    with FluxGate(KEY, server.url, debug=True) as fluxgate:
        fluxgate.record_event(an_event(secret="the customer's words"))
    assert "[fluxgate] /api/events: HTTP 503" in caplog.text
    assert KEY not in caplog.text
    assert "words" not in caplog.text


def test_debug_is_seen_in_a_program_without_logging(server: IngestServer, tmp_path: Path) -> None:
    program = """
with FluxGate(KEY, 'http://127.0.0.1:9', debug=True) as client:
    client.record_event(EVENT)
    client.close(0)
"""
    done = run(tmp_path, program, server.url, KEY)
    assert "[fluxgate] /api/events: ConnectionRefusedError" in done.stderr


def test_a_misspelt_word_of_a_context_is_refused(fluxgate: FluxGate) -> None:
    misspelt: Any = {"featur": "chat"}
    with pytest.raises(
        TypeError, match=r"track\(\) got an unexpected keyword argument 'featur'; it takes conversation_id"
    ):
        fluxgate.track("acme", **misspelt)


def test_importing_imports_no_provider_and_nothing_beyond_the_standard_library() -> None:
    program = "import sys, fluxgate_sdk; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"__main__", "fluxgate_sdk"}
    assert not {name for name in loaded if not name.startswith("_")}


def test_every_public_name_is_there_and_no_other_is_found() -> None:
    providers = {name for name in fluxgate_sdk.__all__ if name.startswith("create_")}
    assert all(hasattr(fluxgate_sdk, name) for name in set(fluxgate_sdk.__all__) - providers)
    # Importing them takes seconds; their own tests do.
    assert all(find_spec(f"fluxgate_sdk.providers.{name.split('_')[1]}") for name in providers)
    with pytest.raises(AttributeError, match="create_mistral_cost_tracker"):
        getattr(fluxgate_sdk, "create_mistral" + "_cost_tracker")
