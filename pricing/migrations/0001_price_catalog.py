
import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.operations
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.text
import pricing.models
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        # Equality inside the exclusion constraints; a trusted extension, so the database's owner may create it.
        django.contrib.postgres.operations.BtreeGistExtension(),
        migrations.CreateModel(
            name='Provider',
            fields=[
                ('slug', models.TextField(primary_key=True, serialize=False)),
                ('name', models.TextField()),
                ('resells', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list)),
                ('model_pattern', models.TextField(blank=True, default='')),
            ],
            options={
                'db_table': 'pricing_provider',
            },
        ),
        migrations.CreateModel(
            name='PricingRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField()),
                ('author_id', models.BigIntegerField(null=True)),
                ('kind', models.CharField(choices=[('import', 'Import'), ('override', 'Override'), ('correction', 'Correction'), ('retraction', 'Retraction')], max_length=16)),
                ('note', models.TextField()),
                ('summary', models.JSONField()),
            ],
            options={
                'db_table': 'pricing_revision',
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['import', 'override', 'correction', 'retraction'])), name='pricing_revision_kind')],
            },
        ),
        migrations.CreateModel(
            name='PricedModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.TextField()),
                ('dropped_revision', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.pricingrevision')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='models', to='pricing.provider')),
            ],
            options={
                'db_table': 'pricing_model',
            },
        ),
        migrations.CreateModel(
            name='PricingSnapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.TextField()),
                ('version', models.TextField()),
                ('sha256', models.BinaryField(unique=True)),
                ('raw', models.BinaryField()),
                ('imported_revision', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='pricing.pricingrevision')),
            ],
            options={
                'db_table': 'pricing_snapshot',
            },
        ),
        migrations.CreateModel(
            name='ModelAlias',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('alias', models.TextField()),
                ('match', models.CharField(choices=[('exact', 'Exact'), ('regex', 'Regex'), ('prefix', 'Prefix')], max_length=8)),
                ('rank', models.IntegerField(default=0)),
                ('valid_from', models.DateTimeField(null=True)),
                ('valid_to', models.DateTimeField(null=True)),
                ('layer', models.SmallIntegerField()),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='names', to='pricing.pricedmodel')),
                ('created_revision', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.pricingrevision')),
                ('superseded_revision', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.pricingrevision')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.provider')),
            ],
            options={
                'db_table': 'pricing_model_alias',
            },
        ),
        migrations.CreateModel(
            name='ProviderAlias',
            fields=[
                ('alias', models.TextField(primary_key=True, serialize=False)),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='aliases', to='pricing.provider')),
            ],
            options={
                'db_table': 'pricing_provider_alias',
            },
        ),
        migrations.CreateModel(
            name='RateCard',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('organization_id', models.BigIntegerField(null=True)),
                ('tier', models.CharField(max_length=8)),
                ('region', models.TextField(default='global')),
                ('valid_from', models.DateTimeField(null=True)),
                ('valid_to', models.DateTimeField(null=True)),
                ('weekly_window', models.JSONField(null=True)),
                ('layer', models.SmallIntegerField(choices=[(10, 'Import'), (20, 'Correction'), (30, 'Override')])),
                ('date_basis', models.CharField(choices=[('documented', 'Documented'), ('observed', 'Observed'), ('assumed', 'Assumed')], max_length=10)),
                ('has_other_charges', models.BooleanField(default=False)),
                ('source_url', models.TextField()),
                ('created_revision', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.pricingrevision')),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='cards', to='pricing.pricedmodel')),
                ('snapshot', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='pricing.pricingsnapshot')),
                ('superseded_revision', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.pricingrevision')),
            ],
            options={
                'db_table': 'pricing_rate_card',
            },
        ),
        migrations.CreateModel(
            name='Rate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('meter', models.CharField(max_length=16)),
                ('prompt_over', models.BigIntegerField(default=0)),
                ('usd_per_mtok', models.DecimalField(decimal_places=6, max_digits=16)),
                ('is_free', models.BooleanField(default=False)),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rates', to='pricing.ratecard')),
            ],
            options={
                'db_table': 'pricing_rate',
            },
        ),
        migrations.CreateModel(
            name='TierPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('model_pattern', models.TextField(blank=True, default='')),
                ('tier', models.CharField(max_length=8)),
                ('valid_from', models.DateTimeField(null=True)),
                ('valid_to', models.DateTimeField(null=True)),
                ('layer', models.SmallIntegerField()),
                ('source_url', models.TextField()),
                ('created_revision', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.pricingrevision')),
                ('model', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tier_policies', to='pricing.pricedmodel')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.provider')),
                ('superseded_revision', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pricing.pricingrevision')),
            ],
            options={
                'db_table': 'pricing_tier_policy',
            },
        ),
        migrations.CreateModel(
            name='TierFactor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('meter', models.CharField(max_length=16)),
                ('prompt_over', models.BigIntegerField(default=0)),
                ('factor', models.DecimalField(decimal_places=12, max_digits=18)),
                ('policy', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='factors', to='pricing.tierpolicy')),
            ],
            options={
                'db_table': 'pricing_tier_factor',
            },
        ),
        migrations.AddConstraint(
            model_name='pricedmodel',
            constraint=models.UniqueConstraint(fields=('provider', 'key'), name='pricing_model_key'),
        ),
        migrations.AddConstraint(
            model_name='modelalias',
            constraint=models.CheckConstraint(condition=models.Q(('match__in', ['exact', 'regex', 'prefix'])), name='pricing_model_alias_match'),
        ),
        migrations.AddConstraint(
            model_name='modelalias',
            constraint=models.CheckConstraint(condition=models.Q(('layer__in', [10, 20, 30])), name='pricing_model_alias_layer'),
        ),
        migrations.AddConstraint(
            model_name='modelalias',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('match', 'regex'), _negated=True), models.Q(('alias__startswith', '^'), ('alias__endswith', '$')), _connector='OR'), name='pricing_model_alias_anchored'),
        ),
        migrations.AddConstraint(
            model_name='modelalias',
            constraint=models.CheckConstraint(condition=models.Q(('valid_from__isnull', True), ('valid_to__isnull', True), ('valid_from__lt', models.F('valid_to')), _connector='OR'), name='pricing_model_alias_validity'),
        ),
        migrations.AddConstraint(
            model_name='modelalias',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('superseded_revision__isnull', True)), expressions=[('provider', '='), ('match', '='), ('alias', '='), ('layer', '='), (pricing.models.TsTzRange('valid_from', 'valid_to', django.contrib.postgres.fields.ranges.RangeBoundary()), '&&')], name='pricing_model_alias_no_overlap'),
        ),
        migrations.AddConstraint(
            model_name='provideralias',
            constraint=models.CheckConstraint(condition=models.Q(('alias', django.db.models.functions.text.Lower('alias'))), name='pricing_provider_alias_lower_case'),
        ),
        migrations.AddConstraint(
            model_name='ratecard',
            constraint=models.CheckConstraint(condition=models.Q(('tier__in', ['standard', 'batch', 'flex', 'priority'])), name='pricing_rate_card_tier'),
        ),
        migrations.AddConstraint(
            model_name='ratecard',
            constraint=models.CheckConstraint(condition=models.Q(('layer__in', [10, 20, 30])), name='pricing_rate_card_layer'),
        ),
        migrations.AddConstraint(
            model_name='ratecard',
            constraint=models.CheckConstraint(condition=models.Q(('date_basis__in', ['documented', 'observed', 'assumed'])), name='pricing_rate_card_date_basis'),
        ),
        migrations.AddConstraint(
            model_name='ratecard',
            constraint=models.CheckConstraint(condition=models.Q(('source_url', ''), _negated=True), name='pricing_rate_card_source'),
        ),
        migrations.AddConstraint(
            model_name='ratecard',
            constraint=models.CheckConstraint(condition=models.Q(('valid_from__isnull', True), ('valid_to__isnull', True), ('valid_from__lt', models.F('valid_to')), _connector='OR'), name='pricing_rate_card_validity'),
        ),
        migrations.AddConstraint(
            model_name='ratecard',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('superseded_revision__isnull', True)), expressions=[('model', '='), (django.db.models.functions.comparison.Coalesce('organization_id', models.Value(0)), '='), ('tier', '='), ('region', '='), ('layer', '='), (django.db.models.functions.comparison.Coalesce(django.db.models.functions.comparison.Cast('weekly_window', models.TextField()), models.Value('')), '='), (pricing.models.TsTzRange('valid_from', 'valid_to', django.contrib.postgres.fields.ranges.RangeBoundary()), '&&')], name='pricing_rate_card_no_overlap'),
        ),
        migrations.AddConstraint(
            model_name='rate',
            constraint=models.UniqueConstraint(fields=('card', 'meter', 'prompt_over'), name='pricing_rate_meter'),
        ),
        migrations.AddConstraint(
            model_name='rate',
            constraint=models.CheckConstraint(condition=models.Q(('meter__in', ['input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'reasoning'])), name='pricing_rate_meter_known'),
        ),
        migrations.AddConstraint(
            model_name='rate',
            constraint=models.CheckConstraint(condition=models.Q(('prompt_over__gte', 0)), name='pricing_rate_prompt_over'),
        ),
        migrations.AddConstraint(
            model_name='rate',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('is_free', False), ('usd_per_mtok__gt', 0)), models.Q(('is_free', True), ('usd_per_mtok', 0)), _connector='OR'), name='pricing_rate_zero_only_if_free'),
        ),
        migrations.AddConstraint(
            model_name='tierpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('tier__in', ['batch', 'flex', 'priority'])), name='pricing_tier_policy_tier'),
        ),
        migrations.AddConstraint(
            model_name='tierpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('layer__in', [10, 20, 30])), name='pricing_tier_policy_layer'),
        ),
        migrations.AddConstraint(
            model_name='tierpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('source_url', ''), _negated=True), name='pricing_tier_policy_source'),
        ),
        migrations.AddConstraint(
            model_name='tierpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('model_pattern', ''), models.Q(('model_pattern__startswith', '^'), ('model_pattern__endswith', '$')), _connector='OR'), name='pricing_tier_policy_anchored'),
        ),
        migrations.AddConstraint(
            model_name='tierpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('valid_from__isnull', True), ('valid_to__isnull', True), ('valid_from__lt', models.F('valid_to')), _connector='OR'), name='pricing_tier_policy_validity'),
        ),
        migrations.AddConstraint(
            model_name='tierpolicy',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('superseded_revision__isnull', True)), expressions=[('provider', '='), (django.db.models.functions.comparison.Coalesce('model_id', models.Value(0)), '='), ('model_pattern', '='), ('tier', '='), ('layer', '='), (pricing.models.TsTzRange('valid_from', 'valid_to', django.contrib.postgres.fields.ranges.RangeBoundary()), '&&')], name='pricing_tier_policy_no_overlap'),
        ),
        migrations.AddConstraint(
            model_name='tierfactor',
            constraint=models.UniqueConstraint(fields=('policy', 'meter', 'prompt_over'), name='pricing_tier_factor_meter'),
        ),
        migrations.AddConstraint(
            model_name='tierfactor',
            constraint=models.CheckConstraint(condition=models.Q(('meter__in', ['input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'reasoning'])), name='pricing_tier_factor_meter_known'),
        ),
        migrations.AddConstraint(
            model_name='tierfactor',
            constraint=models.CheckConstraint(condition=models.Q(('factor__gt', 0)), name='pricing_tier_factor_positive'),
        ),
    ]
