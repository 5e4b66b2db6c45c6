"""An index in the order of the market list, in place of one that only helped to find the tracked coins."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0006_who_decided")]

    operations = [
        migrations.RemoveIndex(model_name="cryptocurrency", name="coin_tracked_rank"),
        migrations.AddIndex(
            model_name="cryptocurrency",
            index=models.Index(fields=["market_cap_rank", "coingecko_id"], name="coin_rank"),
        ),
    ]
