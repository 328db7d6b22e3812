"""Many different events for measuring pages: written by the database itself, spread evenly over the last 90 days.

12 features, 40 models of 5 providers, 5 statuses, log-normal tokens and latencies, metadata of about 120 bytes, and
users as they are: one in a hundred makes more than half of the requests.
"""

from pathlib import Path

import duckdb

from tests.real_server import RealServer

DAYS = 90
USERS_PER_1000_EVENTS = 5
_USERS = """INSERT INTO tracked_user (organization_id, external_id, name, email, image, described_at)
SELECT o.id, 'user-' || n, 'User ' || n, '', '', now()
FROM organization o, generate_series(0, %(users)s - 1) n WHERE o.slug = %(slug)s"""
_REVENUE = """INSERT INTO revenue_change (tracked_user_id, effective_at, monthly_revenue_usd)
SELECT id, now() - interval '200 days', 5 + id % 40 FROM tracked_user"""
# Hashes of the number in place of random(): two runs hold the same events.
_DRAW = "((hashint8extended(n, {seed}) & 2147483647) + 0.5) / 2147483648"
_NORMAL = "sqrt(-2 * ln({first})) * cos(2 * pi() * {second})"
_DRAWN = f"""SELECT n, at_ms, users, h, model_number,
    -- By Zipf's law with the exponent 1.05: few users make most of the requests, most users make few.
    least(users - 1, floor(power((power(users, -0.05) - 1) * {_DRAW.format(seed=1)} + 1, -20))::bigint - 1) AS rank,
    {_DRAW.format(seed=2)} AS outcome, floor(12 * power({_DRAW.format(seed=3)}, 2))::int AS feature_number,
    greatest(1, exp(7 + {_NORMAL.format(first=_DRAW.format(seed=4), second=_DRAW.format(seed=5))})::bigint) AS input,
    greatest(1, exp(5.3 + 0.9 * {_NORMAL.format(first=_DRAW.format(seed=6), second=_DRAW.format(seed=7))})::bigint)
        AS output,
    exp(7.2 + 0.8 * {_NORMAL.format(first=_DRAW.format(seed=8), second=_DRAW.format(seed=9))}) AS latency
FROM (
    SELECT n, hashint8extended(n, 10) & 2147483647 AS h, %(users)s::bigint AS users,
        floor(40 * power({_DRAW.format(seed=11)}, 2))::int AS model_number,
        floor(extract(epoch FROM now()) * 1000)::bigint - (%(events)s - n) * 86400000 * %(days)s / %(events)s AS at_ms
    FROM generate_series(1, %(events)s::bigint) n
) g"""
_EVENTS = f"""INSERT INTO event (id, slot, organization_id, environment, api_key_id, tracked_user_id, received_at,
    status, service_tier, is_streamed, input_tokens, output_tokens, cached_tokens, cache_write_tokens,
    cache_write_1h_tokens,
    reasoning_tokens, latency_ms, streaming_duration_ms, cost_picousd, price_status, pricing_revision, feature, step,
    session_id, conversation_id, provider, model, metadata)
SELECT (lpad(to_hex(at_ms), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8000' || lpad(to_hex(n), 10, '0')
        || '00')::uuid,
    0, o.id, 0, 0, u.first + rank, now(),
    CASE WHEN outcome > 0.045 THEN 0 ELSE (ARRAY[1, 2, 3, 6])[1 + (outcome * 100000)::int %% 4] END,
    CASE WHEN h %% 20 = 3 THEN 1 ELSE 0 END, h %% 2 = 0, input, output, 0, 0, 0, 0,
    latency, CASE WHEN h %% 2 = 0 THEN 0.8 * latency END,
    CASE WHEN h %% 997 > 0 THEN input * 2500000 + output * 10000000 END,
    CASE WHEN h %% 997 > 0 THEN 'priced' ELSE 'unpriced_model' END, 1,
    'feature-' || feature_number, (ARRAY['', 'plan', 'draft', 'review'])[1 + h %% 4],
    CASE WHEN h %% 3 = 0 THEN 's-' || n / 6 ELSE '' END, '',
    (ARRAY['openai', 'anthropic', 'google', 'mistral', 'deepseek'])[1 + model_number %% 5], 'model-' || model_number,
    jsonb_build_object('plan', (ARRAY['free', 'pro'])[1 + h %% 2], 'stopReason', 'stop', 'responseId', md5(n::text),
        'region', (ARRAY['eu', 'us'])[1 + h %% 2])
FROM ({_DRAWN}) e, (SELECT id FROM organization WHERE slug = %(slug)s) o,
    (SELECT min(id) AS first FROM tracked_user) u"""
_COLUMNS = """SELECT event_time(id) AS moment, coalesce(tracked_user_id, 0) AS user_id, feature, step, provider, model,
    status, service_tier, input_tokens, output_tokens, cost_picousd, latency_ms FROM event ORDER BY id"""


def fill(server: RealServer, slug: str, events: int) -> None:
    """An organization with so many events, 4 users for each 1,000 of them, and its rollups."""
    server.command(
        "create_organization", slug, "--slug", slug, "--owner", f"owner@{slug}.example", "--password", PASSWORD
    )
    users = max(40, events * USERS_PER_1000_EVENTS // 1000)
    with server.connect() as connection:
        connection.execute("SELECT ensure_event_partitions((now() - interval '91 days')::date, now()::date)")
        connection.execute(_USERS, {"slug": slug, "users": users})
        connection.execute(_REVENUE)
        connection.execute(_EVENTS, {"slug": slug, "users": users, "events": events, "days": DAYS})
        connection.execute("VACUUM ANALYZE event")
    server.command("rebuild_usage")
    with server.connect() as connection:
        connection.execute("VACUUM ANALYZE")


PASSWORD = "a benchmark has no secrets 1"


def to_duckdb(server: RealServer, folder: Path) -> duckdb.DuckDBPyConnection:
    """The server's events as a Parquet file, the view `parquet`, and as a table of DuckDB's own, `native`."""
    lines, parquet = folder / "events.csv", folder / "events.parquet"
    copied = f"COPY ({_COLUMNS}) TO STDOUT (FORMAT csv, HEADER)"
    with server.connect() as connection, lines.open("wb") as file, connection.cursor().copy(copied) as copy:
        file.writelines(copy)
    found = duckdb.connect(str(folder / "events.duckdb"))
    found.execute("SET TimeZone = 'UTC'")
    kinds = "{'moment': 'TIMESTAMPTZ', 'cost_picousd': 'HUGEINT', 'step': 'VARCHAR'}"
    source = f"read_csv('{lines}', header = true, types = {kinds})"
    found.execute(
        f"COPY (SELECT * REPLACE (moment AT TIME ZONE 'UTC' AS moment) FROM {source}) TO '{parquet}' (FORMAT parquet)"
    )
    found.execute(f"CREATE VIEW parquet AS SELECT * FROM '{parquet}'")
    found.execute("CREATE TABLE native AS SELECT * FROM parquet")
    lines.unlink()
    return found
