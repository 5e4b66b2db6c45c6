"""Signs of life of workers and beat."""

import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals
from django.db import OperationalError
from django.utils import timezone

from cryptopredict.celery import app
from cryptopredict.operations import health, heartbeats
from cryptopredict.operations.beat import Scheduler
from cryptopredict.operations.models import Heartbeat, TaskRun
from cryptopredict.operations.scheduling import seed_schedule
from cryptopredict.operations.tasks import tidy_task_runs
from cryptopredict.tests.processes import Installation, lines, wait_for

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKER, BEAT = Heartbeat.Kind.WORKER, Heartbeat.Kind.BEAT


def sign(name: str, age_seconds: float, kind: Heartbeat.Kind = WORKER, *queues: str) -> None:
    at = NOW - timedelta(seconds=age_seconds)
    Heartbeat.objects.create(name=name, kind=kind, host="h", pid=1, queues=queues, started_at=at, at=at)


@pytest.mark.django_db
class TestSigns:
    def test_it_writes_one_row_for_each_process_and_renews_it(self) -> None:
        for busy in ([], ["2", "1"]):
            heartbeats.give_sign(name="worker@h", kind=WORKER, started_at=NOW, queues={"b", "a"}, busy_with=busy)
        found = Heartbeat.objects.get()
        assert (found.queues, found.busy_with, found.started_at) == (["a", "b"], ["1", "2"], NOW)
        assert timezone.now() - found.at < timedelta(seconds=10)
        assert found.version

    def test_it_goes_on_through_an_outage_of_the_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tries: list[str] = []
        third = threading.Event()

        def fail(**sign: Any) -> None:
            tries.append(sign["name"])
            if len(tries) == 3:
                third.set()
            raise OperationalError("the database is gone")

        monkeypatch.setattr(heartbeats, "give_sign", fail)
        pulse = heartbeats.Pulse("worker@h", ["ingest"], every_seconds=0.001)
        pulse.start()
        assert third.wait(5)
        assert pulse.is_alive()
        pulse.end()
        pulse.join(5)
        assert not pulse.is_alive()

    def test_it_begins_and_ends_with_its_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[str] = []
        monkeypatch.setattr(heartbeats.Pulse, "_sign", lambda self: given.append(f"{self.worker} {self.queues}"))
        queues = SimpleNamespace(consume_from={"ingest": None})
        worker = type("Consumer", (), {"hostname": "worker@h"})()
        worker.app = SimpleNamespace(amqp=SimpleNamespace(queues=queues))
        signals.worker_ready.send(sender=worker)
        (pulse,) = heartbeats._pulses
        signals.worker_shutdown.send(sender=worker)
        pulse.join(5)
        assert given == ["worker@h ('ingest',)"]

    def test_beat_gives_a_sign_with_its_ticks_and_outlives_an_outage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[str] = []
        monkeypatch.setattr("django_celery_beat.schedulers.DatabaseScheduler.tick", lambda self: 300)
        monkeypatch.setattr(heartbeats.connection, "close", lambda: None)

        def fail(**sign: Any) -> None:
            given.append(sign["kind"])
            raise OperationalError("the database is gone")

        monkeypatch.setattr(heartbeats, "give_sign", fail)
        scheduler = Scheduler(app, lazy=True)
        assert scheduler.tick() == heartbeats.EVERY_SECONDS, "it never sleeps longer than a sign takes to come"
        scheduler.tick()
        assert given == [BEAT], "not with every tick"
        scheduler._signed_at -= heartbeats.EVERY_SECONDS
        scheduler.tick()
        assert given == [BEAT, BEAT]

    def test_it_forgets_processes_that_are_long_gone(self) -> None:
        sign("old", 0)
        Heartbeat.objects.filter(name="old").update(at=timezone.now() - timedelta(days=1, seconds=1))
        sign("fresh", 0)
        Heartbeat.objects.filter(name="fresh").update(at=timezone.now())
        tidy_task_runs()
        assert list(Heartbeat.objects.values_list("name", flat=True)) == ["fresh"]


@pytest.mark.django_db
class TestHealth:
    @pytest.mark.parametrize(("age", "is_noticed"), [(60, False), (61, True)])
    def test_it_notices_within_a_minute_that_a_queue_has_no_worker(self, age: float, is_noticed: bool) -> None:
        sign("worker@h", age, WORKER, "ingest")
        assert ("No worker of ingest" in health.workers_problem(NOW)) is is_noticed

    def test_it_does_not_mind_a_worker_whose_queues_another_one_serves(self) -> None:
        sign("worker@old", 3600, WORKER, "ingest", "forecasts")
        sign("worker@new", 5, WORKER, "ingest")
        assert "No worker of forecasts has" in health.workers_problem(NOW)
        sign("worker@newer", 5, WORKER, "forecasts")
        assert health.workers_problem(NOW) == ""

    def test_it_still_sees_jobs_that_live_workers_do_not_take(self) -> None:
        sign("worker@h", 5, WORKER, "ingest")
        TaskRun.objects.create(task_id="1", name="markets.sync_all_prices", queued_at=NOW - timedelta(minutes=16))
        assert "wait for a worker since" in health.workers_problem(NOW)

    @pytest.mark.parametrize(("age", "is_noticed"), [(60, False), (61, True)])
    def test_it_notices_within_a_minute_that_beat_fell_silent(self, age: float, is_noticed: bool) -> None:
        seed_schedule()
        sign("beat@h", age, BEAT)
        assert ("no sign of life" in health.beat_problem(NOW)) is is_noticed

    def test_it_still_sees_a_living_beat_that_queues_nothing(self) -> None:
        sign("beat@h", 1, BEAT)
        assert health.beat_problem(NOW) == "Beat has queued nothing yet."


@pytest.mark.slow
class TestProcesses:
    """Real workers and a real beat on the broker on disk."""

    def signs(self, installation: Installation) -> dict[str, list[str]]:
        code = (
            "import json; from cryptopredict.operations.models import Heartbeat\n"
            "print(json.dumps({row.name.split('@')[0]: row.busy_with for row in Heartbeat.objects.all()}))"
        )
        found: dict[str, list[str]] = json.loads(installation.evaluate(code))
        return found

    @pytest.mark.parametrize("pool", ["prefork", "solo"])
    def test_workers_and_beat_give_signs_while_they_are_busy(
        self, installation: Installation, tmp_path: Path, pool: str
    ) -> None:
        installation.queue("test.note", [[str(tmp_path), "long", 30]])
        installation.start_worker("-P", pool, "-c", "1", "-n", "worker@%h")
        installation.start(sys.executable, "-m", "celery", "-A", "cryptopredict", "beat", "--pidfile", "")
        wait_for("the job runs", lambda: lines(tmp_path / "started") == ["long"], log=installation.log)
        wait_for("both gave signs", lambda: set(self.signs(installation)) == {"worker", "beat"}, log=installation.log)
        wait_for("it says what it is busy with", lambda: len(self.signs(installation)["worker"]) == 1, 25)
