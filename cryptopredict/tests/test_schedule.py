"""The schedule: in code, in the database, and fit for the tasks there are."""

from datetime import timedelta

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from cryptopredict.celery import app
from cryptopredict.operations.arguments import check_arguments, registered_tasks
from cryptopredict.operations.scheduling import seed_schedule
from cryptopredict.schedule import SCHEDULE, Clock, Entry
from markets.models import Interval
from predictions.frequency import Frequency
from predictions.issuing import EVIDENCE_GRACE


def period(entry: Entry) -> timedelta:
    if isinstance(entry.when, timedelta):
        return entry.when
    if entry.when.day_of_week != "*":
        return timedelta(weeks=1)
    return timedelta(days=1) if entry.when.hour != "*" else timedelta(hours=1)


@pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.task)
def test_it_names_registered_tasks_only(entry: Entry) -> None:
    app.loader.import_default_modules()
    assert entry.task in app.tasks


@pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.task)
def test_it_drops_a_job_before_the_next_one_is_due(entry: Entry) -> None:
    assert timedelta(0) < entry.expires < period(entry)


@pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.name)
def test_it_gives_each_job_only_what_it_takes(entry: Entry) -> None:
    task = registered_tasks()[entry.task]
    assert check_arguments(task, entry.arguments) == entry.arguments


def test_it_issues_an_hour_twice_while_its_forecasts_still_count() -> None:
    (entry,) = (entry for entry in SCHEDULE if entry.task == "predictions.issue_hourly_forecasts")
    assert isinstance(entry.when, Clock)
    minutes = [timedelta(minutes=int(minute)) for minute in entry.when.minute.split(",")]
    ticks_at = Interval.FIVE_MINUTES.length  # the price of a full hour is there after the tick of its first slot
    assert ticks_at < minutes[0] < minutes[1] < EVIDENCE_GRACE[Frequency.HOUR]


def test_it_runs_each_job_as_often_as_it_should() -> None:
    periods = {entry.task: period(entry) for entry in SCHEDULE}
    assert periods["markets.sync_all_prices"] == timedelta(minutes=5)
    assert periods["markets.sync_historical_data"] == timedelta(hours=1)
    assert periods["markets.check_data_quality"] == timedelta(hours=1)
    assert periods["markets.discover_new_cryptocurrencies"] == timedelta(days=1)
    assert periods["markets.cleanup_old_data"] == timedelta(weeks=1)
    assert periods["predictions.issue_forecasts"] == timedelta(hours=1)
    assert periods["predictions.issue_hourly_forecasts"] == timedelta(hours=1)
    assert periods["predictions.score_due_forecasts"] == timedelta(hours=1)
    assert periods["predictions.train_model"] == timedelta(weeks=1)


@pytest.mark.django_db
class TestDatabase:
    def test_it_stores_every_entry_with_its_times(self) -> None:
        assert seed_schedule() == [entry.name for entry in SCHEDULE]
        prices = PeriodicTask.objects.get(task="markets.sync_all_prices")
        assert (prices.interval.every, prices.interval.period) == (300, "seconds")
        assert prices.expire_seconds == 290
        for entry in SCHEDULE:
            task = PeriodicTask.objects.get(name=entry.name)
            assert task.enabled
            if isinstance(entry.when, Clock):
                assert (task.crontab.minute, task.crontab.hour) == (entry.when.minute, entry.when.hour)
                assert str(task.crontab.timezone) == "UTC"

    def test_it_leaves_what_the_admin_changed_and_restores_what_is_missing(self) -> None:
        seed_schedule()
        slower = IntervalSchedule.objects.create(every=900, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.filter(task="markets.sync_all_prices").update(interval=slower, enabled=False)
        assert PeriodicTask.objects.get(name="Train an hourly model").kwargs == '{"frequency": "hourly"}'
        PeriodicTask.objects.get(name="Train a model").delete()
        assert seed_schedule() == ["Train a model"]
        prices = PeriodicTask.objects.get(task="markets.sync_all_prices")
        assert (prices.interval.every, prices.enabled) == (900, False)

    def test_it_adds_nothing_the_second_time(self) -> None:
        seed_schedule()
        count = PeriodicTask.objects.count()
        assert seed_schedule() == []
        assert PeriodicTask.objects.count() == count
