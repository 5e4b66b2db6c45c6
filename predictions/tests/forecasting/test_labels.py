"""Labels: too early until enough dates have settled, and never better than the interval allows."""

from datetime import date

import numpy as np
import pytest

from predictions.forecasting.labels import (
    Evidence,
    Label,
    evidence,
    has_interval,
    is_coverage_off,
    non_overlapping_blocks,
)


def judge(n_dates: int, *, gain: float = 0.0, horizon: int = 1, coins: int = 3, noise: float = 0.05) -> Evidence:
    random = np.random.default_rng(n_dates)
    dates = np.datetime64("2024-01-01") + np.repeat(np.arange(n_dates), coins)
    baseline = np.exp(0.3 * random.standard_normal(len(dates)))
    model = baseline * (1 - gain + noise * random.standard_normal(len(dates)))
    inside = random.random(len(dates)) < 0.8
    return evidence(
        cutoffs=dates,
        model_scores=model,
        baseline_scores=baseline,
        inside_80=inside,
        inside_95=np.ones_like(inside),
        baseline="fhs",
        horizon=horizon,
    )


def test_it_is_too_early_below_thirty_dates_however_many_coins() -> None:
    assert judge(29, gain=0.5, coins=200).label is Label.TOO_EARLY
    assert judge(30).label is not Label.TOO_EARLY


def test_it_is_too_early_below_ten_blocks_of_the_horizon() -> None:
    assert judge(270, gain=0.5, horizon=30).label is Label.TOO_EARLY
    assert judge(271, gain=0.5, horizon=30).label is Label.BEATS_BASELINE


def test_it_claims_nothing_before_an_interval_can_be_shown() -> None:
    found = judge(89, gain=0.5)
    assert found.interval is None
    assert found.label is Label.EQUALS_BASELINE


@pytest.mark.parametrize(
    ("gain", "label"),
    [(0.1, Label.BEATS_BASELINE), (-0.1, Label.WORSE_THAN_BASELINE), (0.0, Label.EQUALS_BASELINE)],
)
def test_it_judges_by_whether_the_interval_excludes_zero(gain: float, label: Label) -> None:
    found = judge(120, gain=gain)
    assert found.label is label
    assert found.interval is not None
    assert found.skill is not None
    assert found.interval[0] < found.skill < found.interval[1]


def test_it_states_everything_the_label_rests_on() -> None:
    found = judge(100, coins=4)
    assert (found.n_dates, found.n_forecasts, found.baseline) == (100, 400, "fhs")
    assert (found.period_start, found.period_end) == (date(2024, 1, 1), date(2024, 4, 9))
    assert found.weighting == "by date"
    assert found.coverage_80 == pytest.approx(0.8, abs=0.06)
    assert found.coverage_95 == 1.0


def test_it_has_no_figures_without_settled_forecasts() -> None:
    found = judge(0)
    assert found.label is Label.TOO_EARLY
    assert (found.n_dates, found.skill, found.coverage_80, found.period_start) == (0, None, None, None)


def test_it_shows_intervals_from_ninety_dates_and_three_blocks() -> None:
    assert [has_interval(n, 1) for n in (89, 90)] == [False, True]
    assert [has_interval(n, 30) for n in (179, 180)] == [False, True]


def test_it_refuses_scores_that_are_not_finite() -> None:
    dates = np.array(["2024-01-01"], dtype="datetime64[D]")
    bad, good = np.array([np.nan]), np.array([1.0])
    inside = np.array([True])
    with pytest.raises(ValueError, match="finite"):
        evidence(
            cutoffs=dates,
            model_scores=bad,
            baseline_scores=good,
            inside_80=inside,
            inside_95=inside,
            baseline="fhs",
            horizon=1,
        )


def test_it_counts_blocks_that_do_not_overlap() -> None:
    days = np.datetime64("2024-01-01") + np.array([0, 1, 2, 6, 7, 8, 30])
    assert [non_overlapping_blocks(days, h) for h in (1, 7, 30)] == [7, 3, 2]


@pytest.mark.parametrize(("share", "is_off"), [(0.8, False), (0.815, False), (0.7, True)])
def test_it_calls_coverage_off_only_when_the_gap_is_real_and_large(share: float, is_off: bool) -> None:
    dates = np.datetime64("2024-01-01") + np.repeat(np.arange(300), 200)
    inside = np.tile(np.arange(200) < share * 200, 300)
    assert is_coverage_off(dates, inside, nominal=0.8, horizon=1) is is_off


def test_it_calls_no_coverage_off_before_an_interval_can_be_shown() -> None:
    dates = np.datetime64("2024-01-01") + np.arange(89)
    assert not is_coverage_off(dates, np.zeros(89, dtype=bool), nominal=0.8, horizon=1)
