"""Back-tests: refits that see only the past, forecasts that settle on the right day, scores that add up."""

import csv
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictions.forecasting.artifact import read_artifact
from predictions.forecasting.backtest import MODELS, BacktestResult, full_report_json, run_backtest
from predictions.forecasting.calibration import SettledBands, multipliers, stretch
from predictions.forecasting.features import Features
from predictions.forecasting.forecasters import published
from predictions.forecasting.forecasters.protocol import Past
from predictions.forecasting.labels import Label
from predictions.forecasting.metrics import crps_from_quantiles, date_weighted_mean
from predictions.forecasting.quantiles import HORIZONS
from predictions.forecasting.recipe import Recipe
from predictions.forecasting.rows_csv import write_csv
from predictions.forecasting.series import Panel
from predictions.forecasting.training import Trained
from predictions.forecasting.windows import Rows

from .simulate import day, market, with_prices

pytestmark = pytest.mark.second  # each fits and forecasts whole back-tests

START, END = 200, 379


@dataclass
class ShippedFit:
    """Stands in for training with the shipped weights, and notes what each fit was shown."""

    folder: Path
    seen: list[tuple[date, date, str]] = field(default_factory=list)

    def __call__(self, panel: Panel, *, cutoff: date, recipe: Recipe, seed: int) -> Trained:
        self.seen.append((cutoff, panel.last_date, recipe.name))
        shipped = read_artifact(self.folder)
        return Trained(shipped.recipe, cutoff, seed, shipped.z, shipped.weights, shipped.onnx, "", {})


@pytest.fixture(scope="module")
def fit(starter_folder: Path) -> ShippedFit:
    return ShippedFit(starter_folder)


def run(panel: Panel, fit: ShippedFit, **changes: Any) -> BacktestResult:
    options: dict[str, Any] = {
        "start": day(panel, START),
        "end": day(panel, END),
        "refit_every_days": 100,
        "fit": fit,
    }
    return run_backtest(panel, **(options | changes))


@pytest.fixture(scope="module")
def result(panel: Panel, fit: ShippedFit) -> BacktestResult:
    return run(panel, fit)


def test_it_refits_on_schedule_and_only_on_the_past(panel: Panel, starter_folder: Path) -> None:
    fit, steps = ShippedFit(starter_folder), []
    run(panel, fit, models=["lstm"], progress=lambda done, total: steps.append((done, total)))
    first, second = day(panel, START), day(panel, START) + timedelta(days=100)
    assert fit.seen == [(first, first, "lstm-daily"), (second, second, "lstm-daily")]
    assert steps == [(1, 2), (2, 2)]


def test_it_forecasts_every_eligible_coin_on_every_day(result: BacktestResult, panel: Panel) -> None:
    assert len(result.rows) == (END - START + 1) * len(panel.coins)
    assert set(result.log_quantiles) == set(MODELS)
    assert all(np.isfinite(array).all() for array in result.log_quantiles.values())


def test_it_settles_each_forecast_on_its_own_day(result: BacktestResult, panel: Panel) -> None:
    i = int(np.flatnonzero((result.rows.days == 300) & (result.rows.coins == 2))[0])
    for h, horizon in enumerate(HORIZONS):
        assert result.actual[i, h] == np.log(panel.prices[300 + horizon, 2] / panel.prices[300, 2])
    unsettled = np.isnan(result.actual[:, HORIZONS.index(30)])
    np.testing.assert_array_equal(unsettled, result.rows.days + 30 > len(panel.dates) - 1)


def test_it_summarises_by_date(result: BacktestResult) -> None:
    row = result.row("ewma_n", 7)
    h = HORIZONS.index(7)
    scores = crps_from_quantiles(result.actual[:, h], result.log_quantiles["ewma_n"][:, h])
    dates = result.features.dates[result.rows.days]
    assert row.crps == pytest.approx(date_weighted_mean(dates, scores))
    assert (row.n_dates, row.n_forecasts) == (180, 180 * 6)
    assert set(row.against) == {"fhs", "linear"}


