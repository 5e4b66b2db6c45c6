"""Input windows, and targets that never end after the cutoff."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.features import Features
from predictions.forecasting.series import Bools, Floats

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Forecast origins as pairs of a step and a coin: `days` (R,) and `coins` (R,) index into a panel."""

    days: Integers
    coins: Integers

    def __len__(self) -> int:
        return len(self.days)

    def take(self, chosen: NDArray[np.int64] | Bools) -> "Rows":
        """The rows at positions, or under a mask."""
        return Rows(self.days[chosen], self.coins[chosen])


def eligible_rows(
    features: Features, *, first_day: int = 0, last_day: int | None = None, window: int, every: int = 1
) -> Rows:
    """Every eligible origin with a whole window from row `first_day` to `last_day` inclusive, by day and coin.

    `every` keeps only each so many-th row, counted from `first_day`.
    """
    end = len(features.dates) if last_day is None else last_day + 1
    start = max(first_day, window - 1)
    days, coins = np.nonzero(features.eligible[start:end])
    rows = Rows(days + start, coins)
    return rows if every == 1 else rows.take((rows.days - first_day) % every == 0)


class WindowReader:
    """Cuts input windows (B, window, 3) out of a panel's step features without storing them all."""

    def __init__(self, features: Features, window: int) -> None:
        by_coin = np.ascontiguousarray(features.steps.transpose(1, 0, 2))
        self._windows = np.lib.stride_tricks.sliding_window_view(by_coin, window, axis=1)
        self._window = window

    def read(self, rows: Rows) -> NDArray[np.float32]:
        """Windows that end on each row's day, oldest step first."""
        cut = self._windows[rows.coins, rows.days - self._window + 1]
        return np.ascontiguousarray(cut.transpose(0, 2, 1))


def targets(prices: Floats, rows: Rows, horizons: tuple[int, ...], *, cutoff_day: int) -> Floats:
    """y = ln(P(t+h)/P(t)) (R, H); NaN where it ends after `cutoff_day` (the purge) or has no price."""
    last_day = min(cutoff_day, len(prices) - 1)
    ends = rows.days[:, None] + np.asarray(horizons)[None, :]
    is_known = ends <= last_day
    ended = prices[np.minimum(ends, last_day), rows.coins[:, None]]
    started = prices[rows.days, rows.coins][:, None]
    return np.where(is_known, np.log(ended / started), np.nan)
