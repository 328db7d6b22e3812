"""What the admin calls a revision; nothing in the database changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("pricing", "0002_append_only_names")]

    operations = [migrations.AlterModelOptions(name="pricingrevision", options={"verbose_name": "price change"})]
