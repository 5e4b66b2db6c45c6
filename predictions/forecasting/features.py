"""Causal features and scales for every coin and day, computed the same way for training and for serving."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.series import (
    MIN_DAYS_TO_JUDGE,
    Bools,
    Dates,
    Floats,
    Panel,
    fill_short_gaps,
    is_eligible,
    is_near_constant,
    log_returns,
)
from predictions.forecasting.volatility import ewma_variances

DECAYS = (0.75, 0.94, 0.985, 0.995)
BASE_SHARE_FAST = 0.65
MARKET_COIN = "bitcoin"
MARKET_RETURN_CLIP = 0.5
FEATURE_CLIP = 5.0

STEP_FEATURES = ("standardised_return", "log_size", "fast_volatility")
FEATURES = (
    *STEP_FEATURES,
    "volatility_trend",
    "volatility_against_slow",
    "volatility_level",
    "volatility_against_market",
    "market_volatility_trend",
    "bitcoin_volatility_trend",
    "history_days",
    *(f"weekday_{day}" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
)


@dataclass(frozen=True)
class Features:
    """What the forecasters see, for T days and N coins.

    `steps` (T, N, 3) and `last` (T, N, F) float32; `sigma` (T, N) the daily scale of FHS and the network and
    `sigma_ewma` (T, N) that of EWMA-N; `prices` (T, N) as observed; `eligible` (T, N) where a forecast may
    start.
    """

    dates: Dates
    coins: list[str]
    prices: Floats
    steps: NDArray[np.float32]
    last: NDArray[np.float32]
    sigma: Floats
    sigma_ewma: Floats
    eligible: Bools


def build_features(panel: Panel) -> Features:
    """Features of every day of `panel`; row t depends on prices up to and including day t only."""
    filled = fill_short_gaps(panel.prices)
    returns = log_returns(filled)
    variances = ewma_variances(returns, DECAYS)
    sigma = _base_sigma(variances)
    step = _step_features(returns, variances, sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        last = np.concatenate([step, _last_features(panel, returns, variances, sigma)], axis=2)
    last = np.clip(last, -FEATURE_CLIP, FEATURE_CLIP).astype(np.float32)
    eligible = is_eligible(panel.prices, filled) & np.isfinite(last).all(axis=2)
    return Features(
        dates=panel.dates,
        coins=panel.coins,
        prices=panel.prices,
        steps=np.ascontiguousarray(last[:, :, : len(STEP_FEATURES)]),
        last=last,
        sigma=sigma,
        sigma_ewma=np.sqrt(variances[DECAYS.index(0.94)]),
        eligible=eligible,
    )


def _base_sigma(variances: Floats) -> Floats:
    fast, slow = variances[DECAYS.index(0.94)], variances[DECAYS.index(0.985)]
    return np.sqrt(BASE_SHARE_FAST * fast + (1 - BASE_SHARE_FAST) * slow)


def _step_features(returns: Floats, variances: Floats, sigma: Floats) -> Floats:
    yesterday = np.full_like(sigma, np.nan)
    yesterday[1:] = sigma[:-1]
    x = np.clip(returns / yesterday, -6, 6) / 2
    fast = 0.5 * np.log(variances[DECAYS.index(0.75)]) - np.log(sigma)
    return np.stack([x, np.log1p(np.abs(2 * x)) - 0.5, fast], axis=2)


def _last_features(panel: Panel, returns: Floats, variances: Floats, sigma: Floats) -> Floats:
    log_sigma = np.log(sigma)
    log_scale = 0.5 * np.log(variances)
    market = ewma_variances(market_returns(panel)[:, None], DECAYS)
    market_trend = _trend(market)[:, 0]
    bitcoin_trend = market_trend
    if MARKET_COIN in panel.coins:
        # Without bitcoin's own price or scale the market's stands in: a filled price was not known that day.
        bitcoin = panel.coins.index(MARKET_COIN)
        own = _trend(variances)[:, bitcoin]
        bitcoin_trend = np.where(np.isfinite(own) & np.isfinite(panel.prices[:, bitcoin]), own, market_trend)
    days = np.cumsum(np.isfinite(returns), axis=0)
    shape = sigma.shape
    columns = [
        log_scale[DECAYS.index(0.94)] - log_scale[DECAYS.index(0.985)],
        log_sigma - log_scale[DECAYS.index(0.995)],
        (log_sigma + 3.1) / 0.6,
        log_sigma - np.log(_base_sigma(market)) - 0.3,
        np.broadcast_to(market_trend[:, None], shape),
        np.broadcast_to(bitcoin_trend[:, None], shape),
        (np.log(days) - 6.3) / 1.2,
    ]
    weekday = (panel.dates.astype("datetime64[D]").astype(int) + 3) % 7
    one_hot = np.broadcast_to(np.eye(7)[weekday][:, None, :], (*shape, 7))
    return np.concatenate([np.stack(columns, axis=2), one_hot], axis=2)


def _trend(variances: Floats) -> Floats:
    return 0.5 * np.log(variances[DECAYS.index(0.94)] / variances[DECAYS.index(0.995)])


def market_returns(panel: Panel) -> Floats:
    """Equal-weight mean daily return (T,) of the coins that moved freely for at least 30 days; NaN with none.

    Only returns between two observed prices count: a filled day's zero was not known on that day.
    """
    observed = log_returns(panel.prices)
    seasoned = np.cumsum(np.isfinite(observed), axis=0) >= MIN_DAYS_TO_JUDGE
    used = np.isfinite(observed) & seasoned & ~is_near_constant(panel.prices)
    clipped = np.where(used, np.clip(observed, -MARKET_RETURN_CLIP, MARKET_RETURN_CLIP), 0.0)
    count = used.sum(axis=1)
    return np.where(count > 0, clipped.sum(axis=1) / np.maximum(count, 1), np.nan)
