"""The ledger as CSV: everything that a stranger needs to recompute each score and each hash."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from predictions.forecasting.quantiles import LEVELS, level_name
from predictions.models import Prediction

FROZEN = {
    "sequence": "sequence",
    "coin": "coin__coingecko_id",
    "model": "model__version",
    "frequency": "frequency",
    "horizon_days": "horizon_days",
    "horizon_hours": "horizon_hours",
    "cutoff_at": "cutoff_at",
    "target_at": "target_at",
    "issued_at": "issued_at",
    "base_price": "base_price",
    "headline": "headline",
    "multiplier_80": "multiplier_80",
    "multiplier_95": "multiplier_95",
    "label": "label",
    "counts_as_evidence": "counts_as_evidence",
    "is_sample": "is_sample",
    "is_shadow": "is_shadow",
    "hash_version": "hash_version",
    "inputs_sha256": "inputs_sha256",
    "previous_hash": "previous_hash",
    "row_hash": "row_hash",
}
OUTCOME = (
    "state", "void_reason", "actual_price", "scored_at", "crps", "crps_model", "crps_fhs", "crps_ewma",
    "interval_score_80", "is_hit_80", "is_hit_95", "outcome_hash",
)  # fmt: skip
QUANTILES = ("quantiles", "model_quantiles", "fhs_quantiles", "ewma_quantiles")

COLUMNS = (
    *FROZEN,
    *OUTCOME,
    *(f"{name.removesuffix('quantiles')}{level_name(level)}" for name in QUANTILES for level in LEVELS),
)


def ledger_rows(predictions: QuerySet[Prediction]) -> Iterator[tuple[Any, ...]]:
    """A tuple in the order of COLUMNS per forecast, from the first of the chain to the last."""
    plain = len(FROZEN) + len(OUTCOME)
    chosen = predictions.order_by("sequence").values_list(*FROZEN.values(), *OUTCOME, *QUANTILES)
    for row in chosen.iterator(chunk_size=500):
        yield (*row[:plain], *(price for prices in row[plain:] for price in prices))
