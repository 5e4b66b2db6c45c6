"""The jobs over HTTP."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.celery import app
from cryptopredict.operations.api import serializers
from cryptopredict.operations.models import AuditEntry, Heartbeat, TaskRun
from cryptopredict.operations.queues import BrokerUnavailable
from cryptopredict.operations.scheduling import seed_schedule
from cryptopredict.tests.operations.conftest import client_of
from cryptopredict.tests.operations.test_api_sync import codes, count_queries
from markets.models import SyncRun
from markets.tests.api import assert_documented

TASKS = "/api/v1/tasks/"
COIN = "markets.sync_specific_cryptocurrency"
ENTRY = TASKS + "schedule/Sync all prices/"
CALLS = (
    ("get", ""), ("get", "runs/"), ("post", "runs/"), ("get", "runs/1/"), ("post", "runs/1/cancel/"),
    ("post", "runs/1/retry/"), ("get", "workers/"), ("get", "queues/"), ("get", "schedule/"),
    ("patch", "schedule/Sync all prices/"),
)  # fmt: skip


def add_run(task_id: str = "1", **columns: Any) -> TaskRun:
    values = {"name": "markets.sync_all_prices", "state": "succeeded", **columns}
    return TaskRun.objects.create(task_id=task_id, **values)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_it_is_for_staff_only(alice: User, method: str, path: str) -> None:
    assert getattr(APIClient(), method)(TASKS + path).status_code == 401
    assert getattr(client_of(alice), method)(TASKS + path).status_code == 403


class TestList:
    def test_it_lists_the_jobs_with_arguments_queue_and_schedule(self, api: APIClient) -> None:
        seed_schedule()
        answer = api.get(TASKS).json()
        assert_documented(answer, serializers.TasksSerializer())
        found = {task["name"]: task for task in answer["results"]}
        assert found["markets.sync_all_prices"]["schedule"] == ["every 5 minutes"]
        assert found[COIN]["parameters"] == [{"name": "coingecko_id", "type": "str", "is_required": True}]
        assert found["predictions.train_model"]["queue"] == "training"
        assert (found[COIN]["is_runnable"], found["predictions.prepare_model"]["is_runnable"]) == (True, False)
        assert not any(name.startswith("celery.") for name in found)

    def test_it_lists_runs_newest_first_with_their_progress(self, api: APIClient, staff_user: User) -> None:
        now = timezone.now()
        add_run("old", queued_at=now - timedelta(hours=1), state="failed", name=COIN)
        add_run("new", queued_at=now, state="running", queued_by=staff_user)
        SyncRun.objects.create(kind="prices", task_id="new", done=2, total=5, calls=2)
        answer = api.get(TASKS + "runs/").json()
        assert_documented(answer["results"][0], serializers.TaskRunSerializer())
        new, old = answer["results"]
        assert (new["task_id"], new["queued_by"], new["queue"]) == ("new", "staff@example.org", "ingest")
        assert (new["progress"]["done"], new["progress"]["total"], old["progress"]) == (2, 5, None)
        assert [run["task_id"] for run in api.get(TASKS + "runs/", {"state": "failed"}).json()["results"]] == ["old"]
        assert [run["task_id"] for run in api.get(TASKS + "runs/", {"name": COIN}).json()["results"]] == ["old"]

    def test_it_asks_as_often_for_many_runs_as_for_one(self, api: APIClient, staff_user: User) -> None:
        add_run("0", queued_by=staff_user)
        few = count_queries(lambda: api.get(TASKS + "runs/"))
        for i in range(1, 30):
            add_run(str(i), queued_by=staff_user)
            SyncRun.objects.create(kind="prices", task_id=str(i))
        assert count_queries(lambda: api.get(TASKS + "runs/")) == few

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"state": "odd"}, ("state", "invalid_choice")),
            ({"colour": "red"}, ("colour", "unknown_parameter")),
            ({"cursor": "odd"}, ("cursor", "invalid")),
        ],
    )
    def test_it_refuses_wrong_parameters(self, api: APIClient, parameters: dict[str, Any], fault: Any) -> None:
        answer = api.get(TASKS + "runs/", parameters)
        assert (answer.status_code, codes(answer)) == (400, [fault])


class TestOne:
    def test_it_shows_state_progress_result_and_traceback(self, api: APIClient) -> None:
        add_run("1", state="failed", result="ValueError: no", traceback="Traceback …")
        answer = api.get(TASKS + "runs/1/").json()
        assert_documented(answer, serializers.TaskRunDetailSerializer())
        assert (answer["state"], answer["traceback"]) == ("failed", "Traceback …")

    @pytest.mark.parametrize("path", ["runs/2/", "runs/%00/"])
    def test_it_knows_no_unknown_run(self, api: APIClient, path: str) -> None:
        assert api.get(TASKS + path).status_code == 404

    def test_it_starts_a_job_by_name_once(self, api: APIClient) -> None:
        body = {"name": COIN, "arguments": {"coingecko_id": "bitcoin"}, "reason": "a gap"}
        first, second = api.post(TASKS + "runs/", body), api.post(TASKS + "runs/", body)
        assert (first.status_code, second.status_code) == (202, 409)
        assert second.json()["error"]["fields"][0]["message"] == first.json()["task_id"]
        assert AuditEntry.objects.get().reason == "a gap"

    @pytest.mark.parametrize(
        ("body", "faults"),
        [
            ({}, [("name", "required")]),
            ({"name": "os.system"}, [("name", "not_runnable")]),
            ({"name": COIN}, [("arguments.coingecko_id", "invalid")]),
            ({"name": COIN, "arguments": {"coingecko_id": ["x"]}}, [("arguments.coingecko_id", "invalid")]),
            ({"name": COIN, "arguments": "bitcoin"}, [("arguments", "not_a_dict")]),
            ({"name": COIN, "queue": "training"}, [("queue", "unknown_field")]),
        ],
    )
    def test_it_names_what_is_wrong_with_a_start(
        self, api: APIClient, body: dict[str, Any], faults: list[tuple[str, str]]
    ) -> None:
        answer = api.post(TASKS + "runs/", body)
        assert (answer.status_code, codes(answer)) == (400, faults)
        assert not TaskRun.objects.exists()

    def test_it_calls_a_job_off(self, api: APIClient) -> None:
        add_run("1", state="queued")
        answer = api.post(TASKS + "runs/1/cancel/", {"reason": "not now"})
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
        again = api.post(TASKS + "runs/1/cancel/")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")

    def test_it_repeats_a_job(self, api: APIClient) -> None:
        add_run("1", state="failed")
        answer = api.post(TASKS + "runs/1/retry/")
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")
        new = answer.json()["task_id"]
        assert new != "1"
        assert api.post(f"{TASKS}runs/{new}/retry/").status_code == 409
        assert api.post(TASKS + "runs/2/retry/").status_code == 404
        assert api.post(TASKS + "runs/1/retry/", {"force": True}).status_code == 400


class TestWorkers:
    def test_it_tells_who_is_alive_and_busy(self, api: APIClient) -> None:
        now = timezone.now()
        for name, age, busy in (("worker@a", 5, ["1"]), ("worker@b", 90, [])):
            Heartbeat.objects.create(
                name=name, kind="worker", host="a", pid=1, version="1.0.0", queues=["ingest"], busy_with=busy,
                started_at=now, at=now - timedelta(seconds=age),
            )  # fmt: skip
        answer = api.get(TASKS + "workers/").json()
        assert_documented(answer, serializers.WorkersSerializer())
        assert [(row["is_alive"], row["is_busy"]) for row in answer["results"]] == [(True, True), (False, False)]

    def test_it_counts_what_waits_in_the_broker(self, api: APIClient, settings: Settings, tmp_path: Path) -> None:
        if not django_settings.REDIS_URL:
            settings.BROKER_DIR = tmp_path
            settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(tmp_path)}
        queued_at = timezone.now() - timedelta(hours=1)
        add_run("1", state="queued", queued_at=queued_at)
        add_run("2", state="queued")
        add_run("3", state="queued", name="predictions.train_model")
        before = {row["name"]: row["depth"] for row in api.get(TASKS + "queues/").json()["results"]}
        with app.connection(transport_options=django_settings.CELERY_BROKER_TRANSPORT_OPTIONS) as broker:
            app.send_task("markets.sync_all_prices", connection=broker, queue="ingest")
        answer = api.get(TASKS + "queues/").json()
        assert_documented(answer, serializers.QueuesSerializer())
        found = {row["name"]: row for row in answer["results"]}
        assert set(found) == {"ingest", "forecasts", "training"}
        assert found["ingest"]["depth"] == before["ingest"] + 1
        assert found["ingest"]["oldest_queued_at"] == queued_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert found["training"]["oldest_queued_at"] is not None
        assert found["forecasts"]["oldest_queued_at"] is None

    def test_it_answers_503_without_its_broker(self, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(names: Any) -> None:
            raise BrokerUnavailable("The broker does not answer.")

        monkeypatch.setattr("cryptopredict.operations.queues.broker_depths", refuse)
        assert api.get(TASKS + "queues/").status_code == 503


class TestSchedule:
    @pytest.fixture(autouse=True)
    def _seeded(self, db: None) -> None:
        seed_schedule()

    def test_it_lists_every_entry_with_its_next_run(self, api: APIClient) -> None:
        answer = api.get(TASKS + "schedule/").json()
        assert_documented(answer, serializers.ScheduleSerializer())
        found = {row["task"]: row for row in answer["results"]}
        assert len(answer["results"]) == PeriodicTask.objects.count()
        assert found["markets.sync_all_prices"]["period_seconds"] == 300
        assert found["markets.sync_historical_data"]["period_seconds"] == 3600
        assert found["markets.discover_new_cryptocurrencies"]["period_seconds"] == 86_400
        assert found["predictions.train_model"]["period_seconds"] == 7 * 86_400
        assert all(row["next_run_at"] for row in found.values())

    def test_it_asks_as_often_for_many_entries_as_for_one(self, api: APIClient) -> None:
        many = count_queries(lambda: api.get(TASKS + "schedule/"))
        PeriodicTask.objects.exclude(name="Sync all prices").delete()
        assert count_queries(lambda: api.get(TASKS + "schedule/")) == many

    def test_it_changes_a_period_and_lets_no_job_wait_longer_than_that(self, api: APIClient) -> None:
        answer = api.patch(ENTRY, {"period_seconds": 600, "reason": "quieter"})
        assert (answer.status_code, answer.json()["period_seconds"]) == (200, 600)
        entry = PeriodicTask.objects.get(name="Sync all prices")
        assert (entry.interval.every, entry.expire_seconds) == (600, 290)
        PeriodicTask.objects.filter(pk=entry.pk).update(expire_seconds=590)
        api.patch(ENTRY, {"period_seconds": 300})
        entry.refresh_from_db()
        assert entry.expire_seconds == 290
        logged = AuditEntry.objects.order_by("pk").first()
        assert logged is not None
        assert (logged.action, logged.target, logged.reason, logged.detail) == (
            "schedule.change", "Sync all prices", "quieter", {"period_seconds": 600},
        )  # fmt: skip

    def test_it_turns_a_time_of_day_into_a_period(self, api: APIClient) -> None:
        answer = api.patch(TASKS + "schedule/Sync historical data/", {"period_seconds": 7200})
        assert (answer.json()["times"], answer.json()["period_seconds"]) == ("every 2 hours", 7200)
        assert PeriodicTask.objects.get(name="Sync historical data").crontab is None

    def test_it_turns_an_entry_off_and_on(self, api: APIClient) -> None:
        assert api.patch(ENTRY, {"is_enabled": False}).json()["next_run_at"] is None
        assert not PeriodicTask.objects.get(name="Sync all prices").enabled
        assert api.patch(ENTRY, {"is_enabled": True}).json()["is_enabled"] is True

    def test_it_refuses_what_breaks_the_call_budget_and_shows_the_sum(self, api: APIClient, settings: Settings) -> None:
        settings.COINGECKO_MONTHLY_CREDITS = 5_000
        answer = api.patch(ENTRY, {"period_seconds": 300})
        assert (answer.status_code, codes(answer)) == (400, [("period_seconds", "over_budget")])
        assert "of 5,000 credits" in answer.json()["error"]["fields"][0]["message"]
        assert PeriodicTask.objects.get(name="Sync all prices").interval.every == 300
        assert not AuditEntry.objects.exists()

    def test_it_refuses_to_enable_what_does_not_fit(self, api: APIClient, settings: Settings) -> None:
        settings.COINGECKO_MONTHLY_CREDITS = 10_000
        entry = PeriodicTask.objects.get(name="Sync all prices")
        PeriodicTask.objects.filter(pk=entry.pk).update(enabled=False)
        entry.interval.every = 60
        entry.interval.save()
        answer = api.patch(ENTRY, {"is_enabled": True})
        assert (answer.status_code, codes(answer)) == (400, [("is_enabled", "over_budget")])

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({}, ("", "required")),
            ({"period_seconds": 9}, ("period_seconds", "min_value")),
            ({"period_seconds": 31 * 86_400 + 1}, ("period_seconds", "max_value")),
            ({"period_seconds": "often"}, ("period_seconds", "invalid")),
            ({"is_enabled": "perhaps"}, ("is_enabled", "invalid")),
            ({"is_enabled": True, "task": "os.system"}, ("task", "unknown_field")),
        ],
    )
    def test_it_names_what_is_wrong_with_a_change(self, api: APIClient, body: dict[str, Any], fault: Any) -> None:
        answer = api.patch(ENTRY, body)
        assert (answer.status_code, codes(answer)) == (400, [fault])

    @pytest.mark.parametrize("name", ["nonesuch", "%00"])
    def test_it_knows_no_unknown_entry(self, api: APIClient, name: str) -> None:
        assert api.patch(f"{TASKS}schedule/{name}/", {"is_enabled": False}).status_code == 404
