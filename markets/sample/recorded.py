"""Measured intraday paths: candles as deviations from the line between two daily prices."""

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from markets.sample.bridge import SECONDS_PER_DAY, SLOTS_PER_DAY, remove_line
from markets.sample.csv_files import read_opening_prices
from markets.sample.noise import FloatArray


class _Candles(NamedTuple):
    first_day: int
    log_opens: FloatArray  # one per step from 00:00 of first_day; NaN where a candle is missing


class RecordedShapes:
    """The measured shapes of one coin's days; files are read on first use, since they are large.

    A day counts only when all its candles and the first of the next day are there. Five-minute candles are
    preferred; between hourly opens the path is a straight line in logs.
    """

    def __init__(self, *, hourly: Path | None, five_minute: Path | None, shift_days: int) -> None:
        self._hourly = hourly
        self._five_minute = five_minute
        self._shift_days = shift_days
        self._lock = threading.Lock()

    def __call__(self, first_day: int, days: int) -> FloatArray:
        """Return log deviations of shape (days, slots + 1), NaN on days without a measured path."""
        with self._lock:
            sources = self._sources
        shapes = np.full((days, SLOTS_PER_DAY + 1), np.nan)
        for steps_per_day, candles in sources:
            found = _shapes(candles, steps_per_day, first_day - self._shift_days, days)
            shapes = np.where(np.isnan(found), shapes, found)
        return shapes

    @cached_property
    def _sources(self) -> list[tuple[int, _Candles]]:
        files = [(24, self._hourly), (SLOTS_PER_DAY, self._five_minute)]
        return [(steps, _candles(path, steps)) for steps, path in files if path is not None]


def recorded_shapes(folder: Path, coin_id: str, shift_days: int) -> Callable[[int, int], FloatArray] | None:
    """Return the shapes of a coin from `folder`/hourly and `folder`/5min, None when it has no such file."""
    hourly, five_minute = (
        path if path.exists() else None
        for path in (folder / "hourly" / f"{coin_id}.csv", folder / "5min" / f"{coin_id}.csv")
    )
    if hourly is None and five_minute is None:
        return None
    return RecordedShapes(hourly=hourly, five_minute=five_minute, shift_days=shift_days)


def _candles(path: Path, steps_per_day: int) -> _Candles:
    stamps, opens = read_opening_prices(path)
    first_day = int(stamps.min() // SECONDS_PER_DAY)
    positions = ((stamps - first_day * SECONDS_PER_DAY) // (SECONDS_PER_DAY / steps_per_day)).astype(np.int64)
    log_opens = np.full(int(positions.max()) + 1, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_opens[positions] = np.where(opens > 0.0, np.log(opens), np.nan)
    return _Candles(first_day, log_opens)


def _shapes(candles: _Candles, steps_per_day: int, first_day: int, days: int) -> FloatArray:
    wanted = (first_day - candles.first_day) * steps_per_day + np.arange(days * steps_per_day + 1)
    is_inside = (wanted >= 0) & (wanted < candles.log_opens.size)
    path = np.full(wanted.size, np.nan)
    path[is_inside] = candles.log_opens[wanted[is_inside]]
    starts = np.arange(days)[:, None] * steps_per_day
    by_day = path[starts + np.arange(steps_per_day + 1)]
    by_day[np.isnan(by_day).any(axis=1)] = np.nan
    slots = np.linspace(0.0, steps_per_day, SLOTS_PER_DAY + 1)
    left = np.minimum(slots.astype(np.int64), steps_per_day - 1)
    fine: FloatArray = by_day[:, left] + (slots - left) * (by_day[:, left + 1] - by_day[:, left])
    return remove_line(fine)
