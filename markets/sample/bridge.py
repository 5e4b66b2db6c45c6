"""Intraday paths between daily prices: Brownian bridges on a five-minute grid, the same on every call."""

import numpy as np

from markets.sample.noise import FloatArray, normals

SECONDS_PER_DAY = 86_400
SECONDS_PER_SLOT = 300
SLOTS_PER_DAY = SECONDS_PER_DAY // SECONDS_PER_SLOT

_GRID = np.linspace(0.0, 1.0, SLOTS_PER_DAY + 1)


def _diurnal_weights() -> FloatArray:
    """Return the relative volatility of each slot: quiet at 04:00 UTC, busy at 16:00 UTC, mean square 1."""
    weights = 1.0 - 0.35 * np.cos(2.0 * np.pi * (np.arange(SLOTS_PER_DAY) / SLOTS_PER_DAY - 4.0 / 24.0))
    normed: FloatArray = weights / np.sqrt(np.mean(weights**2))
    return normed


_STEP_SCALE = _diurnal_weights() / np.sqrt(SLOTS_PER_DAY)


def remove_line(walks: FloatArray) -> FloatArray:
    """Return `walks` of shape (days, slots + 1) less the straight line between their ends: 0 at both ends."""
    bridged: FloatArray = walks - walks[:, :1] - (walks[:, -1:] - walks[:, :1]) * _GRID
    return bridged


def random_shapes(key: int, first_day: int, days: int) -> FloatArray:
    """Return unit-variance bridges from `first_day` (days since 1970) on, shape (days, slots + 1)."""
    steps = normals(key, first_day * SLOTS_PER_DAY, days * SLOTS_PER_DAY).reshape(days, SLOTS_PER_DAY)
    walks = np.zeros((days, SLOTS_PER_DAY + 1))
    np.cumsum(steps * _STEP_SCALE, axis=1, out=walks[:, 1:])
    return remove_line(walks)


def join_days(log_anchors: FloatArray, deviations: FloatArray) -> FloatArray:
    """Return the log path through `log_anchors` (days + 1,) plus `deviations` (days, slots + 1).

    The answer has shape (days * slots + 1,), one value each five minutes, the last one being the last anchor.
    """
    lines = log_anchors[:-1, None] + np.diff(log_anchors)[:, None] * _GRID[None, :-1]
    path = lines + deviations[:, :-1]
    path[:, 0] = log_anchors[:-1]  # known even where the next day is not
    return np.concatenate([path.ravel(), log_anchors[-1:]])
