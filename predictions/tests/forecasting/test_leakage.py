"""The checks for leaks pass on this version, and each of them catches the leaks planted here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictions.forecasting import backtest, candles, features, folders, leakage, series, serving, training, windows
from predictions.forecasting.artifact import read_artifact
from predictions.forecasting.forecasters import published
from predictions.forecasting.leakage import CHECKS, Leak, Subject, run_checks, simulated_panel, subject_of
from predictions.forecasting.series import Panel

from .simulate import hours_with_candles

HOURLY_STARTER = Path("predictions/starter/hourly")
pytestmark = pytest.mark.second  # each fits and forecasts whole back-tests

Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def subject(starter_folder: Path) -> Subject:
    return subject_of(simulated_panel(), read_artifact(starter_folder))


@pytest.fixture(scope="module")
def hourly_subject() -> Subject:
    return subject_of(hours_with_candles(185 * 24), read_artifact(HOURLY_STARTER))


def test_it_finds_no_leak_in_this_version(subject: Subject) -> None:
    assert {check.__name__: leak for check, leak in run_checks(subject) if leak} == {}


def whole_series_scaler(patch: Patch) -> None:
    original = features.base_sigma
    patch.setattr(features, "base_sigma", lambda v, recipe: original(v, recipe) / np.nanmean(original(v, recipe)))


def survivors_only(patch: Patch) -> None:
    original = features.market_returns

    def planted(panel: Panel) -> np.ndarray:
        alive = np.isfinite(panel.prices[-1])
        return original(Panel(panel.dates, panel.coins, np.where(alive, panel.prices, np.nan)))

    patch.setattr(features, "market_returns", planted)


def todays_rank_for_the_past(patch: Patch) -> None:
    original = features.is_eligible

    def planted(prices: np.ndarray, *rest: Any) -> np.ndarray:
        return original(prices, *rest) & (prices[-1] >= np.nanmedian(prices[-1]))

    patch.setattr(features, "is_eligible", planted)


def a_cutoff_that_cuts_nothing(patch: Patch) -> None:
    patch.setattr(Panel, "until", lambda self, cutoff: self)


def one_day_more_than_the_cutoff(patch: Patch) -> None:
    original = Panel.until
    patch.setattr(Panel, "until", lambda self, cutoff: original(self, cutoff + np.timedelta64(1, "D").astype(object)))


def back_filled_gaps(patch: Patch) -> None:
    def planted(prices: np.ndarray) -> np.ndarray:
        filled = prices.copy()
        for t in range(len(filled) - 2, -1, -1):
            filled[t] = np.where(np.isfinite(filled[t]), filled[t], filled[t + 1])
        return filled

    patch.setattr(features, "fill_short_gaps", planted)


def horizon_one_too_long(patch: Patch) -> None:
    original = windows.targets
    patch.setattr(windows, "targets", lambda p, r, h, **k: original(p, r, tuple(step + 1 for step in h), **k))


def window_one_too_late(patch: Patch) -> None:
    original = windows.WindowReader.read

    def planted(self: windows.WindowReader, rows: windows.Rows) -> np.ndarray:
        return original(self, windows.Rows(rows.days - 1, rows.coins))

    patch.setattr(windows.WindowReader, "read", planted)


def overlapping_split(patch: Patch) -> None:
    def planted(built: features.Features, recipe: Any) -> training.TrainingSet:
        rows = windows.eligible_rows(built, window=recipe.window)
        y = np.zeros((len(rows), len(recipe.horizons)))
        return training.TrainingSet(rows, y, built.phases[rows.days], np.ones(len(rows)))

    patch.setattr(training, "training_set", planted)


def live_point_kept(patch: Patch) -> None:
    patch.setattr(series, "_closed_step", lambda stamp, frequency: stamp.replace(tzinfo=None).date())


def close_joined_by_date(patch: Patch) -> None:
    patch.setitem(folders.COLUMNS, "hourly", ("timestamp", "close"))


def candle_known_when_it_opens(patch: Patch) -> None:
    original = candles.Candles.onto

    def planted(self: candles.Candles, panel: Panel) -> Panel:
        found = original(self, panel)
        assert found.realised is not None
        return replace(found, realised=np.roll(found.realised, -1, axis=0))

    patch.setattr(candles.Candles, "onto", planted)


def serving_rounds_its_inputs(patch: Patch) -> None:
    original = serving.build_features

    def planted(panel: Panel, recipe: Any, **options: Any) -> features.Features:
        built = original(panel, recipe, **options)
        built.last[:] = built.last.astype(np.float16)
        return built

    patch.setattr(serving, "build_features", planted)


def back_test_computes_its_own_features(patch: Patch) -> None:
    original = backtest.build_features

    def planted(panel: Panel, recipe: Any) -> features.Features:
        built = original(panel, recipe)
        built.last[:] += np.float32(1e-6)
        return built

    patch.setattr(backtest, "build_features", planted)


def published_knows_what_has_not_settled(patch: Patch) -> None:
    def planted(self: Any, day: int) -> int:
        return int(np.searchsorted(self._ledger.rows.days, day, side="right"))

    patch.setattr(published._Settled, "count", planted)


def calibration_over_the_whole_period(patch: Patch) -> None:
    original = published.multipliers
    patch.setattr(
        published, "multipliers", lambda settled, *, horizon, today: original(settled, horizon=1, today=today)
    )
    published_knows_what_has_not_settled(patch)


PLANTED: list[tuple[Callable[[Patch], None], str]] = [
    (whole_series_scaler, "later_prices_change_no_features"),
    (survivors_only, "later_prices_change_no_features"),
    (todays_rank_for_the_past, "later_prices_change_no_features"),
    (a_cutoff_that_cuts_nothing, "later_prices_change_no_forecast"),
    (a_cutoff_that_cuts_nothing, "training_ends_at_the_cutoff"),
    (a_cutoff_that_cuts_nothing, "scales_see_training_rows_only"),
    (one_day_more_than_the_cutoff, "later_prices_change_no_forecast"),
    (one_day_more_than_the_cutoff, "training_ends_at_the_cutoff"),
    (back_filled_gaps, "gaps_are_filled_from_the_past"),
    (horizon_one_too_long, "horizons_end_on_their_dates"),
    (window_one_too_late, "windows_end_on_their_dates"),
    (overlapping_split, "training_ends_at_the_cutoff"),
    (live_point_kept, "an_unfinished_step_is_left_out"),
    (close_joined_by_date, "a_candle_is_joined_by_its_opening"),
    (candle_known_when_it_opens, "a_candle_is_joined_by_its_opening"),
    (serving_rounds_its_inputs, "all_inputs_agree"),
    (back_test_computes_its_own_features, "all_inputs_agree"),
    (calibration_over_the_whole_period, "later_prices_change_no_back_test"),
]


@pytest.mark.parametrize(("plant", "catcher"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_it_catches_a_planted_leak(
    subject: Subject, monkeypatch: Patch, plant: Callable[[Patch], None], catcher: str
) -> None:
    check = getattr(leakage, catcher)
    check(subject)
    plant(monkeypatch)
    with pytest.raises((Leak, ValueError)):
        check(subject)


def candle_of_the_hour_that_begins(patch: Patch) -> None:
    original = features.realised_means
    patch.setattr(
        features,
        "realised_means",
        lambda found, decays, **options: original(np.roll(found, -1, axis=0), decays, **options),
    )


def candles_judged_by_all_of_them(patch: Patch) -> None:
    original = features.realised_means

    def planted(found: np.ndarray, decays: Any, **options: Any) -> Any:
        means, shares = original(found, decays, **options)
        return np.concatenate([means[:-1], np.broadcast_to(np.nanmean(found, axis=0), means[-1:].shape)]), shares

    patch.setattr(features, "realised_means", planted)


@pytest.mark.parametrize("plant", [candle_of_the_hour_that_begins, candles_judged_by_all_of_them])
def test_it_catches_a_candle_that_was_known_too_early(
    hourly_subject: Subject, monkeypatch: Patch, plant: Callable[[Patch], None]
) -> None:
    leakage.later_prices_change_no_features(hourly_subject)
    plant(monkeypatch)
    with pytest.raises(Leak):
        leakage.later_prices_change_no_features(hourly_subject)


def test_it_finds_no_leak_in_hours_with_candles(hourly_subject: Subject) -> None:
    assert {check.__name__: leak for check, leak in run_checks(hourly_subject) if leak} == {}


def test_it_sees_every_check_fail_on_a_planted_leak() -> None:
    assert {check.__name__ for check in CHECKS} == {catcher for _, catcher in PLANTED}
