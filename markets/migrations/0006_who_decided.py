"""Who decided on a fault and who restated a price stand in columns; older faults of staff are known by their texts."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def mark_decisions_of_staff(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    faults = apps.get_model("markets", "DataFault").objects.using(schema_editor.connection.alias)
    faults.filter(detail__startswith="By staff: ").update(is_opened_by_staff=True)
    closed = models.Q(resolution__startswith="Released by ") | models.Q(resolution__startswith="Marked as resolved by ")
    faults.filter(closed).update(is_closed_by_staff=True)


class Migration(migrations.Migration):

    dependencies = [
        ("markets", "0005_sparkline_out_of_line"),
    ]

    operations = [
        migrations.AddField(
            model_name="datafault",
            name="is_opened_by_staff",
            field=models.BooleanField(default=False, help_text="The hourly check leaves it open."),
        ),
        migrations.AddField(
            model_name="datafault",
            name="is_closed_by_staff",
            field=models.BooleanField(default=False, help_text="The hourly check does not open it again."),
        ),
        migrations.AddField(
            model_name="restatement",
            name="stated_by",
            field=models.CharField(
                choices=[("upstream", "CoinGecko"), ("import", "A file that staff imported")],
                default="upstream",
                max_length=10,
            ),
        ),
        migrations.RunPython(mark_decisions_of_staff, migrations.RunPython.noop),
    ]
