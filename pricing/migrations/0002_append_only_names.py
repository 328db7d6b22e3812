"""Providers' terms and aliases become revisioned rows; names and revisions may belong to one organization.

Not reversible: the earlier tables could hold only the newest state of what this keeps with its history.
"""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.text
from django.db import migrations, models

import pricing.models

LIBRARY = "https://github.com/pydantic/genai-prices"
KEEP = """
CREATE TABLE pricing_0002_alias AS SELECT alias, provider_id FROM pricing_provider_alias;
CREATE TABLE pricing_0002_terms AS SELECT slug, resells, model_pattern FROM pricing_provider;
"""
FILL = f"""
INSERT INTO pricing_provider_alias (alias, provider_id, layer, source_url, created_revision_id)
SELECT alias, provider_id, 10, '{LIBRARY}', (SELECT min(id) FROM pricing_revision) FROM pricing_0002_alias;
INSERT INTO pricing_provider_terms (provider_id, resells, model_pattern, created_revision_id)
SELECT slug, resells, model_pattern, (SELECT min(id) FROM pricing_revision) FROM pricing_0002_terms;
DROP TABLE pricing_0002_alias, pricing_0002_terms;
SET CONSTRAINTS ALL IMMEDIATE;
"""


def _revision(name: str, null: bool = False) -> tuple[str, models.Field]:
    return name, models.ForeignKey(
        null=null, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="pricing.pricingrevision"
    )


class Migration(migrations.Migration):
    dependencies = [("pricing", "0001_price_catalog")]

    operations = [
        migrations.RunSQL(KEEP),
        migrations.AddField(
            model_name="pricingrevision", name="organization_id", field=models.BigIntegerField(null=True)
        ),
        migrations.AddField(
            model_name="pricingrevision",
            name="retracts",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="retraction",
                to="pricing.pricingrevision",
            ),
        ),
        migrations.RemoveField(model_name="provider", name="model_pattern"),
        migrations.RemoveField(model_name="provider", name="resells"),
        migrations.CreateModel(
            name="ProviderTerms",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "resells",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                ("model_pattern", models.TextField(blank=True, default="")),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="terms", to="pricing.provider"
                    ),
                ),
                _revision("created_revision"),
                _revision("superseded_revision", null=True),
            ],
            options={
                "db_table": "pricing_provider_terms",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("superseded_revision__isnull", True)),
                        fields=("provider",),
                        name="pricing_provider_terms_open",
                    )
                ],
            },
        ),
        migrations.DeleteModel("ProviderAlias"),
        migrations.CreateModel(
            name="ProviderAlias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("alias", models.TextField()),
                ("layer", models.SmallIntegerField()),
                ("source_url", models.TextField()),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="aliases", to="pricing.provider"
                    ),
                ),
                _revision("created_revision"),
                _revision("superseded_revision", null=True),
            ],
            options={
                "db_table": "pricing_provider_alias",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("superseded_revision__isnull", True)),
                        fields=("alias", "layer"),
                        name="pricing_provider_alias_open",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("alias", django.db.models.functions.text.Lower("alias"))),
                        name="pricing_provider_alias_lower_case",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("layer__in", [10, 20, 30])), name="pricing_provider_alias_layer"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("source_url", ""), _negated=True), name="pricing_provider_alias_source"
                    ),
                ],
            },
        ),
        migrations.RunSQL(FILL),
        migrations.AddField(model_name="pricedmodel", name="organization_id", field=models.BigIntegerField(null=True)),
        migrations.RemoveConstraint(model_name="pricedmodel", name="pricing_model_key"),
        migrations.AddConstraint(
            model_name="pricedmodel",
            constraint=models.UniqueConstraint(
                models.F("provider"),
                models.F("key"),
                django.db.models.functions.comparison.Coalesce("organization_id", models.Value(0)),
                name="pricing_model_key",
            ),
        ),
        migrations.AddField(model_name="modelalias", name="organization_id", field=models.BigIntegerField(null=True)),
        migrations.AddField(
            model_name="modelalias",
            name="source_url",
            field=models.TextField(default=LIBRARY),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="modelalias",
            constraint=models.CheckConstraint(
                condition=models.Q(("source_url", ""), _negated=True), name="pricing_model_alias_source"
            ),
        ),
        migrations.RemoveConstraint(model_name="modelalias", name="pricing_model_alias_no_overlap"),
        migrations.AddConstraint(
            model_name="modelalias",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                condition=models.Q(("superseded_revision__isnull", True)),
                expressions=[
                    ("provider", "="),
                    (django.db.models.functions.comparison.Coalesce("organization_id", models.Value(0)), "="),
                    ("match", "="),
                    ("alias", "="),
                    ("layer", "="),
                    (
                        pricing.models.TsTzRange(
                            "valid_from", "valid_to", django.contrib.postgres.fields.ranges.RangeBoundary()
                        ),
                        "&&",
                    ),
                ],
                name="pricing_model_alias_no_overlap",
            ),
        ),
    ]
