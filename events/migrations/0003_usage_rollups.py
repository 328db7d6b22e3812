"""Usage: the append-only delta written with every event, the rollups it is folded into, and views over both."""

from django.db import migrations

# What one event adds. Sums of bigint are much faster to make than sums of numeric.
ONE_EVENT = """
    events integer NOT NULL,
    errors integer NOT NULL,
    unpriced integer NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_picousd numeric NOT NULL
"""
# Sums are numeric: counters go up to 2^53-1 each, and a bigint that overflows would stop the folder for good.
MEASURES = """
    events bigint NOT NULL,
    errors bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens numeric NOT NULL,
    output_tokens numeric NOT NULL,
    cached_tokens numeric NOT NULL,
    cache_write_tokens numeric NOT NULL,
    reasoning_tokens numeric NOT NULL,
    cost_picousd numeric NOT NULL
"""
SUMS = "events, errors, unpriced, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost_picousd"

TABLES = f"""
CREATE TABLE usage_delta (
    organization_id bigint NOT NULL,
    environment smallint NOT NULL,
    hour timestamptz NOT NULL,
    day date NOT NULL,
    tracked_user_id bigint NOT NULL,
    feature text NOT NULL,
    step text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    status smallint NOT NULL,
    service_tier smallint NOT NULL,
    latency_bucket smallint,
    {ONE_EVENT}
);
CREATE INDEX usage_delta_organization ON usage_delta (organization_id);

CREATE TABLE usage_hour (
    organization_id bigint NOT NULL, environment smallint NOT NULL, hour timestamptz NOT NULL,
    kind text NOT NULL, value text NOT NULL, provider text NOT NULL,
    {MEASURES},
    PRIMARY KEY (organization_id, environment, kind, hour, value, provider)
);
CREATE TABLE usage_day (
    organization_id bigint NOT NULL, environment smallint NOT NULL, day date NOT NULL,
    kind text NOT NULL, value text NOT NULL, provider text NOT NULL,
    {MEASURES},
    PRIMARY KEY (organization_id, environment, kind, day, value, provider)
);
CREATE TABLE usage_day_cell (
    organization_id bigint NOT NULL, environment smallint NOT NULL, day date NOT NULL,
    feature text NOT NULL, step text NOT NULL, provider text NOT NULL, model text NOT NULL,
    status smallint NOT NULL, service_tier smallint NOT NULL,
    {MEASURES}
);
-- Four labels of 255 characters exceed what an index row holds, so one digest stands for them. The lengths keep apart
-- what would read the same when joined. Immutable in truth: the database's encoding is UTF-8.
CREATE FUNCTION label_digest(feature text, step text, provider text, model text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT sha256(convert_to(concat_ws(
        ':', length(feature), feature, length(step), step, length(provider), provider, model), 'UTF8'))
$$;
CREATE UNIQUE INDEX usage_day_cell_key ON usage_day_cell
    (organization_id, environment, day, status, service_tier, label_digest(feature, step, provider, model));
CREATE TABLE usage_day_user (
    organization_id bigint NOT NULL, environment smallint NOT NULL, day date NOT NULL, tracked_user_id bigint NOT NULL,
    {MEASURES},
    PRIMARY KEY (organization_id, environment, day, tracked_user_id)
);
CREATE TABLE usage_month_user (
    organization_id bigint NOT NULL, environment smallint NOT NULL, month date NOT NULL, tracked_user_id bigint NOT NULL,
    {MEASURES},
    PRIMARY KEY (organization_id, environment, month, tracked_user_id)
);
CREATE TABLE usage_day_latency (
    organization_id bigint NOT NULL, environment smallint NOT NULL, day date NOT NULL,
    kind text NOT NULL, value text NOT NULL, provider text NOT NULL, latency_bucket smallint NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (organization_id, environment, kind, day, value, provider, latency_bucket)
);
CREATE TABLE usage_revision (organization_id bigint PRIMARY KEY, revision bigint NOT NULL);
"""

# One delta row counts once under each of these kinds.
VIEWS = f"""
CREATE VIEW usage_delta_kind AS
SELECT organization_id, environment, hour, day, latency_bucket, k.kind, k.value, k.provider, {SUMS}
FROM usage_delta d
CROSS JOIN LATERAL (VALUES
    ('total', '', ''), ('model', d.model, d.provider), ('provider', d.provider, ''), ('feature', d.feature, ''),
    ('step', d.step, ''), ('status', d.status::text, ''), ('tier', d.service_tier::text, '')
) AS k (kind, value, provider);

CREATE VIEW usage_hour_now AS
SELECT organization_id, environment, hour, kind, value, provider, {SUMS} FROM usage_hour
UNION ALL SELECT organization_id, environment, hour, kind, value, provider, {SUMS} FROM usage_delta_kind;

CREATE VIEW usage_day_now AS
SELECT organization_id, environment, day, kind, value, provider, {SUMS} FROM usage_day
UNION ALL SELECT organization_id, environment, day, kind, value, provider, {SUMS} FROM usage_delta_kind;

CREATE VIEW usage_day_cell_now AS
SELECT organization_id, environment, day, feature, step, provider, model, status, service_tier, {SUMS} FROM usage_day_cell
UNION ALL
SELECT organization_id, environment, day, feature, step, provider, model, status, service_tier, {SUMS} FROM usage_delta;

CREATE VIEW usage_day_user_now AS
SELECT organization_id, environment, day, tracked_user_id, {SUMS} FROM usage_day_user
UNION ALL SELECT organization_id, environment, day, tracked_user_id, {SUMS} FROM usage_delta;

CREATE VIEW usage_month_user_now AS
SELECT organization_id, environment, month, tracked_user_id, {SUMS} FROM usage_month_user
UNION ALL
SELECT organization_id, environment, date_trunc('month', day)::date, tracked_user_id, {SUMS} FROM usage_delta;

CREATE VIEW usage_day_latency_now AS
SELECT organization_id, environment, day, kind, value, provider, latency_bucket, events FROM usage_day_latency
UNION ALL
SELECT organization_id, environment, day, kind, value, provider, latency_bucket, events FROM usage_delta_kind
WHERE latency_bucket IS NOT NULL AND kind IN ('total', 'model', 'feature');
"""

DROP = """
DROP VIEW usage_day_latency_now, usage_month_user_now, usage_day_user_now, usage_day_cell_now, usage_day_now,
    usage_hour_now, usage_delta_kind;
DROP TABLE usage_revision, usage_day_latency, usage_month_user, usage_day_user, usage_day_cell, usage_day, usage_hour,
    usage_delta;
DROP FUNCTION label_digest(text, text, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0002_event_partitioned")]

    operations = [migrations.RunSQL(TABLES + VIEWS, DROP)]
