"""Windows and targets: right day, right horizon, nothing that ends after the cutoff."""

from dataclasses import replace

import numpy as np

from predictions.forecasting.features import build_features
from predictions.forecasting.quantiles import HORIZONS
from predictions.forecasting.series import Panel
from predictions.forecasting.windows import Rows, WindowReader, eligible_rows, targets

from .simulate import with_prices


def test_it_ends_a_window_on_the_day_of_its_row(panel: Panel) -> None:
    features = build_features(panel)
    days, coins = len(panel.dates), len(panel.coins)
    counted = np.arange(days)[:, None, None] + 1000 * np.arange(coins)[None, :, None] + np.zeros(3)
    reader = WindowReader(replace(features, steps=counted.astype(np.float32)), 60)
    read = reader.read(Rows(np.array([59, 399]), np.array([0, 2])))
    np.testing.assert_array_equal(read[0, :, 0], np.arange(0, 60))
    np.testing.assert_array_equal(read[1, :, 2], 2000 + np.arange(340, 400))


def test_it_measures_each_horizon_in_whole_days() -> None:
    prices = np.exp(np.arange(100.0) / 100)[:, None]
    y = targets(prices, Rows(np.array([10, 40]), np.array([0, 0])), HORIZONS, cutoff_day=99)
    np.testing.assert_allclose(y, np.tile(np.array(HORIZONS) / 100, (2, 1)), atol=1e-12)


def test_it_masks_targets_that_end_after_the_cutoff() -> None:
    prices = np.exp(np.arange(100.0) / 100)[:, None]
    rows = Rows(np.array([89, 88, 90]), np.zeros(3, dtype=int))
    known = np.isfinite(targets(prices, rows, (1, 10, 11), cutoff_day=99))
    np.testing.assert_array_equal(known, [[True, True, False], [True, True, True], [True, False, False]])


def test_it_masks_targets_beyond_an_earlier_cutoff_although_prices_go_on() -> None:
    prices = np.exp(np.arange(100.0) / 100)[:, None]
    known = np.isfinite(targets(prices, Rows(np.array([49]), np.array([0])), (1, 2), cutoff_day=50))
    np.testing.assert_array_equal(known, [[True, False]])


def test_it_masks_targets_without_an_observed_price() -> None:
    prices = np.exp(np.arange(10.0))[:, None]
    prices[5] = np.nan
    known = np.isfinite(targets(prices, Rows(np.array([4]), np.array([0])), (1, 2), cutoff_day=9))
    np.testing.assert_array_equal(known, [[False, True]])


def test_it_starts_forecasts_only_after_ninety_days_and_on_observed_prices(panel: Panel) -> None:
    prices = panel.prices.copy()
    prices[120, 1] = np.nan
    rows = eligible_rows(build_features(with_prices(panel, prices)), last_day=121, window=60)
    assert rows.days.min() == 89
    assert set(rows.coins[rows.days == 120]) == {0, 2, 3, 4, 5}
    assert set(rows.coins[rows.days == 121]) == {0, 1, 2, 3, 4, 5}
