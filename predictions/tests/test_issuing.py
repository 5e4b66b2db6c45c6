"""Forecasts are issued from what was known at the cutoff, frozen once, and chained."""

from datetime import timedelta

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from markets.models import Cryptocurrency, PriceData
from predictions import fans, issuing, ledger
from predictions.forecasting.quantiles import HORIZONS, LEVELS
from predictions.frequency import Frequency
from predictions.history import NoHistory
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.registry import NoModel
from predictions.tests.conftest import DAY, DAYS, MIDNIGHT, NOW, write_days
from predictions.tests.ledger import unguarded


def test_it_freezes_every_horizon_of_every_coin_that_can_be_forecast(
    coins: list[Cryptocurrency], serving: TrainedModel
) -> None:
    issue = issuing.issue_forecasts(now=NOW)
    assert (issue.coins, issue.forecasts) == (6, 6 * len(HORIZONS))
    assert issue.refused == {"coin-6": "not enough data: 40 of 90 days"}
    one = Prediction.objects.get(coin=coins[0], horizon_days=7)
    assert (one.cutoff_at, one.target_at) == (MIDNIGHT, MIDNIGHT + 7 * DAY)
    assert one.base_price == PriceData.objects.daily().get(coin=coins[0], at=MIDNIGHT - DAY).close
    assert len(one.quantiles) == len(one.fhs_quantiles) == len(LEVELS)
    assert one.quantiles == sorted(one.quantiles)


def test_it_issues_a_forecast_once(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    before = list(Prediction.objects.values_list("row_hash", flat=True))
    assert issuing.issue_forecasts(now=NOW + timedelta(hours=1)).forecasts == 0
    assert list(Prediction.objects.values_list("row_hash", flat=True)) == before


def test_it_sees_nothing_after_the_cutoff(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    expected = {(p.coin_id, p.horizon_days): (p.quantiles, p.inputs_sha256) for p in Prediction.objects.all()}
    with transaction.atomic(), unguarded():
        Prediction.objects.all().delete()
        for coin in coins:
            write_days(coin, [1e6, 2e6, 3e6], last_close_at=MIDNIGHT + 3 * DAY)
        issuing.issue_forecasts(now=NOW)
    found = {(p.coin_id, p.horizon_days): (p.quantiles, p.inputs_sha256) for p in Prediction.objects.all()}
    assert found == expected


def test_it_shows_a_late_forecast_but_does_not_count_it(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=MIDNIGHT + issuing.EVIDENCE_GRACE[Frequency.DAY] + timedelta(seconds=1))
    assert set(Prediction.objects.values_list("counts_as_evidence", flat=True)) == {False}


def test_it_counts_a_forecast_that_was_written_in_time(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=MIDNIGHT + issuing.EVIDENCE_GRACE[Frequency.DAY])
    assert set(Prediction.objects.values_list("counts_as_evidence", flat=True)) == {True}


def test_it_says_that_no_model_serves(coins: list[Cryptocurrency]) -> None:
    with pytest.raises(NoModel):
        issuing.issue_forecasts(now=NOW)


@pytest.mark.django_db
def test_it_says_that_there_is_no_history(serving: TrainedModel) -> None:
    with pytest.raises(NoHistory):
        issuing.issue_forecasts(now=NOW)


def test_it_publishes_the_baseline_until_the_model_has_shown_skill(
    coins: list[Cryptocurrency], serving: TrainedModel
) -> None:
    serving.metrics = {}
    serving.save()
    issuing.issue_forecasts(now=NOW)
    one = Prediction.objects.filter(horizon_days=1).first()
    assert one is not None
    assert (one.headline, one.label) == ("fhs", "too_early")
    assert one.quantiles == pytest.approx(one.fhs_quantiles)


def test_it_publishes_the_model_where_its_back_test_beat_the_baseline(
    coins: list[Cryptocurrency], serving: TrainedModel
) -> None:
    row = {"model": "lstm", "horizon": 1, "against": {"fhs": {"label": "beats_baseline"}}}
    serving.metrics = {"validation": {"rows": [row]}}
    serving.save()
    issuing.issue_forecasts(now=NOW)
    heads = dict(Prediction.objects.filter(coin=coins[0]).values_list("horizon_days", "headline"))
    assert heads[1] == "model"
    assert {heads[h] for h in HORIZONS if h != 1} == {"fhs"}


def test_it_chains_every_forecast_to_the_one_before(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    report = ledger.verify_chain()
    assert (report.is_intact, report.length) == (True, 6 * len(HORIZONS))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"base_price": 1.0}, "its content does not match its hash"),
        ({"quantiles": [1.0] * 13}, "its content does not match its hash"),
        ({"previous_hash": "f" * 64}, "it does not follow the forecast before it"),
    ],
)
def test_it_finds_where_the_chain_was_tampered_with(
    coins: list[Cryptocurrency], serving: TrainedModel, changes: dict[str, object], problem: str
) -> None:
    issuing.issue_forecasts(now=NOW)
    with unguarded():
        Prediction.objects.filter(sequence=20).update(**changes)
    report = ledger.verify_chain()
    assert (report.is_intact, report.broken_at, report.problem) == (False, 20, problem)


