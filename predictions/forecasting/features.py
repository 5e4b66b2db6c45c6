"""Causal features and scales for every coin and step, computed the same way for training and for serving."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.frequency import Frequency, frequency_of
from predictions.forecasting.recipe import DAILY, Recipe
from predictions.forecasting.series import (
    Bools,
    Dates,
    Floats,
    Panel,
    fill_short_gaps,
    is_eligible,
    is_near_constant,
    log_returns,
)
from predictions.forecasting.volatility import ewma_variances, realised_means

MARKET_COIN = "bitcoin"
MARKET_RETURN_CLIP = 0.5
FEATURE_CLIP = 5.0
FAST, SECOND, THIRD, SLOW = range(4)  # positions of a recipe's decays

STEP_FEATURES = ("standardised_return", "log_size", "fast_volatility")
LAST_FEATURES = (
    "volatility_trend",
    "volatility_against_slow",
    "volatility_level",
    "volatility_against_market",
    "market_volatility_trend",
    "bitcoin_volatility_trend",
    "history_days",
)
MIN_CANDLE_SHARE = 0.5  # of the slow mean's weight
QUARTER_HOURS = 6
HOURS = tuple(f"hour_{hour:02d}" for hour in range(24))
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def feature_names(recipe: Recipe) -> tuple[str, ...]:
    """The names of `Features.last`'s columns, in order."""
    ranges = tuple(f"range_{steps}" for steps in recipe.range_steps)
    moves = tuple(f"move_{steps}" for steps in recipe.move_steps)
    breadth = tuple(f"breadth_{decay:g}" for decay in recipe.breadth_decays)
    calendar = {
        "weekday": tuple(f"weekday_{day}" for day in WEEKDAYS),
        "hour": HOURS,
        "hour_of_week": (*HOURS, *(f"{day}_{hour:02d}" for day in WEEKDAYS for hour in range(0, 24, QUARTER_HOURS))),
    }
    plain = (*STEP_FEATURES, *LAST_FEATURES, *ranges, *moves, *breadth, *calendar[recipe.calendar])
    return (*plain, *candle_names(recipe))


def candle_names(recipe: Recipe) -> tuple[str, ...]:
    """The names of the last columns of `Features.last`, which only rows with known candles have; the flag is last."""
    if not recipe.candle_decays:
        return ()
    return (*(f"candle_{decay:g}" for decay in recipe.candle_decays[:-1]), "market_candle", "has_candles")


def step_names(recipe: Recipe) -> tuple[str, ...]:
    """The names of `Features.steps`'s columns, in order."""
    return (*STEP_FEATURES, *((candle_names(recipe)[0], "market_candle") if recipe.candle_decays else ()))


DECAYS = DAILY.decays
FEATURES = feature_names(DAILY)


@dataclass(frozen=True)
class Features:
    """What the forecasters see, for T steps and N coins.

    `steps` (T, N, S) and `last` (T, N, F) float32; `sigma` (T, N) the scale per step of FHS and the network
    and `sigma_ewma` (T, N) that of EWMA-N; `market_sigma` (T,) the market's; `prices` (T, N) as observed;
    `eligible` (T, N) where a forecast may start.
    """

    dates: Dates
    coins: list[str]
    prices: Floats
    steps: NDArray[np.float32]
    last: NDArray[np.float32]
    sigma: Floats
    sigma_ewma: Floats
    market_sigma: Floats
    eligible: Bools

    @property
    def frequency(self) -> Frequency:
        """Daily or hourly, as the dates' unit says."""
        return frequency_of(self.dates)

    @property
    def phases(self) -> NDArray[np.int64]:
        """The hour of day (T,) of each step; 0 for all of a daily panel."""
        per_day = self.frequency.steps_per_day
        phases: NDArray[np.int64] = self.dates.astype(np.int64) % per_day
        return phases


