"""The recorded market lived through day by day gives the ledger and the record that a back-test gives."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import LazySettings

from predictions import record
from predictions.forecasting.artifact import read_artifact
from predictions.forecasting.backtest import BacktestResult, run_backtest
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.forecasters.protocol import EWMA_N, FHS, LSTM, PUBLISHED
from predictions.forecasting.forecasters.published import Ledger, Published
from predictions.forecasting.labels import Evidence, evidence
from predictions.forecasting.metrics import crps_from_quantiles, interval_score, is_inside
from predictions.forecasting.quantiles import BAND_80, HORIZONS
from predictions.forecasting.recipe import Recipe
from predictions.forecasting.series import Panel
from predictions.forecasting.training import Trained
from predictions.history import TRAINING_DAYS, read_panel
from predictions.ledger import verify_chain
from predictions.models import ModelAlarm, Prediction, TrainedModel
from predictions.record import backtest_label
from predictions.scoring import NEVER_OBSERVED
from predictions.tests import replay

pytestmark = [pytest.mark.shared, pytest.mark.slow, pytest.mark.django_db]
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data"
# From 2023-12-31 to 2024-01-10 more than half of the recorded coins have no price.
FIRST_DAY = date(2023, 10, 1)
SAME = 1e-9  # relative: prices in dollars are stored, and their logarithm loses the last bits
COLUMNS = {"quantiles": PUBLISHED, "model_quantiles": LSTM, "fhs_quantiles": FHS, "ewma_quantiles": EWMA_N}


@dataclass(frozen=True)
class Both:
    """What a life has left in the database, and the back-test of the same days, row by row."""

    rows: list[Prediction]
    result: BacktestResult
    places: list[tuple[int, int]]  # of each row: its origin and its horizon in the back-test


def lived(folder: Path, settings: LazySettings, *, coins: int, days: int) -> Both:
    """Lives through recorded days from FIRST_DAY on; one coin is not traded for twelve of them."""
    settings.TRACKED_COINS = 250
    settings.COINGECKO_CALLS_PER_MINUTE, settings.COINGECKO_MONTHLY_CREDITS = 10_000, 0
    chosen = replay.recorded_coins(RECORDED, FIRST_DAY - timedelta(days=364), date(2024, 9, 29))[:coins]
    gap = (FIRST_DAY + timedelta(days=40), FIRST_DAY + timedelta(days=51))
    data = replay.copy_recorded(RECORDED, folder / "data", chosen, without={"algorand": gap})
    life = replay.begin(folder, data, on=FIRST_DAY, coins=coins)
    try:
        life.live(days)
    finally:
        life.world.server.stop()
    assert not ModelAlarm.objects.filter(stops_headline=True).exists()
    last = life.world.now.date()
    stored = read_panel(cutoff_on=last, days=TRAINING_DAYS)
    check_prices(stored, read_csv_folder(data / "daily"))
    result = backtest(stored, life.model, start=life.issues[0].cutoff_on, end=stored.last_date)
    rows = list(Prediction.objects.select_related("coin").order_by("sequence"))
    origins = {
        (stored.coins[coin], stored.dates[day]): origin
        for origin, (day, coin) in enumerate(zip(result.rows.days, result.rows.coins, strict=True))
    }
    forecast = {(one.coin.coingecko_id, np.datetime64(one.cutoff_at.date(), "D")) for one in rows}
    assert forecast == set(origins)
    places = [
        (origins[one.coin.coingecko_id, np.datetime64(one.cutoff_at.date(), "D")], HORIZONS.index(one.horizon))
        for one in rows
    ]
    assert len(set(places)) == len(rows) == len(origins) * len(HORIZONS)
    return Both(rows, result, places)


def check_prices(stored: Panel, recorded: Panel) -> None:
    """The site saw the recorded prices, at most half a minute before midnight."""
    begin = recorded.index_of(stored.dates[0].astype(object))
    part = recorded.prices[begin : begin + len(stored.dates), [recorded.coins.index(coin) for coin in stored.coins]]
    both = np.isfinite(stored.prices) & np.isfinite(part)
    assert both.sum() > 0.9 * np.isfinite(part).sum()
    assert np.abs(np.log(stored.prices[both] / part[both])).max() < 0.02


def backtest(panel: Panel, model: TrainedModel, *, start: date, end: date) -> BacktestResult:
    """The product's own back-test with the champion's weights instead of a fit."""
    shipped = read_artifact(Path(model.folder), expected_sha256=model.manifest_sha256)

    def fit(past: Panel, *, cutoff: date, recipe: Recipe, seed: int) -> Trained:
        return Trained(shipped.recipe, cutoff, seed, shipped.z, shipped.weights, shipped.onnx, "", {})

    validated = {horizon: backtest_label(model, horizon) for horizon in HORIZONS}
    return run_backtest(
        panel,
        start=start,
        end=end,
        refit_every_days=len(panel.dates),
        models=(LSTM, FHS, EWMA_N),
        extra_models=[Published(PUBLISHED, HORIZONS, Ledger(), validated)],
        fit=fit,
    )


def check_everything(both: Both) -> None:
    check_quantiles(both)
    check_outcomes(both)
    check_record(both)
    assert verify_chain().is_intact


def check_quantiles(both: Both) -> None:
    base = np.array([one.base_price for one in both.rows])
    origin, horizon = np.array(both.places).T
    for column, model in COLUMNS.items():
        ours = np.log(np.array([getattr(one, column) for one in both.rows]) / base[:, None])
        theirs = both.result.log_quantiles[model][origin, horizon]
        np.testing.assert_allclose(ours, theirs, rtol=SAME, atol=1e-12, err_msg=column)
    headlines = {one.headline for one in both.rows}
    assert headlines == set(Prediction.Headline)  # both rules were met: the validation's and the record's
    assert any(one.multiplier_80 != 1 for one in both.rows)


def check_outcomes(both: Both) -> None:
    actual = np.array([both.result.actual[place] for place in both.places])
    states = np.array([one.state for one in both.rows])
    end = datetime.combine(both.result.features.dates[-1].astype(object), datetime.min.time(), tzinfo=UTC)
    is_due = np.array([one.target_at <= end for one in both.rows])
    assert ((states == Prediction.State.SCORED) == np.isfinite(actual)).all()
    # What has no price at its target is void with a reason here, and was never there for the back-test.
    long_due = np.array([one.target_at <= end - timedelta(days=8) for one in both.rows])
    assert (states[long_due & ~np.isfinite(actual)] == Prediction.State.VOID).all()
    assert (states[~is_due] == Prediction.State.OPEN).all()
    void = [one for one in both.rows if one.state == Prediction.State.VOID]
    assert len(void) > 0
    assert {one.void_reason for one in void} == {NEVER_OBSERVED}
    scored = [(one, place) for one, place in zip(both.rows, both.places, strict=True) if one.crps is not None]
    y = np.array([both.result.actual[place] for _, place in scored])
    for column, model in {"crps": PUBLISHED, "crps_model": LSTM, "crps_fhs": FHS, "crps_ewma": EWMA_N}.items():
        expected = crps_from_quantiles(y, np.array([both.result.log_quantiles[model][place] for _, place in scored]))
        stored = np.array([getattr(one, column) for one, _ in scored])
        np.testing.assert_allclose(stored, expected, rtol=SAME, err_msg=column)
    published = np.array([both.result.log_quantiles[PUBLISHED][place] for _, place in scored])
    low, high = published[:, BAND_80[0]], published[:, BAND_80[1]]
    widths = np.array([one.interval_score_80 for one, _ in scored], dtype=float)
    np.testing.assert_allclose(widths, interval_score(y, low, high, 0.2), rtol=SAME)
    assert [one.is_hit_80 for one, _ in scored] == is_inside(y, low, high).tolist()


def check_record(both: Both) -> None:
    """Skill with its interval, coverage, n and label of the public record, against both baselines."""
    shown = record.track_record()
    assert [one.horizon for one in shown.horizons] == list(HORIZONS)
    for one in shown.horizons:
        for found, baseline in ((one.evidence_vs_fhs, FHS), (one.evidence_vs_ewma, EWMA_N)):
            expected = record_of(both.result, one.horizon, baseline)
            assert figures(found) == pytest.approx(figures(expected), rel=SAME)
            assert (found.label, found.n_dates, found.n_forecasts) == (
                expected.label, expected.n_dates, expected.n_forecasts,
            )  # fmt: skip
            assert (found.period_start, found.period_end) == (expected.period_start, expected.period_end)
            assert (found.interval is None) == (expected.interval is None)
    assert shown.horizons[0].evidence_vs_fhs.interval is not None


def record_of(result: BacktestResult, horizon: int, baseline: str) -> Evidence:
    scores, _ = result.scores(horizon)
    return evidence(
        cutoffs=scores.cutoffs,
        model_scores=scores.crps[LSTM],
        baseline_scores=scores.crps[baseline],
        inside_80=scores.inside_80[PUBLISHED],
        inside_95=scores.inside_95[PUBLISHED],
        baseline=baseline,
        horizon=horizon,
    )


def figures(found: Evidence) -> list[Any]:
    return [found.skill, found.coverage_80, found.coverage_95, *(found.interval or ())]


def test_it_lives_through_a_season_as_the_back_test_says(tmp_path: Path, settings: LazySettings) -> None:
    both = lived(tmp_path, settings, coins=12, days=105)
    check_everything(both)


@pytest.mark.soak
def test_it_lives_through_a_year_of_every_coin_as_the_back_test_says(tmp_path: Path, settings: LazySettings) -> None:
    both = lived(tmp_path, settings, coins=200, days=364)
    check_everything(both)
    print(f"\nyear: {len(both.rows)} forecasts, {len({one.cutoff_at for one in both.rows})} cutoffs")
    for one in record.track_record().horizons:
        found = one.evidence_vs_fhs
        print(f"  {one.horizon:>2} d  n={found.n_dates}  skill {found.skill}  {found.interval}  {found.label}")
