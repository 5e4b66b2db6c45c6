"""Forecasts are scored when their day comes, once, against the price that was observed."""

from datetime import timedelta

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from markets.models import Cryptocurrency, PriceData
from predictions import issuing, record, scoring
from predictions.forecasting.labels import Label
from predictions.forecasting.quantiles import LEVELS
from predictions.history import read_panel
from predictions.models import Prediction, TrainedModel
from predictions.tests.conftest import DAY, MIDNIGHT, NOW, write_days


def crps(actual: float, quantiles: np.ndarray) -> float:
    """CRPS restated: twice the mean pinball loss over the levels from .05 to .95."""
    pairs = [(tau, q) for tau, q in zip(LEVELS, quantiles, strict=True) if 0.05 <= tau <= 0.95]
    return 2 * float(np.mean([max(tau * (actual - q), (tau - 1) * (actual - q)) for tau, q in pairs]))


def test_it_scores_a_due_forecast_against_the_midnight_price(
    coins: list[Cryptocurrency], serving: TrainedModel
) -> None:
    issuing.issue_forecasts(now=NOW)
    write_days(coins[0], [123.0], last_close_at=MIDNIGHT + DAY)
    done = scoring.score_due_forecasts(now=NOW + DAY)
    assert (done.scored, done.void, done.waiting) == (1, 0, 5)
    one = Prediction.objects.get(coin=coins[0], horizon_days=1)
    y = np.log(123.0 / one.base_price)
    assert (one.state, one.actual_price) == ("scored", 123.0)
    assert one.crps == pytest.approx(crps(y, np.log(np.array(one.quantiles) / one.base_price)))
    assert one.crps_model == pytest.approx(crps(y, np.log(np.array(one.model_quantiles) / one.base_price)))
    assert one.crps_ewma == pytest.approx(crps(y, np.log(np.array(one.ewma_quantiles) / one.base_price)))
    assert one.is_hit_80 == (one.quantiles[2] <= 123.0 <= one.quantiles[10])
    assert one.is_hit_95 == (one.quantiles[0] <= 123.0 <= one.quantiles[12])


