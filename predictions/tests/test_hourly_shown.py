"""Forecasts by the hour in the API and on the pages, beside those of days and never mixed with them."""

import csv
import io
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from markets.models import Cryptocurrency
from markets.tests.api import API, ask, assert_documented, faults
from predictions import monitoring, registry, scoring
from predictions.api import model_serializers, serializers
from predictions.frequency import Frequency
from predictions.ledger import append
from predictions.models import ModelAlarm, Prediction, TrainedModel
from predictions.tests.hours import HOUR, hourly_prices, write_hours
from predictions.tests.ledger import forecast, make_coin, make_fan, make_ledger, make_model, spread

HORIZONS = (1, 2, 4, 6, 8, 12, 18, 24)
FORECAST = "cryptocurrencies/bitcoin/forecast/"


@pytest.fixture(autouse=True)
def _sample_market(settings: Settings) -> None:
    settings.MARKET = "sample"


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    coin = make_coin()
    Cryptocurrency.objects.filter(pk=coin.pk).update(price_usd=100.0, price_at=timezone.now(), market_cap_rank=1)
    return coin


@pytest.fixture
def model(db: None) -> TrainedModel:
    return make_model("hourly-1", frequency="1h")


def hourly(coin: Cryptocurrency, model: TrainedModel, hours: int, *, age: int = 0) -> Prediction:
    """A forecast from the full hour so many hours before the last one."""
    cutoff_at = Frequency.HOUR.floor(timezone.now()) - age * HOUR
    one = forecast(coin, model, cutoff_at=cutoff_at)
    one.frequency, one.horizon_days, one.horizon_hours = "1h", 0, hours
    one.target_at, one.issued_at = cutoff_at + hours * HOUR, cutoff_at + timedelta(minutes=7)
    for name in ("quantiles", "model_quantiles", "fhs_quantiles", "ewma_quantiles"):
        setattr(one, name, spread(100.0, 0.01, hours))
    return one


def settle(predictions: list[Prediction], price: float = 100.1) -> None:
    for one in append(predictions=predictions):
        scoring.score(one, price, one.target_at + timedelta(minutes=10))
        one.save()


@pytest.fixture
def fan(coin: Cryptocurrency, model: TrainedModel) -> list[Prediction]:
    make_fan(coin, make_model("daily-1"))
    return append(predictions=[hourly(coin, model, hours) for hours in HORIZONS])


# The API ----------------------------------------------------------------------------------------------


def test_it_answers_with_days_unless_hours_are_asked_for(fan: list[Prediction]) -> None:
    assert [one["horizon_days"] for one in ask(FORECAST)["horizons"]] == [1, 7, 30]
    assert ask(FORECAST, frequency="daily") == ask(FORECAST)
    answer = ask(FORECAST, frequency="hourly")
    assert_documented(answer, serializers.ForecastSerializer())
    assert [(one["horizon_days"], one["horizon_hours"]) for one in answer["horizons"]] == [(None, h) for h in HORIZONS]
    assert (answer["frequency"], answer["model"], answer["headline_horizons"]) == ("1h", "hourly-1", [1, 6, 24])
    assert answer["horizons"][3]["quantiles"] == fan[3].quantiles
    assert [one["prediction_id"] for one in ask(FORECAST, horizon_hours=6)["horizons"]] == [fan[3].pk]


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"frequency": "weekly"}, ("frequency", "invalid_choice")),
        ({"frequency": "hourly", "horizon_days": 1}, ("horizon_days", "other_frequency")),
        ({"horizon_days": 1, "horizon_hours": 24}, ("horizon_hours", "other_frequency")),
        ({"horizon_hours": 3}, ("horizon_hours", "invalid_choice")),
    ],
)
def test_it_refuses_a_horizon_that_the_frequency_does_not_have(
    coin: Cryptocurrency, parameters: dict[str, Any], fault: tuple[str, str]
) -> None:
    for path in (FORECAST, "predictions/", "predictions/track-record/", "predictions/export/"):
        assert faults(path, **parameters) == [fault]


