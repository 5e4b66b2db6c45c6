"""The naive forecasts that stand beside every model: EWMA-N and FHS, as log-return quantiles."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.quantiles import HORIZONS, LEVELS, horizon_scale

Floats = NDArray[np.float64]


def ewma_n(sigma_ewma: Floats, horizons: tuple[int, ...] = HORIZONS, levels: tuple[float, ...] = LEVELS) -> Floats:
    """Random walk with a normal band: sigma·√h·Φ⁻¹(τ) (R, H, Q) from daily sigma (R,) with λ = 0.94.

    The scale is that of RiskMetrics (1996).
    """
    normal = np.array([NormalDist().inv_cdf(level) for level in levels])
    return horizon_scale(sigma_ewma, horizons)[:, :, None] * normal


def fhs(sigma: Floats, z: Floats, horizons: tuple[int, ...] = HORIZONS) -> Floats:
    """Filtered historical simulation: sigma·√h·z (R, H, Q) from daily sigma (R,) and pooled z (H, Q).

    After Barone-Adesi, Giannopoulos & Vosper (1999).
    """
    return horizon_scale(sigma, horizons)[:, :, None] * z