def build_features(panel: Panel, recipe: Recipe = DAILY, *, newest: int | None = None) -> Features:
    """Features of every step of `panel`, or of the `newest` steps alone, which takes far less memory.

    Row t depends on prices up to and including t only. ValueError for a panel of another frequency than the
    recipe's.
    """
    if panel.frequency is not recipe.steps:
        raise ValueError(f"the recipe {recipe.name} is {recipe.frequency}, the prices are {panel.frequency.name}")
    filled = fill_short_gaps(panel.prices)
    returns = log_returns(filled)
    variances = ewma_variances(returns, recipe.decays)
    sigma = base_sigma(variances, recipe)
    market = ewma_variances(market_returns(panel)[:, None], recipe.decays)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = [
            _step_features(returns, variances, sigma),
            _last_features(panel, returns, variances, sigma, market, recipe),
            *_ranges(filled, sigma, recipe.range_steps),
            *_moves(filled, sigma, recipe.move_steps),
            *_breadth(panel, sigma, recipe.breadth_decays),
            _calendar(panel.dates, sigma.shape, recipe.calendar),
            *_candles(panel, recipe.candle_decays, newest),
        ]
        kept = slice(None if newest is None else -newest, None)
        clipped = [np.clip(c[kept], -FEATURE_CLIP, FEATURE_CLIP).astype(np.float32) for c in columns]
        last = np.concatenate(clipped, axis=2)
    eligible = is_eligible(panel.prices, filled, panel.frequency)[kept] & np.isfinite(last).all(axis=2)
    return Features(
        dates=panel.dates[kept],
        coins=panel.coins,
        prices=panel.prices[kept],
        steps=np.ascontiguousarray(last[:, :, [feature_names(recipe).index(name) for name in step_names(recipe)]]),
        last=last,
        sigma=sigma[kept],
        sigma_ewma=np.sqrt(variances[recipe.decays.index(recipe.ewma_decay)])[kept],
        market_sigma=base_sigma(market, recipe)[kept, 0],
        eligible=eligible,
    )


def base_sigma(variances: Floats, recipe: Recipe) -> Floats:
    """The scale per step: the root of a fixed mix of two of the recipe's variances (K, T, N)."""
    return np.sqrt(recipe.base_share * variances[SECOND] + (1 - recipe.base_share) * variances[THIRD])


def _step_features(returns: Floats, variances: Floats, sigma: Floats) -> Floats:
    x = _standardised(returns, sigma) / 2
    fast = 0.5 * np.log(variances[FAST]) - np.log(sigma)
    return np.stack([x, np.log1p(np.abs(2 * x)) - 0.5, fast], axis=2)


def _standardised(returns: Floats, sigma: Floats) -> Floats:
    """Returns in units of the scale before them (T, N), clipped to ± 6."""
    before = np.full_like(sigma, np.nan)
    before[1:] = sigma[:-1]
    return np.clip(returns / before, -6, 6)


def _last_features(
    panel: Panel, returns: Floats, variances: Floats, sigma: Floats, market: Floats, recipe: Recipe
) -> Floats:
    log_sigma = np.log(sigma)
    log_scale = 0.5 * np.log(variances)
    market_trend = _trend(market)[:, 0]
    bitcoin_trend = market_trend
    if MARKET_COIN in panel.coins:
        # Without bitcoin's own price or scale the market's stands in: a filled price was not known that day.
        bitcoin = panel.coins.index(MARKET_COIN)
        own = _trend(variances)[:, bitcoin]
        bitcoin_trend = np.where(np.isfinite(own) & np.isfinite(panel.prices[:, bitcoin]), own, market_trend)
    per_day = panel.frequency.steps_per_day
    steps = np.cumsum(np.isfinite(returns), axis=0)
    days = (steps if panel.steps_before is None else steps + panel.steps_before) / per_day
    daily_log_sigma = log_sigma + 0.5 * np.log(per_day)
    columns = [
        log_scale[SECOND] - log_scale[THIRD],
        log_sigma - log_scale[SLOW],
        (daily_log_sigma + 3.1) / 0.6,
        log_sigma - np.log(base_sigma(market, recipe)) - 0.3,
        np.broadcast_to(market_trend[:, None], sigma.shape),
        np.broadcast_to(bitcoin_trend[:, None], sigma.shape),
        (np.log(days) - 6.3) / 1.2,
    ]
    return np.stack(columns, axis=2)


def _ranges(filled: Floats, sigma: Floats, spans: tuple[int, ...]) -> list[Floats]:
    """(highest - lowest log price of the last k steps) / (sigma·√k) - 1.3 (T, N, 1) for each span k."""
    log_prices = np.log(filled)
    result = []
    for span in spans:
        width = np.full_like(sigma, np.nan)
        if len(filled) > span:
            windows = np.lib.stride_tricks.sliding_window_view(log_prices, span + 1, axis=0)
            width[span:] = windows.max(axis=-1) - windows.min(axis=-1)
        result.append((width / (sigma * np.sqrt(span)) - 1.3)[:, :, None])
    return result