def test_it_filters_the_ledger_by_frequency_and_hours(fan: list[Prediction]) -> None:
    assert len(ask("predictions/", frequency="hourly")["results"]) == len(HORIZONS)
    assert {one["frequency"] for one in ask("predictions/", frequency="daily")["results"]} == {"1d"}
    assert [one["id"] for one in ask("predictions/", horizon_hours=24)["results"]] == [fan[-1].pk]
    assert [one["horizon_days"] for one in ask("predictions/", horizon_days=1)["results"]] == [1]


def test_it_calls_an_hourly_forecast_stale_after_two_hours(coin: Cryptocurrency, model: TrainedModel) -> None:
    append(predictions=[hourly(coin, model, 24, age=3)])
    assert ask(FORECAST, frequency="hourly")["is_stale"] is True
    assert ask("predictions/")["results"][0]["is_stale"] is True


def test_it_gives_the_record_of_hours_with_n_in_dates(coin: Cryptocurrency, model: TrainedModel) -> None:
    make_ledger(coin, make_model("daily-1"), dates=3, scored=2)
    settle([hourly(coin, model, 1, age=age) for age in (48, 72, 96)])
    answer = ask("predictions/track-record/", frequency="hourly")
    assert_documented(answer, serializers.TrackRecordSerializer())
    assert [one["horizon_hours"] for one in answer["horizons"]] == list(HORIZONS)
    first = answer["horizons"][0]["evidence_vs_fhs"]
    assert (first["n_dates"], first["n_forecasts"], first["label"]) == (3, 3, "too_early")
    assert (answer["detail_horizon_days"], answer["detail_horizon_hours"]) == (None, 1)
    assert [one["model"] for one in answer["models"]] == ["hourly-1"]
    assert ask("predictions/track-record/")["n_forecasts"] == 2
    text = Client().get(f"{API}predictions/track-record/export/", {"frequency": "hourly"}).getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["frequency"], row["horizon_days"], row["horizon_hours"]) for row in rows[:2]] == [("1h", "", "1")] * 2


