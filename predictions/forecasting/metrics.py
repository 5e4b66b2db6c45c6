"""Scores of quantile forecasts, and honest intervals for their means: n counts dates, never coin x date."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.quantiles import LEVELS
from predictions.forecasting.series import Bools, Dates, Floats

CRPS_LEVELS = tuple(level for level in LEVELS if 0.05 <= level <= 0.95)
MIN_BLOCK_DAYS = 30
MIN_NEWEY_WEST_LAG = 10
RESAMPLES = 2_000


def pinball(actual: Floats, quantiles: Floats, levels: tuple[float, ...] = LEVELS) -> Floats:
    """Pinball loss (..., Q) of quantiles (..., Q) for actuals (...) (Koenker & Bassett, 1978)."""
    error = np.asarray(actual)[..., None] - quantiles
    tau = np.asarray(levels)
    return np.maximum(tau * error, (tau - 1) * error)


def crps_from_quantiles(actual: Floats, quantiles: Floats, levels: tuple[float, ...] = LEVELS) -> Floats:
    """CRPS (...) ≈ 2 x the mean pinball loss over the levels .05 to .95 (Gneiting & Ranjan, 2011)."""
    used = [levels.index(level) for level in CRPS_LEVELS]
    return 2 * pinball(actual, quantiles[..., used], CRPS_LEVELS).mean(axis=-1)


def interval_score(actual: Floats, lower: Floats, upper: Floats, alpha: float) -> Floats:
    """Width plus 2/alpha x the miss of the (1-alpha) band, in y's unit (Gneiting & Raftery, 2007)."""
    below = np.maximum(lower - actual, 0)
    above = np.maximum(actual - upper, 0)
    return upper - lower + 2 / alpha * (below + above)


def is_inside(actual: Floats, lower: Floats, upper: Floats) -> Bools:
    """Whether each actual lies in its band, ends included; its mean is the coverage."""
    return (lower <= actual) & (actual <= upper)


def means_by_date(dates: Dates, values: Floats | Bools) -> tuple[Dates, Floats]:
    """The distinct dates in order (D,) and the mean of their values (D,)."""
    days, position = np.unique(dates, return_inverse=True)
    return days, np.bincount(position, weights=values) / np.bincount(position)


def date_weighted_mean(dates: Dates, values: Floats | Bools) -> float:
    """The mean over dates of each date's mean: a day with many coins weighs as much as one with few."""
    return float(means_by_date(dates, values)[1].mean())


def skill(model: Floats, baseline: Floats) -> float:
    """1 - mean score of the model / mean score of the baseline, from scores by date (D,); 0 is no gain."""
    return float(1 - np.mean(model) / np.mean(baseline))


def block_days(horizon: int) -> int:
    """Length of the bootstrap's blocks for overlapping `horizon`-day targets."""
    return max(MIN_BLOCK_DAYS, 2 * horizon)


def resampled_positions(dates: int, block: int, *, resamples: int, seed: int) -> NDArray[np.int64]:
    """Positions (resamples, D) of moving-block resamples of D dates; ValueError if block > D.

    Blocks wrap around (the circular form of Politis & Romano, 1992), so that the first and last dates are
    drawn as often as the others: without that the interval of a short record need not contain its own mean.
    """
    if block > dates:
        raise ValueError(f"blocks of {block} dates need as many, not {dates}")
    random = np.random.default_rng(seed)
    starts = random.integers(0, dates, size=(resamples, -(-dates // block)))
    return (starts[:, :, None] + np.arange(block)).reshape(resamples, -1)[:, :dates] % dates


def skill_interval(
    model: Floats, baseline: Floats, horizon: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of `skill` from scores by date (D,), resampling both in the same blocks."""
    chosen = resampled_positions(len(model), block_days(horizon), resamples=resamples, seed=seed)
    draws = 1 - model[chosen].mean(axis=1) / baseline[chosen].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def mean_interval(values: Floats, horizon: int, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of values by date (D,), as of a coverage."""
    chosen = resampled_positions(len(values), block_days(horizon), resamples=resamples, seed=seed)
    low, high = np.quantile(values[chosen].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class DieboldMariano:
    """The mean loss difference, model minus baseline, and its t statistic; negative favours the model."""

    mean_difference: float
    t: float
    lag: int


def diebold_mariano(model: Floats, baseline: Floats, horizon: int) -> DieboldMariano:
    """Test of equal accuracy (Diebold & Mariano, 1995) on scores by date (D,).

    The variance is Newey & West's (1987) with Bartlett weights and lag max(10, h-1); t is 0 without any
    difference. ValueError with no more dates than that lag or scores that are not finite.
    """
    difference = np.asarray(model) - np.asarray(baseline)
    count = len(difference)
    lag = max(MIN_NEWEY_WEST_LAG, horizon - 1)
    if count <= lag:
        raise ValueError(f"{count} dates are too few for a lag of {lag}")
    if not np.isfinite(difference).all():
        raise ValueError("scores by date must be finite")
    centred = difference - difference.mean()
    variance = centred @ centred / count
    for k in range(1, lag + 1):
        variance += 2 * (1 - k / (lag + 1)) * (centred[k:] @ centred[:-k]) / count
    mean = float(difference.mean())
    t = mean / float(np.sqrt(variance / count)) if variance > 0 else 0.0
    return DieboldMariano(mean, t, lag)
