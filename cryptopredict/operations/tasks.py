"""The jobs that look after the record of jobs."""

from celery import shared_task
from django.utils import timezone

from cryptopredict.operations import heartbeats, runs


@shared_task(name="operations.tidy_task_runs", expires=3300)
def tidy_task_runs() -> str:
    """Ends runs that never came back and forgets old ones, and processes long gone."""
    now = timezone.now()
    ended, forgotten = runs.tidy(now)
    heartbeats.forget_silent(now)
    return f"{ended} ended, {forgotten} forgotten"