def test_it_exports_hours_that_the_script_recomputes(coin: Cryptocurrency, model: TrainedModel, tmp_path: Path) -> None:
    make_ledger(coin, make_model("daily-1"), dates=2, scored=1)
    settle([hourly(coin, model, hours, age=30) for hours in HORIZONS])
    call_command("verify_ledger")
    file = tmp_path / "forecasts.csv"
    file.write_bytes(Client().get(f"{API}predictions/export/").getvalue())
    script = Path(site.BASE_DIR) / "docs" / "verify_ledger.py"
    done = subprocess.run([sys.executable, "-I", "-S", str(script), str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stdout[:33]) == (0, "10 forecasts, 9 of them scored, all"[:33])


def test_it_forecasts_hours_on_demand(coin: Cryptocurrency) -> None:
    registry.install_starter_model(Frequency.HOUR)
    write_hours(coin, hourly_prices(3), last_close_at=Frequency.HOUR.floor(timezone.now()))
    client = APIClient()
    client.force_authenticate(User.objects.create_user("alice@example.com", "correct horse battery"))
    body = {"coin": "bitcoin", "frequency": "hourly"}
    answers = [client.post(f"{API}predictions/", body, format="json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert [one["horizon_hours"] for one in answers[0].json()["horizons"]] == list(HORIZONS)
    refused = client.post(f"{API}predictions/", {"coin": "bitcoin"}, format="json")
    assert refused.status_code == 409, "no daily model serves"


def test_it_watches_each_champion_by_itself(coin: Cryptocurrency, model: TrainedModel, settings: Settings) -> None:
    settings.STARTER_MAX_AGE_DAYS = 1
    make_model("daily-1")
    monitoring.watch_champion(frequency=Frequency.HOUR)
    assert {alarm.model.version for alarm in ModelAlarm.objects.filter(kind="expired")} == {"hourly-1"}
    client = APIClient()
    client.force_authenticate(User.objects.create_user("staff@example.com", "correct horse", is_staff=True))
    answer = client.get(f"{API}models/monitoring/", {"frequency": "hourly"}).json()
    assert_documented(answer, model_serializers.MonitoringSerializer())
    assert [one["horizon_hours"] for one in answer["horizons"]] == list(HORIZONS)
    assert answer["stopped_because"].startswith("hourly-1 learned from data up to")
    assert client.get(f"{API}models/monitoring/").json()["stopped_because"] == ""
    assert [one["version"] for one in ask("models/", frequency="hourly")["results"]] == ["hourly-1"]


def test_it_tells_of_hours_in_hours(coin: Cryptocurrency, model: TrainedModel) -> None:
    worse = [hourly(coin, model, 6, age=24 * day) for day in range(2, 102)]
    for one in worse:
        one.model_quantiles = spread(100.0, 0.09, 6)
    settle(worse)
    alarms = {
        (alarm.kind, alarm.horizon): alarm.message for alarm in monitoring.watch_champion(frequency=Frequency.HOUR)
    }
    assert alarms["worse", 6].startswith("At 6 hours its live forecasts do worse than FHS random walk")


# The pages --------------------------------------------------------------------------------------------


def test_it_shows_the_next_hours_behind_a_link(fan: list[Prediction], coin: Cryptocurrency) -> None:
    write_hours(coin, hourly_prices(3, 48), last_close_at=Frequency.HOUR.floor(timezone.now()))
    days = Client().get("/coins/bitcoin/").content.decode()
    assert 'href="?range=1d&amp;ahead=hours#forecast-heading"' in days
    assert "In 6 hours" not in days
    page = Client().get("/coins/bitcoin/", {"range": "1d", "ahead": "hours"}).content.decode()
    for words in ("In 1 hour ", "In 6 hours ", "In 24 hours ", "too early to say", "FHS random walk", "18 hours</th>"):
        assert words in page
    assert "In 7 days" not in page
    assert 'href="?#forecast-heading"' in page
    assert 'href="?range=7d&amp;ahead=hours"' in page, "another range keeps the hours"


def test_it_says_why_a_coin_has_no_hours(coin: Cryptocurrency, model: TrainedModel, settings: Settings) -> None:
    settings.HOURLY_COINS = 0
    write_hours(coin, hourly_prices(3, 48), last_close_at=Frequency.HOUR.floor(timezone.now()))
    page = Client().get("/coins/bitcoin/", {"range": "1d", "ahead": "hours"}).content.decode()
    assert "No hourly forecast by itself" in page
    assert ask(FORECAST, status=404, frequency="hourly")["error"]["fields"][0]["code"] == "on_demand"


def test_it_shows_the_record_of_hours(coin: Cryptocurrency, model: TrainedModel) -> None:
    settle([hourly(coin, model, 1, age=age) for age in range(25, 75)], price=103.0)
    page = Client().get("/track-record/", {"frequency": "hourly"}).content.decode()
    assert "dates of one-hour forecasts have been scored" in page
    assert "1 hour</th>" in page
    assert "Bitcoin, 1h</a>" in page
    assert '<input type="hidden" name="frequency" value="hourly"' in page
    assert "Only what the filter lets through" not in page
    filtered = Client().get("/track-record/", {"frequency": "hourly", "horizon_hours": "6"}).content.decode()
    assert "Only what the filter lets through" in filtered
    assert "1 hour</th>" not in filtered
    assert Client().get("/track-record/", {"frequency": "weekly"}).status_code == 400


def test_it_shows_what_each_model_forecasts_from(coin: Cryptocurrency, model: TrainedModel) -> None:
    make_model("daily-1")
    page = Client().get("/models/").content.decode()
    assert ("hourly prices" in page, "daily prices" in page) == (True, True)
    card = Client().get("/models/hourly-1/").content.decode()
    assert "reads the last 72 hours" in card
    assert "at eight horizons from 1 to 24 hours" in card
    assert "at nine horizons from 1 to 30 days" in Client().get("/models/daily-1/").content.decode()
    assert "Hourly champion" in Client().get("/status/").content.decode()
    staff = Client()
    staff.force_login(User.objects.create_user("staff@example.com", "correct horse", is_staff=True))
    assert "24 hours</th>" in staff.get("/ops/models/", {"frequency": "hourly"}).content.decode()
