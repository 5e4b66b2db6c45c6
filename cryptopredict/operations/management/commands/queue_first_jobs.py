"""Queues the jobs that lead a new installation to its first forecasts."""

from typing import Any

from django.core.management.base import BaseCommand

from cryptopredict.operations.first_start import queue_first_jobs


class Command(BaseCommand):
    help = "Queues prices, history, model and forecasts, unless there are forecasts or these jobs are under way."

    def handle(self, *args: Any, **options: Any) -> None:
        queued = queue_first_jobs()
        self.stdout.write("The first jobs are queued." if queued else "Nothing to queue.")
