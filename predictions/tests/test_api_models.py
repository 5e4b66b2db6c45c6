"""The API of the registry: who may take which step, what each answers, and a forecast on demand."""

import csv
import io
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.operations.models import AuditEntry, TaskRun
from markets.models import Cryptocurrency
from markets.tests.api import API, ask, assert_documented, faults
from predictions import desk, issuing, registry, tasks, training
from predictions.api import model_serializers, serializers
from predictions.forecasting.quantiles import HORIZONS
from predictions.models import BacktestRun, ModelAlarm, Prediction, TrainedModel
from predictions.tests.conftest import DAYS, NOW, copy_of, write_days
from predictions.tests.ledger import make_coin, make_ledger, make_model
from predictions.words import signed

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _sample_market(settings: Settings) -> None:
    settings.MARKET = "sample"


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.com", PASSWORD)


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)


def client_of(user: User | None) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def post(user: User | None, path: str, body: dict[str, Any] | None = None, *, status: int = 200) -> Any:
    response = client_of(user).post(f"{API}{path}", body or {}, format="json")
    assert response.status_code == status, response.content
    return response.json()


def field_faults(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(fault["field"], fault["code"]) for fault in answer["error"]["fields"]]


@pytest.fixture
def candidate(serving: TrainedModel, tmp_path: Path) -> TrainedModel:
    return copy_of(serving, tmp_path, "candidate")


# Steps ----------------------------------------------------------------------------------------------


def test_it_promotes_and_rolls_back_for_staff_with_a_reason(
    staff: User, candidate: TrainedModel, serving: TrainedModel
) -> None:
    answer = post(staff, "models/candidate/promote/", {"reason": "Better over 90 dates."})
    assert_documented(answer, model_serializers.ModelSerializer())
    assert (answer["state"], answer["reason"]) == ("serving", "Better over 90 dates.")
    assert [(event["kind"], event["by"]) for event in answer["events"]] == [("promoted", "staff")]
    assert candidate.events.get().by == staff
    answer = post(staff, "models/candidate/rollback/", {"reason": "It did worse."})
    assert (answer["state"], answer["events"][0]["kind"]) == ("retired", "rolled_back")
    assert TrainedModel.objects.serving() == serving
    assert "staff@example.com" not in str(answer)


@pytest.mark.parametrize(
    "path", ["models/candidate/promote/", "models/candidate/rollback/", "models/candidate/backtest/", "models/train/"]
)
def test_it_lets_nobody_but_staff_take_a_step(
    alice: User, candidate: TrainedModel, serving: TrainedModel, path: str
) -> None:
    assert post(None, path, {"reason": "Why not?"}, status=401)["error"]["code"] == "not_authenticated"
    assert post(alice, path, {"reason": "Why not?"}, status=403)["error"]["code"] == "permission_denied"
    assert TrainedModel.objects.serving() == serving


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, ("reason", "required")),
        ({"reason": "  "}, ("reason", "blank")),
        ({"reason": "x" * 301}, ("reason", "max_length")),
        ({"reason": "x", "force": True}, ("force", "unknown_field")),
    ],
)
@pytest.mark.parametrize("step", ["promote", "rollback"])
def test_it_refuses_a_step_without_a_fit_reason(
    staff: User, candidate: TrainedModel, step: str, body: dict[str, Any], fault: tuple[str, str]
) -> None:
    assert field_faults(post(staff, f"models/candidate/{step}/", body, status=400)) == [fault]


def test_it_answers_a_step_that_cannot_be_taken(staff: User, candidate: TrainedModel, serving: TrainedModel) -> None:
    reason = {"reason": "Try."}
    assert post(staff, "models/nonesuch/promote/", reason, status=404)["error"]["code"] == "not_found"
    assert post(staff, f"models/{serving.version}/promote/", reason, status=409)["error"]["code"] == "conflict"
    assert post(staff, f"models/{serving.version}/rollback/", reason, status=409)["error"]["code"] == "conflict"
    assert post(staff, "models/candidate/rollback/", reason, status=409)["error"]["code"] == "conflict"
    shutil.rmtree(candidate.folder)
    answer = post(staff, "models/candidate/promote/", reason, status=409)
    assert answer["error"]["code"] == "bad_artefact"
    assert candidate.folder not in str(answer)
    assert TrainedModel.objects.serving() == serving


# Training and back-tests ----------------------------------------------------------------------------


def queued_runs() -> list[tuple[str, dict[str, Any]]]:
    return [(run.name, run.arguments.get("kwargs", {})) for run in TaskRun.objects.order_by("pk")]


