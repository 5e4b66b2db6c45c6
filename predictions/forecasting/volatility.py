"""Exponentially weighted variances that one crash cannot dominate."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED_RETURNS = 20
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
