"""A simulated market for tests: coins with changing volatility, a common factor and known seeds."""

from datetime import date

import numpy as np

from predictions.forecasting.series import Panel

FIRST = date(2023, 1, 1)


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
