"""How far the inputs of today have moved from those of training, by the population stability index."""

from dataclasses import replace
from typing import Any

import numpy as np

from predictions.forecasting.features import FEATURES, Features, build_features
from predictions.forecasting.recipe import RECIPES
from predictions.forecasting.series import Floats, Panel

# Features of one coin. What all coins share on a day (market and bitcoin trend) is one draw a day, and weekday and
# length of history move by themselves: neither says anything about drift.
WATCHED = (
    "standardised_return", "log_size", "fast_volatility", "volatility_trend", "volatility_against_slow",
    "volatility_level", "volatility_against_market",
)  # fmt: skip
BINS = 10
RECENT_DAYS = 90
MIN_ROWS = 500
SMALLEST_SHARE = 1e-4


def reference_of(panel: Panel) -> dict[str, Any]:
    """How each watched feature was spread over all eligible rows: deciles and shares; empty with too few rows."""
    return _reference(_watched(panel), first_step=0)


def _watched(panel: Panel) -> Features:
    """The features of a panel's own recipe, but for those that nobody watches: of hours they are most of them."""
    recipe = RECIPES[panel.frequency.name][0]
    return build_features(panel, replace(recipe, breadth_decays=(), candle_decays=(), calendar="weekday"))


def _reference(features: Features, *, first_step: int) -> dict[str, Any]:
    values = _values(features, first_step)
    if len(values) < MIN_ROWS:
        return {}
    inner = np.arange(1, BINS) / BINS
    spread = {}
    for name, column in zip(WATCHED, values.T, strict=True):
        edges = np.quantile(column, inner)
        spread[name] = {"edges": edges.tolist(), "shares": _shares(column, edges).tolist()}
    return {"rows": len(values), "first": str(features.dates[first_step]), "last": str(features.dates[-1])} | {
        "features": spread
    }


def psi_by_feature(reference: dict[str, Any], panel: Panel) -> dict[str, float]:
    """The index of each watched feature over the last 90 days of the panel; empty when either side has too few rows.

    PSI = Σ (share now − share then)·ln(share now / share then) over ten bins (Siddiqi, 2006); 0 is no change.
    """
    features = _watched(panel)
    values = _values(features, max(0, len(features.dates) - panel.frequency.days(RECENT_DAYS)))
    if not reference or len(values) < MIN_ROWS:
        return {}
    found = {}
    for name, column in zip(WATCHED, values.T, strict=True):
        spread = reference["features"].get(name)
        if spread is not None:
            now = _shares(column, np.array(spread["edges"]))
            found[name] = psi(np.array(spread["shares"]), now)
    return found


def psi(then: Floats, now: Floats) -> float:
    """The population stability index of two lists of shares (B,)."""
    then, now = np.maximum(then, SMALLEST_SHARE), np.maximum(now, SMALLEST_SHARE)
    return float(((now - then) * np.log(now / then)).sum())


def _values(features: Features, first_step: int) -> Floats:
    chosen = [FEATURES.index(name) for name in WATCHED]
    rows = features.last[first_step:][features.eligible[first_step:]]
    return np.asarray(rows[:, chosen], dtype=float)


def _shares(column: Floats, edges: Floats) -> Floats:
    return np.bincount(np.searchsorted(edges, column, side="right"), minlength=BINS) / len(column)