def test_it_scores_a_forecast_once(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    write_days(coins[0], [123.0], last_close_at=MIDNIGHT + DAY)
    scoring.score_due_forecasts(now=NOW + DAY)
    write_days(coins[0], [999.0], last_close_at=MIDNIGHT + DAY)  # upstream restates the day
    assert scoring.score_due_forecasts(now=NOW + DAY).scored == 0
    assert Prediction.objects.get(coin=coins[0], horizon_days=1).actual_price == 123.0


def test_it_scores_nothing_before_its_day(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    assert scoring.score_due_forecasts(now=MIDNIGHT + DAY - timedelta(seconds=1)) == scoring.Scoring(0, 0, 0)


def test_it_voids_a_forecast_whose_outcome_was_never_seen(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    done = scoring.score_due_forecasts(now=MIDNIGHT + DAY + scoring.VOID_AFTER + timedelta(hours=1))
    assert done.void == 6
    one = Prediction.objects.get(coin=coins[0], horizon_days=1)
    assert (one.state, one.void_reason) == ("void", "No price was observed at the target time.")


def test_it_never_scores_against_a_quarantined_price(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    write_days(coins[0], [123.0], last_close_at=MIDNIGHT + DAY)
    PriceData.objects.filter(coin=coins[0], at=MIDNIGHT).update(is_quarantined=True)
    assert scoring.score_due_forecasts(now=NOW + DAY).scored == 0
    PriceData.objects.filter(coin=coins[0], at=MIDNIGHT).update(is_quarantined=False)
    assert scoring.score_due_forecasts(now=NOW + DAY).scored == 1


def test_it_voids_a_forecast_whose_only_price_stays_in_quarantine(
    coins: list[Cryptocurrency], serving: TrainedModel
) -> None:
    issuing.issue_forecasts(now=NOW)
    write_days(coins[0], [123.0], last_close_at=MIDNIGHT + DAY)
    PriceData.objects.filter(coin=coins[0], at=MIDNIGHT).update(is_quarantined=True)
    scoring.score_due_forecasts(now=MIDNIGHT + DAY + scoring.VOID_AFTER + timedelta(hours=1))
    one, other = (Prediction.objects.get(coin=coin, horizon_days=1) for coin in coins[:2])
    assert (one.state, one.void_reason) == ("void", scoring.ONLY_QUARANTINED)
    assert other.void_reason == scoring.NEVER_OBSERVED


def test_it_forecasts_from_sound_prices_only(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    PriceData.objects.filter(coin=coins[0], at=MIDNIGHT - 5 * DAY).update(close=1e9, high=1e9, is_quarantined=True)
    panel = read_panel(cutoff_on=NOW.date())
    assert np.nanmax(panel.prices) < 1e6


def test_it_scores_thousands_with_a_bounded_number_of_queries(
    coins: list[Cryptocurrency], serving: TrainedModel, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    issuing.issue_forecasts(now=NOW)
    for coin in coins:
        write_days(coin, [100.0] * 31, last_close_at=MIDNIGHT + 31 * DAY)
    with django_assert_max_num_queries(12):
        assert scoring.score_due_forecasts(now=NOW + 31 * DAY).scored == 54


def live_through(days: int, coins: list[Cryptocurrency], *, shock: float = 0.03) -> None:
    """Issues and scores day by day while prices go on at random."""
    random = np.random.default_rng(5)
    prices = {coin.pk: 100.0 for coin in coins}
    for i in range(days):
        now = NOW + i * DAY
        issuing.issue_forecasts(now=now)
        for coin in coins[:6]:
            prices[coin.pk] *= float(np.exp(shock * random.standard_t(4)))
            write_days(coin, [prices[coin.pk]], last_close_at=MIDNIGHT + (i + 1) * DAY)
        scoring.score_due_forecasts(now=now + DAY)


def test_it_counts_dates_and_not_coins(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    live_through(4, coins)
    evidence = record.evidence_by_horizon()[1]
    assert (evidence.n_dates, evidence.n_forecasts, evidence.label) == (4, 24, Label.TOO_EARLY)


def test_it_keeps_late_forecasts_out_of_the_record(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW + timedelta(hours=12))
    for coin in coins:
        write_days(coin, [100.0], last_close_at=MIDNIGHT + DAY)
    assert scoring.score_due_forecasts(now=NOW + DAY).scored == 6
    assert record.track_record().n_forecasts == 0


def test_it_says_that_it_is_too_early(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    live_through(3, coins)
    made = record.track_record()
    assert made.verdict.startswith("It is too early to say")
    assert "3 of the 30" in made.verdict
    assert made.countdown == 27
    assert made.first_scored_on == (MIDNIGHT + DAY).date()


@pytest.mark.slow
def test_it_judges_once_thirty_dates_are_scored(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    live_through(31, coins)
    made = record.track_record()
    one_day = made.horizons[0]
    assert one_day.evidence_vs_fhs.n_dates == 31
    assert one_day.label == Label.EQUALS_BASELINE  # below 90 dates no interval is shown, so no skill is claimed
    assert "no skill" in made.verdict
    assert made.countdown == 0
    assert len(made.calibration) == len(LEVELS)
    shares = [observed for _, observed, _ in made.calibration]
    assert shares == sorted(shares)


def test_it_recomputes_evidence_when_another_forecast_is_scored(
    coins: list[Cryptocurrency], serving: TrainedModel
) -> None:
    live_through(1, coins)
    assert record.evidence_by_horizon()[1].n_dates == 1
    issuing.issue_forecasts(now=NOW + DAY)
    write_days(coins[0], [100.0], last_close_at=MIDNIGHT + 2 * DAY)
    scoring.score_due_forecasts(now=NOW + 2 * DAY)
    assert record.evidence_by_horizon()[1].n_dates == 2


def test_it_shows_the_worst_misses_first(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    for coin, factor in zip(coins[:6], (1.0, 1.01, 5.0, 1.0, 0.1, 1.0), strict=True):
        base = Prediction.objects.get(coin=coin, horizon_days=1).base_price
        write_days(coin, [base * factor], last_close_at=MIDNIGHT + DAY)
    scoring.score_due_forecasts(now=NOW + DAY)
    assert [miss.coin for miss in record.track_record().worst] == [coins[4], coins[2]]
