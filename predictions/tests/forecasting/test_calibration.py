"""Calibration: a factor for short horizons that only settled forecasts decide."""

from datetime import date

import numpy as np
import pytest

from predictions.forecasting.baselines import ewma_n
from predictions.forecasting.calibration import SHRINKAGE_BLOCKS, SettledBands, band_multiplier, multipliers, stretch
from predictions.forecasting.quantiles import BAND_80, LEVELS, MEDIAN

TODAY = date(2025, 1, 1)
NORMAL = ewma_n(np.array([1.0]), (1,))[0, 0]


def settled(*, spread: float, dates: int = 200, coins: int = 40, last: str = "2024-12-31") -> SettledBands:
    days = np.repeat(np.datetime64(last) - np.arange(dates), coins)
    actual = spread * np.random.default_rng(1).standard_normal(len(days))
    return SettledBands(days, np.tile(NORMAL, (len(days), 1)), actual)


@pytest.mark.parametrize(("spread", "factor"), [(1.0, 1.0), (1.1, 1.1), (0.9, 0.9), (3.0, 1.25), (0.3, 0.8)])
def test_it_stretches_a_band_to_what_has_settled_within_limits(spread: float, factor: float) -> None:
    found = band_multiplier(settled(spread=spread), band=BAND_80, horizon=1, today=TODAY)
    assert found == pytest.approx(drawn_to_one(factor, blocks=200), abs=0.02)


def drawn_to_one(factor: float, *, blocks: float) -> float:
    return 1 + (factor - 1) * blocks / (blocks + SHRINKAGE_BLOCKS)


def test_it_believes_overlapping_windows_less() -> None:
    history = settled(spread=3.0, last="2024-12-24")
    found = [band_multiplier(history, band=BAND_80, horizon=h, today=TODAY) for h in (1, 2, 7)]
    assert found == pytest.approx([drawn_to_one(1.25, blocks=200 / h) for h in (1, 2, 7)])
    assert found[0] > found[1] > found[2] > 1


def test_it_computes_the_conformal_quantile() -> None:
    history = settled(spread=1.1)
    scores = np.abs(history.actual) / NORMAL[BAND_80[1]]
    found = band_multiplier(history, band=BAND_80, horizon=1, today=TODAY)
    conformal = np.quantile(scores, 0.8 * (1 + 1 / 200))
    assert found == pytest.approx(drawn_to_one(conformal, blocks=200))


def test_it_leaves_bands_beyond_seven_days_alone() -> None:
    history = settled(spread=1.2, last="2024-12-01")
    assert band_multiplier(history, band=BAND_80, horizon=10, today=TODAY) == 1.0
    assert band_multiplier(history, band=BAND_80, horizon=7, today=TODAY) > 1.03


def test_it_needs_twenty_dates_however_many_coins() -> None:
    few, enough = settled(spread=1.2, dates=19, coins=500), settled(spread=1.2, dates=20, coins=500)
    assert multipliers(few, horizon=1, today=TODAY) == (1.0, 1.0)
    assert multipliers(enough, horizon=1, today=TODAY)[0] > 1.03


def test_it_ignores_targets_that_have_not_ended_and_those_of_long_ago() -> None:
    assert band_multiplier(settled(spread=1.2), band=BAND_80, horizon=1, today=date(2024, 6, 1)) == 1.0
    assert band_multiplier(settled(spread=1.2), band=BAND_80, horizon=1, today=date(2026, 6, 1)) == 1.0


def test_it_stretches_each_band_by_its_own_factor_about_the_median() -> None:
    moved = NORMAL + 0.01
    result = stretch(moved, 1.1, 1.2)
    np.testing.assert_allclose(result[[2, 10]] - 0.01, 1.1 * NORMAL[[2, 10]])
    np.testing.assert_allclose(result[[0, 12]] - 0.01, 1.2 * NORMAL[[0, 12]])
    assert result[MEDIAN] == moved[MEDIAN]
    np.testing.assert_array_equal(stretch(moved, 1.0, 1.0), moved)


def test_it_keeps_quantiles_rising_when_the_factors_disagree() -> None:
    batch = np.tile(NORMAL, (4, 9, 1))
    result = stretch(batch, 1.25, 0.8)
    assert result.shape == (4, 9, len(LEVELS))
    assert (np.diff(result, axis=-1) >= 0).all()
