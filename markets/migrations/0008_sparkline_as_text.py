"""Sparklines are text: PostgreSQL neither takes their numbers apart nor writes them anew. On SQLite they always were."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import markets.fields

COLUMN = "ALTER TABLE markets_cryptocurrency ALTER COLUMN sparkline_7d"


def change_type(schema_editor: BaseDatabaseSchemaEditor, name: str) -> None:
    """With its type the column loses how it is stored, which migration 0005 had set."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"{COLUMN} TYPE {name} USING sparkline_7d::{name}")
        schema_editor.execute(f"{COLUMN} SET STORAGE EXTERNAL")


def to_text(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    change_type(schema_editor, "text")


def to_jsonb(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    change_type(schema_editor, "jsonb")


class Migration(migrations.Migration):
    dependencies = [("markets", "0007_rank_order")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "cryptocurrency",
                    "sparkline_7d",
                    markets.fields.WrittenJSONField(
                        blank=True, default=list, help_text="Up to 168 hourly prices, oldest first."
                    ),
                )
            ],
            database_operations=[migrations.RunPython(to_text, to_jsonb)],
        )
    ]
