"""Lets PostgreSQL answer a chart from one index alone, and drops an index that this one makes redundant."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLE = "markets_pricedata"
KEY = 'coin_id, "interval", at'
# What charts, candles, roll-ups and forecasts read; the three last cost nothing beyond alignment or are filtered by.
PAYLOAD = "open, high, low, close, volume_24h, market_cap, is_quarantined, samples"

# Packed full: a new price goes behind its coin's last one, so the pages before are never added to (the page at the
# end is split whatever the fill factor; see markets/upkeep.py).

# An insert-only table is vacuumed, by default, after 20 % of its rows came anew. Until then the newest pages are not
# known as all-visible, and an index-only scan of the last days goes to the table for each row. With these, a vacuum
# comes about every hour of ticks of 5,000 coins, and reads only the pages that changed since the last one. Expired
# rows leave at 1/30 of the table a day; they are cleared away as soon, and their place is used again.
SETTINGS = {
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_vacuum_insert_threshold": "50000",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_analyze_scale_factor": "0.02",
}


def make_covering(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return  # SQLite cannot attach columns to a unique index; a second index would double the file
    _replace_constraint(schema_editor, f"UNIQUE ({KEY}) INCLUDE ({PAYLOAD}) WITH (fillfactor = 100)")
    options = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
    schema_editor.execute(f"ALTER TABLE {TABLE} SET ({options})")


def make_plain(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    _replace_constraint(schema_editor, f"UNIQUE ({KEY})")
    schema_editor.execute(f"ALTER TABLE {TABLE} RESET ({', '.join(SETTINGS)})")


def _replace_constraint(schema_editor: BaseDatabaseSchemaEditor, definition: str) -> None:
    schema_editor.execute(
        f"ALTER TABLE {TABLE} DROP CONSTRAINT price_once_per_slot, ADD CONSTRAINT price_once_per_slot {definition}"
    )


class Migration(migrations.Migration):
    dependencies = [("markets", "0002_production")]

    operations = [
        migrations.AlterField(
            model_name="pricedata",
            name="coin",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="prices",
                to="markets.cryptocurrency",
            ),
        ),
        migrations.RunPython(make_covering, make_plain),
    ]
