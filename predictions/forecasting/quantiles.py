"""The quantile levels and horizons of every forecast, and quantiles pooled over coins."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
HORIZONS = (1, 2, 3, 5, 7, 10, 14, 21, 30)
MEDIAN = LEVELS.index(0.5)
BAND_80 = (LEVELS.index(0.1), LEVELS.index(0.9))
BAND_95 = (LEVELS.index(0.025), LEVELS.index(0.975))


def level_name(level: float) -> str:
    """The column name of a level: q025, q100, q975."""
    return f"q{round(level * 1000):03d}"


def short_level_name(level: float) -> str:
    """The shorter name of a level in a back-test's CSV: q025, q05, q10, q975."""
    name = level_name(level)
    return name[:-1] if name.endswith("0") else name


def horizon_scale(sigma: Floats, horizons: tuple[int, ...] = HORIZONS) -> Floats:
    """sigma·√h (R, H): the standard deviation of a random walk over each horizon, from sigma of one step (R,)."""
    return sigma[:, None] * np.sqrt(np.asarray(horizons, dtype=float))[None, :]


def pooled_quantiles(standardised: Floats, levels: tuple[float, ...] = LEVELS) -> Floats:
    """z (H, Q): empirical quantiles of y/(sigma·√h) (R, H) over rows; ValueError if a horizon has none."""
    if not np.isfinite(standardised).any(axis=0).all():
        raise ValueError("a horizon has no settled rows to take quantiles from")
    return np.nanquantile(standardised, levels, axis=0).T


def mirrored(quantiles: Floats) -> Floats:
    """Quantiles (..., Q) averaged with their own mirror image: the median 0, both sides equally wide."""
    return (quantiles - quantiles[..., ::-1]) / 2
