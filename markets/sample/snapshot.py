"""The state of the whole market at one instant: what /coins/markets and its relatives are cut from."""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from markets.sample.bridge import SECONDS_PER_DAY, SECONDS_PER_SLOT, SLOTS_PER_DAY
from markets.sample.history import CoinHistory, day_of
from markets.sample.market import Coin, Market
from markets.sample.noise import stream_key, uniforms

TICK_SECONDS = 30  # the service refreshes its market table about this often
KEPT_SNAPSHOTS = 4
LARGEST_LAG_SECONDS = 20.0
SPARKLINE_DAYS = 7
SLOTS_PER_HOUR = 3_600 // SECONDS_PER_SLOT


@dataclass(frozen=True)
class Extreme:
    """A record price in US dollars and the second it was set."""

    price: float
    at: float


@dataclass(frozen=True)
class Quote:
    """One coin at one instant; US dollars, NaN where unknown, `rank` None for a coin without a market cap."""

    coin: Coin
    at: float
    price: float
    market_cap: float
    volume: float
    volume_24h_ago: float
    high_24h: float
    low_24h: float
    price_1h_ago: float
    price_24h_ago: float
    market_cap_24h_ago: float
    price_7d_ago: float
    ath: Extreme
    atl: Extreme
    sparkline: list[float]
    rank: int | None = None

    @property
    def circulating_supply(self) -> float:
        """Coins in circulation, NaN where unknown."""
        return self.market_cap / self.price if self.market_cap > 0.0 else math.nan


class Snapshots:
    """Makes and keeps the market's snapshots, one for each tick of 30 seconds."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, dict[str, Quote]] = OrderedDict()

    def at(self, now: float) -> dict[str, Quote]:
        """Return the quotes of all active coins by id, biggest first, coins without a cap last."""
        tick = int(now // TICK_SECONDS)
        with self._lock:
            if tick not in self._kept:
                self._kept[tick] = _ranked(self._market, tick * TICK_SECONDS)
                if len(self._kept) > KEPT_SNAPSHOTS:
                    self._kept.popitem(last=False)
            return self._kept[tick]


def last_trade_at(coin: Coin, at: float) -> float:
    """Return when the service last updated a coin before `at`: seconds ago, or days ago for a stale coin."""
    lag = uniforms(stream_key(coin.id, "lag"), int(at // TICK_SECONDS), 1)[0] * LARGEST_LAG_SECONDS
    return at - coin.stale_seconds - round(float(lag), 3)


def _ranked(market: Market, at: float) -> dict[str, Quote]:
    quotes = [_quote(coin, market.history(coin.id), at) for coin in market.coins.values()]
    quotes.sort(key=lambda quote: -quote.market_cap if quote.market_cap > 0.0 else math.inf)
    ranks = range(1, len(quotes) + 1)
    return {
        quote.coin.id: _with_rank(quote, rank if quote.market_cap > 0.0 else None)
        for rank, quote in zip(ranks, quotes, strict=True)
    }


def _with_rank(quote: Quote, rank: int | None) -> Quote:
    return Quote(**{**vars(quote), "rank": rank})


def _quote(coin: Coin, history: CoinHistory, now: float) -> Quote:
    at = last_trade_at(coin, now)
    today = day_of(at)
    path = history.price_path(today - SPARKLINE_DAYS - 1, SPARKLINE_DAYS + 2)
    position = (at - (today - SPARKLINE_DAYS - 1) * SECONDS_PER_DAY) / SECONDS_PER_SLOT
    here = int(position)

    def price_back(slots: int) -> float:
        left = here - slots
        weight = position - here
        return float(path[left] * (1.0 - weight) + path[left + 1] * weight)

    price = price_back(0)
    latest_day = np.append(path[here - SLOTS_PER_DAY + 1 : here + 1], price)
    latest_week = path[here - SPARKLINE_DAYS * SLOTS_PER_DAY : here + 1 : SLOTS_PER_HOUR][1:]
    rows = history.daily(today - 1, 3)
    supplies = [_ratio(cap, row) for cap, row in zip(rows.market_caps, rows.prices, strict=True)]
    part = (at % SECONDS_PER_DAY) / SECONDS_PER_DAY
    volume_24h_ago, volume = (rows.volumes[:-1] * (1.0 - part) + rows.volumes[1:] * part).tolist()
    high, low = (math.nan, math.nan) if np.isnan(latest_day).all() else (np.nanmax(latest_day), np.nanmin(latest_day))
    ath, atl = _extremes(history, today, at, float(high), float(low))
    return Quote(
        coin=coin,
        at=at,
        price=price,
        market_cap=price * supplies[1],
        volume=volume,
        volume_24h_ago=volume_24h_ago,
        high_24h=float(high),
        low_24h=float(low),
        price_1h_ago=price_back(SLOTS_PER_HOUR),
        price_24h_ago=price_back(SLOTS_PER_DAY),
        market_cap_24h_ago=price_back(SLOTS_PER_DAY) * supplies[0],
        price_7d_ago=price_back(SPARKLINE_DAYS * SLOTS_PER_DAY),
        ath=ath,
        atl=atl,
        sparkline=[value for value in latest_week.tolist() if not math.isnan(value)],
    )


def _ratio(market_cap: float, price: float) -> float:
    return float(market_cap / price) if price > 0.0 else math.nan


def _extremes(history: CoinHistory, today: int, at: float, high: float, low: float) -> tuple[Extreme, Extreme]:
    """Return the records over the daily rows up to today and the latest 24 hours."""
    past = history.prices[: max(today - history.first_day + 1, 0)]
    if np.isnan(past).all():
        unknown = Extreme(math.nan, at)
        return unknown, unknown
    top, bottom = int(np.nanargmax(past)), int(np.nanargmin(past))
    ath = Extreme(float(past[top]), float((history.first_day + top) * SECONDS_PER_DAY))
    atl = Extreme(float(past[bottom]), float((history.first_day + bottom) * SECONDS_PER_DAY))
    return (
        Extreme(high, at) if high > ath.price else ath,
        Extreme(low, at) if low < atl.price else atl,
    )