def _moves(filled: Floats, sigma: Floats, spans: tuple[int, ...]) -> list[Floats]:
    """The log-return of the last k steps / (2·sigma·√k) (T, N, 1) for each span k: falls are wilder than rises."""
    log_prices = np.log(filled)
    result = []
    for span in spans:
        move = np.full_like(sigma, np.nan)
        move[span:] = log_prices[span:] - log_prices[:-span]
        result.append((move / (2 * sigma * np.sqrt(span)))[:, :, None])
    return result


def _breadth(panel: Panel, sigma: Floats, decays: tuple[float, ...]) -> list[Floats]:
    """log(EWMA_λ of the coins' mean |standardised return| / 0.7) (T, N, 1) for each λ; 0 before any."""
    if not decays:
        return []
    sizes = np.abs(_standardised(log_returns(panel.prices), sigma))
    used = np.isfinite(sizes) & moves_freely(panel)
    count = used.sum(axis=1)
    means = np.where(count > 0, np.where(used, sizes, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
    keep, current = np.asarray(decays), np.full(len(decays), np.nan)
    smoothed = np.full((len(means), len(decays)), 0.7)
    for t, mean in enumerate(means):
        if np.isfinite(mean):
            current = np.where(np.isfinite(current), keep * current + (1 - keep) * mean, mean)
        smoothed[t] = np.where(np.isfinite(current), current, 0.7)
    logs = np.log(np.maximum(smoothed, 0.05) / 0.7)
    return [np.broadcast_to(logs[:, None, :], (*sigma.shape, len(decays)))]


def _candles(panel: Panel, decays: tuple[float, ...], newest: int | None) -> list[Floats]:
    """What candles realised, as log(mean / slow mean) / 2 for each λ; the market's mean of the first λ; the flag.

    (T, N, K + 1) for K decays, T being the newest steps alone if they are asked for. Held against the slow mean of the
    same kind, so that it does not matter how many prices a candle is made of. 0 where the step's own candle is
    unknown, or half of the slow mean's weight: the flag says so.
    """
    if not decays:
        return []
    kept = slice(None if newest is None else -newest, None)
    if panel.realised is None:
        return [np.zeros((*panel.prices[kept].shape, len(decays) + 1))]
    means, shares = realised_means(panel.realised, decays, newest=newest)
    known = np.isfinite(panel.realised[kept]) & (shares >= MIN_CANDLE_SHARE)
    logs = np.where(known, np.log(means[:-1] / means[-1]) / 2, 0.0)
    used = known & moves_freely(panel)[kept]
    market = np.where(used, logs[0], 0.0).sum(axis=1) / np.maximum(used.sum(axis=1), 1)
    columns = [*logs, np.broadcast_to(market[:, None], known.shape), known.astype(float)]
    return [np.stack(columns, axis=2)]


def _calendar(dates: Dates, shape: tuple[int, ...], calendar: str) -> Floats:
    """One-hot columns (T, N, C): the weekday, or the hour of day, or that beside the quarter of each weekday."""
    hours = dates.astype("datetime64[h]").astype(int) % 24
    weekdays = (dates.astype("datetime64[D]").astype(int) + 3) % 7
    columns = {
        "weekday": [np.eye(7)[weekdays]],
        "hour": [np.eye(24)[hours]],
        "hour_of_week": [np.eye(24)[hours], np.eye(28)[weekdays * 4 + hours // QUARTER_HOURS]],
    }[calendar]
    one_hot = np.concatenate(columns, axis=1)
    return np.broadcast_to(one_hot[:, None, :], (*shape, one_hot.shape[1]))


def _trend(variances: Floats) -> Floats:
    return 0.5 * np.log(variances[SECOND] / variances[SLOW])


def market_returns(panel: Panel) -> Floats:
    """Equal-weight mean return (T,) of the coins that moved freely for at least 30 days; NaN with none.

    Only returns between two observed prices count: a filled step's zero was not known then.
    """
    observed = log_returns(panel.prices)
    used = moves_freely(panel)
    clipped = np.where(used, np.clip(observed, -MARKET_RETURN_CLIP, MARKET_RETURN_CLIP), 0.0)
    count = used.sum(axis=1)
    return np.where(count > 0, clipped.sum(axis=1) / np.maximum(count, 1), np.nan)


def moves_freely(panel: Panel) -> Bools:
    """Where (T, N) a coin has an observed return, 30 days of them behind it, and is not pegged."""
    observed = np.isfinite(log_returns(panel.prices))
    seasoned = np.cumsum(observed, axis=0) >= panel.frequency.min_steps_to_judge
    return observed & seasoned & ~is_near_constant(panel.prices, panel.frequency)
