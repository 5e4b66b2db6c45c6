"""Health over HTTP and on the command line."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django_celery_beat.models import PeriodicTask

from cryptopredict.operations import health
from cryptopredict.operations.models import TaskRun
from cryptopredict.operations.scheduling import seed_schedule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIVE, READY = "/api/v1/health/live/", "/api/v1/health/ready/"


@pytest.fixture(autouse=True)
def _unknown_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_are_migrations_applied", False)


def break_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DatabaseError("connection refused on 10.0.0.7")

    monkeypatch.setattr(connection, "cursor", refuse)


@pytest.mark.django_db
class TestApi:
    def test_it_is_ready_when_the_database_answers_with_every_migration(self, client: Client) -> None:
        response = client.get(READY)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert response["Cache-Control"] == "no-store"

    def test_it_is_not_ready_while_a_migration_is_missing_and_says_so(self, client: Client) -> None:
        MigrationRecorder(connection).record_unapplied("operations", "0003_append_only_audit_log")
        response = client.get(READY)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (503, "unavailable")
        assert error["fields"][0]["field"] == "migrations"
        assert "1 migrations are not applied" in error["message"]

    def test_it_is_not_ready_without_its_database_and_tells_nothing_about_it(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        break_database(monkeypatch)
        response = client.get(READY)
        assert response.status_code == 503
        assert {field["field"] for field in response.json()["error"]["fields"]} == {"database", "migrations"}
        assert "10.0.0.7" not in response.content.decode()

    def test_it_is_alive_even_without_its_database(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        break_database(monkeypatch)
        assert client.get(LIVE).status_code == 200

    def test_it_answers_any_number_of_questions_and_needs_no_sign_in(self, client: Client) -> None:
        statuses = {client.get(LIVE, REMOTE_ADDR="192.0.2.1").status_code for _ in range(200)}
        assert statuses == {200}


@pytest.mark.django_db
class TestJobs:
    def run_last_at(self, at: datetime) -> None:
        seed_schedule()
        PeriodicTask.objects.filter(task="markets.sync_all_prices").update(last_run_at=at)

    def test_it_sees_that_beat_is_at_work(self) -> None:
        self.run_last_at(NOW - timedelta(minutes=9))
        assert health.beat_problem(NOW) == ""

    def test_it_sees_that_beat_fell_silent(self) -> None:
        self.run_last_at(NOW - timedelta(minutes=16))
        assert "since 2026-03-01 11:44 UTC" in health.beat_problem(NOW)

    def test_it_sees_that_beat_never_began(self) -> None:
        assert health.beat_problem(NOW) == "Beat has queued nothing yet."

    def test_it_gives_beat_the_time_to_begin_with_a_new_schedule(self) -> None:
        seed_schedule()
        PeriodicTask.objects.update(date_changed=NOW - timedelta(minutes=14))
        assert health.beat_problem(NOW) == ""
        assert health.beat_problem(NOW + timedelta(minutes=2)) == "Beat has queued nothing yet."

    def test_it_sees_jobs_that_no_worker_takes(self) -> None:
        TaskRun.objects.create(task_id="1", name="markets.sync_all_prices", queued_at=NOW - timedelta(minutes=14))
        assert health.workers_problem(NOW) == ""
        assert "wait for a worker since" in health.workers_problem(NOW + timedelta(minutes=2))

    def test_it_lets_a_training_wait_its_turn(self) -> None:
        TaskRun.objects.create(task_id="1", name="predictions.train_model", queued_at=NOW - timedelta(hours=2))
        assert health.workers_problem(NOW) == ""

    def test_it_ends_the_command_with_an_error_that_names_the_problem(self) -> None:
        with pytest.raises(CommandError, match="Beat has queued nothing yet"):
            call_command("check_jobs", "beat")
        call_command("check_jobs", "workers")
        with pytest.raises(CommandError, match="There is no check called beats"):
            call_command("check_jobs", "beats")
