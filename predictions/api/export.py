"""The ledger as CSV, all that a stranger needs to recompute each score and each hash; and the record's table."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from predictions.forecasting.labels import Evidence
from predictions.forecasting.quantiles import LEVELS, level_name
from predictions.models import Prediction
from predictions.record import TrackRecord

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


RECORD_COLUMNS = (
    "of", "name", "frequency", "horizon_days", "horizon_hours", "label", "baseline", "n_dates", "n_forecasts", "skill",
    "interval_low", "interval_high", "coverage_80", "coverage_95", "period_start", "period_end", "weighting",
)  # fmt: skip


def record_rows(record: TrackRecord) -> Iterator[tuple[Any, ...]]:
    """A tuple in the order of RECORD_COLUMNS for each horizon and baseline, each coin and each model."""
    frequency = record.selection.frequency
    for one in record.horizons:
        for evidence in (one.evidence_vs_fhs, one.evidence_vs_ewma):
            yield "horizon", "", frequency.value, *frequency.columns(one.horizon).values(), *_figures(evidence)
    detail = (frequency.value, *frequency.columns(record.selection.detail_horizon).values())
    for coin in record.coins:
        yield "coin", coin.coin.coingecko_id, *detail, *_figures(coin.evidence)
    for model in record.models:
        yield "model", model.model.version, *detail, *_figures(model.evidence)


def _figures(evidence: Evidence) -> tuple[Any, ...]:
    low, high = evidence.interval or (None, None)
    return (
        evidence.label.value, evidence.baseline, evidence.n_dates, evidence.n_forecasts, evidence.skill, low, high,
        evidence.coverage_80, evidence.coverage_95, evidence.period_start, evidence.period_end, evidence.weighting,
    )  # fmt: skip
