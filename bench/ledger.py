"""A long ledger and a model, made by the server: what is in it looks like the product's own, but no hash is real."""

from django.conf import settings
from django.db import connection

from bench.market import coin_ids
from predictions.models import TrainedModel

VERSION = "bench"


def model() -> TrainedModel:
    """A model that once served."""
    fields = {
        "state": "retired",
        "folder": str(settings.STARTER_MODEL_DIR),
        "manifest_sha256": "0" * 64,
        "cutoff_on": "2026-01-01",
    }
    return TrainedModel.objects.get_or_create(version=VERSION, defaults=fields)[0]


def fill_ledger(rows: int) -> None:
    """Brings the ledger to so many forecasts, five horizons of fifty coins at each cutoff; nine in ten are scored."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(sequence), 0) FROM predictions_prediction")
        present = cursor.fetchone()[0]
        cursor.execute("SET statement_timeout = 0")
        add_forecasts(present + 1, rows, scored=rows * 9 // 10, first_coin=coin_ids()[0])
        cursor.execute("RESET statement_timeout")
        cursor.execute("VACUUM (ANALYZE) predictions_prediction")


def add_forecasts(first: int, last: int, *, scored: int, first_coin: int, coins: int = 50) -> None:
    """Writes the forecasts of these places in the chain; those up to `scored` have an outcome."""
    places = {"first": first, "last": last, "scored": scored, "model": model().pk}
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {**places, "coin": first_coin, "coins": coins})


INSERT = """
INSERT INTO predictions_prediction (
    sequence, coin_id, model_id, frequency, horizon_days, horizon_hours, cutoff_at, target_at, issued_at, base_price,
    headline, multiplier_80, multiplier_95, quantiles, model_quantiles, fhs_quantiles, ewma_quantiles, label,
    counts_as_evidence, is_sample, is_shadow, hash_version, inputs_sha256, previous_hash, row_hash, state, void_reason,
    outcome_hash, actual_price, scored_at, crps, crps_model, crps_fhs, crps_ewma, interval_score_80, is_hit_80,
    is_hit_95)
SELECT place, %(coin)s + (place / 5) %% %(coins)s, %(model)s, '1d', horizon, 24 * horizon, cutoff,
    cutoff + horizon * interval '1 day', cutoff, 100 + chance, 'model', 1.1, 1.2, quantiles, quantiles, quantiles,
    quantiles, 'too early', true, true, false,
    2, md5(place::text) || md5('inputs'), md5(place::text) || md5('previous'), md5(place::text) || md5('row'),
    CASE WHEN place <= %(scored)s THEN 'scored' ELSE 'open' END, '',
    CASE WHEN place <= %(scored)s THEN md5(place::text) || md5('outcome') ELSE '' END,
    CASE WHEN place <= %(scored)s THEN 100 + 2 * chance END,
    CASE WHEN place <= %(scored)s THEN cutoff + horizon * interval '1 day' END,
    CASE WHEN place <= %(scored)s THEN chance END, CASE WHEN place <= %(scored)s THEN chance END,
    CASE WHEN place <= %(scored)s THEN 1 - chance END, CASE WHEN place <= %(scored)s THEN 1 - chance END,
    CASE WHEN place <= %(scored)s THEN chance END, CASE WHEN place <= %(scored)s THEN chance < 0.8 END,
    CASE WHEN place <= %(scored)s THEN chance < 0.95 END
FROM generate_series(%(first)s::bigint, %(last)s::bigint) place
CROSS JOIN LATERAL (SELECT (ARRAY[1, 3, 7, 14, 30])[1 + place %% 5] AS horizon,
    timestamptz '2020-01-01' + (place / 250) * interval '1 day' AS cutoff,
    ((place * 7919) %% 1000) / 1000.0 AS chance) made
CROSS JOIN LATERAL (SELECT jsonb_agg(90.123456789012 + chance + step) AS quantiles FROM generate_series(1, 13) step)
    drawn
"""
