"""Hourly forecasts: the same code path, an hour as the step, and the hour of day in the baseline."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictions.forecasting.backtest import run_backtest
from predictions.forecasting.features import build_features, feature_names
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.frequency import HOURLY_STEPS
from predictions.forecasting.recipe import HOURLY, HOURLY_LINEAR
from predictions.forecasting.rows_csv import csv_rows
from predictions.forecasting.series import Panel, build_panel
from predictions.forecasting.serving import CoinForecast, load
from predictions.forecasting.training import fit_baseline, save, train

FIRST = datetime(2024, 1, 1)


def hours(count: int = 3200, coins: int = 4) -> Panel:
    """Coins whose moves are three times as large from 12:00 to 17:59 UTC."""
    random = np.random.default_rng(3)
    moments = np.datetime64(FIRST, "h") + np.arange(count)
    is_busy = np.isin((moments.astype(int) - 1) % 24, np.arange(12, 18))
    moves = 0.004 * np.where(is_busy, 3, 1)[:, None] * random.standard_normal((count, coins))
    return Panel(moments, ["bitcoin", *(f"coin-{n}" for n in range(1, coins))], 100 * np.exp(np.cumsum(moves, axis=0)))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return hours()


def test_it_computes_every_feature_of_the_hourly_recipe(panel: Panel) -> None:
    features = build_features(panel, HOURLY)
    assert features.last.shape == (3200, 4, len(feature_names(HOURLY)))
    assert features.eligible[-1].all()
    assert not features.eligible[: HOURLY_STEPS.min_steps - 1].any()
    assert features.last[5, 0, feature_names(HOURLY).index("hour_05")] == 1
    assert features.last[30, 0, feature_names(HOURLY).index("tue_06")] == 1


def test_it_refuses_prices_of_another_frequency(panel: Panel) -> None:
    with pytest.raises(ValueError, match="is daily, the prices are hourly"):
        build_features(panel)


def test_it_learns_how_large_moves_are_in_each_hour(panel: Panel) -> None:
    _, scale, _ = fit_baseline(build_features(panel, HOURLY), HOURLY)
    season = scale.season[:, HOURLY.horizons.index(1)]
    assert season[12:18].mean() / np.r_[season[:12], season[18:]].mean() == pytest.approx(3, rel=0.15)
    np.testing.assert_allclose(scale.season[:, HOURLY.horizons.index(24)], 1, atol=0.25)


def test_it_pools_quantiles_free_of_the_hour_of_day(panel: Panel) -> None:
    training, scale, _ = fit_baseline(build_features(panel, HOURLY), HOURLY)
    one_hour = training.standardised[:, 0]
    busy = np.isin(training.phases, np.arange(12, 18))
    assert np.nanstd(one_hour[busy]) == pytest.approx(np.nanstd(one_hour[~busy]), rel=0.1)
    assert (np.diff(scale.z, axis=1) > 0).all()


def test_it_reads_the_opening_price_of_each_candle(tmp_path: Path) -> None:
    lines = [f"2024-01-01T0{h}:00Z,{h + 1},9,1,{h + 2},5" for h in range(3)]
    (tmp_path / "bitcoin.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *lines, ""]))
    panel = read_csv_folder(tmp_path, frequency=HOURLY_STEPS)
    assert [str(at) for at in panel.dates] == ["2024-01-01T00", "2024-01-01T01", "2024-01-01T02"]
    np.testing.assert_array_equal(panel.prices[:, 0], [1, 2, 3])


def test_it_leaves_out_the_live_point_of_an_unfinished_hour() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [("a", start + timedelta(hours=h), 1.0 + h) for h in range(3)]
    rows.append(("a", start + timedelta(hours=2, minutes=40), 99.0))
    panel = build_panel(rows, now=start + timedelta(hours=2, minutes=41), frequency=HOURLY_STEPS)
    np.testing.assert_array_equal(panel.prices[:, 0], [1, 2, 3])


def test_it_finds_a_moment_and_cuts_there(panel: Panel) -> None:
    at = FIRST + timedelta(hours=31)
    assert panel.index_of(at) == 31
    assert panel.index_of(at.replace(tzinfo=UTC)) == 31
    assert panel.until(at).last_date == at
    assert panel.until(FIRST.date()).last_date == FIRST


def test_it_back_tests_hours_with_naive_models_alone(panel: Panel) -> None:
    start = (FIRST + timedelta(days=124)).date()
    found = run_backtest(
        panel,
        start=start,
        end=start + timedelta(days=5),
        refit_every_days=30,
        models=("fhs", "ewma_n"),
        step_days=7 / 24,
        horizons=(1, 6),
    )
    assert set(np.diff(np.unique(found.rows.days))) == {7}
    assert found.row("fhs", 1).n_dates == 6
    rows = list(csv_rows(found))
    assert rows[1][:5] == ["bitcoin", f"{start}T00:00Z", f"{start}T01:00Z", "1", "fhs"]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HOURLY, HOURLY_LINEAR], ids=lambda recipe: recipe.name)
def test_it_trains_saves_and_serves_an_hourly_forecaster(panel: Panel, tmp_path: Path, recipe: Any) -> None:
    cutoff = panel.dates[-50].astype(object)
    trained = train(panel, cutoff=cutoff, recipe=replace(recipe, epochs=1))
    digest = save(trained, tmp_path / "model")
    forecaster = load(tmp_path / "model", expected_sha256=digest)
    np.testing.assert_array_equal(forecaster.scale.season, trained.scale.season)
    found = forecaster.forecast(panel, cutoff=cutoff)
    later = forecaster.forecast(panel.until(cutoff), cutoff=cutoff)
    for coin, forecast in found.items():
        other = later[coin]
        assert isinstance(forecast, CoinForecast)
        assert isinstance(other, CoinForecast)
        assert forecast.horizons == HOURLY.horizons
        assert (np.diff(forecast.log_quantiles, axis=1) > 0).all()
        assert forecast.log_quantiles.tobytes() == other.log_quantiles.tobytes()
