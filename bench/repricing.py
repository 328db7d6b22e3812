"""P16: re-pricing stored events, through `manage.py serve` and its jobs process, while batches keep coming in.

A million events of one model get another price by a correction; the figure is how many of them the job changed per
second, from its first page to its last. Afterwards the rollups must equal the events.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

from bench.report import report
from tests import stored_prices
from tests.real_server import RealServer, wait_for
from tests.wire_client import WireClient, event

EVENTS = 1_000_000
BATCH = 100
PAUSE_SECONDS = 0.1
ROUNDS = 2


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="fluxgate-bench-") as folder:
        server = RealServer(Path(folder) / "var").start()
        try:
            _measure(server)
        finally:
            server.stop()
    return 0


def _measure(server: RealServer) -> None:
    key = stored_prices.fill(server, "bench", EVENTS)
    alone = [_reprice(server, f"5.0{number}") for number in range(ROUNDS)]
    with _Ingest(server.port, key) as ingest:
        beside = [_reprice(server, f"6.0{number}") for number in range(ROUNDS)]
    sent = ingest.per_second()
    audit = server.command("audit")
    rows = [
        ("re-priced per second, ingestion going on", f"{statistics.median(beside):,.0f}", "≥ 20,000"),
        ("ingested per second meanwhile", f"{sent:,.0f}", ""),
        ("re-priced per second, nothing else going on", f"{statistics.median(alone):,.0f}", ""),
        ("audit", audit, ""),
    ]
    figures = {"beside": beside, "alone": alone, "ingested_per_second": sent, "audit": audit}
    report("repricing", f"Re-pricing {EVENTS:,} events", ("what", "figure", "limit"), rows, figures)


def _reprice(server: RealServer, usd: str) -> float:
    """Events per second of one job."""
    stored_prices.correct(server, usd)
    wait_for(lambda: stored_prices.jobs(server)[0][2] is not None, 600, lambda: server.log)
    _, changed, seconds = stored_prices.jobs(server)[0]
    assert seconds
    return changed / seconds


class _Ingest:
    """Batches at a steady pace until the block ends."""

    def __init__(self, port: int, key: str) -> None:
        self._client = WireClient(port, key)
        self._body = json.dumps({"events": [event()] * BATCH}).encode()
        self._stop = Event()
        self._thread = Thread(target=self._run)
        self._sent = 0
        self._began = self._ended = 0.0

    def __enter__(self) -> "_Ingest":
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._ended = time.perf_counter()

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            answer = self._client.post("/api/events/batch", self._body)
            assert answer
            assert answer.status == 200, answer.body
            self._sent += BATCH

    def per_second(self) -> float:
        return self._sent / (self._ended - self._began)


if __name__ == "__main__":
    sys.exit(main())
