"""Keeps sparklines apart from the coins' rows on PostgreSQL: the latest prices of all coins are then few pages."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLE = "markets_cryptocurrency"


def keep_apart(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """A row above 2 kB is toasted; down to 1 kB moves out the sparkline alone, not compressed, as it is sent anew hourly.

    A tick updates every row: room on each page lets it do so without a new entry in every index.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN sparkline_7d SET STORAGE EXTERNAL")
        schema_editor.execute(f"ALTER TABLE {TABLE} SET (toast_tuple_target = 1024, fillfactor = 80)")


def keep_together(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE {TABLE} ALTER COLUMN sparkline_7d SET STORAGE EXTENDED")
        schema_editor.execute(f"ALTER TABLE {TABLE} RESET (toast_tuple_target, fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("markets", "0004_exclusions_and_stale_rows")]

    operations = [migrations.RunPython(keep_apart, keep_together)]
