"""Time zones: an organization's move to another one, and how far its usage has followed."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0005_usage_by_user_and_feature'),
    ]

    operations = [
        migrations.CreateModel(
            name='TimeZoneChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('old_zone', models.CharField(max_length=64)),
                ('new_zone', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField()),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('total', models.BigIntegerField(default=0)),
                ('done', models.BigIntegerField(default=0)),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='time_zone_changes', to='events.organization')),
            ],
            options={
                'db_table': 'time_zone_change',
                'ordering': ('-id',),
                'indexes': [models.Index(condition=models.Q(('finished_at', None)), fields=['organization', '-id'], name='time_zone_change_unfinished')],
            },
        ),
    ]
