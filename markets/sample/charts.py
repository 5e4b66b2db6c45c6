"""The charts of one coin: market_chart, its range form and OHLC, with the service's granularity."""

from typing import Any

import numpy as np

from markets.sample import errors
from markets.sample.bridge import SECONDS_PER_DAY, SECONDS_PER_SLOT
from markets.sample.currencies import units_per_usd
from markets.sample.history import CoinHistory, Points, day_of
from markets.sample.market import Coin
from markets.sample.noise import FloatArray, stream_key, uniforms
from markets.sample.numbers import check_precision
from markets.sample.parameters import HISTORY_LIMIT_DAYS, Parameters, days_back, instant, required
from markets.sample.snapshot import last_trade_at

HOUR = 3_600
CHART_READY_SECONDS = 600  # yesterday's close appears in a chart ten minutes after midnight
RANGE_READY_SECONDS = 2_100  # and in a range 35 minutes after
LARGEST_HOURLY_DAYS = 90
LARGEST_REQUESTED_HOURLY_DAYS = 100
JITTER_SECONDS = {SECONDS_PER_SLOT: 190.0, HOUR: 240.0}

HALF_HOUR, FOUR_HOURS, FOUR_DAYS = 1_800, 4 * HOUR, 4 * SECONDS_PER_DAY
CANDLE_SECONDS = {1: HALF_HOUR, 7: FOUR_HOURS, 14: FOUR_HOURS, 30: FOUR_HOURS}
OHLC_DAYS = frozenset({1, 7, 14, 30, 90, 180, 365})

Column = list[list[Any]]


def market_chart(coin: Coin, history: CoinHistory, parameters: Parameters, now: float) -> dict[str, Column]:
    """Answer /coins/{id}/market_chart: the last `days` days and, as the last point, the present."""
    rate = units_per_usd(required(parameters, "vs_currency"))
    days = days_back(parameters, now)
    step = _step(days, parameters.get("interval"), now)
    if step == SECONDS_PER_DAY:
        last = day_of(now - CHART_READY_SECONDS)
        first = day_of(now) - max(round(days), 1) + 1
        stamps, points = _midnights(history, first, last)
    else:
        stamps, points = _jittered(coin, history, now - days * SECONDS_PER_DAY, now, step)
    stamps, points = _with_live_point(coin, history, stamps, points, now)
    return _columns(stamps, points, rate, parameters.get("precision"))


