"""A seeded market: GARCH volatility, Student-t shocks, one common factor and coins pegged to the dollar."""

from datetime import date, timedelta

import numpy as np

from markets.sample.history import CoinHistory
from markets.sample.market import Coin, HistoryMarket
from markets.sample.noise import FloatArray, normals, stream_key, students
from markets.sample.universe import (
    DELISTED_COINS,
    STALE_COIN_ID,
    CoinSpec,
    coin_specs,
    latest_departed_coin,
)

GENESIS = date(2019, 1, 1)  # fixed, so that the recursion never starts anywhere else
AHEAD_DAYS = 731  # a server may run this long before it must be started again
STALE_SECONDS = 2 * 86_400

FACTOR_VOLATILITY = 0.024
SHOCK_DEGREES = 5.0
ARCH, GARCH = 0.12, 0.86
LARGEST_SHOCK = 8.0  # in standard deviations: the tails stay fat, one draw cannot ruin a whole series
LARGEST_VARIANCE = 25.0  # as a multiple of the long-run variance
PULL_PER_DAY = 0.001  # a half-life of two years: keeps prices in range and adds no forecastable signal
PEG_MEMORY = 0.9
VOLUME_MEMORY = 0.85


def simulated_market(*, seed: int, coin_count: int, today: date) -> HistoryMarket:
    """Build the simulated market as it stands on `today`.

    Every price is a function of (seed, coin id, time) alone: neither `today` nor `coin_count` nor the
    hour of the start moves the past.
    """
    specs = coin_specs(coin_count, today)
    days = (today - GENESIS).days + AHEAD_DAYS
    log_returns, volatilities = _returns(seed, specs, days)
    listed = [
        (_coin(spec), _history(seed, spec, log_returns[:, column], volatilities[:, column]))
        for column, spec in enumerate(specs)
    ]
    departed = latest_departed_coin(today)
    inactive = [Coin(*names) for names in (*DELISTED_COINS, (departed.id, departed.symbol, departed.name))]
    return HistoryMarket("simulated", listed, inactive)


def _coin(spec: CoinSpec) -> Coin:
    return Coin(
        id=spec.id,
        symbol=spec.symbol,
        name=spec.name,
        total_supply=spec.supply or None,
        max_supply=spec.max_supply,
        categories=(spec.category,),
        platforms=(("ethereum", f"0x{stream_key('contract', spec.id) % 16**40:040x}"),)
        if spec.category in {"stablecoins", "defi", "meme-token", "oracle"}
        else (),
        stale_seconds=STALE_SECONDS if spec.id == STALE_COIN_ID else 0,
    )


def _returns(seed: int, specs: list[CoinSpec], days: int) -> tuple[FloatArray, FloatArray]:
    """Return daily log shocks and the volatility of the next day, both of shape (days, coins).

    GARCH(1,1) after Bollerslev (1986) for the factor and for each coin's own part: h' = w + a e^2 + b h.
    """
    names = ["common factor", *(spec.id for spec in specs)]
    draws = np.stack([students(stream_key(seed, name, "shock"), 0, days, SHOCK_DEGREES) for name in names], axis=1)
    draws = np.clip(draws, -LARGEST_SHOCK, LARGEST_SHOCK)
    targets = np.array([FACTOR_VOLATILITY, *(spec.own_volatility for spec in specs)]) ** 2
    variances = np.empty((days + 1, len(names)))
    variances[0] = targets
    shocks = np.empty((days, len(names)))
    floor = (1.0 - ARCH - GARCH) * targets
    for day in range(days):
        shocks[day] = np.sqrt(variances[day]) * draws[day]
        variance = floor + ARCH * shocks[day] ** 2 + GARCH * variances[day]
        variances[day + 1] = np.minimum(variance, LARGEST_VARIANCE * targets)
    betas = np.array([spec.beta for spec in specs])
    total = betas**2 * variances[1:, :1] + variances[1:, 1:]
    return betas * shocks[:, :1] + shocks[:, 1:], np.sqrt(total)


def _history(seed: int, spec: CoinSpec, shocks: FloatArray, volatilities: FloatArray) -> CoinHistory:
    deviations = _reverting(shocks, PEG_MEMORY if spec.is_pegged else 1.0 - PULL_PER_DAY)
    prices = spec.level_usd * np.exp(deviations)
    caps = prices * spec.supply
    volumes = _volumes(seed, spec, shocks, volatilities, prices)
    start = max((spec.listed_on - GENESIS).days, 0)
    return CoinHistory(
        key=stream_key(seed, spec.id, "bridge"),
        first_day=(max(spec.listed_on, GENESIS) - date(1970, 1, 1)) // timedelta(days=1),
        prices=prices[start:],
        market_caps=caps[start:],
        volumes=volumes[start:],
        volatilities=volatilities[start:],
    )


def _reverting(shocks: FloatArray, memory: float) -> FloatArray:
    """Return x with x[t] = memory * x[t-1] + shocks[t], shape of `shocks`."""
    values = np.empty_like(shocks)
    level = 0.0
    for day, shock in enumerate(shocks.tolist()):
        level = memory * level + shock
        values[day] = level
    return values


def _volumes(seed: int, spec: CoinSpec, shocks: FloatArray, volatilities: FloatArray, prices: FloatArray) -> FloatArray:
    """Return the traded value of the past 24 hours in dollars: a slow swing of its own, more on wild days."""
    noise = normals(stream_key(seed, spec.id, "volume"), 0, shocks.size + shocks.size % 2)[: shocks.size]
    swing = _reverting(noise * 0.2, VOLUME_MEMORY)
    turnover = 0.4 if spec.is_pegged else 0.05
    worth = prices * (spec.supply or 50e6)
    surprise = np.abs(shocks) / volatilities
    traded: FloatArray = worth * turnover * np.exp(swing + 0.3 * (surprise - 0.8))
    return traded
