"""How much prices moved within a step: the variance of a candle, which says more than its two ends."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from predictions.forecasting.series import Floats, Panel


def garman_klass(first: Floats, high: Floats, low: Floats, last: Floats) -> Floats:
    """Variance of the log-price over each candle: ln(H/L)²/2 − (2·ln 2 − 1)·ln(C/O)², never below 0.

    Garman and Klass, On the Estimation of Security Price Volatilities from Historical Data (1980), without drift. A
    candle of few prices misses the extremes between them and comes out too small, by a share that stays the same.
    NaN unless 0 < low ≤ first, last ≤ high.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        is_sound = (low > 0) & (low <= np.minimum(first, last)) & (high >= np.maximum(first, last)) & (high < np.inf)
        found = np.log(high / low) ** 2 / 2 - (2 * np.log(2) - 1) * np.log(last / first) ** 2
    return np.where(is_sound, found, np.nan)


@dataclass
class Candles:
    """Candles of many coins and steps in the order in which they came, on their way into a panel."""

    coins: list[str] = field(default_factory=list)
    opened: list[date] = field(default_factory=list)
    figures: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, coin: str, opened_at: date, prices: Sequence[float]) -> None:
        """A candle by the moment (UTC, no zone) at which it opens: first, highest, lowest and last price in USD."""
        self.coins.append(coin)
        self.opened.append(opened_at)
        self.figures.extend(prices)

    def onto(self, panel: Panel) -> Panel:
        """The panel with what these candles realised; those of other coins or times are left out.

        A candle is known when it closes, so it stands at the step after the one that it is named by.
        """
        if not self.coins:
            return panel
        columns = {coin: n for n, coin in enumerate(panel.coins)}
        column = np.array([columns.get(coin, -1) for coin in self.coins])
        opened = np.array(self.opened, dtype="datetime64[s]")
        row = (opened.astype(panel.dates.dtype) - panel.dates[0]).astype(np.int64) + 1
        is_whole = opened == opened.astype(panel.dates.dtype)
        fits = (column >= 0) & is_whole & (row >= 0) & (row < len(panel.dates))
        realised = np.full(panel.prices.shape, np.nan)
        figures = np.asarray(self.figures).reshape(-1, 4).T
        realised[row[fits], column[fits]] = garman_klass(*figures)[fits]
        return replace(panel, realised=realised)
