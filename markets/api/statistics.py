"""Plain arithmetic over one coin's daily prices."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import StatisticsError, stdev
from statistics import correlation as pearson
from typing import Any, NamedTuple

MIN_RETURNS = 30  # fewer say too little about a spread or a correlation
DAYS_A_YEAR = 365  # this market never closes
DAY = timedelta(days=1)


class DailyPrices(NamedTuple):
    """One day in US dollars; `at` is its start."""

    at: datetime
    open: float
    high: float
    low: float
    close: float


def log_returns(days: Sequence[DailyPrices]) -> dict[datetime, float]:
    """Each day's log-return from the close before; days that do not follow one another give none."""
    return {
        after.at: math.log(after.close / before.close)
        for before, after in pairwise(days)
        if after.at - before.at == DAY
    }


def summarise(days: Sequence[DailyPrices]) -> dict[str, Any]:
    """Return, spread, drawdown and extremes; None where there are too few days for a figure."""
    returns = list(log_returns(days).values())
    highest = max(days, key=lambda day: day.high, default=None)
    lowest = min(days, key=lambda day: day.low, default=None)
    is_enough = len(returns) >= MIN_RETURNS
    return {
        "n_days": len(days),
        "first_at": days[0].at if days else None,
        "last_at": days[-1].at if days else None,
        "return_percent": 100 * (days[-1].close / days[0].open - 1) if days else None,
        "volatility_percent": 100 * stdev(returns) * math.sqrt(DAYS_A_YEAR) if is_enough else None,
        "max_drawdown_percent": max_drawdown_percent([day.close for day in days]),
        "high_usd": highest and highest.high,
        "high_on": highest and highest.at.date(),
        "low_usd": lowest and lowest.low,
        "low_on": lowest and lowest.at.date(),
        "best_day_percent": 100 * math.expm1(max(returns)) if returns else None,
        "worst_day_percent": 100 * math.expm1(min(returns)) if returns else None,
    }


def max_drawdown_percent(closes: Sequence[float]) -> float | None:
    """The largest fall from an earlier high, as a figure of at most 0; None without two closes."""
    if len(closes) < 2:
        return None
    top, worst = closes[0], 0.0
    for close in closes:
        top = max(top, close)
        worst = min(worst, close / top - 1)
    return 100 * worst


def correlation(days: Sequence[DailyPrices], others: Sequence[DailyPrices]) -> dict[str, Any]:
    """Pearson's coefficient of the log-returns on days that both have; None below 30 or without any change."""
    ours, theirs = log_returns(days), log_returns(others)
    common = [at for at in ours if at in theirs]
    coefficient = None
    if len(common) >= MIN_RETURNS:
        try:
            coefficient = pearson([ours[at] for at in common], [theirs[at] for at in common])
        except StatisticsError:  # a price that never moved correlates with nothing
            coefficient = None
    return {"coefficient": coefficient, "n_days": len(common)}
