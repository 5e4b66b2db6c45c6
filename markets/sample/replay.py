"""Replays a folder of daily CSV files, moved by a whole number of weeks so that it ends in the present.

The shift: let `last` be the latest date in any file and `today` the UTC date at the start. Every date is
moved by the smallest multiple of 7 days that brings `last` to `today` or later, so weekdays stay true and
what is shown up to now was measured; the rows of the next days (6 at most) appear when their time comes. It
is fixed for the life of the market; a start in a later week moves the past by another 7 days.

Blanks: a blank cap is the price times the supply last known (from the cap before it, else from
`coins.csv`); a blank volume is the traded value of `ohlcv_daily`, else the cap times the turnover of
`coins.csv`. What is still unknown stays unknown, missing days stay missing, and a cap of 0.0 stays 0.0,
as the service sends it. After its last row each coin goes on as a driftless random walk with the
volatility of its last 90 days, the same at every start with the same seed and the same shift.
"""

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np

from markets.sample.csv_files import (
    EPOCH_ORDINAL,
    DailyFile,
    LastRow,
    Listing,
    ReplayDataError,
    read_daily,
    read_last_row,
    read_listings,
    read_traded_values,
)
from markets.sample.history import CoinHistory
from markets.sample.market import Coin, HistoryMarket
from markets.sample.noise import FloatArray, normals, stream_key
from markets.sample.recorded import recorded_shapes

AHEAD_DAYS = 732  # even, as normal draws come in pairs
DELISTED_AFTER_DAYS = 30
STALE_SECONDS = 2 * 86_400
COINS_BEFORE_ONE_IS_STALE = 25
VOLATILITY_DAYS = 30
CONTINUATION_DAYS = 90
LARGEST_VOLATILITY = 0.5
MEAN_ABSOLUTE_TO_DEVIATION = float(np.sqrt(np.pi / 2.0))  # for a normal variable


def replay_market(folder: Path, *, coin_count: int, seed: int, today: date) -> HistoryMarket:
    """Build the market that replays `folder`/daily/*.csv, or `folder`/*.csv when there is no `daily` in it.

    The `coin_count` biggest coins by their last market cap are active, bitcoin always among them when it
    is there. Coins whose rows end more than 30 days before the rest are delisted. With 25 coins or more
    the smallest is stale.
    """
    paths = _daily_paths(folder)
    listings = read_listings(folder / "coins.csv") if (folder / "coins.csv").exists() else {}
    last_rows = {coin_id: read_last_row(path) for coin_id, path in paths.items()}
    last_day = max(row.day for row in last_rows.values())
    shift_days = _shift_days(last_day, today)
    ended = {coin_id for coin_id, row in last_rows.items() if last_day - row.day > DELISTED_AFTER_DAYS}
    caps = {coin_id: _last_cap(row, listings.get(coin_id)) for coin_id, row in last_rows.items()}
    ranked = sorted(caps.keys() - ended, key=lambda coin_id: (coin_id != "bitcoin", -caps[coin_id], coin_id))
    chosen = ranked[:coin_count]
    stale_id = chosen[-1] if len(chosen) >= COINS_BEFORE_ONE_IS_STALE else None
    listed = [
        (
            _coin(listings, coin_id, STALE_SECONDS if coin_id == stale_id else 0),
            _history(folder, coin_id, paths[coin_id], listings.get(coin_id), shift_days=shift_days, seed=seed),
        )
        for coin_id in chosen
    ]
    return HistoryMarket("replay", listed, [_coin(listings, coin_id, 0) for coin_id in sorted(ended)])