def test_it_queues_a_training(staff: User) -> None:
    answer = post(staff, "models/train/", {"seed": 11}, status=202)
    assert answer["url"] == f"/api/v1/tasks/runs/{answer['task_id']}/"
    assert queued_runs() == [("predictions.train_model", {"seed": 11})]
    assert AuditEntry.objects.get().action == "model.train"
    assert field_faults(post(staff, "models/train/", {"seed": -1}, status=400)) == [("seed", "min_value")]
    TrainedModel.objects.create(version="x", state="training", origin="own")
    assert post(staff, "models/train/", status=409)["error"]["code"] == "conflict"
    TrainedModel.objects.update(created_at=timezone.now() - timedelta(hours=2))  # its worker must have died
    post(staff, "models/train/", status=202)


def test_it_queues_a_training_once_for_one_idempotency_key(staff: User) -> None:
    for _ in range(2):
        response = client_of(staff).post(f"{API}models/train/", {}, format="json", headers={"Idempotency-Key": "once"})
        assert response.status_code == 202
    assert len(queued_runs()) == 1


def test_it_queues_a_back_test_and_keeps_it_on_the_models_card(staff: User, candidate: TrainedModel) -> None:
    body = {"start_on": "2026-01-01", "end_on": "2026-02-01"}
    post(staff, "models/candidate/backtest/", body, status=202)
    run = BacktestRun.objects.get()
    assert queued_runs() == [("predictions.run_backtest", {"run_id": run.pk})]
    kept = ask("models/candidate/")["backtests"]
    assert_documented(kept, model_serializers.BacktestSerializer(many=True))
    assert [(one["state"], one["start_on"], one["end_on"]) for one in kept] == [("queued", *body.values())]


def test_it_writes_a_step_of_a_model_into_the_audit_log(staff: User, candidate: TrainedModel) -> None:
    post(staff, "models/candidate/promote/", {"reason": "it is better"}, status=200)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason, entry.actor_id) == (
        "model.promote", "candidate", "it is better", staff.pk,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"start_on": "2026-02-01", "end_on": "2026-02-01"}, ("start_on", "out_of_range")),
        ({"start_on": "2020-01-01", "end_on": "2026-02-01"}, ("start_on", "out_of_range")),
        ({"end_on": "2100-02-01"}, ("end_on", "in_the_future")),
        ({"end_on": "soon"}, ("end_on", "invalid")),
        ({"days": 3}, ("days", "unknown_field")),
    ],
)
def test_it_refuses_a_back_test_over_a_bad_period(
    staff: User, candidate: TrainedModel, body: dict[str, Any], fault: tuple[str, str]
) -> None:
    assert field_faults(post(staff, "models/candidate/backtest/", body, status=400)) == [fault]


