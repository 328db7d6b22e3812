"""Metered usage: how fast it is taken beside events, and what reading many records costs.

Single usage records against single events on the same server, in interleaved rounds. Then metered revenue, a draft
and the page of customers over a million records (`python -m bench.metering 200000` for fewer), beside the plainest
statement that reads the same rows. Only ratios mean anything. Needs the program `wrk`.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

from bench import load
from bench.report import report
from tests.real_server import RealServer
from tests.wire_client import event

ROUNDS = 3
CONNECTIONS = 64
RECORDS = 1_000_000
CUSTOMERS = 1_000
_METERS = """
from decimal import Decimal
from datetime import date
from metering.models import Meter, MeterRate, RateTier
from events.models import Organization
organization = Organization.objects.get()
for name, aggregation in (("Pages", "SUM"), ("Calls", "COUNT"), ("Storage", "MAX"), ("Seats", "UNIQUE_COUNT")):
    key = "seat" if name == "Seats" else ""
    meter = Meter.objects.create(organization=organization, name=name, aggregation=aggregation, unique_key=key)
    rate = MeterRate.objects.create(meter=meter, kind="graduated", effective_from=date(2020, 1, 1))
    RateTier.objects.create(rate=rate, up_to=100, unit_price_usd=Decimal("0.01"))
    RateTier.objects.create(rate=rate, unit_price_usd=Decimal("0.005"))
print(Meter.objects.get(name="Pages").token)
"""
# Multiplicative hashing in place of random(): two runs hold the same records.
_RECORDS = """
INSERT INTO tracked_user (organization_id, external_id, name, email, image)
SELECT o.id, 'customer-' || n, '', '', '' FROM organization o, generate_series(1, %(customers)s) n;
INSERT INTO usage_record (id, organization_id, environment, meter_id, tracked_user_id, quantity, occurred_at,
    received_at, unique_value, content_hash)
SELECT uuidv7(), o.id, 0, m.first + h %% 4, u.first + h %% %(customers)s, 1 + h %% 50, at, at,
    CASE WHEN h %% 4 = 3 THEN 'seat-' || h %% 400 END, uuidv7()
FROM (
    SELECT (n * 2654435761) %% 4294967296 %% 1000003 AS h, now() - n * interval '30 days' / %(records)s AS at
    FROM generate_series(1, %(records)s::bigint) n
) r, organization o, (SELECT min(id) AS first FROM tracked_user) u, (SELECT min(id) AS first FROM meter) m
"""
_READING = """
import json, time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo
from django.db import connection
from dashboard.cost_search import CostSearch
from dashboard.pages import customers
from dashboard.visit import Visit
from events.models import Organization, Role, TrackedUser
from metering import accrual, invoicing
organization = Organization.objects.get()
now = datetime.now(UTC)
visit = Visit(organization.pk, "Bench", ZoneInfo("UTC"), Role.OWNER, "Bench", False, (), "auto", "http://x", now)
search = CostSearch.from_query({"by": "user", "compare": "none"}, now, ZoneInfo("UTC"))
draft = invoicing.open_draft(organization.pk, TrackedUser.objects.first().pk, now)
def plain():
    with connection.cursor() as cursor:
        cursor.execute("SELECT tracked_user_id, meter_id, sum(quantity) FROM usage_record WHERE organization_id = %s"
            " AND environment = 0 AND occurred_at >= %s GROUP BY 1, 2", [organization.pk, now - timedelta(days=30)])
        cursor.fetchall()
def median(work):
    found = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return sorted(found)[2]
print(json.dumps({
    "plain sum": median(plain),
    "metered revenue, 30 days": median(lambda: accrual.accrued(organization, now - timedelta(days=30), now)),
    "page of customers": median(lambda: customers.build(visit, search, "r")),
    "a draft": median(lambda: invoicing.document(draft, now)),
}))
"""


def main() -> int:
    if load.is_missing("bench.metering"):
        return 1
    records = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    with tempfile.TemporaryDirectory(prefix="fluxgate-bench-") as folder:
        server = RealServer(Path(folder) / "var").start()
        try:
            _measure(server, Path(folder), records)
        finally:
            server.stop()
    return 0


def _measure(server: RealServer, folder: Path, records: int) -> None:
    rates = _taking(server, folder)
    with server.connect() as connection:
        connection.execute("TRUNCATE usage_record, event, usage_delta, tracked_user CASCADE")
        for statement in _RECORDS.split(";"):
            connection.execute(statement, {"customers": CUSTOMERS, "records": records})
        connection.execute("VACUUM ANALYZE usage_record")
    seconds: dict[str, float] = json.loads(server.command("shell", "-v0", "-c", _READING))
    plain = seconds["plain sum"]
    ratio = rates["usage"] / rates["events"]
    rows = [("usage / events, single", f"{ratio:.2f}", "")]
    rows += [(f"{name}, single, each second", f"{rate:,.0f}", "") for name, rate in rates.items()]
    rows += [(name, f"{took * 1000:,.0f} ms", f"{took / plain:.1f}× plain") for name, took in seconds.items()]
    title = f"Metered usage, {records:,} records of {CUSTOMERS:,} customers"
    report("metering", title, ("what", "figure", ""), rows, {"rates": rates, "seconds": seconds, "ratio": ratio})


def _taking(server: RealServer, folder: Path) -> dict[str, float]:
    """Events and usage records per second, one a request."""
    server.command("create_organization", "Bench", "--slug", "bench", "--owner", "owner@bench.example")
    scopes = ("--scope", "events:write", "--scope", "usage:write")
    key = server.command("create_api_key", "bench", "--name", "bench", *scopes)
    token = server.command("shell", "-v0", "-c", _METERS)
    usage = {"meter_token": token.strip(), "customer_external_id": "user-123", "quantity": 1.5, "metadata": {"a": "b"}}
    paths = {"events": ("/api/events", event()), "usage": ("/api/v1/sdk/track", usage)}
    runs: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name, (path, body) in paths.items():
            script = folder / f"{name}.lua"
            script.write_text(load.script(json.dumps(body), key))
            runs[name].append(load.wrk(f"http://127.0.0.1:{server.port}{path}", script, CONNECTIONS)[0])
    return {name: statistics.median(found) for name, found in runs.items()}


if __name__ == "__main__":
    sys.exit(main())
