"""Baselines and pooled quantiles against their formulas."""

from statistics import NormalDist

import numpy as np
import pytest

from predictions.forecasting.baselines import ewma_n, fhs
from predictions.forecasting.quantiles import (
    HORIZONS,
    LEVELS,
    MEDIAN,
    horizon_scale,
    level_name,
    pooled_quantiles,
)


def test_it_scales_a_normal_band_by_the_root_of_the_horizon() -> None:
    band = ewma_n(np.array([0.02, 0.05]))
    assert band.shape == (2, len(HORIZONS), len(LEVELS))
    assert band[1, HORIZONS.index(7), 0] == pytest.approx(0.05 * 7**0.5 * NormalDist().inv_cdf(0.025))
    np.testing.assert_array_equal(band[..., MEDIAN], 0)


def test_it_scales_pooled_quantiles_by_the_root_of_the_horizon() -> None:
    z = np.sort(np.random.default_rng(0).standard_normal((len(HORIZONS), len(LEVELS))))
    assert fhs(np.array([0.04]), z)[0, 3, 2] == pytest.approx(0.04 * HORIZONS[3] ** 0.5 * z[3, 2])


def test_it_pools_the_settled_rows_of_all_coins() -> None:
    y = np.random.default_rng(0).standard_normal((500, 2))
    y[:300, 1] = np.nan
    z = pooled_quantiles(y)
    np.testing.assert_allclose(z[0], np.quantile(y[:, 0], LEVELS))
    np.testing.assert_allclose(z[1], np.quantile(y[300:, 1], LEVELS))


def test_it_refuses_to_pool_a_horizon_without_settled_rows() -> None:
    with pytest.raises(ValueError, match="no settled rows"):
        pooled_quantiles(np.array([[1.0, np.nan]]))


def test_it_names_levels_by_thousandths() -> None:
    assert [level_name(level) for level in (0.025, 0.1, 0.5, 0.975)] == ["q025", "q100", "q500", "q975"]


def test_it_gives_the_standard_deviation_of_a_random_walk() -> None:
    steps = np.random.default_rng(0).standard_normal((4000, 30)).cumsum(axis=1) * 0.03
    expected = steps[:, [h - 1 for h in HORIZONS]].std(axis=0)
    np.testing.assert_allclose(horizon_scale(np.array([0.03]))[0], expected, rtol=0.05)
