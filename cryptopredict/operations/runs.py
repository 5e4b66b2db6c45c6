"""What is written down about each run of a job, from the moment it is queued to its end."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from cryptopredict.operations.models import TaskRun
from markets.models import SyncRun

KEEP = timedelta(days=30)
GIVEN_UP_AFTER = timedelta(hours=1)  # a job's hard time limit is half an hour


def record_queued(task_id: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], queue: str = "") -> None:
    """Notes a job that is being queued; one that is queued again by a retry stays as it is."""
    # A savepoint: should this fail, the caller's transaction and its job are not lost with it.
    with transaction.atomic():
        TaskRun.objects.get_or_create(
            task_id=task_id, defaults={"name": name, "arguments": _arguments(args, kwargs), "queue": queue[:60]}
        )


def record_delivery(task_id: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Notes that a worker took the job up and returns how often that has happened by now; 0 if it succeeded before."""
    record_queued(task_id, name, args, kwargs)
    mine = TaskRun.objects.filter(task_id=task_id)
    updated = mine.exclude(state__in=[TaskRun.State.SUCCEEDED, TaskRun.State.CANCELLED]).update(
        deliveries=F("deliveries") + 1,
        state=TaskRun.State.RUNNING,
        started_at=timezone.now(),
        finished_at=None,
    )
    return mine.values_list("deliveries", flat=True).get() if updated else 0


def is_called_off(task_id: str) -> bool:
    """Whether staff called the job off before this delivery; asked after the delivery was noted.

    A job that was asked to stop and is delivered again, because its worker died, does not start anew either.
    """
    mine = TaskRun.objects.filter(task_id=task_id, is_cancel_requested=True)
    if not mine.exists():
        return False
    mine.exclude(state=TaskRun.State.CANCELLED).update(
        state=TaskRun.State.CANCELLED, finished_at=timezone.now(), result="Called off before it ran again."
    )
    return True


def record_end(task_id: str, state: TaskRun.State, *, result: str = "", traceback: str = "") -> None:
    if state == TaskRun.State.SUCCEEDED and _stopped_early(task_id):
        state = TaskRun.State.CANCELLED
    TaskRun.objects.filter(task_id=task_id).update(
        state=state, finished_at=timezone.now(), result=result[:2000], traceback=traceback[-20_000:]
    )


def _stopped_early(task_id: str) -> bool:
    """Whether a job that came to its end did so because it was asked to stop."""
    was_asked = TaskRun.objects.filter(task_id=task_id, is_cancel_requested=True).exists()
    return was_asked and SyncRun.objects.filter(task_id=task_id, state=SyncRun.State.CANCELLED).exists()


def record_retry(task_id: str, reason: str) -> None:
    """The job asked to be run again itself, so its deliveries are counted anew."""
    TaskRun.objects.filter(task_id=task_id).update(state=TaskRun.State.RETRIED, deliveries=0, result=reason[:2000])


def tidy(now: datetime) -> tuple[int, int]:
    """Ends runs that never came back, forgets old ones; returns how many of each."""
    lost = TaskRun.objects.filter(state=TaskRun.State.RUNNING, started_at__lt=now - GIVEN_UP_AFTER)
    ended = lost.update(state=TaskRun.State.FAILED, finished_at=now, result="It never came back: its worker ended.")
    forgotten, _ = TaskRun.objects.filter(queued_at__lt=now - KEEP).delete()
    return ended, forgotten


def _arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Jobs take ids and short texts only, which is what makes them fit to be shown here."""
    return {"args": list(args), "kwargs": dict(kwargs)} if args or kwargs else {}
