"""The schedule in the admin."""

from typing import Any

import pytest
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from pytest_django import Settings

from accounts.models import User
from cryptopredict.operations.models import AuditEntry
from cryptopredict.operations.scheduling import describe_seconds, period_seconds, seed_schedule

ADMIN = "/admin/django_celery_beat/"


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", "correct horse battery"))
    seed_schedule()
    return client


def prices() -> PeriodicTask:
    return PeriodicTask.objects.select_related("interval").get(name="Sync all prices")


def form_of(entry: PeriodicTask, **changes: Any) -> dict[str, Any]:
    values = {
        "name": entry.name, "regtask": entry.task, "task": entry.task, "enabled": "on", "interval": entry.interval_id,
        "args": "[]", "kwargs": "{}", "headers": "{}", "expire_seconds": entry.expire_seconds,
    }  # fmt: skip
    return {**values, **changes}


def test_it_refuses_a_period_that_breaks_the_call_budget_with_the_sum(root: Client, settings: Settings) -> None:
    settings.COINGECKO_MONTHLY_CREDITS = 10_000
    minute = IntervalSchedule.objects.create(every=60, period="seconds")
    entry = prices()
    answer = root.post(f"{ADMIN}periodictask/{entry.pk}/change/", form_of(entry, interval=minute.pk))
    assert "44,640 calls in 31 days" in answer.content.decode()
    assert prices().interval.every == 300
    assert not AuditEntry.objects.exists()


def test_it_accepts_one_that_fits_and_logs_it(root: Client) -> None:
    slow = IntervalSchedule.objects.create(every=600, period="seconds")
    entry = prices()
    answer = root.post(f"{ADMIN}periodictask/{entry.pk}/change/", form_of(entry, interval=slow.pk))
    assert answer.status_code == 302, answer.content.decode()[:5000]
    assert prices().interval.every == 600
    assert AuditEntry.objects.get().action == "admin.change"


def test_it_refuses_to_enable_what_does_not_fit(root: Client, settings: Settings) -> None:
    PeriodicTask.objects.update(enabled=False)
    settings.COINGECKO_MONTHLY_CREDITS = 100
    data = {"action": "enable_tasks", "_selected_action": [prices().pk]}
    page = root.post(f"{ADMIN}periodictask/", data, follow=True).content.decode()
    assert "Nothing was changed. The schedule does not fit" in page
    assert not PeriodicTask.objects.filter(enabled=True).exists()
    settings.COINGECKO_MONTHLY_CREDITS = 10_000
    root.post(f"{ADMIN}periodictask/", data)
    assert prices().enabled


def test_it_lets_nobody_change_times_behind_an_entrys_back(root: Client) -> None:
    assert root.get(f"{ADMIN}intervalschedule/").status_code == 200
    assert root.get(f"{ADMIN}crontabschedule/").status_code == 200
    change = {"every": 1, "period": "seconds"}
    assert root.post(f"{ADMIN}intervalschedule/{prices().interval_id}/change/", change).status_code == 403
    assert prices().interval.every == 300


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"minute": "*/15"}, 900),
        ({"minute": "0", "hour": "*/6"}, 21_600),
        ({"minute": "0", "hour": "0", "day_of_month": "1"}, 31 * 86_400),
        ({"minute": "1,2", "hour": "3", "day_of_week": "0"}, 302_400),
    ],
)
def test_it_knows_how_often_a_time_of_day_comes(fields: dict[str, str], seconds: float) -> None:
    assert period_seconds(PeriodicTask(crontab=CrontabSchedule(**fields))) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5 minutes"), (90, "90 seconds"), (3600, "hour"), (172_800, "2 days")]
)
def test_it_names_a_period_in_its_largest_unit(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text
