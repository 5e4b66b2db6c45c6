"""manage.py verify_ledger: recomputes every hash and every score of the ledger from what is stored."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from predictions.ledger import verify_chain
from predictions.scoring import first_wrong_score


class Command(BaseCommand):
    help = "Walks the ledger from its first forecast on; ends with 1 and names the first row that is not as it was."

    def handle(self, *args: Any, **options: Any) -> None:
        report = verify_chain()
        if not report.is_intact:
            raise CommandError(f"Forecast {report.broken_at}: {report.problem}.", returncode=1)
        if (wrong := first_wrong_score()) is not None:
            raise CommandError(f"Forecast {wrong}: its scores do not follow from its outcome.", returncode=1)
        self.stdout.write(
            f"{report.length} forecasts, all as they were frozen and scored; the last hash is {report.head}."
        )
