"""The API of the ledger: pages, permalinks, export, chain and record."""

import csv
import io
import math
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from markets.models import Cryptocurrency
from markets.tests.api import API, ask, assert_documented, count_queries, error_code, faults
from predictions.api import serializers
from predictions.forecasting.quantiles import LEVELS, level_name
from predictions.models import Prediction, TrainedModel
from predictions.tests.ledger import make_coin, make_ledger, make_model, unguarded


@pytest.fixture(autouse=True)
def _sample_market(settings: Settings) -> None:
    settings.MARKET = "sample"


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return make_coin()


@pytest.fixture
def model(db: None) -> TrainedModel:
    return make_model()


def sequences(answer: dict[str, list[dict[str, dict[str, int]]]]) -> list[int]:
    return [row["chain"]["sequence"] for row in answer["results"]]


def walk(path: str, **parameters: Any) -> list[int]:
    """The sequence numbers of every page, by its `next` links."""
    answer = ask(path, **parameters)
    found = sequences(answer)
    while answer["next"]:
        answer = Client().get(answer["next"]).json()
        found += sequences(answer)
    return found


class TestLedger:
    def test_it_lists_the_newest_first_with_all_that_was_frozen(
        self, coin: Cryptocurrency, model: TrainedModel
    ) -> None:
        stored = make_ledger(coin, model, dates=3, scored=1)
        answer = ask("predictions/")
        assert sequences(answer) == [3, 2, 1]
        assert_documented(answer["results"], serializers.PredictionSerializer(many=True))
        scored, still_open = answer["results"][2], answer["results"][0]
        assert scored["quantiles"] == stored[0].quantiles
        assert (scored["coin"], scored["model"], scored["state"]) == ("bitcoin", "lstm-1", "scored")
        assert scored["scores"]["crps"] == stored[0].crps
        assert (still_open["actual_price_usd"], still_open["scores"]["crps"]) == (None, None)
        assert (still_open["is_stale"], still_open["data_source"]) == (True, "sample data")
        assert still_open["evidence"]["n_dates"] == 1

    def test_it_walks_the_whole_ledger_by_cursor_while_it_grows(
        self, coin: Cryptocurrency, model: TrainedModel
    ) -> None:
        make_ledger(coin, model, dates=7)
        first = ask("predictions/", page_size=3)
        assert sequences(first) == [7, 6, 5]
        make_ledger(make_coin("ethereum"), model, dates=2)
        assert sequences(Client().get(first["next"]).json()) == [4, 3, 2]
        assert walk("predictions/", page_size=2) == [9, 8, 7, 6, 5, 4, 3, 2, 1]

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"coin": "ethereum"}, [6, 5]),
            ({"coin": "bitcoin", "state": "scored"}, [2, 1]),
            ({"state": "open"}, [6, 5, 4, 3]),
            ({"state": "void"}, []),
            ({"horizon_days": 7}, [6, 5]),
            ({"model": "lstm-2"}, [6, 5]),
            ({"start": "2026-01-03"}, [4, 3]),
            ({"end": "2026-01-02"}, [5, 1]),
            ({"start": "2026-01-02", "end": "2026-01-03", "coin": "bitcoin"}, [2]),
        ],
    )
    def test_it_filters(
        self, coin: Cryptocurrency, model: TrainedModel, parameters: dict[str, Any], expected: list[int]
    ) -> None:
        make_ledger(coin, model, dates=4, scored=2)
        make_ledger(make_coin("ethereum"), make_model("lstm-2", "retired"), dates=2, horizon_days=7)
        assert sequences(ask("predictions/", **parameters)) == expected

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"coin": "nonesuch"}, ("coin", "unknown_coin")),
            ({"coin": "bit\x00coin"}, ("coin", "null_characters_not_allowed")),
            ({"model": "lstm-9"}, ("model", "unknown_model")),
            ({"horizon_days": 4}, ("horizon_days", "invalid_choice")),
            ({"state": "won"}, ("state", "invalid_choice")),
            ({"start": "soon"}, ("start", "invalid")),
            ({"start": "2026-01-02", "end": "2026-01-01"}, ("start", "start_not_before_end")),
            ({"end": "1815-06-18"}, ("end", "out_of_range")),
            ({"cursor": "rubbish!"}, ("cursor", "invalid")),
            ({"page": 2}, ("page", "unknown_parameter")),
            ({"page_size": 251}, ("page_size", "max_value")),
            ({"coin": ["bitcoin", "ethereum"]}, ("coin", "repeated_parameter")),
        ],
    )
    def test_it_refuses_bad_parameters(
        self, coin: Cryptocurrency, parameters: dict[str, Any], fault: tuple[str, str]
    ) -> None:
        make_coin("ethereum")
        assert faults("predictions/", **parameters) == [fault]

    def test_it_takes_as_few_queries_for_many_forecasts_as_for_one(
        self, coin: Cryptocurrency, model: TrainedModel
    ) -> None:
        make_ledger(coin, model, dates=60)
        ask("predictions/")  # fills the cached evidence
        one = count_queries("predictions/", page_size=1)
        assert count_queries("predictions/", page_size=60) == one <= 6

    def test_it_answers_304_to_a_client_that_has_the_page(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        make_ledger(coin, model, dates=2)
        first = Client().get(f"{API}predictions/")
        again = Client().get(f"{API}predictions/", headers={"If-None-Match": first["ETag"]})
        assert (first.status_code, again.status_code) == (200, 304)


class TestPermalink:
    def test_it_shows_one_forecast_with_its_place_in_the_chain(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        first, second = make_ledger(coin, model, dates=2, scored=2)
        answer = ask(f"predictions/{second.pk}/")
        assert_documented(answer, serializers.PredictionSerializer())
        assert answer["chain"]["previous_hash"] == first.row_hash
        assert (answer["id"], answer["actual_price_usd"]) == (second.pk, second.actual_price)

    @pytest.mark.parametrize("number", ["999", "9" * 30])
    def test_it_answers_404_for_an_unknown_number(self, db: None, number: str) -> None:
        assert error_code(f"predictions/{number}/", status=404) == "not_found"


def export(**parameters: Any) -> list[dict[str, str]]:
    response = Client().get(f"{API}predictions/export/", parameters)
    assert (response.status_code, response["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(response.getvalue().decode())))


def quantiles_of(row: dict[str, str], prefix: str = "") -> list[float]:
    return [float(row[f"{prefix}{level_name(level)}"]) for level in LEVELS]


class TestExport:
    def test_it_holds_all_that_a_stranger_needs_to_recompute_every_score(
        self, coin: Cryptocurrency, model: TrainedModel
    ) -> None:
        make_ledger(coin, model, dates=8, scored=7)
        rows = export()
        assert [row["sequence"] for row in rows] == [str(number) for number in range(1, 9)]
        for row in rows[:7]:
            base = float(row["base_price"])
            actual = math.log(float(row["actual_price"]) / base)
            prefixes = {"": "crps", "model_": "crps_model", "fhs_": "crps_fhs", "ewma_": "crps_ewma"}
            for prefix, score in prefixes.items():
                errors = [
                    (level, actual - math.log(price / base))
                    for level, price in zip(LEVELS, quantiles_of(row, prefix), strict=True)
                    if 0.05 <= level <= 0.95
                ]
                pinball = [max(level * error, (level - 1) * error) for level, error in errors]
                assert float(row[score]) == pytest.approx(2 * sum(pinball) / len(pinball), rel=1e-9)
            published = quantiles_of(row)
            is_inside = published[2] <= float(row["actual_price"]) <= published[10]
            assert row["is_hit_80"] == str(is_inside).lower()
        assert (rows[7]["state"], rows[7]["crps"], rows[7]["is_hit_80"]) == ("open", "", "")

    def test_it_filters_like_the_ledger_and_names_sample_data(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        make_ledger(coin, model, dates=4, scored=2)
        assert [row["sequence"] for row in export(state="scored")] == ["1", "2"]
        assert {row["is_sample"] for row in export()} == {"true"}
        response = Client().get(f"{API}predictions/export/")
        assert 'filename="forecasts-sample-data.csv"' in response["Content-Disposition"]

    def test_it_refuses_bad_parameters(self, coin: Cryptocurrency) -> None:
        assert faults("predictions/export/", coin="nonesuch") == [("coin", "unknown_coin")]
        assert faults("predictions/export/", page_size=5) == [("page_size", "unknown_parameter")]

    def test_it_takes_as_few_queries_for_many_forecasts_as_for_one(
        self, coin: Cryptocurrency, model: TrainedModel, django_assert_num_queries: object
    ) -> None:
        make_ledger(coin, model, dates=600)
        with django_assert_num_queries(1):  # type: ignore[operator]
            assert len(export()) == 600


class TestVerify:
    def test_it_finds_an_untouched_chain_intact(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        stored = make_ledger(coin, model, dates=5, scored=3)
        answer = ask("predictions/verify/")
        assert_documented(answer, serializers.ChainReportSerializer())
        assert (answer["is_intact"], answer["length"], answer["head"]) == (True, 5, stored[-1].row_hash)

    @pytest.mark.parametrize("change", [{"base_price": 101.0}, {"label": "beats_baseline"}])
    def test_it_finds_a_forecast_that_was_changed_behind_its_back(
        self, coin: Cryptocurrency, model: TrainedModel, change: dict[str, Any]
    ) -> None:
        make_ledger(coin, model, dates=5)
        with unguarded():
            Prediction.objects.filter(sequence=3).update(**change)
        answer = ask("predictions/verify/")
        assert (answer["is_intact"], answer["length"], answer["broken_at"]) == (False, 2, 3)
        assert answer["problem"] != ""

    def test_it_finds_a_forecast_that_was_removed(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        make_ledger(coin, model, dates=5)
        with unguarded():
            Prediction.objects.filter(sequence=2).delete()
        assert ask("predictions/verify/")["broken_at"] == 2

    def test_it_walks_the_chain_once_for_many_callers(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        make_ledger(coin, model, dates=2)
        first = ask("predictions/verify/")
        assert count_queries("predictions/verify/") == 0
        assert ask("predictions/verify/") == first


class TestTrackRecord:
    def test_it_shows_skill_coverage_and_n_by_horizon(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        make_ledger(coin, model, dates=35, scored=35)
        answer = ask("predictions/track-record/")
        assert_documented(answer, serializers.TrackRecordSerializer())
        one_day = answer["horizons"][0]
        settled = Prediction.objects.all()
        skill = 1 - sum(p.crps_model for p in settled) / sum(p.crps_fhs for p in settled)  # type: ignore[misc]
        assert one_day["evidence_vs_fhs"]["skill"] == pytest.approx(skill)
        assert (one_day["horizon_days"], one_day["evidence_vs_fhs"]["n_dates"]) == (1, 35)
        assert (answer["n_forecasts"], answer["dates_missing"]) == (35, 0)
        assert answer["coins"][0]["coin"] == "bitcoin"
        assert len(answer["calibration"]) == len(LEVELS)

    def test_it_says_that_it_is_too_early_before_anything_is_scored(self, db: None) -> None:
        answer = ask("predictions/track-record/")
        assert_documented(answer, serializers.TrackRecordSerializer())
        assert (answer["as_of"], answer["is_stale"], answer["n_dates"]) == (None, True, 0)
        assert answer["dates_missing"] == 30
        assert {one["label"] for one in answer["horizons"]} == {"too_early"}

    def test_it_can_be_asked_of_one_horizon_coin_or_model(self, coin: Cryptocurrency, model: TrainedModel) -> None:
        make_ledger(coin, model, dates=4, scored=4)
        make_ledger(make_coin("ethereum"), make_model("lstm-2", "retired"), dates=3, scored=3)
        assert ask("predictions/track-record/", coin="ethereum")["n_forecasts"] == 3
        assert ask("predictions/track-record/", model="lstm-1")["n_forecasts"] == 4
        assert [one["horizon_days"] for one in ask("predictions/track-record/", horizon_days=7)["horizons"]] == [7]

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"coin": "nonesuch"}, ("coin", "unknown_coin")),
            ({"model": "nonesuch"}, ("model", "unknown_model")),
            ({"horizon_days": 0}, ("horizon_days", "invalid_choice")),
            ({"year": 2026}, ("year", "unknown_parameter")),
        ],
    )
    def test_it_refuses_bad_parameters(self, db: None, parameters: dict[str, Any], fault: tuple[str, str]) -> None:
        assert faults("predictions/track-record/", **parameters) == [fault]
