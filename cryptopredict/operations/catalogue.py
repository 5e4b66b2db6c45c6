"""The registered jobs and the schedule's entries, described for staff."""

import inspect
from collections import defaultdict
from datetime import datetime
from typing import Any, get_type_hints

from celery import Task
from django_celery_beat.models import PeriodicTask

from cryptopredict.operations.arguments import RUNNABLE, parameters_of, queue_of, registered_tasks
from cryptopredict.operations.scheduling import describe_times, next_run_at, period_seconds, schedule_entries


def describe_tasks() -> list[dict[str, Any]]:
    """Every job of the site by name; the schedule is read once for all."""
    times: dict[str, list[str]] = defaultdict(list)
    for entry in schedule_entries():
        if entry.enabled:
            times[entry.task].append(describe_times(entry))
    return [
        {
            "name": name,
            "description": inspect.cleandoc(task.__doc__ or "").partition("\n")[0],
            "queue": queue_of(name),
            "is_runnable": name in RUNNABLE,
            "parameters": describe_parameters(task),
            "schedule": times[name],
        }
        for name, task in registered_tasks().items()
    ]


def describe_parameters(task: Task[Any, Any]) -> list[dict[str, Any]]:
    hints = get_type_hints(task.run)
    return [
        {
            "name": name,
            "type": getattr(hints.get(name, str), "__name__", str(hints.get(name))),
            "is_required": parameter.default is parameter.empty,
        }
        for name, parameter in parameters_of(task).items()
    ]


def describe_entry(entry: PeriodicTask, now: datetime) -> dict[str, Any]:
    """One entry of the schedule."""
    return {
        "name": entry.name,
        "task": entry.task,
        "description": entry.description,
        "is_enabled": entry.enabled,
        "times": describe_times(entry),
        "period_seconds": period_seconds(entry),
        "last_run_at": entry.last_run_at,
        "next_run_at": next_run_at(entry, now),
    }