def test_it_finds_a_forecast_that_was_removed(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    with unguarded():
        Prediction.objects.filter(sequence=3).delete()
    assert ledger.verify_chain().broken_at == 3


def test_it_refuses_to_change_what_was_frozen(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    one = Prediction.objects.get(sequence=1)
    one.quantiles = [2.0] * 13
    with pytest.raises(ValidationError, match="frozen forecast"):
        one.save()
    assert Prediction.objects.get(sequence=1).quantiles != [2.0] * 13


def test_it_refuses_evidence_written_after_its_target(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    with unguarded(), pytest.raises(IntegrityError, match="evidence_before_target"), transaction.atomic():
        Prediction.objects.filter(sequence=1).update(issued_at=MIDNIGHT + 60 * DAY, counts_as_evidence=True)


def test_it_tells_why_a_coin_has_no_forecast(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    assert fans.forecast_for(coins[0]) == fans.NoForecast("none_yet", "The first forecast has not been issued yet.")
    issuing.issue_forecasts(now=NOW)
    answer = fans.forecast_for(coins[6], now=NOW)
    assert isinstance(answer, fans.NoForecast)
    assert (answer.code, answer.reason) == ("not_enough_data", "not enough data: 40 of 90 days")


def test_it_forgets_a_refusal_once_the_coin_can_be_forecast(coins: list[Cryptocurrency], serving: TrainedModel) -> None:
    issuing.issue_forecasts(now=NOW)
    assert ForecastRefusal.objects.count() == 1
    random = np.random.default_rng(3)
    prices = 50 * np.exp(np.cumsum(0.04 * random.standard_normal(DAYS)))
    write_days(coins[6], prices.tolist(), last_close_at=MIDNIGHT)
    issuing.issue_forecasts(now=NOW)
    assert ForecastRefusal.objects.count() == 0
    assert isinstance(fans.forecast_for(coins[6], now=NOW), fans.Fan)


def test_it_gives_a_fan_with_its_bands_its_baseline_and_its_evidence(
    coins: list[Cryptocurrency], serving: TrainedModel
) -> None:
    issuing.issue_forecasts(now=NOW)
    fan = fans.forecast_for(coins[0], now=NOW)
    assert isinstance(fan, fans.Fan)
    assert [one.horizon for one in fan.horizons] == list(HORIZONS)
    week = fan.at(7)
    assert week is not None
    assert week.band_95[0] < week.band_80[0] < week.median < week.band_80[1] < week.band_95[1]
    assert (week.label, week.evidence.n_dates, week.baseline_name) == ("too_early", 0, "FHS random walk")
    assert (fan.is_stale, fans.forecast_for(coins[0], now=NOW + 3 * DAY).is_stale) == (False, True)  # type: ignore[union-attr]
