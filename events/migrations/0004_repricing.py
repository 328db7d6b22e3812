"""Re-pricing: jobs, the costs that they replace, and the region of a call, which decides its price."""

from django.db import migrations, models


# A constant default: no row is rewritten.
REGION = "ALTER TABLE event ADD COLUMN region text NOT NULL DEFAULT 'global' CHECK (length(region) <= 64)"


# PostgreSQL 18 reads the time of a uuidv7 in C; the function of 0002, for 16 and 17, does it with text.
EVENT_TIME = """
DO $$ BEGIN
    IF current_setting('server_version_num')::int >= 180000 THEN
        CREATE OR REPLACE FUNCTION event_time(id uuid) RETURNS timestamptz
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN uuid_extract_timestamp(id);
    END IF;
END $$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0003_usage_rollups'),
    ]

    operations = [
        migrations.RunSQL(REGION, "ALTER TABLE event DROP COLUMN region"),
        migrations.RunSQL(EVENT_TIME, migrations.RunSQL.noop),
        migrations.CreateModel(
            name='EventCostHistory',
            fields=[
                ('pk', models.CompositePrimaryKey('event_id', 'replaced_at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('replaced_at', models.DateTimeField()),
                ('replaced_by_revision', models.BigIntegerField()),
                ('cost_picousd', models.DecimalField(decimal_places=0, max_digits=38, null=True)),
                ('price_status', models.TextField()),
                ('rate_card_id', models.BigIntegerField(null=True)),
                ('tier_policy_id', models.BigIntegerField(null=True)),
                ('pricing_revision', models.IntegerField()),
            ],
            options={
                'db_table': 'event_cost_history',
            },
        ),
        migrations.CreateModel(
            name='RepriceJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_revision', models.BigIntegerField(null=True)),
                ('to_revision', models.BigIntegerField()),
                ('created_at', models.DateTimeField()),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('total', models.BigIntegerField(default=0)),
                ('done', models.BigIntegerField(default=0)),
                ('changed', models.BigIntegerField(default=0)),
                ('delta_picousd', models.DecimalField(decimal_places=0, default=0, max_digits=38)),
                ('cursor_organization_id', models.BigIntegerField(default=0)),
                ('cursor_environment', models.SmallIntegerField(default=0)),
                ('cursor_event_id', models.UUIDField(null=True)),
                ('expected', models.JSONField(default=dict)),
            ],
            options={
                'db_table': 'reprice_job',
                'ordering': ('-id',),
            },
        ),
    ]
