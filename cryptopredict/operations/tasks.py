"""The jobs that look after the record of jobs."""

from celery import shared_task
from django.utils import timezone

from cryptopredict.operations import runs


@shared_task(name="operations.tidy_task_runs", expires=3300)
def tidy_task_runs() -> str:
    """Ends runs that never came back and forgets those older than a month."""
    ended, forgotten = runs.tidy(timezone.now())
    return f"{ended} ended, {forgotten} forgotten"
