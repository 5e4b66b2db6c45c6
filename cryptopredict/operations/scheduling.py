"""Brings the schedule that is written in code into the database, without undoing what the admin changed."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from cryptopredict.schedule import SCHEDULE, Clock, Entry
from markets import planning

WEEK_SECONDS = 7 * 86_400


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
        kwargs=json.dumps(entry.arguments),
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


def schedule_entries() -> QuerySet[PeriodicTask]:
    """All entries with their times, by name."""
    return PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked").order_by("name")


def period_seconds(entry: PeriodicTask) -> float | None:
    """How often an entry is due on average; None for one that is due once, or by the sun."""
    if entry.interval is not None:
        return float(entry.interval.schedule.run_every.total_seconds())
    if entry.crontab is None:
        return None
    times = entry.crontab.schedule
    runs_a_week = len(times.minute) * len(times.hour) * len(times.day_of_week)
    share_of_days = len(times.day_of_month) / 31 * len(times.month_of_year) / 12
    return WEEK_SECONDS / (runs_a_week * share_of_days)


def describe_times(entry: PeriodicTask) -> str:
    """When an entry is due, in words."""
    if entry.interval is not None:
        return f"every {describe_seconds(entry.interval.schedule.run_every.total_seconds())}"
    if entry.crontab is not None:
        return str(entry.crontab.human_readable)
    return str(entry.solar or entry.clocked or "never")


def describe_seconds(seconds: float) -> str:
    """The largest unit that counts a period without a rest: 5 minutes, 90 seconds."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {name}s" if count != 1 else name
    return f"{seconds:.0f} seconds"


def next_run_at(entry: PeriodicTask, now: datetime) -> datetime | None:
    """When an entry is due next; None while it is off."""
    if not entry.enabled:
        return None
    schedule = entry.schedule
    # What beat takes for the start of an entry that never ran.
    last = entry.last_run_at or entry.date_changed or now
    return now + max(schedule.remaining_estimate(last), timedelta(0))


def periods_of(entries: Iterable[PeriodicTask]) -> dict[str, float]:
    """The period of each job that the entries queue; a job with several entries runs as often as all together."""
    rates: dict[str, float] = defaultdict(float)
    for entry in entries:
        period = period_seconds(entry)
        if entry.enabled and period:
            rates[entry.task] += 1 / period
    return {task: 1 / rate for task, rate in rates.items()}


def check_entries(changed: Iterable[PeriodicTask]) -> None:
    """Raises ScheduleDoesNotFit, with the arithmetic, when the schedule with these entries breaks the call budget."""
    entries = {entry.pk: entry for entry in schedule_entries()}
    for number, entry in enumerate(changed):
        entries[entry.pk or -1 - number] = entry
    planning.check_periods(periods_of(entries.values()))


def change_entry(
    *, entry: PeriodicTask, is_enabled: bool | None = None, period: int | None = None, record: Callable[[], object]
) -> PeriodicTask:
    """Turns an entry on or off or changes how often it is due; `record` writes the audit entry.

    Raises ScheduleDoesNotFit when it would break the call budget; then nothing is changed.
    """
    with transaction.atomic():
        # One change at a time: two that fit one by one must not pass together.
        list(PeriodicTask.objects.select_for_update().order_by("pk").values_list("pk"))
        entry = schedule_entries().get(pk=entry.pk)
        if is_enabled is not None:
            entry.enabled = is_enabled
        if period is not None:
            entry.interval, _ = IntervalSchedule.objects.get_or_create(every=period, period=IntervalSchedule.SECONDS)
            entry.crontab = entry.solar = entry.clocked = None
            entry.expire_seconds = expiry_of(entry.expire_seconds, period)
        check_entries([entry])
        entry.save()
        record()
    return entry


def expiry_of(now: int | None, period: int) -> int:
    """How long a job may wait for a worker: less than its period, for by then the next one is due."""
    longest = max(period - 10, period // 2, 1)
    return min(now or longest, longest)
