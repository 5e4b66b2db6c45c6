"""The hash chain of the ledger: each forecast's hash covers what was frozen and the hash before it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from predictions.models import Prediction

GENESIS = "0" * 64
HASHED = (
    "sequence", "horizon_days", "cutoff_at", "target_at", "issued_at", "base_price", "headline", "multiplier_80",
    "multiplier_95", "quantiles", "model_quantiles", "fhs_quantiles", "ewma_quantiles", "label",
    "counts_as_evidence", "is_sample", "inputs_sha256", "previous_hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a walk along the chain found."""

    is_intact: bool
    length: int
    head: str
    broken_at: int | None
    problem: str


def frozen_content(values: dict[str, Any], *, coingecko_id: str, version: str) -> dict[str, Any]:
    """What a forecast's hash covers, JSON-ready; times are ISO 8601 in UTC, numbers the stored doubles."""
    content = {name: values[name] for name in HASHED}
    for name, value in content.items():
        if isinstance(value, datetime):
            content[name] = value.isoformat()
    return content | {"coin": coingecko_id, "model": version}


def content_hash(content: dict[str, Any]) -> str:
    """SHA-256 of the content as JSON with sorted keys and no spaces (doubles in their shortest exact form)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def prediction_hash(prediction: Prediction) -> str:
    """The hash that this forecast should carry."""
    values = {name: getattr(prediction, name) for name in HASHED}
    return content_hash(
        frozen_content(values, coingecko_id=prediction.coin.coingecko_id, version=prediction.model.version)
    )


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
            prediction.sequence, prediction.previous_hash = sequence, previous
            prediction.row_hash = previous = prediction_hash(prediction)
        return Prediction.objects.bulk_create(predictions, batch_size=200)


def verify_chain() -> ChainReport:
    """Walks the whole chain and recomputes every hash."""
    expected, previous = 1, GENESIS
    rows = Prediction.objects.select_related("coin", "model").order_by("sequence")
    for prediction in rows.iterator(chunk_size=500):
        problem = ""
        if prediction.sequence != expected:
            problem = f"forecast {expected} is missing"
        elif prediction.previous_hash != previous:
            problem = "it does not follow the forecast before it"
        elif prediction_hash(prediction) != prediction.row_hash:
            problem = "its content does not match its hash"
        if problem:
            return ChainReport(False, expected - 1, previous, expected, problem)
        expected, previous = expected + 1, prediction.row_hash
    return ChainReport(True, expected - 1, previous, None, "")
