"""A simulated market for tests: coins with changing volatility, a common factor and known seeds."""

from datetime import date, datetime

import numpy as np

from predictions.forecasting.candles import garman_klass
from predictions.forecasting.series import Panel

FIRST = date(2023, 1, 1)
FIRST_HOUR = datetime(2024, 1, 1)


def market(*, days: int = 400, coins: int = 6, seed: int = 1, first: date = FIRST) -> Panel:
    """A panel of `coins` coins, the first called bitcoin, without gaps."""
    random = np.random.default_rng(seed)
    names = ["bitcoin", *(f"coin-{n:02d}" for n in range(1, coins))]
    log_volatility = np.zeros((days, coins))
    for t in range(1, days):
        log_volatility[t] = 0.97 * log_volatility[t - 1] + 0.12 * random.standard_normal(coins)
    shocks = random.standard_t(5, (days, coins)) + 0.7 * random.standard_t(5, (days, 1))
    returns = 0.025 * np.exp(log_volatility) * shocks
    dates = np.datetime64(first, "D") + np.arange(days)
    return Panel(dates, names, 100 * np.exp(np.cumsum(returns, axis=0)))


def with_prices(panel: Panel, changed: np.ndarray) -> Panel:
    """The same dates and coins with other prices."""
    return Panel(panel.dates, panel.coins, changed)


def day(panel: Panel, row: int) -> date:
    """The date of a row."""
    return panel.dates[row].astype(object)


def hours_with_candles(count: int = 1200, coins: int = 3, *, within: int = 60) -> Panel:
    """Random walks seen `within` times an hour, so that their candles are known; calm and wild spells of 100 hours."""
    random = np.random.default_rng(4)
    size = 0.004 * np.where((np.arange(count) // 100) % 2, 2.0, 1.0)[:, None, None]
    moves = size / np.sqrt(within) * random.standard_normal((count, coins, within))
    paths = np.cumsum(moves.transpose(1, 0, 2).reshape(coins, -1), axis=1).reshape(coins, count, within)
    logs = np.concatenate([np.zeros((coins, 1)), paths[:, :-1, -1]], axis=1)
    path = np.concatenate([logs[:, :, None], paths], axis=2)
    realised = np.full((count, coins), np.nan)
    figures = (path[:, :, 0], path.max(axis=2), path.min(axis=2), path[:, :, -1])
    realised[1:] = garman_klass(*(np.exp(one).T[:-1] for one in figures))
    moments = np.datetime64(FIRST_HOUR, "h") + np.arange(count)
    return Panel(moments, ["bitcoin", "a", "b"], 100 * np.exp(logs.T), realised=realised)