def test_it_judges_every_model_against_both_baselines(result: BacktestResult) -> None:
    row = result.row("lstm", 1)
    for baseline in ("fhs", "ewma_n"):
        found = row.against[baseline]
        assert found.baseline == baseline
        assert found.n_dates == 180
        assert found.skill == pytest.approx(1 - row.crps / result.row(baseline, 1).crps)
        assert found.interval is not None
    assert result.row("lstm", 30).against["fhs"].label is Label.TOO_EARLY


def test_it_publishes_fhs_until_the_model_has_beaten_it(result: BacktestResult) -> None:
    early = result.rows.days < START + 90
    published, fhs = (result.log_quantiles[name][early] for name in ("published", "fhs"))
    uncalibrated = [HORIZONS.index(h) for h in (10, 14, 21, 30)]
    np.testing.assert_allclose(published[:, uncalibrated], fhs[:, uncalibrated], rtol=1e-12)
    unsettled = result.rows.days[early] < START + 20
    np.testing.assert_allclose(published[unsettled], fhs[unsettled], rtol=1e-12)


def test_it_calibrates_what_it_publishes_from_what_had_settled(result: BacktestResult) -> None:
    h = HORIZONS.index(7)
    today = result.rows.days == START + 80
    settled = result.rows.days + 7 <= START + 80
    bands = SettledBands(
        result.features.dates[result.rows.days[settled]],
        result.log_quantiles["fhs"][settled, h],
        result.actual[settled, h],
    )
    factors = multipliers(bands, horizon=7, today=result.features.dates[START + 80].astype(object))
    expected = stretch(result.log_quantiles["fhs"][today, h], *factors)
    assert factors != (1.0, 1.0)
    np.testing.assert_array_equal(result.log_quantiles["published"][today, h], expected)


def test_it_publishes_the_calibrated_model_once_it_has_beaten_fhs(
    panel: Panel, fit: ShippedFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "evidence", lambda **_: Verdict(Label.BEATS_BASELINE))
    changed = run(panel, fit, horizons=(1,), models=["published", "lstm"])
    late = changed.rows.days >= START + 60
    shown, lstm = (changed.log_quantiles[name][late, 0] for name in ("published", "lstm"))
    factor = (shown[:, 10] - shown[:, 6]) / (lstm[:, 10] - lstm[:, 6])
    assert ((factor >= 0.8 - 1e-9) & (factor <= 1.25 + 1e-9)).all()
    assert np.abs(factor - 1).max() > 0.005
    np.testing.assert_array_equal(shown[:, 6], lstm[:, 6])


@dataclass(frozen=True)
class Verdict:
    label: Label


def by_the_last_digit(**given: Any) -> Verdict:
    """A verdict that turns on the least change in the settled scores it was given."""
    is_odd = int(given["model_scores"].sum() * 1e6) % 2
    return Verdict(Label.BEATS_BASELINE if is_odd else Label.EQUALS_BASELINE)


def test_it_publishes_nothing_that_depends_on_later_prices(
    panel: Panel, fit: ShippedFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "evidence", by_the_last_digit)
    changed = panel.prices.copy()
    changed[351:] *= np.random.default_rng(1).uniform(0.2, 5, changed[351:].shape)
    original, other = run(panel, fit), run(with_prices(panel, changed), fit)
    past = original.rows.days <= 350
    for name in MODELS:
        assert original.log_quantiles[name][past].tobytes() == other.log_quantiles[name][past].tobytes(), name


def test_it_keeps_delisted_coins_in_until_they_die(fit: ShippedFit) -> None:
    panel = market(coins=4)
    prices = panel.prices.copy()
    prices[250:, 3] = np.nan
    found = run(with_prices(panel, prices), fit, models=["lstm"])
    assert found.rows.days[found.rows.coins == 3].max() == 249


