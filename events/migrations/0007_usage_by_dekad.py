"""Usage by user, and by user and feature, in thirds of a month: any period is a few of them and a few days. And indexes
for one feature's or model's days, and for what users pay in a period.

What is folded already is added up from the daily rollups. The lock is the folder's (`events/rollups.py`): it must not
fold in between what would then be missing.
"""

from django.db import migrations, models

MEASURES = """
    events bigint NOT NULL,
    errors bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens numeric NOT NULL,
    output_tokens numeric NOT NULL,
    cost_picousd numeric NOT NULL
"""
COLUMNS = "events, errors, unpriced, input_tokens, output_tokens, cost_picousd"
SUMS = ", ".join(f"sum({name})" for name in COLUMNS.split(", "))

TABLES = f"""
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock(7201001);

-- The first day of the third of a month that holds a day: the 1st, the 11th or the 21st.
CREATE FUNCTION dekad_of(day date) RETURNS date
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN day - ((extract(day FROM day)::int - 1) - 10 * least(2, (extract(day FROM day)::int - 1) / 10));

-- The class of a cost: each is 28 % wider than the one below. It changes a few times where the cost changes with every
-- fold, so that an index on it is seldom touched.
CREATE TABLE usage_dekad_user (
    organization_id bigint NOT NULL, environment smallint NOT NULL, dekad date NOT NULL, tracked_user_id bigint NOT NULL,
    {MEASURES},
    cost_class smallint NOT NULL
        GENERATED ALWAYS AS (floor(4 * ln(greatest(cost_picousd, 1)::float8))::smallint) STORED,
    PRIMARY KEY (organization_id, environment, dekad, tracked_user_id)
);
CREATE INDEX usage_dekad_user_dearest ON usage_dekad_user (organization_id, environment, dekad, cost_class);
CREATE TABLE usage_dekad_user_feature (
    organization_id bigint NOT NULL, environment smallint NOT NULL, feature text NOT NULL, dekad date NOT NULL,
    tracked_user_id bigint NOT NULL,
    {MEASURES},
    PRIMARY KEY (organization_id, environment, feature, dekad, tracked_user_id)
);
-- Many cells share a feature or a model, and equal keys are stored once.
CREATE INDEX usage_day_cell_feature ON usage_day_cell (organization_id, environment, feature, day);
CREATE INDEX usage_day_cell_model ON usage_day_cell (organization_id, environment, model, day);
"""

VIEWS = f"""
CREATE VIEW usage_dekad_user_now AS
SELECT organization_id, environment, dekad, tracked_user_id, {COLUMNS} FROM usage_dekad_user
UNION ALL SELECT organization_id, environment, dekad_of(day), tracked_user_id, {COLUMNS} FROM usage_delta;

CREATE VIEW usage_dekad_user_feature_now AS
SELECT organization_id, environment, feature, dekad, tracked_user_id, {COLUMNS} FROM usage_dekad_user_feature
UNION ALL SELECT organization_id, environment, feature, dekad_of(day), tracked_user_id, {COLUMNS} FROM usage_delta;
"""

BACKFILL = f"""
INSERT INTO usage_dekad_user (organization_id, environment, dekad, tracked_user_id, {COLUMNS})
SELECT organization_id, environment, dekad_of(day), tracked_user_id, {SUMS} FROM usage_day_user GROUP BY 1, 2, 3, 4;

INSERT INTO usage_dekad_user_feature (organization_id, environment, feature, dekad, tracked_user_id, {COLUMNS})
SELECT organization_id, environment, feature, dekad_of(day), tracked_user_id, {SUMS} FROM usage_day_user_feature
GROUP BY 1, 2, 3, 4, 5;
"""

DROP = """
DROP VIEW usage_dekad_user_now, usage_dekad_user_feature_now;
DROP TABLE usage_dekad_user, usage_dekad_user_feature;
DROP FUNCTION dekad_of(date);
DROP INDEX usage_day_cell_feature, usage_day_cell_model;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0006_time_zone_change")]

    operations = [
        migrations.RunSQL(TABLES + VIEWS + BACKFILL, DROP),
        migrations.AddIndex(
            model_name="revenuechange",
            index=models.Index(fields=["effective_at"], name="revenue_change_at"),
        ),
    ]
