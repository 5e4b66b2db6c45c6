"""The naive forecasts that stand beside every model: EWMA-N and FHS, as log-return quantiles."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Scale:
    """What FHS learns from settled rows, and the network's starting point.

    `z` (H, Q) are pooled quantiles of y/(sigma·√h·season), rising; `season` (P, H) the relative size of moves
    that start in each phase of the day, ones for daily steps.
    """

    z: Floats
    season: Floats

    def widths(self, sigma: Floats, phases: NDArray[np.int64], horizons: tuple[int, ...]) -> Floats:
        """sigma·√h·season (R, H) for rows with scale `sigma` (R,) at `phases` (R,) of the day."""
        return horizon_scale(sigma, horizons) * self.season[phases]

    def quantiles(self, sigma: Floats, phases: NDArray[np.int64], horizons: tuple[int, ...]) -> Floats:
        """FHS with its hour of day (R, H, Q): `widths` times z."""
        return self.widths(sigma, phases, horizons)[:, :, None] * self.z


def unseasoned(z: Floats) -> Scale:
    """The scale of a daily recipe, which has one phase."""
    return Scale(z, np.ones((1, len(z))))


def fhs(sigma: Floats, z: Floats, horizons: tuple[int, ...] = HORIZONS) -> Floats:
    """Filtered historical simulation: sigma·√h·z (R, H, Q) from daily sigma (R,) and pooled z (H, Q).

    After Barone-Adesi, Giannopoulos & Vosper (1999).
    """
    return horizon_scale(sigma, horizons)[:, :, None] * z