def _daily_paths(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ReplayDataError(f"{folder}: no such folder")
    daily = folder / "daily" if (folder / "daily").is_dir() else folder
    paths = {path.stem: path for path in sorted(daily.glob("*.csv")) if path.name != "coins.csv"}
    if not paths:
        raise ReplayDataError(f"{daily}: no CSV files")
    return paths


def _shift_days(last_day: int, today: date) -> int:
    return -((last_day + EPOCH_ORDINAL - today.toordinal()) // 7 * 7)


def _last_cap(row: LastRow, listing: Listing | None) -> float:
    """Return the cap by which a coin is ranked, 0.0 when nothing tells it."""
    if row.market_cap > 0.0:
        return row.market_cap
    estimate = row.price * listing.circulating_supply if listing else np.nan
    return 0.0 if np.isnan(estimate) else estimate


def _coin(listings: dict[str, Listing], coin_id: str, stale_seconds: int) -> Coin:
    if coin_id in listings:
        return dataclasses.replace(listings[coin_id].coin, stale_seconds=stale_seconds)
    name = coin_id.replace("-", " ").title()
    return Coin(coin_id, coin_id.replace("-", "")[:5], name, stale_seconds=stale_seconds)


def _history(
    folder: Path, coin_id: str, path: Path, listing: Listing | None, *, shift_days: int, seed: int
) -> CoinHistory:
    rows = read_daily(path)
    prices = _continued(rows.prices, stream_key(seed, coin_id, "replay"))
    market_caps = _filled_caps(rows, prices, listing)
    candles = folder / "ohlcv_daily" / path.name
    traded = read_traded_values(candles) if candles.exists() else {}
    return CoinHistory(
        key=stream_key(seed, coin_id, "bridge"),
        first_day=rows.first_day + shift_days,
        prices=prices,
        market_caps=market_caps,
        volumes=_filled_volumes(rows, market_caps, traded, listing),
        volatilities=_trailing_volatilities(prices),
        recorded_shapes=recorded_shapes(folder, coin_id, shift_days),
    )


def _filled_caps(rows: DailyFile, prices: FloatArray, listing: Listing | None) -> FloatArray:
    given = _extended(rows.market_caps, prices.size)
    with np.errstate(invalid="ignore"):
        supplies = np.where(given > 0.0, given / prices, np.nan)
    latest = np.maximum.accumulate(np.where(np.isnan(supplies), 0, np.arange(supplies.size)))
    carried = supplies[latest]
    if listing is not None:
        carried = np.where(np.isnan(carried), listing.circulating_supply, carried)
    return np.where(np.isnan(given), prices * carried, given)


def _filled_volumes(
    rows: DailyFile, market_caps: FloatArray, traded: dict[int, float], listing: Listing | None
) -> FloatArray:
    """Return 24-hour volumes; the candle of a day tells the volume of the 24 hours before the next row."""
    given = _extended(rows.volumes, market_caps.size)
    days = rows.first_day + np.arange(market_caps.size)
    from_candles = np.array([traded.get(day - 1, np.nan) for day in days.tolist()])
    turnover = listing.turnover if listing is not None else np.nan
    estimates = np.where(np.isnan(from_candles), market_caps * turnover, from_candles)
    return np.where(np.isnan(given), estimates, given)


def _extended(column: FloatArray, size: int) -> FloatArray:
    return np.concatenate([column, np.full(size - column.size, np.nan)])


def _continued(prices: FloatArray, key: int) -> FloatArray:
    """Return `prices` with AHEAD_DAYS more days of a random walk after the last known one."""
    returns = np.diff(np.log(prices[-CONTINUATION_DAYS - 1 :]))
    known = returns[~np.isnan(returns)]
    typical = float(np.mean(np.abs(known))) if known.size else 0.0
    volatility = min(typical * MEAN_ABSOLUTE_TO_DEVIATION, LARGEST_VOLATILITY)
    steps = normals(key, 0, AHEAD_DAYS) * volatility
    return np.concatenate([prices, prices[-1] * np.exp(np.cumsum(steps))])


def _trailing_volatilities(prices: FloatArray) -> FloatArray:
    """Return the volatility of the day after each row, from absolute returns, which glitches sway less."""
    sizes = np.abs(np.diff(np.log(prices), append=np.nan))
    is_known = ~np.isnan(sizes)
    totals = np.cumsum(np.where(is_known, sizes, 0.0))
    counts = np.cumsum(is_known)
    totals[VOLATILITY_DAYS:] -= totals[:-VOLATILITY_DAYS].copy()
    counts[VOLATILITY_DAYS:] -= counts[:-VOLATILITY_DAYS].copy()
    means = totals / np.maximum(counts, 1)
    return np.minimum(means * MEAN_ABSOLUTE_TO_DEVIATION, LARGEST_VOLATILITY)
