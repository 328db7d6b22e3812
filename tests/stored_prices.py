"""Many stored events and changes of their price, for what measures and breaks re-pricing on a real server."""

import json

from tests.real_server import RealServer

OLD_COST = 5_250_000_000
"""Picousd of each event: 200 uncached and 1,000 cached input tokens of gpt-4o, 350 output tokens."""

# Written by the database itself, spread over the last 30 days.
_FILL = """INSERT INTO event (id, slot, organization_id, environment, api_key_id, received_at, status, service_tier,
    input_tokens, output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, latency_ms,
    cost_picousd, price_status, rate_card_id, pricing_revision, feature, step, session_id, conversation_id, provider,
    model)
SELECT id, get_byte(uuid_send(id), 15), organization, 0, 0, now(), 0, 0, 1200, 350, 1000, 0, 0, 0, 800,
    %(cost)s, 'priced', 1, revision, 'feature-' || n %% 20, '', 's-' || n %% 1000, '', 'openai', 'gpt-4o'
FROM (SELECT n, uuidv7(-30 * interval '1 day' * n / %(events)s) AS id FROM generate_series(1, %(events)s) n) e,
    (SELECT id AS organization FROM organization WHERE slug = %(slug)s) o,
    (SELECT max(id) AS revision FROM pricing_revision) r"""
_CORRECT = """
from datetime import UTC, datetime
from decimal import Decimal
from events import price_changes
from pricing import entries
from pricing.importers.rows import RateRow
rates = entries.NewRates(provider="openai", model="gpt-4o", source_url="https://acme.example",
    rates=(RateRow("input", 0, Decimal("{usd}")), RateRow("output", 0, Decimal("{usd}"))))
now = datetime.now(UTC)
by = entries.Entered(now=now, author_id=None, note="a correction")
price_changes.publish(lambda: entries.correct_price(rates, by), now=now)
"""


def fill(server: RealServer, slug: str, events: int) -> str:
    """Create an organization with so many events; returns an API key of it."""
    server.command("create_organization", slug, "--slug", slug, "--owner", f"owner@{slug}.example")
    with server.connect() as connection:
        connection.execute(_FILL, {"slug": slug, "events": events, "cost": OLD_COST})
        connection.execute("VACUUM ANALYZE event")
    server.command("rebuild_usage")
    return server.command("create_api_key", slug, "--name", "test")


def correct(server: RealServer, usd: str) -> int:
    """Publish one rate, USD per million tokens, for all tokens of gpt-4o; returns what each event then costs."""
    server.command("shell", "-c", _CORRECT.format(usd=usd))
    return int(1550 * float(usd) * 10**6)


def jobs(server: RealServer) -> list[tuple[int, int, float | None]]:
    """Done, changed, and seconds from start to end (None while it runs), of every job, newest first."""
    with server.connect() as connection:
        found = connection.execute(
            "SELECT json_agg(json_build_array(done, changed, extract(epoch FROM finished_at - started_at))"
            " ORDER BY id DESC)::text FROM reprice_job"
        ).fetchone()
    return [(done, changed, seconds) for done, changed, seconds in json.loads(str(found[0] if found else "[]"))]
