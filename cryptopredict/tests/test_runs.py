"""What is written down about jobs, and what happens to one that keeps killing its worker."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cryptopredict.operations import runs
from cryptopredict.operations.models import TaskRun
from cryptopredict.tests.processes import Installation, lines, wait_for

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
State = TaskRun.State


def read_runs(installation: Installation) -> dict[str, dict[str, Any]]:
    """What the installation wrote down, by the name of the job."""
    code = (
        "import json; from cryptopredict.operations.models import TaskRun\n"
        "fields = ('name', 'state', 'deliveries', 'result', 'traceback', 'arguments')\n"
        "print(json.dumps(list(TaskRun.objects.values(*fields))))"
    )
    return {row["name"]: row for row in json.loads(installation.evaluate(code))}


@pytest.mark.django_db
class TestRecord:
    def test_it_follows_a_job_from_queue_to_success(self) -> None:
        runs.record_queued("1", "markets.sync_specific_cryptocurrency", ["bitcoin"], {})
        run = TaskRun.objects.get(task_id="1")
        assert (run.state, run.deliveries, run.arguments["args"]) == (State.QUEUED, 0, ["bitcoin"])
        assert runs.record_delivery("1", run.name, ["bitcoin"], {}) == 1
        run.refresh_from_db()
        assert run.state == State.RUNNING
        assert run.started_at is not None
        runs.record_end("1", State.SUCCEEDED, result="done")
        run.refresh_from_db()
        assert (run.state, run.result) == (State.SUCCEEDED, "done")
        assert run.finished_at is not None

    def test_it_counts_deliveries_and_starts_anew_when_the_job_retries_itself(self) -> None:
        assert [runs.record_delivery("1", "job", [], {}) for _ in range(3)] == [1, 2, 3]
        runs.record_retry("1", "upstream is down")
        run = TaskRun.objects.get(task_id="1")
        assert (run.state, run.deliveries) == (State.RETRIED, 0)

    def test_it_writes_a_job_down_that_nobody_noted_when_it_was_queued(self) -> None:
        runs.record_delivery("unseen", "job", [], {})
        assert TaskRun.objects.get().task_id == "unseen"

    def test_it_ends_runs_that_never_came_back_and_forgets_old_ones(self) -> None:
        def made(task_id: str, state: State, age: timedelta) -> TaskRun:
            at = NOW - age
            return TaskRun.objects.create(task_id=task_id, name="job", state=state, queued_at=at, started_at=at)

        lost = made("lost", State.RUNNING, timedelta(hours=2))
        fresh = made("fresh", State.RUNNING, timedelta(minutes=30))
        made("old", State.SUCCEEDED, timedelta(days=31))
        assert runs.tidy(NOW) == (1, 1)
        lost.refresh_from_db()
        fresh.refresh_from_db()
        assert (lost.state, fresh.state) == (State.FAILED, State.RUNNING)
        assert not TaskRun.objects.filter(task_id="old").exists()


@pytest.mark.slow
class TestWorkers:
    def test_it_writes_down_how_jobs_end(self, installation: Installation, tmp_path: Path) -> None:
        installation.queue("test.note", [[str(tmp_path), "well"]])
        installation.queue("test.fail", [[]])
        installation.queue("test.retry_twice", [[str(tmp_path)]])
        installation.start_worker("-P", "prefork", "-c", "1")
        wait_for(
            "all ended", lambda: {run["state"] for run in read_runs(installation).values()} == {"succeeded", "failed"}
        )
        found = read_runs(installation)
        assert found["test.note"]["state"] == "succeeded"
        assert found["test.note"]["arguments"]["args"] == [str(tmp_path), "well"]
        assert found["test.fail"]["state"] == "failed"
        assert found["test.fail"]["result"] == "ValueError: as it should"
        assert "jobs.py" in found["test.fail"]["traceback"]
        assert found["test.retry_twice"]["state"] == "succeeded"
        assert lines(tmp_path / "started").count("try 2") == 1

    def test_it_drops_a_waiting_job_that_was_called_off(self, installation: Installation, tmp_path: Path) -> None:
        installation.queue("test.note", [[str(tmp_path), "called off"]])
        installation.evaluate(
            "from cryptopredict.operations.models import TaskRun\n"
            "from cryptopredict.operations.control import cancel_task\n"
            "from cryptopredict.operations.audit import Channel\n"
            "cancel_task(run=TaskRun.objects.get(), by=None, channel=Channel.PAGE)"
        )
        installation.queue("test.fail", [[]])
        installation.start_worker("-P", "prefork", "-c", "1")
        wait_for("the next one ended", lambda: read_runs(installation)["test.fail"]["state"] == "failed")
        assert read_runs(installation)["test.note"]["state"] == "cancelled"
        assert lines(tmp_path / "started") == []
        wait_for("its message is gone", lambda: not list(tmp_path.glob("var/*/broker/*/**/*.json")), 10)

    @pytest.mark.faults
    def test_it_quarantines_a_job_after_three_deliveries_and_goes_on_with_others(
        self, installation: Installation, tmp_path: Path
    ) -> None:
        installation.queue("test.kill_worker", [[str(tmp_path)]])
        installation.queue("test.note", [[str(tmp_path), "after"]])
        installation.start_worker("-P", "prefork", "-c", "1")
        wait_for(
            "the poison is quarantined",
            lambda: read_runs(installation)["test.kill_worker"]["state"] == "quarantined",
            60,
            installation.log,
        )
        assert lines(tmp_path / "started").count("kill") == 3
        assert "ended its worker 3 times" in read_runs(installation)["test.kill_worker"]["result"]
        wait_for("the other job is done", lambda: lines(tmp_path / "done") == ["after"], log=installation.log)
        wait_for("the queue is empty", lambda: not list(tmp_path.glob("var/*/broker/*/**/*.json")), 10)
