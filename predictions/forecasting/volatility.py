"""Exponentially weighted variances that one crash cannot dominate."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED_RETURNS = 20
MIN_CANDLE = 1e-8  # a hundredth of a percent: a candle of equal prices is a quiet one, not one without size
CAP_SIGMAS_SQUARED = 25.0
MIN_SIGMA = 5e-4


def ewma_variances(returns: Floats, decays: Sequence[float]) -> Floats:
    """Variances (K, T, N) for K decays λ from returns (T, N): v_t = λ·v_{t-1} + (1-λ)·min(r²_t, 25·v_{t-1}).

    Seeded with the mean of the first 20 r²; a NaN return restarts the coin; NaN until seeded; sigma ≥ 5e-4.
    """
    keep = np.asarray(decays, dtype=float)[:, None]
    days, coins = returns.shape
    variances = np.full((len(keep), days, coins), np.nan)
    current = np.full((len(keep), coins), np.nan)
    seen = np.zeros(coins, dtype=np.int64)
    total = np.zeros(coins)
    squares = returns**2
    for t in range(days):
        square = squares[t]
        known = np.isfinite(square)
        seen = np.where(known, seen + 1, 0)
        total = np.where(known, total + square, 0.0)
        update = keep * current + (1 - keep) * np.minimum(square, CAP_SIGMAS_SQUARED * current)
        current = np.where(seen == SEED_RETURNS, total / SEED_RETURNS, update)
        current = np.where(seen >= SEED_RETURNS, np.maximum(current, MIN_SIGMA**2), np.nan)
        variances[:, t] = current
    return variances


def realised_means(realised: Floats, decays: Sequence[float], *, newest: int | None = None) -> tuple[Floats, Floats]:
    """Weighted means (K, T, N) of the known variances of candles (T, N) up to each step, λ^age being their weights.

    Also which share (T, N) of all weight of the last, slowest λ lies on steps whose candle is known. One candle counts
    for at most 25 times the slowest mean before it. NaN before any is known. Of the `newest` steps alone, if given.
    """
    keep = np.asarray(decays, dtype=float)[:, None]
    steps, coins = realised.shape
    first = 0 if newest is None else max(0, steps - newest)
    means, shares = np.empty((len(keep), steps - first, coins)), np.empty((steps - first, coins))
    total, share = np.zeros((2, len(keep), coins))
    known = np.isfinite(realised)
    sizes = np.where(known, np.maximum(realised, MIN_CANDLE), 0.0)
    mean = np.full_like(total, np.nan)
    for t in range(steps):
        limit = np.where(np.isfinite(mean[-1]), CAP_SIGMAS_SQUARED * mean[-1], np.inf)
        total = keep * total + (1 - keep) * np.minimum(sizes[t], limit)
        share = keep * share + (1 - keep) * known[t]
        mean = np.divide(total, share, out=np.full_like(total, np.nan), where=share > 0)
        if t >= first:
            means[:, t - first], shares[t - first] = mean, share[-1]
    return means, shares
