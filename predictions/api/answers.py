"""Forecasts, records and evidence as the API writes them."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from markets.services import data_source
from predictions.fans import Band, Fan, FanHorizon, stale_after
from predictions.forecasting.labels import Evidence
from predictions.forecasting.quantiles import BAND_80, LEVELS
from predictions.frequency import Frequency
from predictions.models import Prediction, TrainedModel
from predictions.record import HorizonRecord, TrackRecord, evidence_by_horizon, evidence_of_model, no_evidence

# Name in the answer → column. The ledger is read as plain values: no model objects are built for a page of it.
LEDGER_COLUMNS = {
    "id": "pk",
    "coin": "coin__coingecko_id",
    "model": "model__version",
    "frequency": "frequency",
    "horizon_days": "horizon_days",
    "horizon_hours": "horizon_hours",
    "cutoff_at": "cutoff_at",
    "target_at": "target_at",
    "issued_at": "issued_at",
    "base_price_usd": "base_price",
    "headline": "headline",
    "quantiles": "quantiles",
    "model_quantiles": "model_quantiles",
    "fhs_quantiles": "fhs_quantiles",
    "ewma_quantiles": "ewma_quantiles",
    "multiplier_80": "multiplier_80",
    "multiplier_95": "multiplier_95",
    "label_when_issued": "label",
    "counts_as_evidence": "counts_as_evidence",
    "is_shadow": "is_shadow",
    "state": "state",
    "void_reason": "void_reason",
    "actual_price_usd": "actual_price",
    "scored_at": "scored_at",
}
SCORES = ("crps", "crps_model", "crps_fhs", "crps_ewma", "interval_score_80", "is_hit_80", "is_hit_95")
CHAIN = ("sequence", "inputs_sha256", "previous_hash", "row_hash", "hash_version", "outcome_hash")
LEDGER_VALUES = (*LEDGER_COLUMNS.values(), *SCORES, *CHAIN, "is_sample", "model_id")


def source_of(is_sample: bool) -> str:
    """Where a forecast's prices came from, whatever market the site shows now."""
    here = data_source()
    if not is_sample:
        return "live"
    return "sample data" if here == "live" else here


def band_of(band: Band) -> dict[str, float]:
    return {"low": band[0], "high": band[1]}


def evidence_of(evidence: Evidence) -> dict[str, Any]:
    interval = evidence.interval and band_of(evidence.interval)
    return {**asdict(evidence), "label": evidence.label.value, "interval": interval}


def evidence_at(row: dict[str, Any]) -> Evidence:
    """What the record says of a row's horizon; of a challenger's row, the challenger's own record."""
    return _evidence_of_row(row, {})


