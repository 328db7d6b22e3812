"""Usage by user and feature together, times to the last token, and the order of calls within sessions.

What is stored already is added from the events. The lock that ALTER TABLE takes on usage_delta keeps writers and folders
away until the end, so what the deltas hold, and will bring by folding, can be taken off.
"""

from django.db import migrations

MEASURES = ("events", "errors", "unpriced", "input_tokens", "output_tokens", "cost_picousd")
COLUMNS = ", ".join(MEASURES)

TABLES = """
ALTER TABLE usage_delta ADD COLUMN stream_bucket smallint;

-- The feature comes first: one feature's users are one range, and a period of all features is one short range each.
CREATE TABLE usage_day_user_feature (
    organization_id bigint NOT NULL, environment smallint NOT NULL, feature text NOT NULL, day date NOT NULL,
    tracked_user_id bigint NOT NULL,
    events bigint NOT NULL,
    errors bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens numeric NOT NULL,
    output_tokens numeric NOT NULL,
    cost_picousd numeric NOT NULL,
    PRIMARY KEY (organization_id, environment, feature, day, tracked_user_id)
);
CREATE TABLE usage_day_stream (
    organization_id bigint NOT NULL, environment smallint NOT NULL, day date NOT NULL,
    kind text NOT NULL, value text NOT NULL, provider text NOT NULL, stream_bucket smallint NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (organization_id, environment, kind, day, value, provider, stream_bucket)
);
CREATE INDEX event_session ON event (organization_id, session_id, id) WHERE session_id <> '';
CREATE INDEX event_conversation ON event (organization_id, conversation_id, id) WHERE conversation_id <> '';
"""

VIEWS = f"""
CREATE VIEW usage_day_user_feature_now AS
SELECT organization_id, environment, feature, day, tracked_user_id, {COLUMNS} FROM usage_day_user_feature
UNION ALL SELECT organization_id, environment, feature, day, tracked_user_id, {COLUMNS} FROM usage_delta;

CREATE VIEW usage_day_stream_now AS
SELECT organization_id, environment, day, kind, value, provider, stream_bucket, events FROM usage_day_stream
UNION ALL
SELECT d.organization_id, d.environment, d.day, k.kind, k.value, k.provider, d.stream_bucket, d.events
FROM usage_delta d
CROSS JOIN LATERAL (VALUES ('total', '', ''), ('model', d.model, d.provider), ('feature', d.feature, ''))
    AS k (kind, value, provider)
WHERE d.stream_bucket IS NOT NULL;
"""

BACKFILL = f"""
SET LOCAL statement_timeout = 0;

INSERT INTO usage_day_user_feature
    (organization_id, environment, feature, day, tracked_user_id, {COLUMNS})
SELECT organization_id, environment, feature, day, tracked_user_id, {", ".join(f"sum({name})" for name in MEASURES)}
FROM (
    SELECT e.organization_id, e.environment, e.feature, (event_time(e.id) AT TIME ZONE o.time_zone)::date AS day,
        coalesce(e.tracked_user_id, 0) AS tracked_user_id, 1 AS events, (e.status NOT IN (0, 3))::int AS errors,
        (e.cost_picousd IS NULL)::int AS unpriced, e.input_tokens, e.output_tokens,
        coalesce(e.cost_picousd, 0) AS cost_picousd
    FROM event e JOIN organization o ON o.id = e.organization_id
    UNION ALL
    SELECT organization_id, environment, feature, day, tracked_user_id, {", ".join(f"-{name}" for name in MEASURES)}
    FROM usage_delta
) u
GROUP BY 1, 2, 3, 4, 5 HAVING sum(events) <> 0;

INSERT INTO usage_day_stream (organization_id, environment, day, kind, value, provider, stream_bucket, events)
SELECT e.organization_id, e.environment, (event_time(e.id) AT TIME ZONE o.time_zone)::date, k.kind, k.value, k.provider,
    floor(ln(greatest(e.streaming_duration_ms, 0.01)) / ln(1.05::float8))::smallint, count(*)
FROM event e JOIN organization o ON o.id = e.organization_id
CROSS JOIN LATERAL (VALUES ('total', '', ''), ('model', e.model, e.provider), ('feature', e.feature, ''))
    AS k (kind, value, provider)
WHERE e.streaming_duration_ms IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6, 7;
"""

DROP = """
DROP VIEW usage_day_stream_now, usage_day_user_feature_now;
DROP INDEX event_session, event_conversation;
DROP TABLE usage_day_stream, usage_day_user_feature;
ALTER TABLE usage_delta DROP COLUMN stream_bucket;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0004_repricing")]

    operations = [migrations.RunSQL(TABLES + VIEWS + BACKFILL, DROP)]
