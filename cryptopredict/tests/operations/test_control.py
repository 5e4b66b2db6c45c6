"""Starting, calling off and repeating jobs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery.exceptions import Ignore
from django.db import connection
from kombu.exceptions import OperationalError

from accounts.models import User
from cryptopredict.celery import app
from cryptopredict.operations import control, runs
from cryptopredict.operations.arguments import BadArguments, NotRunnable, registered_tasks
from cryptopredict.operations.audit import Channel
from cryptopredict.operations.jobs import Job
from cryptopredict.operations.models import AuditEntry, TaskRun
from cryptopredict.operations.progress import progress_of
from markets.models import SyncRun
from predictions.models import TrainedModel

State = TaskRun.State
PRICES, COIN = "markets.sync_all_prices", "markets.sync_specific_cryptocurrency"


def start(by: User, name: str = PRICES, **arguments: Any) -> TaskRun:
    return control.queue_task(name=name, arguments=arguments, by=by, channel=Channel.API)


@pytest.mark.django_db
class TestQueue:
    def test_it_queues_a_job_with_its_audit_entry(
        self, staff_user: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        sent: list[tuple[Any, ...]] = []
        task = registered_tasks()[COIN]
        monkeypatch.setattr(type(task), "apply_async", lambda self, **options: sent.append((self.name, options)))
        with django_capture_on_commit_callbacks(execute=True):
            run = start(staff_user, COIN, coingecko_id="bitcoin")
            assert sent == [], "a worker must not be faster than the transaction"
        assert sent == [(COIN, {"kwargs": {"coingecko_id": "bitcoin"}, "task_id": run.task_id})]
        assert (run.state, run.queue, run.queued_by) == (State.QUEUED, "ingest", staff_user)
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target, entry.detail["task_id"]) == ("task.run", COIN, run.task_id)

    @pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.RETRIED])
    def test_it_starts_no_second_while_one_waits_or_runs(self, staff_user: User, state: State) -> None:
        there = TaskRun.objects.create(task_id="1", name=COIN, state=state, arguments={"args": ["bitcoin"]})
        with pytest.raises(control.AlreadyActive) as refusal:
            start(staff_user, COIN, coingecko_id="bitcoin")
        assert refusal.value.run == there
        assert not AuditEntry.objects.exists()
        assert start(staff_user, COIN, coingecko_id="ethereum").state == State.QUEUED

    def test_it_takes_a_default_that_is_given_for_the_default(self, staff_user: User) -> None:
        TaskRun.objects.create(task_id="1", name="markets.sync_historical_data", state=State.RUNNING)
        with pytest.raises(control.AlreadyActive):
            start(staff_user, "markets.sync_historical_data", follow_up=True)
        assert start(staff_user, "markets.sync_historical_data", follow_up=False)

    def test_it_starts_one_again_when_the_last_has_ended(self, staff_user: User) -> None:
        for i, state in enumerate((State.SUCCEEDED, State.FAILED, State.QUARANTINED, State.CANCELLED)):
            TaskRun.objects.create(task_id=str(i), name=PRICES, state=state)
        assert start(staff_user).state == State.QUEUED

    @pytest.mark.parametrize("name", ["markets.no_such_job", "celery.backend_cleanup", "predictions.prepare_model", ""])
    def test_it_starts_declared_jobs_only(self, staff_user: User, name: str) -> None:
        with pytest.raises(NotRunnable):
            start(staff_user, name)
        assert not TaskRun.objects.exists()

    @pytest.mark.parametrize(
        ("arguments", "faults"),
        [
            ({}, {"coingecko_id"}),
            ({"coingecko_id": 7}, {"coingecko_id"}),
            ({"coingecko_id": "../secrets"}, {"coingecko_id"}),
            ({"coingecko_id": "x" * 201}, {"coingecko_id"}),
            ({"coingecko_id": "bitcoin", "colour": "red"}, {"colour"}),
            ({"colour": "red"}, {"colour", "coingecko_id"}),
        ],
    )
    def test_it_names_every_argument_that_the_job_does_not_take(
        self, staff_user: User, arguments: dict[str, Any], faults: set[str]
    ) -> None:
        with pytest.raises(BadArguments) as refusal:
            start(staff_user, COIN, **arguments)
        assert set(refusal.value.faults) == faults

    def test_it_says_so_when_the_broker_does_not_take_the_job(
        self, staff_user: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        def refuse(*args: Any, **options: Any) -> None:
            raise OperationalError("no broker")

        monkeypatch.setattr(type(registered_tasks()[PRICES]), "apply_async", refuse)
        with pytest.raises(control.BrokerDown), django_capture_on_commit_callbacks(execute=True):
            start(staff_user)
        assert TaskRun.objects.get().state == State.FAILED, "it blocks no other one"


def test_it_starts_one_only_however_many_ask_at_once(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    person = User.objects.create_user("staff@example.org", "correct horse battery", is_staff=True)
    published: list[str] = []
    monkeypatch.setattr(control, "_publish", lambda task, given, task_id: published.append(task_id))
    start_line = threading.Barrier(8)

    def ask() -> str:
        start_line.wait(10)
        try:
            return start(person).task_id
        except control.AlreadyActive as refusal:
            return refusal.run.task_id
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
    assert len(set(answers)) == 1
    assert published == [answers[0]]
    assert TaskRun.objects.count() == AuditEntry.objects.count() == 1


@pytest.mark.django_db
class TestCancel:
    def cancel(self, run: TaskRun, by: User) -> TaskRun:
        return control.cancel_task(run=run, by=by, channel=Channel.API, reason="too slow")

    def test_it_calls_off_a_job_that_waits(self, staff_user: User) -> None:
        run = self.cancel(start(staff_user), staff_user)
        assert run.state == State.CANCELLED
        assert run.finished_at is not None
        entry = AuditEntry.objects.get(action="task.cancel")
        assert (entry.reason, entry.detail) == ("too slow", {"task_id": run.task_id, "was": "waiting"})

    def test_it_asks_a_job_that_runs_and_its_sync_to_stop(self, staff_user: User) -> None:
        run = TaskRun.objects.create(task_id="1", name=PRICES, state=State.RUNNING)
        mine = SyncRun.objects.create(kind="prices", task_id="1")
        other = SyncRun.objects.create(kind="prices", task_id="2")
        assert self.cancel(run, staff_user).state == State.RUNNING
        for sync in (mine, other):
            sync.refresh_from_db()
        assert (mine.is_cancel_requested, other.is_cancel_requested) == (True, False)
        later = SyncRun.objects.create(kind="history", task_id="1")
        later.refresh_from_db()
        assert later.is_cancel_requested, "one that is begun afterwards is asked too"

    @pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED, State.QUARANTINED])
    def test_it_refuses_what_has_ended(self, staff_user: User, state: State) -> None:
        run = TaskRun.objects.create(task_id="1", name=PRICES, state=state)
        with pytest.raises(control.WrongState):
            self.cancel(run, staff_user)
        assert not AuditEntry.objects.exists()

    def test_a_job_that_was_called_off_does_not_run_when_it_is_delivered(self, staff_user: User) -> None:
        run = self.cancel(start(staff_user), staff_user)
        ran: list[str] = []

        @app.task(name="test.ran", base=Job)
        def job() -> None:
            ran.append("it ran")

        try:
            job.push_request(id=run.task_id, called_directly=False, is_eager=False)
            with pytest.raises(Ignore):
                job()
        finally:
            job.pop_request()
            app.tasks.unregister("test.ran")
        run.refresh_from_db()
        assert (ran, run.state) == ([], State.CANCELLED)
        assert (run.deliveries, run.started_at) == (0, None), "nothing looks as if it had run"

    def test_a_job_that_was_asked_to_stop_and_lost_its_worker_does_not_start_anew(self) -> None:
        TaskRun.objects.create(task_id="1", name=PRICES, state=State.RUNNING, is_cancel_requested=True)
        runs.record_delivery("1", PRICES, [], {})
        assert runs.is_called_off("1")
        assert TaskRun.objects.get().state == State.CANCELLED

    @pytest.mark.parametrize(
        ("sync_state", "expected"), [("cancelled", State.CANCELLED), ("succeeded", State.SUCCEEDED)]
    )
    def test_it_tells_a_job_that_stopped_early_from_one_that_came_to_its_end(
        self, sync_state: str, expected: State
    ) -> None:
        TaskRun.objects.create(task_id="1", name=PRICES, state=State.RUNNING, is_cancel_requested=True)
        run = SyncRun.objects.create(kind="prices", task_id="1")
        SyncRun.objects.filter(pk=run.pk).update(state=sync_state, finished_at=run.started_at)
        runs.record_end("1", State.SUCCEEDED)
        assert TaskRun.objects.get().state == expected


@pytest.mark.django_db
class TestRetry:
    def test_it_queues_the_same_job_under_a_new_id(self, staff_user: User) -> None:
        old = TaskRun.objects.create(task_id="1", name=COIN, state=State.FAILED, arguments={"args": ["bitcoin"]})
        new = control.retry_task(run=old, by=staff_user, channel=Channel.API)
        assert new.task_id != old.task_id
        assert new.arguments["kwargs"] == {"coingecko_id": "bitcoin"}
        assert AuditEntry.objects.get().action == "task.retry"

    @pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.RETRIED])
    def test_it_refuses_what_has_not_ended(self, staff_user: User, state: State) -> None:
        run = TaskRun.objects.create(task_id="1", name=PRICES, state=state)
        with pytest.raises(control.WrongState):
            control.retry_task(run=run, by=staff_user, channel=Channel.API)


@pytest.mark.django_db
def test_it_counts_the_progress_of_syncs_and_trainings(django_assert_num_queries: Any) -> None:
    sync = TaskRun.objects.create(task_id="1", name=PRICES, state=State.RUNNING)
    training = TaskRun.objects.create(task_id="2", name="predictions.train_model", state=State.RUNNING)
    SyncRun.objects.create(kind="prices", task_id="1", done=1, total=9)
    SyncRun.objects.create(kind="prices", task_id="1", done=3, total=9, calls=4)
    TrainedModel.objects.create(
        version="m", state=TrainedModel.State.TRAINING, origin="own", done=20, total=80, metrics={"task_id": "2"}
    )
    with django_assert_num_queries(2):
        found = progress_of([sync, training])
    assert (found["1"].done, found["1"].total, found["1"].calls) == (3, 9, 4), "the newer sync counts"
    assert (found["2"].done, found["2"].total) == (20, 80)
