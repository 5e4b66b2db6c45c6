"""Scores of quantile forecasts, and honest intervals for their means: n counts dates, never coin x date."""

import math
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
    """Length in days of the bootstrap's blocks for overlapping `horizon`-day targets."""
    return max(MIN_BLOCK_DAYS, 2 * horizon)


def block_dates(horizon: int, spacing_days: float = 1) -> int:
    """The same length in dates that lie `spacing_days` apart."""
    return max(1, math.ceil(block_days(horizon) / max(1.0, spacing_days)))


def resampled_positions(dates: int, block: int, *, resamples: int, seed: int) -> NDArray[np.int64]:
    """Positions (resamples, D) of moving-block resamples of D dates; ValueError if block > D.

    Blocks wrap around (the circular form of Politis & Romano, 1992), so that the first and last dates are
    drawn as often as the others: without that the interval of a short record need not contain its own mean.
    """
    starts = _block_starts(dates, block, resamples, seed)
    return (starts[:, :, None] + np.arange(block)).reshape(resamples, -1)[:, :dates] % dates


def resampled_means(values: Floats, block: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Means (resamples,) of `values` (D,) at `resampled_positions`, from sums over whole blocks."""
    dates = len(values)
    starts = _block_starts(dates, block, resamples, seed)
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values], dtype=float))])
    rest = dates - (starts.shape[1] - 1) * block
    sums = (total[starts[:, :-1] + block] - total[starts[:, :-1]]).sum(axis=1)
    means: Floats = (sums + total[starts[:, -1] + rest] - total[starts[:, -1]]) / dates
    return means


def _block_starts(dates: int, block: int, resamples: int, seed: int) -> NDArray[np.int64]:
    if block > dates:
        raise ValueError(f"blocks of {block} dates need as many, not {dates}")
    return np.random.default_rng(seed).integers(0, dates, size=(resamples, -(-dates // block)))


def skill_interval(
    model: Floats,
    baseline: Floats,
    horizon: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    spacing_days: float = 1,
) -> tuple[float, float]:
    """95 % interval of `skill` from scores by date (D,), resampling both in the same blocks."""
    block = block_dates(horizon, spacing_days)
    ours, theirs = (resampled_means(scores, block, resamples=resamples, seed=seed) for scores in (model, baseline))
    low, high = np.quantile(1 - ours / theirs, [0.025, 0.975])
    return float(low), float(high)


def mean_interval(
    values: Floats, horizon: int, *, resamples: int = RESAMPLES, seed: int = 0, spacing_days: float = 1
) -> tuple[float, float]:
    """95 % interval of the mean of values by date (D,), as of a coverage."""
    block = block_dates(horizon, spacing_days)
    low, high = np.quantile(resampled_means(values, block, resamples=resamples, seed=seed), [0.025, 0.975])
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
