"""Seals what was scored before and lets the database itself refuse to rewrite the ledger."""

import hashlib
import json

from django.db import migrations
from django.db.models import F

from predictions import guards

OUTCOME = (
    "state", "void_reason", "actual_price", "scored_at", "crps", "crps_model", "crps_fhs", "crps_ewma",
    "interval_score_80", "is_hit_80", "is_hit_95",
)


def seal(apps, schema_editor):
    """The first version of the outcome's hash, as it was when this migration was written."""
    predictions = apps.get_model("predictions", "Prediction").objects
    rows = predictions.exclude(state="open").filter(outcome_hash="").order_by("pk")
    for row in rows.values("pk", "row_hash", *OUTCOME).iterator(chunk_size=500):
        content = {name: row[name] for name in ("row_hash", *OUTCOME)}
        if content["scored_at"] is not None:
            content["scored_at"] = content["scored_at"].isoformat()
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        predictions.filter(pk=row["pk"]).update(outcome_hash=hashlib.sha256(text.encode()).hexdigest())
    schema_editor.connection.check_constraints()  # PostgreSQL alters no table with checks still to come


def remember_promotions(apps, schema_editor):
    """Champions of the time before there were events, so that a rollback finds them."""
    models, events = (apps.get_model("predictions", name).objects for name in ("TrainedModel", "ModelEvent"))
    for model in models.filter(promoted_at__isnull=False, events__isnull=True):
        events.create(model=model, kind="promoted", at=model.promoted_at, reason=model.reason)


def install(apps, schema_editor):
    guards.install(schema_editor.connection)


def remove(apps, schema_editor):
    guards.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ("predictions", "0002_registry_and_outcomes"),
    ]

    operations = [
        migrations.RunPython(seal, migrations.RunPython.noop),
        migrations.RunPython(remember_promotions, migrations.RunPython.noop),
        migrations.RunPython(install, remove),
    ]
