"""The ledger holds forecasts from hourly prices beside the daily ones, and never mixes them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client

from markets.ingest import Slot, write_rows
from markets.models import Cryptocurrency, Interval
from markets.tests.api import ask, assert_documented
from predictions import fans, ledger, record, scoring
from predictions.api import serializers
from predictions.models import Prediction, TrainedModel
from predictions.tests.ledger import FIRST_CUTOFF, forecast, make_coin, make_ledger, make_model, spread

HOUR = timedelta(hours=1)
CUTOFF = FIRST_CUTOFF + 5 * HOUR


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return make_coin()


@pytest.fixture
def model(db: None) -> TrainedModel:
    return make_model("hourly-1", frequency="1h")


def hourly(coin: Cryptocurrency, model: TrainedModel, hours: int, cutoff_at: datetime = CUTOFF) -> Prediction:
    one = forecast(coin, model, cutoff_at=cutoff_at)
    one.frequency, one.horizon_days, one.horizon_hours = "1h", 0, hours
    one.target_at = cutoff_at + hours * HOUR
    one.quantiles = spread(100.0, 0.01, 1)
    return one


def write_hour(coin: Cryptocurrency, closes_at: datetime, close: float) -> None:
    low, high = min(100.0, close), max(100.0, close)
    write_rows(rows=[(coin.pk, Interval.HOUR, Slot(closes_at - HOUR, 100.0, high, low, close, None, None, 1))])


def test_it_scores_a_forecast_of_hours_against_the_close_of_the_hour(coin: Cryptocurrency, model: TrainedModel) -> None:
    ledger.append(predictions=[hourly(coin, model, hours) for hours in (1, 2, 24)])
    write_hour(coin, CUTOFF + 2 * HOUR, 101.5)
    done = scoring.score_due_forecasts(now=CUTOFF + 2 * HOUR)
    assert (done.scored, done.waiting) == (1, 1)
    one = Prediction.objects.get(state="scored")
    assert (one.horizon_hours, one.actual_price, one.is_hit_80, str(one)[-2:]) == (2, 101.5, False, "2h")
    call_command("verify_ledger")


def test_it_does_not_take_the_hours_close_for_the_days(coin: Cryptocurrency, model: TrainedModel) -> None:
    daily = make_model("daily-1")
    ledger.append(predictions=[forecast(coin, daily, cutoff_at=FIRST_CUTOFF), hourly(coin, model, 19)])
    write_hour(coin, FIRST_CUTOFF + 24 * HOUR, 101.0)  # both are about this midnight
    assert scoring.score_due_forecasts(now=FIRST_CUTOFF + 24 * HOUR).scored == 1
    assert Prediction.objects.get(state="scored").frequency == "1h"


def test_it_keeps_forecasts_of_hours_out_of_the_daily_record_and_fan(coin: Cryptocurrency, model: TrainedModel) -> None:
    daily = make_model("daily-1")
    make_ledger(coin, daily, dates=3, scored=2)
    ledger.append(predictions=[hourly(coin, model, 24, cutoff_at=FIRST_CUTOFF + 90 * HOUR)])
    write_hour(coin, FIRST_CUTOFF + 114 * HOUR, 101.0)
    scoring.score_due_forecasts(now=FIRST_CUTOFF + 114 * HOUR)
    assert Prediction.objects.get(frequency="1h").state == "scored"
    assert record.track_record().n_forecasts == 2
    assert record.evidence_by_horizon()[1].n_forecasts == 2
    fan = fans.forecast_for(coin)
    assert isinstance(fan, fans.Fan)
    assert fan.model == daily


def test_it_shows_a_forecast_of_hours_by_its_permalink_and_in_the_ledger(
    coin: Cryptocurrency, model: TrainedModel
) -> None:
    one, _ = ledger.append(predictions=[hourly(coin, model, 6), hourly(coin, model, 12)])
    answer = ask("predictions/")["results"]
    assert_documented(answer, serializers.PredictionSerializer(many=True))
    assert [(row["frequency"], row["horizon_days"], row["horizon_hours"]) for row in answer] == [
        ("1h", None, 12), ("1h", None, 6),
    ]  # fmt: skip
    assert ask("predictions/", horizon_days=1)["results"] == []
    page = Client().get(f"/forecasts/{one.pk}/").content.decode()
    assert "Bitcoin, 6 hours ahead" in page
    assert ">12h</a>" in page


@pytest.mark.parametrize(
    "columns",
    [
        {"frequency": "1h", "horizon_days": 1, "horizon_hours": 24},
        {"frequency": "1h", "horizon_days": 0, "horizon_hours": 25},
        {"frequency": "1h", "horizon_days": 0, "horizon_hours": 0},
    ],
)
def test_it_refuses_a_horizon_that_is_neither(
    coin: Cryptocurrency, model: TrainedModel, columns: dict[str, Any]
) -> None:
    one = forecast(coin, model, cutoff_at=CUTOFF)
    for name, value in columns.items():
        setattr(one, name, value)
    with pytest.raises(IntegrityError, match="forecast_horizon"), transaction.atomic():
        ledger.append(predictions=[one])
