"""P1 to P3: durable events per second against a Django view without a database, and batches against raw COPY.

Everything runs in one go, in interleaved rounds; only the ratios mean anything. Needs the program `wrk`.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from bench import load
from bench.report import report
from tests.real_server import ROOT, RealServer, free_port
from tests.wire_client import event

ROUNDS = 3
CONNECTIONS = 64
BATCH = 500
COPY_ROWS = 50_000


def main() -> int:
    if load.is_missing("bench.ingest"):
        return 1
    with tempfile.TemporaryDirectory(prefix="fluxgate-bench-") as folder:
        server = RealServer(Path(folder) / "var").start()
        port = free_port()
        baseline = _start_baseline(port)
        try:
            _measure(server, f"http://127.0.0.1:{port}/api/events", Path(folder))
        finally:
            baseline.terminate()
            baseline.wait()
            server.stop()
    return 0


def _measure(server: RealServer, baseline_url: str, folder: Path) -> None:
    server.command("create_organization", "Bench", "--slug", "bench", "--owner", "owner@bench.example")
    key = server.command("create_api_key", "bench", "--name", "bench")
    single, batch = folder / "single.lua", folder / "batch.lua"
    single.write_text(load.script(json.dumps(event()), key))
    batch.write_text(load.script(json.dumps({"events": [event()] * BATCH}), key))
    base = f"http://127.0.0.1:{server.port}/api/events"
    runs: dict[str, list[tuple[float, float]]] = {"view": [], "single": [], "batch": [], "copy": []}
    with server.connect() as connection:
        for _ in range(ROUNDS):
            runs["view"].append(load.wrk(baseline_url, single, CONNECTIONS))
            runs["single"].append(load.wrk(base, single, CONNECTIONS))
            rate, p99 = load.wrk(f"{base}/batch", batch, 8)
            runs["batch"].append((rate * BATCH, p99))
            runs["copy"].append((_copy(connection), 0.0))
        stored = _count(connection)
    median = {name: statistics.median(rate for rate, _ in found) for name, found in runs.items()}
    slowest = {name: statistics.median(late for _, late in found) for name, found in runs.items()}
    ratios = {
        "P1 single / view": median["single"] / median["view"],
        "P2 p99 single / p99 view": slowest["single"] / slowest["view"],
        "P3 batch / raw COPY": median["batch"] / median["copy"],
    }
    limits = {"P1 single / view": "≥ 0.70", "P2 p99 single / p99 view": "≤ 0.5", "P3 batch / raw COPY": "≥ 0.55"}
    rows = [(name, f"{ratio:.2f}", limits[name]) for name, ratio in ratios.items()]
    rows += [(f"{name}, events/s", f"{rate:,.0f}", f"p99 {slowest[name]:.1f} ms") for name, rate in median.items()]
    rows.append(("events stored", f"{stored:,}", "web tier RSS " + _memory(server)))
    report("ingest", "Ingestion, 64 connections", ("what", "figure", "limit"), rows, {"ratios": ratios, "runs": runs})


def _start_baseline(port: int) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "bench.baseline:application", "--interface", "wsgi"),
            *("--port", str(port), "--workers", "2", "--blocking-threads", "32", "--log-level", "error"),
        ],
        cwd=ROOT,
    )
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/events", json.dumps(event()).encode(), timeout=5)
        except OSError:
            time.sleep(0.1)
        else:
            break
    return process


def _copy(connection: psycopg.Connection[tuple[object, ...]]) -> float:
    """Rows per second of one raw COPY into the same indexed, partitioned table."""
    found = connection.execute("SELECT * FROM event LIMIT 1")
    columns = [column.name for column in found.description or ()]
    sample = found.fetchone()
    assert sample is not None
    id_at, slot_at = columns.index("id"), columns.index("slot")
    line = ["\\N" if value is None else str(value) for value in sample]
    now = int(time.time() * 1000) << 80
    lines = []
    for number in range(COPY_ROWS):
        event_id = UUID(int=now | 0x7 << 76 | (uuid4().int & ((1 << 62) - 1)) | number)
        line[id_at], line[slot_at] = event_id.hex, str(event_id.int & 0xFF)
        lines.append("\t".join(line))
    payload = ("\n".join(lines) + "\n").encode()
    started = time.perf_counter()
    with connection.cursor().copy(f"COPY event ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write(payload)
    return COPY_ROWS / (time.perf_counter() - started)


def _count(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    row = connection.execute("SELECT count(*) FROM event").fetchone()
    assert row is not None
    return int(str(row[0]))


def _memory(server: RealServer) -> str:
    assert server.process is not None
    tree = subprocess.run(["ps", "-eo", "pid,ppid,rss,args"], capture_output=True, text=True, check=True).stdout
    web = [line.split(None, 3) for line in tree.splitlines() if "granian" in line or "multiprocessing" in line]
    parents = {str(server.process.pid)}
    total = 0
    for _ in range(3):
        for pid, parent, _, _ in web:
            if parent in parents:
                parents.add(pid)
    for pid, _, rss, _ in web:
        if pid in parents:
            total += int(rss)
    return f"{total / 1024:.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())