def test_it_keeps_the_summary_of_a_back_test_or_why_there_is_none(
    candidate: TrainedModel, coins: list[Cryptocurrency], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_walk", lambda *args, progress, **options: progress(1, 1) or {"rows": [1]})
    period = {"start_on": timezone.now().date() - timedelta(days=400), "end_on": timezone.now().date()}
    run = BacktestRun.objects.create(model=candidate, **period)
    tasks.run_backtest(run.pk)
    run.refresh_from_db()
    assert (run.state, run.summary, run.done, run.finished_at is not None) == ("done", {"rows": [1]}, 1, True)

    def fails(*args: Any, **options: Any) -> None:
        raise ValueError("the period lies outside the history")

    monkeypatch.setattr(training, "_walk", fails)
    tasks.run_backtest(run.pk)
    assert BacktestRun.objects.get().state == "done", "a run that ended is not run again"
    other = BacktestRun.objects.create(model=candidate, **period)
    assert tasks.run_backtest(other.pk) == "the period lies outside the history"
    other.refresh_from_db()
    assert other.state == "failed"


# Monitoring -----------------------------------------------------------------------------------------


def test_it_shows_staff_what_is_watched(
    staff: User, alice: User, serving: TrainedModel, coins: list[Cryptocurrency], tmp_path: Path
) -> None:
    registry.shadow(model=copy_of(serving, tmp_path, "challenger"), reason="Try.")
    ModelAlarm.objects.create(model=serving, kind="expired", message="Too old.", stops_headline=True)
    answer = client_of(staff).get(f"{API}models/monitoring/").json()
    assert_documented(answer, model_serializers.MonitoringSerializer())
    assert (answer["model"], answer["stopped_because"]) == (serving.version, "Too old.")
    assert [one["horizon_days"] for one in answer["horizons"]] == list(HORIZONS)
    assert answer["horizons"][0]["validation"]["n_dates"] > 600
    assert answer["challengers"][0]["version"] == "challenger"
    assert answer["alarms"][0]["kind"] == "expired"
    assert client_of(alice).get(f"{API}models/monitoring/").status_code == 403
    assert client_of(None).get(f"{API}models/monitoring/").status_code == 401
    assert client_of(staff).get(f"{API}models/monitoring/", {"days": 3}).status_code == 400


def test_it_has_nothing_to_monitor_without_a_champion(staff: User) -> None:
    assert client_of(staff).get(f"{API}models/monitoring/").status_code == 404


def test_it_says_in_the_forecast_why_the_baseline_is_the_headline(
    serving: TrainedModel, coins: list[Cryptocurrency]
) -> None:
    issuing.issue_forecasts(now=NOW)
    horizons = ask("cryptocurrencies/bitcoin/forecast/")["horizons"]
    assert (horizons[0]["headline"], horizons[0]["headline_reason"]) == ("model", "")
    assert horizons[1]["headline_reason"].startswith("The model has not shown that it does better")
    ModelAlarm.objects.create(model=serving, kind="expired", message="Too old.", stops_headline=True)
    assert ask("cryptocurrencies/bitcoin/forecast/")["horizons"][1]["headline_reason"] == "Too old."


# A forecast now -------------------------------------------------------------------------------------


@pytest.fixture
def today(coins: list[Cryptocurrency]) -> list[Cryptocurrency]:
    """The market's last day is today's."""
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for place, coin in enumerate(coins):
        days = DAYS if place < 6 else 40
        prices = [100 + place + 7 * ((day * (place + 3)) % 11) / 11 for day in range(days)]
        coin.prices.all().delete()
        write_days(coin, prices, last_close_at=midnight)
    return coins


def test_it_makes_freezes_and_answers_a_forecast_now(
    alice: User, today: list[Cryptocurrency], serving: TrainedModel
) -> None:
    answer = post(alice, "predictions/", {"coin": "bitcoin"}, status=201)
    assert_documented(answer, serializers.ForecastSerializer())
    assert [one["horizon_days"] for one in answer["horizons"]] == list(HORIZONS)
    assert answer["model"] == serving.version
    stored = Prediction.objects.get(pk=answer["horizons"][0]["prediction_id"])
    assert answer["horizons"][0]["quantiles"] == stored.quantiles
    assert Prediction.objects.count() == len(HORIZONS)
    again = post(alice, "predictions/", {"coin": "bitcoin"}, status=200)
    assert {**again, "is_stale": answer["is_stale"]} == answer
    assert ask("predictions/verify/")["is_intact"] is True


def test_it_gives_the_same_forecast_as_the_daily_issue(
    alice: User, today: list[Cryptocurrency], serving: TrainedModel
) -> None:
    post(alice, "predictions/", {"coin": "bitcoin"}, status=201)
    issue = issuing.issue_forecasts()
    assert issue.coins == 5, "one coin has its forecast already"
    one, other = (Prediction.objects.filter(coin=coin).earliest("sequence") for coin in today[:2])
    assert (one.cutoff_at, one.headline, one.multiplier_80) == (other.cutoff_at, other.headline, other.multiplier_80)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, ("coin", "required")),
        ({"coin": "nonesuch"}, ("coin", "unknown_coin")),
        ({"coin": "bitcoin", "horizon": 3}, ("horizon", "unknown_field")),
    ],
)
def test_it_refuses_to_forecast_what_it_does_not_know(
    alice: User, today: list[Cryptocurrency], serving: TrainedModel, body: dict[str, Any], fault: tuple[str, str]
) -> None:
    assert field_faults(post(alice, "predictions/", body, status=400)) == [fault]


def test_it_says_why_a_coin_has_no_forecast_now(
    alice: User, today: list[Cryptocurrency], serving: TrainedModel
) -> None:
    answer = post(alice, "predictions/", {"coin": "coin-6"}, status=409)
    assert (answer["error"]["code"], answer["error"]["message"]) == ("no_forecast", "not enough data: 40 of 90 days")
    Cryptocurrency.objects.filter(coingecko_id="coin-5").update(is_tracked=False)
    assert post(alice, "predictions/", {"coin": "coin-5"}, status=409)["error"]["message"] == desk.NOT_TRACKED
    assert Prediction.objects.count() == 0


def test_it_forecasts_for_nobody_without_an_account(today: list[Cryptocurrency], serving: TrainedModel) -> None:
    assert post(None, "predictions/", {"coin": "bitcoin"}, status=401)["error"]["code"] == "not_authenticated"


def test_it_says_that_no_model_serves(alice: User, today: list[Cryptocurrency]) -> None:
    assert post(alice, "predictions/", {"coin": "bitcoin"}, status=409)["error"]["code"] == "no_forecast"


