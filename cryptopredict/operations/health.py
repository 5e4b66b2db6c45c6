"""Whether this process can serve: each check names what it looked at and what is wrong with it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max, Min
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from cryptopredict.operations import heartbeats
from cryptopredict.operations.models import Heartbeat, TaskRun

# The most frequent job comes every five minutes; beat writes its times down every three.
BEAT_SILENT_AFTER = timedelta(minutes=15)
QUEUE_STUCK_AFTER = timedelta(minutes=15)
QUARANTINE_SHOWN_FOR = timedelta(days=1)


def database_problem() -> str:
    """Empty when the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return "The database does not answer."
    return ""


# Once every migration of this process's code is applied it stays so: the files are read and compared only until then.
_are_migrations_applied = False


def migrations_problem() -> str:
    """Empty when every migration is applied."""
    global _are_migrations_applied
    if _are_migrations_applied:
        return ""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "The database does not answer."
    _are_migrations_applied = not pending
    return f"{len(pending)} migrations are not applied: run manage.py migrate." if pending else ""


READINESS: dict[str, Callable[[], str]] = {"database": database_problem, "migrations": migrations_problem}


def readiness() -> dict[str, str]:
    """The problem of each check by its name; empty texts when all is well."""
    return {name: check() for name, check in READINESS.items()}


def beat_problem(now: datetime | None = None, signs: list[Heartbeat] | None = None) -> str:
    """Empty when beat gives signs of life and has queued a job lately, which it writes into its schedule."""
    now = now or timezone.now()
    sign = heartbeats.last_beat(heartbeats.signs_of_life() if signs is None else signs)
    if sign is not None and now - sign > heartbeats.SILENT_AFTER:
        return f"Beat has given no sign of life since {sign:%Y-%m-%d %H:%M:%S} UTC."
    found = PeriodicTask.objects.filter(enabled=True).aggregate(last=Max("last_run_at"), written=Max("date_changed"))
    last, written = found["last"], found["written"]
    if last is None:
        # Beat waits one period before it queues the first job of a new schedule.
        is_new = written is not None and now - written <= BEAT_SILENT_AFTER
        return "" if is_new else "Beat has queued nothing yet."
    if now - last > BEAT_SILENT_AFTER:
        return f"Beat has queued nothing since {last:%Y-%m-%d %H:%M} UTC."
    return ""


def workers_problem(now: datetime | None = None, signs: list[Heartbeat] | None = None) -> str:
    """Empty when every queue has a worker that gives signs of life and no queued job waits longer than it should.

    Training waits its turn and is left out of the second.
    """
    now = now or timezone.now()
    if silent := heartbeats.silent_workers(heartbeats.signs_of_life() if signs is None else signs, now):
        queues, last = ", ".join(sorted(silent)), max(silent.values())
        return f"No worker of {queues} has given a sign of life since {last:%Y-%m-%d %H:%M:%S} UTC."
    waiting = TaskRun.objects.filter(state=TaskRun.State.QUEUED).exclude(name="predictions.train_model")
    oldest = waiting.aggregate(oldest=Min("queued_at"))["oldest"]
    if oldest is not None and now - oldest > QUEUE_STUCK_AFTER:
        return f"Jobs wait for a worker since {oldest:%Y-%m-%d %H:%M} UTC."
    return ""


def quarantine_problem(now: datetime | None = None) -> str:
    """Empty when no job had to be quarantined lately."""
    since = (now or timezone.now()) - QUARANTINE_SHOWN_FOR
    found = TaskRun.objects.filter(state=TaskRun.State.QUARANTINED, finished_at__gte=since)
    names = sorted(set(found.values_list("name", flat=True)))
    return f"Jobs that kept ending their worker are quarantined: {', '.join(names)}." if names else ""


JOBS: dict[str, Callable[[], str]] = {
    "beat": beat_problem,
    "workers": workers_problem,
    "quarantine": quarantine_problem,
}


def job_problems(signs: list[Heartbeat] | None = None) -> list[str]:
    """What is wrong with beat, the workers and the jobs; `signs` of life may have been read already."""
    signs = heartbeats.signs_of_life() if signs is None else signs
    found = (beat_problem(signs=signs), workers_problem(signs=signs), quarantine_problem())
    return [text for text in found if text]
