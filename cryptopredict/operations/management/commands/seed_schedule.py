"""Adds the scheduled jobs that are not in the database yet."""

from typing import Any

from django.core.management.base import BaseCommand

from cryptopredict.operations.scheduling import seed_schedule


class Command(BaseCommand):
    help = "Adds the scheduled jobs that are not in the database yet; leaves all others as they are."

    def handle(self, *args: Any, **options: Any) -> None:
        added = seed_schedule()
        self.stdout.write(f"Added: {', '.join(added)}." if added else "Nothing to add.")