def test_it_writes_dollars_as_csv(panel: Panel, fit: ShippedFit, tmp_path: Path) -> None:
    found = run(panel, fit, start=day(panel, 397), end=day(panel, 398), horizons=(1, 2), models=["fhs", "lstm"])
    assert write_csv(found, tmp_path / "backtest.csv") == 2 * 6 * 2 * 2
    with (tmp_path / "backtest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == (
        "coin,cutoff,target,horizon,model,q025,q05,q10,q20,q30,q40,q50,q60,q70,q80,q90,q95,q975"
    )
    row = next(r for r in rows if (r["coin"], r["horizon"], r["model"]) == ("coin-02", "2", "fhs"))
    assert (row["cutoff"], row["target"]) == (str(panel.dates[397]), str(panel.dates[399]))
    expected = panel.prices[397, 2] * np.exp(found.log_quantiles["fhs"][2, 1])
    np.testing.assert_allclose([float(row["q025"]), float(row["q975"])], expected[[0, -1]], rtol=1e-7)


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ["oracle"]},
        {"models": []},
        {"horizons": (4,)},
        {"refit_every_days": 0},
        {"start": date(2030, 1, 1), "end": date(2030, 2, 1)},
        {"start": date(2023, 12, 1), "end": date(2023, 11, 1)},
    ],
)
def test_it_refuses_what_it_cannot_run(panel: Panel, fit: ShippedFit, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown|needs|not a period"):
        run(panel, fit, **changes)


@dataclass
class Still:
    """A forecaster of a test's own: one file with a fit and a forecast is all it takes."""

    name: str = "still"

    def fit(self, past: Past) -> "Still":
        assert past.panel.last_date == past.cutoff
        return self

    def forecast(self, features: Features, rows: Rows) -> np.ndarray:
        return np.tile(np.linspace(-0.1, 0.1, 13), (len(rows), len(HORIZONS), 1))


def test_it_compares_any_forecaster_that_fits_and_forecasts(panel: Panel, fit: ShippedFit) -> None:
    found = run(panel, fit, models=["lstm"], extra_models=[Still()])
    assert list(found.log_quantiles) == ["lstm", "still"]
    assert set(found.row("still", 1).against) == {"fhs", "ewma_n"}


def test_it_forecasts_asked_coins_on_asked_days_but_learns_from_all(panel: Panel, fit: ShippedFit) -> None:
    found = run(panel, fit, models=["lstm"], coins=["coin-02"], step_days=7)
    assert set(found.rows.coins) == {2}
    assert set(np.diff(found.rows.days)) == {7}
    whole = run(panel, fit, models=["lstm"])
    same = (whole.rows.coins == 2) & ((whole.rows.days - START) % 7 == 0)
    np.testing.assert_allclose(found.log_quantiles["lstm"], whole.log_quantiles["lstm"][same], rtol=1e-5)


def test_it_summarises_a_later_part_alone(result: BacktestResult, panel: Panel) -> None:
    late = result.since(day(panel, START + 60))
    assert late.rows.days.min() == START + 60
    assert late.row("lstm", 1).n_dates == END - START + 1 - 60


def test_it_reports_by_regime_and_by_coin(result: BacktestResult, panel: Panel) -> None:
    report = full_report_json(result, start=day(panel, START))
    assert {row["coin"] for row in report["by_coin"]} == set(panel.coins)
    assert {row["regime"] for row in report["by_regime"]} <= {"calm", "normal", "wild"}
    one_day = [r for r in report["by_regime"] if r["model"] == "lstm" and r["horizon"] == 1]
    assert sum(row["n_forecasts"] for row in one_day) == result.row("lstm", 1).n_forecasts
    found = report["rows"][0]["against"]["fhs"]
    assert found["diebold_mariano"]["lag"] == 10
    assert found["interval_score_80_ratio"] > 0