def predictions_of(rows: Iterable[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """A page of the ledger; each record is looked up, and written out, once for all its rows."""
    records: Records = {}
    written: dict[tuple[str, int | None, int], dict[str, Any]] = {}
    answers = []
    for row in rows:
        key = (row["frequency"], row["model_id"] if row["is_shadow"] else None, row["horizon_hours"])
        if key not in written:
            written[key] = evidence_of(_evidence_of_row(row, records))
        answers.append(prediction_of(row, written[key], now))
    return answers


Records = dict[tuple[str, int | None], dict[int, Evidence]]


def _evidence_of_row(row: dict[str, Any], records: Records) -> Evidence:
    frequency, challenger = Frequency(row["frequency"]), row["model_id"] if row["is_shadow"] else None
    key = (frequency.value, challenger)
    if key not in records:
        records[key] = (
            evidence_by_horizon(frequency)
            if challenger is None
            else evidence_of_model(TrainedModel(pk=challenger, frequency=frequency))
        )
    return records[key].get(row["horizon_hours"] // frequency.hours) or no_evidence()


def prediction_of(row: dict[str, Any], evidence: dict[str, Any], now: datetime) -> dict[str, Any]:
    """One forecast of the ledger, from a row of LEDGER_VALUES and what `evidence_of` answers."""
    return {
        **{name: row[column] for name, column in LEDGER_COLUMNS.items()},
        "horizon_days": row["horizon_days"] or None,
        "as_of": row["cutoff_at"],
        "is_stale": now - row["cutoff_at"] > stale_after(Frequency(row["frequency"])),
        "data_source": source_of(row["is_sample"]),
        "levels": LEVELS,
        "evidence": evidence,
        "scores": {name: row[name] for name in SCORES},
        "chain": {name: row[name] for name in CHAIN},
    }


def fan_of(fan: Fan, horizons: list[FanHorizon]) -> dict[str, Any]:
    return {
        "id": fan.coin.coingecko_id,
        "frequency": fan.frequency.value,
        "model": fan.model.version,
        "as_of": fan.cutoff_at,
        "issued_at": fan.issued_at,
        "is_stale": fan.is_stale,
        "data_source": source_of(fan.is_sample),
        "base_price_usd": fan.base_price,
        "counts_as_evidence": fan.counts_as_evidence,
        "headline_horizons": [one.horizon for one in fan.headline_horizons],
        "levels": LEVELS,
        "horizons": [fan_horizon_of(one) for one in horizons],
    }


def fan_horizon_of(one: FanHorizon) -> dict[str, Any]:
    return {
        "prediction_id": one.prediction.pk,
        **Frequency(one.prediction.frequency).columns(one.horizon),
        "target_at": one.target_at,
        "headline": one.headline,
        "headline_name": one.headline_name,
        "headline_reason": one.headline_reason,
        "median": one.median,
        "band_80": band_of(one.band_80),
        "band_95": band_of(one.band_95),
        "quantiles": one.quantiles,
        "model_quantiles": one.model_quantiles,
        "ewma_quantiles": one.ewma_quantiles,
        "baseline": {
            "name": one.baseline_name,
            "quantiles": one.baseline_quantiles,
            "band_80": band_of(one.baseline_band_80),
        },
        "label": one.evidence.label.value,
        "evidence": evidence_of(one.evidence),
    }


def record_of(record: TrackRecord, now: datetime) -> dict[str, Any]:
    frequency = record.selection.frequency
    detail = frequency.columns(record.selection.detail_horizon)
    return {
        "frequency": frequency.value,
        "verdict": record.verdict,
        "as_of": record.as_of,
        "is_stale": record.as_of is None or now - record.as_of > stale_after(frequency),
        "data_source": data_source(),
        "n_dates": record.n_dates,
        "n_forecasts": record.n_forecasts,
        "first_scored_on": record.first_scored_on,
        "dates_missing": record.countdown,
        "horizons": [horizon_of(one) for one in record.horizons],
        "calibration": [
            {"level": level, "observed": observed, "n_dates": n_dates}
            for level, observed, n_dates in record.calibration
        ],
        "months": [asdict(one) for one in record.months],
        **{f"detail_{name}": value for name, value in detail.items()},
        "coins": [
            {"coin": one.coin.coingecko_id, "evidence_vs_fhs": evidence_of(one.evidence)} for one in record.coins
        ],
        "models": [
            {"model": one.model.version, "state": one.model.state, "evidence_vs_fhs": evidence_of(one.evidence)}
            for one in record.models
        ],
        "worst": [miss_of(one) for one in record.worst],
        "backtest": record.backtest,
    }


def horizon_of(one: HorizonRecord) -> dict[str, Any]:
    return {
        **one.frequency.columns(one.horizon),
        "label": one.label.value,
        "evidence_vs_fhs": evidence_of(one.evidence_vs_fhs),
        "evidence_vs_ewma": evidence_of(one.evidence_vs_ewma),
    }


def miss_of(prediction: Prediction) -> dict[str, Any]:
    low, high = (prediction.quantiles[place] for place in BAND_80)
    return {
        "prediction_id": prediction.pk,
        "coin": prediction.coin.coingecko_id,
        **Frequency(prediction.frequency).columns(prediction.horizon),
        "target_at": prediction.target_at,
        "actual_price_usd": prediction.actual_price,
        "band_80": band_of((low, high)),
        "crps": prediction.crps,
    }
