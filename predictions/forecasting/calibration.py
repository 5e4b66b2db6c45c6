"""Calibration of short-horizon bands from settled forecasts: split conformal, one factor per band."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from predictions.forecasting.quantiles import BAND_80, BAND_95, LEVELS, MEDIAN
from predictions.forecasting.series import Dates, Floats

MAX_HORIZON_DAYS = 7
MIN_DATES = 20
HISTORY_DAYS = 365
MIN_MULTIPLIER, MAX_MULTIPLIER = 0.8, 1.25
SHRINKAGE_BLOCKS = 25  # a year of daily forecasts moves a 1-day band by 94 % of what it found, a 7-day one by 68 %


@dataclass(frozen=True)
class SettledBands:
    """Settled raw forecasts of one horizon: `cutoffs` (R,), log-return `quantiles` (R, Q), `actual` (R,)."""

    cutoffs: Dates
    quantiles: Floats
    actual: Floats


def band_multiplier(settled: SettledBands, *, band: tuple[int, int], horizon: int, today: date) -> float:
    """The factor by which a band's half-widths should be stretched, from targets that settled by `today`.

    The (1-alpha)(1+1/n) quantile of max((m-y)/(m-lo), (y-m)/(hi-m)) over forecasts whose target ended in
    the last 365 days, n counting their cutoffs; clipped to 0.8 … 1.25, then drawn towards 1: of its distance
    b / (b + 25) remains, b being the cutoffs' non-overlapping blocks of the horizon, n / h. 1 beyond 7 days or
    with fewer than 20 cutoffs.
    Pass the model's own bands, not already stretched ones.
    """
    if horizon > MAX_HORIZON_DAYS:
        return 1.0
    ends = settled.cutoffs + np.timedelta64(horizon, "D")
    now = np.datetime64(today, "D")
    recent = (ends <= now) & (ends > now - np.timedelta64(HISTORY_DAYS, "D"))
    dates = len(np.unique(settled.cutoffs[recent]))
    if dates < MIN_DATES:
        return 1.0
    low, high = band
    quantiles, actual = settled.quantiles[recent], settled.actual[recent]
    middle = quantiles[:, MEDIAN]
    scores = np.maximum(
        (middle - actual) / (middle - quantiles[:, low]), (actual - middle) / (quantiles[:, high] - middle)
    )
    share = min(1.0, (LEVELS[high] - LEVELS[low]) * (1 + 1 / dates))
    found = float(np.clip(np.quantile(scores, share), MIN_MULTIPLIER, MAX_MULTIPLIER))
    blocks = dates / horizon
    return 1 + (found - 1) * blocks / (blocks + SHRINKAGE_BLOCKS)


def multipliers(settled: SettledBands, *, horizon: int, today: date) -> tuple[float, float]:
    """The multipliers of the 80 % and of the 95 % band."""
    eighty = band_multiplier(settled, band=BAND_80, horizon=horizon, today=today)
    return eighty, band_multiplier(settled, band=BAND_95, horizon=horizon, today=today)


def stretch(quantiles: Floats, eighty: float, ninety_five: float) -> Floats:
    """Quantiles (..., Q) with each distance from the median stretched, still rising.

    Levels within the 80 % band take its factor, the 95 % band's ends theirs, .05 and .95 the mean of both.
    """
    factor = np.full(len(LEVELS), eighty)
    factor[[BAND_95[0], BAND_95[1]]] = ninety_five
    factor[[BAND_95[0] + 1, BAND_95[1] - 1]] = (eighty + ninety_five) / 2
    middle = quantiles[..., MEDIAN : MEDIAN + 1]
    stretched = middle + (quantiles - middle) * factor
    upper = np.maximum.accumulate(stretched[..., MEDIAN:], axis=-1)
    lower = np.minimum.accumulate(stretched[..., MEDIAN::-1], axis=-1)[..., ::-1]
    return np.concatenate([lower[..., :-1], upper], axis=-1)
