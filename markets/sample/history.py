"""The past of one coin: daily rows, and from them the price, cap and volume at any instant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from markets.sample.bridge import SECONDS_PER_DAY, SECONDS_PER_SLOT, join_days, random_shapes
from markets.sample.noise import FloatArray

RecordedShapes = Callable[[int, int], FloatArray]


class Points(NamedTuple):
    """Aligned columns in US dollars; NaN where a value is unknown."""

    prices: FloatArray
    market_caps: FloatArray
    volumes: FloatArray


@dataclass(frozen=True)
class CoinHistory:
    """Daily rows at 00:00 UTC from `first_day` (days since 1970) on, all columns of one length.

    `volatilities` holds the standard deviation of the log return from each row to the next; it sets how
    far the bridge strays within the day. `recorded_shapes(first_day, days)` gives measured intraday
    deviations with the shape (days, slots + 1) in place of random ones, and NaN in the rows of the days
    it knows nothing about.
    """

    key: int
    first_day: int
    prices: FloatArray
    market_caps: FloatArray
    volumes: FloatArray
    volatilities: FloatArray
    recorded_shapes: RecordedShapes | None = None

    def daily(self, first_day: int, days: int) -> Points:
        """Return the rows of `days` days from `first_day`, exactly as they are stored."""
        return Points(
            self._rows(self.prices, first_day, days),
            self._rows(self.market_caps, first_day, days),
            self._rows(self.volumes, first_day, days),
        )

    def price_path(self, first_day: int, days: int) -> FloatArray:
        """Return the price each five minutes of `days` days, shape (days * slots + 1,) with both ends."""
        anchors = np.log(self._rows(self.prices, first_day, days + 1))
        volatilities = self._rows(self.volatilities, first_day, days)
        deviations = random_shapes(self.key, first_day, days) * volatilities[:, None]
        if self.recorded_shapes is not None:
            recorded = self.recorded_shapes(first_day, days)
            deviations = np.where(np.isnan(recorded), deviations, recorded)
        return np.exp(join_days(anchors, deviations))

    def at(self, stamps: FloatArray) -> Points:
        """Return the columns at `stamps` (seconds since 1970, any order)."""
        if stamps.size == 0:
            return Points(stamps, stamps, stamps)
        first_day = int(stamps.min() // SECONDS_PER_DAY)
        days = int(stamps.max() // SECONDS_PER_DAY) - first_day + 1
        offsets = stamps - first_day * SECONDS_PER_DAY
        prices = _interpolated(self.price_path(first_day, days), offsets / SECONDS_PER_SLOT)
        rows = self.daily(first_day, days + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            supplies = (rows.market_caps / rows.prices)[(offsets // SECONDS_PER_DAY).astype(np.int64)]
        volumes = _interpolated(rows.volumes, offsets / SECONDS_PER_DAY)
        return Points(prices, prices * supplies, volumes)

    def price_at(self, at: float) -> float:
        """Return the price in US dollars at `at` (seconds since 1970), NaN when there was none."""
        day = int(at // SECONDS_PER_DAY)
        path = self.price_path(day, 1)
        position = np.array([(at - day * SECONDS_PER_DAY) / SECONDS_PER_SLOT])
        return float(_interpolated(path, position)[0])

    def _rows(self, column: FloatArray, first_day: int, days: int) -> FloatArray:
        """Return `days` values of a column from `first_day`, NaN before its first and after its last row."""
        start = first_day - self.first_day
        if start >= 0 and start + days <= column.size:
            return column[start : start + days]
        positions = np.arange(start, start + days)
        is_inside = (positions >= 0) & (positions < column.size)
        rows = np.full(days, np.nan)
        rows[is_inside] = column[positions[is_inside]]
        return rows


def _interpolated(values: FloatArray, positions: FloatArray) -> FloatArray:
    """Return `values` at fractional `positions`; a NaN neighbour does not spoil a position that is exact."""
    left = np.minimum(positions.astype(np.int64), values.size - 1)
    right = np.minimum(left + 1, values.size - 1)
    weight = positions - left
    mixed: FloatArray = np.where(weight == 0.0, values[left], values[left] * (1.0 - weight) + values[right] * weight)
    return mixed


def day_of(at: float) -> int:
    """Return the number of days from 1970-01-01 to the UTC day of `at` (seconds)."""
    return int(at // SECONDS_PER_DAY)
