"""Metrics, each against its one-line restatement."""

import numpy as np
import pytest

from predictions.forecasting.metrics import (
    CRPS_LEVELS,
    block_days,
    crps_from_quantiles,
    date_weighted_mean,
    diebold_mariano,
    interval_score,
    is_inside,
    mean_interval,
    means_by_date,
    pinball,
    resampled_positions,
    skill,
    skill_interval,
)
from predictions.forecasting.quantiles import LEVELS

RANDOM = np.random.default_rng(5)
ACTUAL = RANDOM.standard_normal(50)
QUANTILES = np.sort(RANDOM.standard_normal((50, len(LEVELS))), axis=1)


def test_it_computes_the_pinball_loss() -> None:
    expected = [
        [t * (y - q) if y >= q else (1 - t) * (q - y) for q, t in zip(row, LEVELS, strict=True)]
        for y, row in zip(ACTUAL, QUANTILES, strict=True)
    ]
    np.testing.assert_allclose(pinball(ACTUAL, QUANTILES), expected)


def test_it_takes_the_crps_from_eleven_levels() -> None:
    assert CRPS_LEVELS == (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    expected = 2 * pinball(ACTUAL, QUANTILES)[:, 1:-1].mean(axis=1)
    np.testing.assert_allclose(crps_from_quantiles(ACTUAL, QUANTILES), expected)


def test_it_approximates_the_crps_of_a_normal_forecast() -> None:
    from statistics import NormalDist

    normal = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    exact = np.mean([abs(y - RANDOM.standard_normal(40_000)).mean() for y in ACTUAL]) - 1 / np.sqrt(np.pi)
    approximate = crps_from_quantiles(ACTUAL, np.tile(normal, (50, 1))).mean()
    assert approximate == pytest.approx(exact, rel=0.08)


def test_it_computes_the_interval_score() -> None:
    low, high = QUANTILES[:, 2], QUANTILES[:, -3]
    miss = np.where(low > ACTUAL, low - ACTUAL, np.where(high < ACTUAL, ACTUAL - high, 0))
    np.testing.assert_allclose(interval_score(ACTUAL, low, high, 0.2), high - low + 10 * miss)


def test_it_counts_the_ends_of_a_band_as_inside() -> None:
    actual = np.array([1.0, 2.0, 2.1, 0.9])
    np.testing.assert_array_equal(is_inside(actual, np.full(4, 1.0), np.full(4, 2.0)), [1, 1, 0, 0])


def test_it_weighs_dates_and_not_coins() -> None:
    dates = np.array(["2024-01-02"] * 9 + ["2024-01-01"], dtype="datetime64[D]")
    values = np.array([1.0] * 9 + [0.0])
    days, means = means_by_date(dates, values)
    assert [str(d) for d in days] == ["2024-01-01", "2024-01-02"]
    np.testing.assert_array_equal(means, [0, 1])
    assert date_weighted_mean(dates, values) == 0.5


def test_it_computes_skill_as_a_ratio_of_means() -> None:
    model, baseline = np.array([1.0, 2.0]), np.array([2.0, 4.0])
    assert skill(model, baseline) == 1 - model.mean() / baseline.mean() == 0.5


@pytest.mark.parametrize(("horizon", "block"), [(1, 30), (14, 30), (15, 30), (16, 32), (30, 60)])
def test_it_resamples_blocks_of_thirty_dates_or_twice_the_horizon(horizon: int, block: int) -> None:
    assert block_days(horizon) == block


def test_it_resamples_whole_blocks_of_neighbouring_dates() -> None:
    positions = resampled_positions(100, 30, resamples=500, seed=1)
    assert positions.shape == (500, 100)
    neighbours = (np.diff(positions[:, :30], axis=1) - 1) % 100
    assert (neighbours == 0).all()
    assert np.bincount(positions.ravel(), minlength=100).min() > 0


def test_it_widens_the_interval_for_scores_that_stay_alike_for_weeks() -> None:
    noise = RANDOM.standard_normal(400)
    lasting = np.repeat(RANDOM.standard_normal(20), 20)
    for interval in (lambda y: mean_interval(y, 1), lambda y: skill_interval(10 + y, np.full(400, 10.0), 1)):
        width = [np.diff(interval(values / values.std()))[0] for values in (noise, lasting)]
        assert width[1] > 2 * width[0]


def test_it_gives_the_interval_of_a_mean_its_nominal_size() -> None:
    low, high = mean_interval(np.random.default_rng(2).standard_normal(6400), 1)
    assert high - low == pytest.approx(2 * 1.96 / 80, rel=0.2)


def test_it_resamples_model_and_baseline_together() -> None:
    baseline = np.exp(np.random.default_rng(3).standard_normal(200))
    np.testing.assert_allclose(skill_interval(0.9 * baseline, baseline, 1), (0.1, 0.1))


def test_it_computes_diebold_mariano_with_newey_west() -> None:
    random = np.random.default_rng(7)
    model, baseline = random.standard_normal(200), random.standard_normal(200) + 0.1
    d = model - baseline
    gamma = [np.mean((d - d.mean())[k:] * (d - d.mean())[: 200 - k]) * (200 - k) / 200 for k in range(30)]
    variance = gamma[0] + 2 * sum((1 - k / 30) * gamma[k] for k in range(1, 30))
    found = diebold_mariano(model, baseline, 30)
    assert found.lag == 29
    assert found.mean_difference == pytest.approx(d.mean())
    assert found.t == pytest.approx(d.mean() / np.sqrt(variance / 200))
    assert diebold_mariano(model, baseline, 1).lag == 10


def test_it_finds_no_difference_between_equal_scores() -> None:
    assert diebold_mariano(np.ones(50), np.ones(50), 1).t == 0


def test_it_refuses_a_test_on_fewer_dates_than_its_lag() -> None:
    with pytest.raises(ValueError, match="too few"):
        diebold_mariano(np.ones(10), np.zeros(10), 1)


def test_it_refuses_a_test_on_missing_scores() -> None:
    with pytest.raises(ValueError, match="finite"):
        diebold_mariano(np.full(50, np.nan), np.ones(50), 1)