def test_its_warm_process_forecasts_with_few_queries_and_without_reading_the_history(
    alice: User, today: list[Cryptocurrency], serving: TrainedModel
) -> None:
    post(alice, "predictions/", {"coin": "bitcoin"}, status=201)
    client = client_of(alice)
    with CaptureQueriesContext(connection) as queries:
        response = client.post(f"{API}predictions/", {"coin": "coin-1"}, format="json")
    assert response.status_code == 201
    statements = [query["sql"] for query in queries]
    assert not any("markets_pricedata" in statement for statement in statements)
    assert len(statements) <= 22
    with CaptureQueriesContext(connection) as queries:
        client.post(f"{API}predictions/", {"coin": "coin-1"}, format="json")
    assert len(queries) <= 9


# The record -----------------------------------------------------------------------------------------


def test_it_reads_the_same_figures_on_the_page_in_the_csv_and_in_the_api(db: None) -> None:
    coin, model = make_coin(), make_model()
    make_ledger(coin, model, dates=120, scored=110)
    filters: dict[str, Any] = {"start": "2026-01-05", "end": "2026-04-20"}
    answer = ask("predictions/track-record/", **filters)["horizons"][0]["evidence_vs_fhs"]
    response = Client().get(f"{API}predictions/track-record/export/", filters)
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    row = rows[0]
    assert (row["of"], row["horizon_days"], row["baseline"]) == ("horizon", "1", "FHS random walk")
    assert answer["n_dates"] == int(row["n_dates"]) == 105
    assert answer["skill"] == float(row["skill"])
    assert answer["interval"] == {"low": float(row["interval_low"]), "high": float(row["interval_high"])}
    assert answer["coverage_80"] == float(row["coverage_80"])
    page = Client().get("/track-record/", filters).content.decode()
    for figure in (answer["skill"], answer["interval"]["low"], answer["interval"]["high"]):
        assert signed(figure) in page
    assert f"{answer['coverage_80']:.1%}" in page
    assert [one["of"] for one in rows[-2:]] == ["coin", "model"]


def test_it_recomputes_the_skill_of_a_period_from_the_exported_ledger(db: None) -> None:
    make_ledger(make_coin(), make_model(), dates=60, scored=50)
    filters: dict[str, Any] = {"start": "2026-01-05", "end": "2026-02-10", "horizon_days": 1}
    evidence = ask("predictions/track-record/", **filters)["horizons"][0]["evidence_vs_fhs"]
    response = Client().get(f"{API}predictions/export/", {**filters, "state": "scored"})
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    model, fhs = (sum(float(row[name]) for row in rows) / len(rows) for name in ("crps_model", "crps_fhs"))
    assert (evidence["n_dates"], evidence["skill"]) == (len(rows), pytest.approx(1 - model / fhs, rel=1e-12))


def test_it_shows_coverage_by_month_and_every_model_retired_ones_too(db: None) -> None:
    make_ledger(make_coin(), make_model("lstm-1", "retired"), dates=60, scored=50)
    answer = ask("predictions/track-record/")
    assert_documented(answer, serializers.TrackRecordSerializer())
    assert [(one["month"], one["n_dates"]) for one in answer["months"]] == [("2026-01-01", 31), ("2026-02-01", 19)]
    assert [(one["model"], one["state"]) for one in answer["models"]] == [("lstm-1", "retired")]
    assert answer["models"][0]["evidence_vs_fhs"]["n_dates"] == 50


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"start": "soon"}, ("start", "invalid")),
        ({"start": "2026-02-01", "end": "2026-01-01"}, ("start", "start_not_before_end")),
        ({"from": "2026-01-01"}, ("from", "unknown_parameter")),
    ],
)
@pytest.mark.django_db
def test_it_refuses_a_bad_period(parameters: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults("predictions/track-record/", **parameters) == [fault]
    assert faults("predictions/track-record/export/", **parameters) == [fault]


# Deep in the ledger ---------------------------------------------------------------------------------


def test_it_finds_the_hundred_thousandth_forecast_by_an_index_and_sorts_nothing(db: None) -> None:
    make_ledger(make_coin(), make_model(), dates=120)
    page = Prediction.objects.order_by("-sequence").filter(sequence__lt=60)
    for found in (page, page.filter(coin_id=1), page.filter(model_id=1)):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                for way in ("seqscan", "bitmapscan", "sort"):  # as for a table that is too large for them
                    cursor.execute(f"SET LOCAL enable_{way} = off")
        plan = found.values("pk")[:50].explain()
        assert "sequence" in plan, plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
        assert "INDEX" in plan.upper()
