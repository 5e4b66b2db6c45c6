"""The hash chain of the ledger: each forecast's hash covers what was frozen and the hash before it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction

from markets.staging import Column, Kind, is_postgres, lay_out
from predictions.models import Prediction

GENESIS = "0" * 64
FIRST_VERSION = (
    "sequence", "horizon_days", "cutoff_at", "target_at", "issued_at", "base_price", "headline", "multiplier_80",
    "multiplier_95", "quantiles", "model_quantiles", "fhs_quantiles", "ewma_quantiles", "label",
    "counts_as_evidence", "is_sample", "inputs_sha256", "previous_hash",
)  # fmt: skip
# What a forecast's hash covers, by the version that stands in the row: what was hashed once stays verifiable.
HASHED = {1: FIRST_VERSION, 2: (*FIRST_VERSION, "hash_version", "frequency", "horizon_hours", "is_shadow")}
CURRENT_VERSION = 2
STAGED = "ledger_staging"
INSERTED = [field for field in Prediction._meta.concrete_fields if not field.primary_key]
KINDS: dict[type, Kind] = {
    models.CharField: Kind.TEXT, models.DateTimeField: Kind.TIME, models.FloatField: Kind.FIGURE,
    models.JSONField: Kind.JSON, models.BooleanField: Kind.FLAG, models.ForeignKey: Kind.KEY,
    models.PositiveBigIntegerField: Kind.KEY, models.PositiveSmallIntegerField: Kind.COUNT,
}  # fmt: skip
OUTCOME = (
    "row_hash", "state", "void_reason", "actual_price", "scored_at", "crps", "crps_model", "crps_fhs", "crps_ewma",
    "interval_score_80", "is_hit_80", "is_hit_95",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a walk along the chain found."""

    is_intact: bool
    length: int
    head: str
    broken_at: int | None
    problem: str


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON-ready: times are ISO 8601 in UTC, numbers the stored doubles."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def content_hash(content: dict[str, Any]) -> str:
    """SHA-256 of the content as JSON with sorted keys and no spaces (doubles in their shortest exact form)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def prediction_hash(prediction: Prediction) -> str:
    """The hash that this forecast should carry; KeyError for a version that never was."""
    values = {name: getattr(prediction, name) for name in HASHED[prediction.hash_version]}
    return row_hash(values, coin=prediction.coin.coingecko_id, model=prediction.model.version)


def row_hash(values: dict[str, Any], *, coin: str, model: str) -> str:
    """The hash of the frozen columns of one forecast."""
    return content_hash(_plain(values) | {"coin": coin, "model": model})


def outcome_hash(prediction: Prediction) -> str:
    """The hash that ties what came of a forecast to it; empty while it is open."""
    return outcome_hash_of({name: getattr(prediction, name) for name in OUTCOME})


def outcome_hash_of(values: dict[str, Any]) -> str:
    return "" if values["state"] == Prediction.State.OPEN else content_hash(_plain(values))


def append(*, predictions: Sequence[Prediction]) -> list[Prediction]:
    """Gives new forecasts their places in the chain and stores them, all or none.

    The caller holds the ledger's lock (`issuing.issue_forecasts` does); the unique sequence refuses a second
    writer all the same.
    """
    with transaction.atomic():
        last = Prediction.objects.order_by("-sequence").values("sequence", "row_hash").first()
        sequence, previous = (last["sequence"], last["row_hash"]) if last else (0, GENESIS)
        for prediction in predictions:
            sequence += 1
            prediction.set_horizon()
            prediction.sequence, prediction.previous_hash = sequence, previous
            prediction.row_hash = previous = prediction_hash(prediction)
        _insert(predictions)
    return list(predictions)


def _insert(predictions: Sequence[Prediction]) -> None:
    """Stores the rows by one statement from a staged table, in a third of `bulk_create`'s time; sets their keys."""
    columns = [Column(str(field.column), KINDS[type(field)]) for field in INSERTED]
    rows = [[getattr(one, field.attname) for field in INSERTED] for one in predictions]
    if not is_postgres():
        # SQLite keeps JSON as text, and the guard of the ledger holds it against the text that Django writes.
        texts = [place for place, column in enumerate(columns) if column.kind is Kind.JSON]
        columns = [column._replace(kind=Kind.TEXT) if column.kind is Kind.JSON else column for column in columns]
        for row in rows:
            for place in texts:
                row[place] = json.dumps(row[place])
    names = ", ".join(f'"{column.name}"' for column in columns)
    with connection.cursor() as cursor:
        lay_out(cursor, STAGED, columns, rows)
        cursor.execute(
            f'INSERT INTO "{Prediction._meta.db_table}" ({names}) SELECT {names} FROM "{STAGED}" ORDER BY "sequence"'
        )
    if predictions:
        first, last = predictions[0].sequence, predictions[-1].sequence
        keys = dict(Prediction.objects.filter(sequence__range=(first, last)).values_list("sequence", "pk"))
        for prediction in predictions:
            prediction.pk, prediction._state.adding = keys[prediction.sequence], False


def verify_chain() -> ChainReport:
    """Walks the whole chain, recomputes every hash and holds every outcome against its own."""
    expected, previous = 1, GENESIS
    # As plain values: a model object for each row, its model's metrics with it, would take ten times as long.
    columns = {*HASHED[CURRENT_VERSION], *OUTCOME, "outcome_hash", "coin__coingecko_id", "model__version"}
    for row in Prediction.objects.order_by("sequence").values(*columns).iterator(chunk_size=500):
        problem = _problem_of(row, expected, previous)
        if problem:
            return ChainReport(False, expected - 1, previous, expected, problem)
        expected, previous = expected + 1, row["row_hash"]
    return ChainReport(True, expected - 1, previous, None, "")


def _problem_of(row: dict[str, Any], expected: int, previous: str) -> str:
    """What is wrong with a forecast in its place; empty when nothing is."""
    if row["sequence"] != expected:
        return f"forecast {expected} is missing"
    if row["previous_hash"] != previous:
        return "it does not follow the forecast before it"
    names = HASHED.get(row["hash_version"], ())
    frozen = {name: row[name] for name in names}
    if not names or row_hash(frozen, coin=row["coin__coingecko_id"], model=row["model__version"]) != row["row_hash"]:
        return "its content does not match its hash"
    if outcome_hash_of({name: row[name] for name in OUTCOME}) != row["outcome_hash"]:
        return "its outcome does not match its hash"
    return ""
