"""The API of a coin's newest forecast, and of the models behind it."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from markets.models import Cryptocurrency
from markets.tests.api import API, ask, assert_documented, count_queries, error_code, faults
from predictions.api import model_serializers, serializers
from predictions.forecasting.quantiles import HORIZONS, LEVELS
from predictions.models import ForecastRefusal, TrainedModel
from predictions.tests.ledger import make_coin, make_fan, make_ledger, make_model

FORECAST = "cryptocurrencies/bitcoin/forecast/"


@pytest.fixture(autouse=True)
def _sample_market(settings: Settings) -> None:
    settings.MARKET = "sample"


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return make_coin()


class TestForecast:
    def test_it_shows_every_horizon_beside_its_baseline_and_evidence(self, coin: Cryptocurrency) -> None:
        predictions = make_fan(coin, make_model())
        answer = ask(FORECAST)
        assert_documented(answer, serializers.ForecastSerializer())
        assert [one["horizon_days"] for one in answer["horizons"]] == [1, 7, 30]
        week = answer["horizons"][1]
        assert week["prediction_id"] == predictions[1].pk
        assert week["quantiles"] == predictions[1].quantiles
        assert week["baseline"]["quantiles"] == predictions[1].fhs_quantiles
        assert week["median"] == predictions[1].quantiles[6]
        assert week["band_80"] == {"low": predictions[1].quantiles[2], "high": predictions[1].quantiles[10]}
        assert week["band_95"] == {"low": predictions[1].quantiles[0], "high": predictions[1].quantiles[12]}
        assert (week["label"], week["evidence"]["n_dates"], week["evidence"]["skill"]) == ("too_early", 0, None)
        assert (week["headline"], week["baseline"]["name"]) == ("fhs", "FHS random walk")
        assert answer["levels"] == list(LEVELS)

    def test_it_says_how_old_and_whence_it_is(self, coin: Cryptocurrency) -> None:
        predictions = make_fan(coin, make_model())
        answer = ask(FORECAST)
        assert answer["as_of"] == predictions[0].cutoff_at.isoformat().replace("+00:00", "Z")
        assert (answer["is_stale"], answer["data_source"], answer["model"]) == (False, "sample data", "lstm-1")

    def test_it_never_calls_a_forecast_from_sample_data_live(self, coin: Cryptocurrency, settings: Settings) -> None:
        prediction = make_fan(coin, make_model())[0]
        settings.MARKET = "live"
        assert ask(FORECAST)["data_source"] == "sample data"
        assert ask(f"predictions/{prediction.pk}/")["data_source"] == "sample data"

    def test_it_calls_an_old_forecast_stale(self, coin: Cryptocurrency) -> None:
        make_ledger(coin, make_model(), dates=1)
        assert ask(FORECAST)["is_stale"] is True

    def test_it_can_show_one_horizon(self, coin: Cryptocurrency) -> None:
        make_fan(coin, make_model())
        assert [one["horizon_days"] for one in ask(FORECAST, horizon_days=7)["horizons"]] == [7]

    @pytest.mark.parametrize(("is_refused", "code"), [(True, "not_enough_data"), (False, "first_sync")])
    def test_it_answers_404_with_the_reason_when_there_is_none(
        self, coin: Cryptocurrency, is_refused: bool, code: str
    ) -> None:
        reason = "not enough data: 12 of 90 days"
        if is_refused:
            ForecastRefusal.objects.create(coin=coin, reason=reason)
        error = ask(FORECAST, status=404)["error"]
        assert (error["code"], error["fields"][0]["code"]) == ("no_forecast", code)
        assert error["message"] == error["fields"][0]["message"]
        assert (error["message"] == reason) is is_refused

    def test_it_answers_404_when_the_fan_lacks_a_horizon(self, coin: Cryptocurrency) -> None:
        make_fan(coin, make_model())
        assert error_code(FORECAST, status=404, horizon_days=14) == "no_forecast"

    def test_it_answers_404_for_an_unknown_coin(self, db: None) -> None:
        assert error_code("cryptocurrencies/nonesuch/forecast/", status=404) == "not_found"

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"horizon_days": 4}, ("horizon_days", "invalid_choice")),
            ({"horizon_days": "week"}, ("horizon_days", "invalid_choice")),
            ({"horizon": 7}, ("horizon", "unknown_parameter")),
        ],
    )
    def test_it_refuses_bad_parameters(
        self, coin: Cryptocurrency, parameters: dict[str, Any], fault: tuple[str, str]
    ) -> None:
        assert faults(FORECAST, **parameters) == [fault]

    def test_it_takes_as_few_queries_for_all_horizons_as_for_one(self, coin: Cryptocurrency) -> None:
        make_fan(coin, make_model(), horizons=(1,))
        ask(FORECAST)  # fills the cached evidence
        one = count_queries(FORECAST)
        other = make_coin("ethereum")
        make_fan(other, TrainedModel.objects.get(), horizons=HORIZONS)
        assert count_queries("cryptocurrencies/ethereum/forecast/") == one <= 6

    def test_it_answers_304_to_a_client_that_has_it(self, coin: Cryptocurrency) -> None:
        make_fan(coin, make_model())
        first = Client().get(f"{API}{FORECAST}")
        again = Client().get(f"{API}{FORECAST}", headers={"If-None-Match": first["ETag"]})
        assert (first.status_code, again.status_code) == (200, 304)


@pytest.mark.django_db
class TestModels:
    def test_it_lists_versions_newest_first_without_where_they_lie(self) -> None:
        make_model("lstm-1", "retired")
        make_model("lstm-2", "serving")
        answer = ask("models/")
        assert [(row["version"], row["state"]) for row in answer["results"]] == [
            ("lstm-2", "serving"), ("lstm-1", "retired"),
        ]  # fmt: skip
        assert_documented(answer["results"], model_serializers.ModelRowSerializer(many=True))
        assert [row["version"] for row in ask("models/", state="retired")["results"]] == ["lstm-1"]

    def test_it_shows_a_models_card(self) -> None:
        model = make_model(metrics={"validation": {"rows": []}}, problem="/a/path/of/the/host")
        make_ledger(make_coin(), model, dates=3, scored=2)
        response = Client().get(f"{API}models/lstm-1/")
        answer = response.json()
        assert_documented(answer, model_serializers.ModelSerializer())
        assert (answer["n_predictions"], answer["n_scored"]) == (3, 2)
        assert answer["metrics"] == {"validation": {"rows": []}}
        assert b"/somewhere" not in response.content
        assert b"/a/path" not in response.content

    @pytest.mark.parametrize("version", ["lstm-9", "%00", "x" * 300])
    def test_it_answers_404_for_an_unknown_version(self, version: str) -> None:
        assert error_code(f"models/{version}/", status=404) == "not_found"

    def test_it_refuses_bad_parameters(self) -> None:
        assert faults("models/", state="best") == [("state", "invalid_choice")]
        assert faults("models/", cursor="x") == [("cursor", "unknown_parameter")]
        assert faults("models/lstm-1/", full=1) == [("full", "unknown_parameter")]

    def test_it_takes_as_few_queries_for_many_versions_as_for_one(self) -> None:
        make_model("lstm-0")
        one = count_queries("models/")
        for number in range(1, 30):
            make_model(f"lstm-{number}", "retired")
        assert count_queries("models/") == one <= 6