def market_chart_range(coin: Coin, history: CoinHistory, parameters: Parameters, now: float) -> dict[str, Column]:
    """Answer /coins/{id}/market_chart/range; swapped bounds and the future give empty columns."""
    rate = units_per_usd(required(parameters, "vs_currency"))
    start, end = instant(parameters, "from"), instant(parameters, "to")
    if start < now - (HISTORY_LIMIT_DAYS + 1) * SECONDS_PER_DAY:
        raise errors.history_too_long(now)
    is_live = start <= now <= end
    end = min(end, now)
    if start > end:
        return {"prices": [], "market_caps": [], "total_volumes": []}
    step = _range_step(start, end, parameters.get("interval"), now)
    if step == SECONDS_PER_DAY:
        first = -int(-start // SECONDS_PER_DAY)
        stamps, points = _midnights(history, first, day_of(min(end, now - RANGE_READY_SECONDS)))
    else:
        stamps, points = _jittered(coin, history, start, end, step)
    if is_live:
        stamps, points = _with_live_point(coin, history, stamps, points, now)
    return _columns(stamps, points, rate, parameters.get("precision"))


def ohlc(history: CoinHistory, parameters: Parameters, now: float) -> list[list[Any]]:
    """Answer /coins/{id}/ohlc: finished candles, each stamped with its close."""
    rate = units_per_usd(required(parameters, "vs_currency"))
    days = _ohlc_days(parameters, now)
    step = CANDLE_SECONDS.get(days, FOUR_DAYS)
    last_close = int(now // step) * step
    count = -(-days * SECONDS_PER_DAY // step)
    first_day = (last_close - count * step) // SECONDS_PER_DAY
    path = history.price_path(first_day, day_of(last_close) - first_day + 1) * rate
    opening = (last_close - count * step - first_day * SECONDS_PER_DAY) // SECONDS_PER_SLOT
    slots = step // SECONDS_PER_SLOT
    starts = opening + slots * np.arange(count)
    candles = path[starts[:, None] + np.arange(slots + 1)]
    whole = candles[~np.isnan(candles).any(axis=1)]
    closes = (last_close - step * np.arange(count - 1, -1, -1))[~np.isnan(candles).any(axis=1)]
    parts = np.stack([whole[:, 0], whole.max(axis=1), whole.min(axis=1), whole[:, -1]], axis=1)
    precision = parameters.get("precision")
    check_precision(precision)
    return [[int(close) * 1_000, *_rounded(part, precision)] for close, part in zip(closes, parts, strict=True)]


def _ohlc_days(parameters: Parameters, now: float) -> int:
    value = required(parameters, "days")
    if value == "max":
        raise errors.history_too_long(now)
    if not value.isdecimal() or int(value) not in OHLC_DAYS:
        raise errors.plain(400, "Invalid days parameter")
    if "interval" in parameters:
        raise errors.paid_plan_only(now)
    return int(value)


def _step(days: float, interval: str | None, now: float) -> int:
    """Return the seconds between points of a chart that ends now."""
    asked = _asked_step(interval, now)
    if asked == HOUR and days > LARGEST_REQUESTED_HOURLY_DAYS:
        raise errors.plain(400, f"interval=hourly is limited to {LARGEST_REQUESTED_HOURLY_DAYS} days")
    if asked is not None:
        return asked
    if days <= 1:
        return SECONDS_PER_SLOT
    return HOUR if days <= LARGEST_HOURLY_DAYS else SECONDS_PER_DAY


def _range_step(start: float, end: float, interval: str | None, now: float) -> int:
    """Return the seconds between points: five minutes only for a day that ends now."""
    days = (end - start) / SECONDS_PER_DAY
    is_recent = start >= now - SECONDS_PER_DAY - SECONDS_PER_SLOT
    if days <= 1 and interval is None and not is_recent:
        return HOUR
    return _step(1.0 if is_recent else days, interval, now)


def _asked_step(interval: str | None, now: float) -> int | None:
    match interval:
        case None | "":
            return None
        case "daily":
            return SECONDS_PER_DAY
        case "hourly":
            return HOUR
        case "5m" | "1m":
            raise errors.paid_plan_only(now)
        case _:
            raise errors.plain(400, "invalid interval")


def _midnights(history: CoinHistory, first_day: int, last_day: int) -> tuple[FloatArray, Points]:
    count = max(last_day - first_day + 1, 0)
    stamps = (first_day + np.arange(count, dtype=np.float64)) * SECONDS_PER_DAY
    return stamps, history.daily(first_day, count)


def _jittered(coin: Coin, history: CoinHistory, start: float, end: float, step: int) -> tuple[FloatArray, Points]:
    """Return one point for each step, late by seconds to minutes; the same lateness at every call."""
    first = int(start // step)
    count = max(int(end // step) - first + 1, 0)
    lateness = uniforms(stream_key(coin.id, step, "jitter"), first, count) * JITTER_SECONDS[step]
    stamps = (first + np.arange(count)) * float(step) + np.round(lateness, 3)
    stamps = stamps[(stamps >= start) & (stamps <= end)]
    return stamps, history.at(stamps)


def _with_live_point(
    coin: Coin, history: CoinHistory, stamps: FloatArray, points: Points, now: float
) -> tuple[FloatArray, Points]:
    """Return the points up to the coin's last update with that update as the last of them."""
    updated_at = np.array([last_trade_at(coin, now)])
    if coin.stale_seconds:
        is_seen = stamps <= updated_at
        stamps = stamps[is_seen]
        points = Points(*(column[is_seen] for column in points))
    live = history.at(updated_at)
    joined = Points(*(np.concatenate(pair) for pair in zip(points, live, strict=True)))
    return np.concatenate([stamps, updated_at]), joined


def _columns(stamps: FloatArray, points: Points, rate: float, precision: str | None) -> dict[str, Column]:
    """Return the three columns; a point without a price is left out, an unknown cap is null, a volume 0."""
    check_precision(precision)
    is_known = ~np.isnan(points.prices)
    millis = np.round(stamps[is_known] * 1_000.0).astype(np.int64).tolist()
    prices = _rounded(points.prices[is_known] * rate, precision)
    caps = [None if cap != cap else cap for cap in (points.market_caps[is_known] * rate).tolist()]
    volumes = (np.nan_to_num(points.volumes[is_known]) * rate).tolist()
    return {
        "prices": [list(pair) for pair in zip(millis, prices, strict=True)],
        "market_caps": [list(pair) for pair in zip(millis, caps, strict=True)],
        "total_volumes": [list(pair) for pair in zip(millis, volumes, strict=True)],
    }


def _rounded(prices: FloatArray, precision: str | None) -> list[float]:
    values: list[float] = prices.tolist()
    if precision in (None, "full"):
        return values
    return [round(value, int(precision)) for value in values]
