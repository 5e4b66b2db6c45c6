"""Brings the schedule that is written in code into the database, without undoing what the admin changed."""

from datetime import timedelta

from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from cryptopredict.schedule import SCHEDULE, Clock, Entry


@transaction.atomic
def seed_schedule() -> list[str]:
    """Adds the entries whose names are missing in the database and returns those names."""
    known = set(PeriodicTask.objects.values_list("name", flat=True))
    missing = [entry for entry in SCHEDULE if entry.name not in known]
    for entry in missing:
        _add(entry)
    return [entry.name for entry in missing]


def _add(entry: Entry) -> None:
    task = PeriodicTask(
        name=entry.name,
        task=entry.task,
        description=entry.description,
        expire_seconds=int(entry.expires.total_seconds()),
    )
    if isinstance(entry.when, Clock):
        when = entry.when
        task.crontab, _ = CrontabSchedule.objects.get_or_create(
            minute=when.minute,
            hour=when.hour,
            day_of_week=when.day_of_week,
            day_of_month="*",
            month_of_year="*",
            timezone="UTC",
        )
    else:
        seconds = int(entry.when / timedelta(seconds=1))
        task.interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
    task.save()
