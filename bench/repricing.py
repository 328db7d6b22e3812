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

import psycopg

from bench.report import report
from tests.real_server import RealServer, wait_for
from tests.wire_client import WireClient, event

EVENTS = 300_000
BATCH = 100
PAUSE_SECONDS = 0.1
ROUNDS = 2

# Written by the database itself: what is measured comes later.
FILL = """INSERT INTO event (id, slot, organization_id, environment, api_key_id, received_at, status, service_tier,
    input_tokens, output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, latency_ms,
    cost_picousd, price_status, rate_card_id, pricing_revision, feature, step, session_id, conversation_id, provider,
    model)
SELECT id, get_byte(uuid_send(id), 15), %(organization)s, 0, 0, now(), 0, 0, 1200, 350, 1000, 0, 0, 0, 800,
    5250000000, 'priced', 1, %(revision)s, 'feature-' || n %% 20, '', 's-' || n %% 1000, '', 'openai', 'gpt-4o'
FROM (SELECT n, uuidv7(n * interval '2.5 seconds' - interval '30 days') AS id FROM generate_series(1, %(events)s) n) e"""
CORRECT = """
from datetime import UTC, datetime
from decimal import Decimal
from events import price_changes
from pricing import entries
from pricing.importers.rows import RateRow
rates = entries.NewRates(provider="openai", model="gpt-4o", source_url="https://bench.example",
    rates=(RateRow("input", 0, Decimal("{usd}")), RateRow("output", 0, Decimal("20"))))
now = datetime.now(UTC)
by = entries.Entered(now=now, author_id=None, note="bench")
price_changes.publish(lambda: entries.correct_price(rates, by), now=now)
"""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="fluxgate-bench-") as folder:
        server = RealServer(Path(folder) / "var").start()
        try:
            _measure(server)
        finally:
            server.stop()
    return 0


def _measure(server: RealServer) -> None:
    made = json.loads(server.command("create_organization", "Bench", "--slug", "b", "--owner", "o@bench.example"))
    key = server.command("create_api_key", "b", "--name", "bench")
    with server.connect() as connection:
        _fill(connection, made)
        server.command("rebuild_usage")
        alone = [_reprice(server, connection, f"5.0{number}") for number in range(ROUNDS)]
        with _Ingest(server.port, key) as ingest:
            beside = [_reprice(server, connection, f"6.0{number}") for number in range(ROUNDS)]
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


def _fill(connection: psycopg.Connection[tuple[object, ...]], made: dict[str, object]) -> None:
    newest = connection.execute("SELECT max(id) FROM pricing_revision").fetchone()
    organization = connection.execute("SELECT id FROM organization").fetchone()
    assert newest
    assert organization
    connection.execute(FILL, {"organization": organization[0], "revision": newest[0], "events": EVENTS})
    connection.execute("VACUUM ANALYZE event")


def _reprice(server: RealServer, connection: psycopg.Connection[tuple[object, ...]], usd: str) -> float:
    """Events per second of one job."""
    server.command("shell", "-c", CORRECT.format(usd=usd))
    newest = "SELECT changed, extract(epoch FROM finished_at - started_at) FROM reprice_job ORDER BY id DESC LIMIT 1"

    def finished() -> bool:
        row = connection.execute(newest).fetchone()
        return row is not None and row[1] is not None

    wait_for(finished, 600, lambda: server.log)
    row = connection.execute(newest).fetchone()
    assert row
    return float(str(row[0])) / float(str(row[1]))


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
