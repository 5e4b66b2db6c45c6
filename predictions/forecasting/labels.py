"""The one published rule that turns settled scores into a label with its evidence."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np

from predictions.forecasting.frequency import Frequency
from predictions.forecasting.metrics import block_dates, mean_interval, means_by_date, skill, skill_interval
from predictions.forecasting.series import Bools, Dates, Floats

MIN_DATES = 30
MIN_BLOCKS = 10
MIN_DATES_FOR_INTERVAL = 90
MIN_BLOCKS_FOR_INTERVAL = 3
MAX_COVERAGE_GAP = 0.02
WEIGHTING = "by date"


class Label(StrEnum):
    """What the settled forecasts of one horizon say about the model against a named baseline."""

    TOO_EARLY = "too_early"
    BEATS_BASELINE = "beats_baseline"
    EQUALS_BASELINE = "equals_baseline"
    WORSE_THAN_BASELINE = "worse_than_baseline"


@dataclass(frozen=True)
class Evidence:
    """A label and every figure it rests on; shares and skills are fractions, `n_dates` distinct cutoffs.

    `skill`, coverages and period are None without any settled forecast, `interval` (95 %) while
    `has_interval` says no.
    """

    label: Label
    baseline: str
    n_dates: int
    n_forecasts: int
    skill: float | None
    interval: tuple[float, float] | None
    coverage_80: float | None
    coverage_95: float | None
    period_start: date | None
    period_end: date | None
    weighting: str = WEIGHTING


def evidence(
    *,
    cutoffs: Dates,
    model_scores: Floats,
    baseline_scores: Floats,
    inside_80: Bools | Floats,
    inside_95: Bools | Floats,
    baseline: str,
    horizon: int,
    spacing_days: float = 1,
) -> Evidence:
    """Judge settled forecasts of one horizon (days), one entry (R,) per coin and cutoff; scores are CRPS.

    `cutoffs` are dates (D), `spacing_days` how far apart they lie. An entry may also be the mean of a date.

    Too early below 30 dates or 10 non-overlapping blocks of the horizon. Better or worse only when the 95 %
    block-bootstrap interval of the skill excludes 0, which takes `has_interval`; otherwise equal.
    """
    _check(cutoffs, model_scores, baseline_scores, inside_80, inside_95)
    if not len(cutoffs):
        return Evidence(Label.TOO_EARLY, baseline, 0, 0, None, None, None, None, None, None)
    days, model = means_by_date(cutoffs, model_scores)
    baseline_by_date = means_by_date(cutoffs, baseline_scores)[1]
    interval = None
    if has_interval(len(days), horizon, spacing_days):
        interval = skill_interval(model, baseline_by_date, horizon, spacing_days=spacing_days)
    is_early = len(days) < MIN_DATES or non_overlapping_blocks(days, horizon) < MIN_BLOCKS
    return Evidence(
        label=Label.TOO_EARLY if is_early else _label(interval),
        baseline=baseline,
        n_dates=len(days),
        n_forecasts=len(cutoffs),
        skill=skill(model, baseline_by_date),
        interval=interval,
        coverage_80=float(means_by_date(cutoffs, inside_80)[1].mean()),
        coverage_95=float(means_by_date(cutoffs, inside_95)[1].mean()),
        period_start=days[0].astype(object),
        period_end=days[-1].astype(object),
    )


def has_interval(n_dates: int, horizon: int, spacing_days: float = 1) -> bool:
    """Whether an interval is shown: from 90 dates and three bootstrap blocks of max(30, 2h) days on."""
    return n_dates >= max(MIN_DATES_FOR_INTERVAL, MIN_BLOCKS_FOR_INTERVAL * block_dates(horizon, spacing_days))


def whole_days(horizon: int, frequency: Frequency) -> int:
    """A horizon in steps as the days that its targets may overlap: 1 for all hours of a day."""
    return -(-horizon // frequency.steps_per_day)


def non_overlapping_blocks(days: Dates, horizon: int) -> int:
    """How many of the sorted cutoffs (D,) can be picked so that no two `horizon`-day targets overlap."""
    blocks = 0
    free_from = days[0] if len(days) else None
    for day in days:
        if day >= free_from:
            blocks += 1
            free_from = day + np.timedelta64(horizon, "D")
    return blocks


def is_coverage_off(cutoffs: Dates, inside: Bools | Floats, *, nominal: float, horizon: int) -> bool:
    """Whether a band's coverage is wrong: its interval excludes `nominal` and the gap is over 2 points.

    False while no interval is shown.
    """
    days, by_date = means_by_date(cutoffs, inside)
    if not has_interval(len(days), horizon):
        return False
    low, high = mean_interval(by_date, horizon)
    return not low <= nominal <= high and abs(float(by_date.mean()) - nominal) > MAX_COVERAGE_GAP


def _label(interval: tuple[float, float] | None) -> Label:
    if interval is None or interval[0] <= 0 <= interval[1]:
        return Label.EQUALS_BASELINE
    return Label.BEATS_BASELINE if interval[0] > 0 else Label.WORSE_THAN_BASELINE


def _check(cutoffs: Dates, *columns: Floats | Bools) -> None:
    if any(len(column) != len(cutoffs) for column in columns):
        raise ValueError("every settled forecast needs a cutoff, two scores and two coverages")
    if not all(np.isfinite(column).all() for column in columns):
        raise ValueError("settled scores must be finite")
