"""manage.py report_goals: measures the forecasting goals on a folder of recorded prices and writes the report."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.forecasting.goals_report import measure, write_report
from predictions.forecasting.training import NotEnoughData


class Command(BaseCommand):
    help = "Runs the walk-forward back-tests behind docs/forecasting-report.md; takes some minutes."
    requires_system_checks = []  # noqa: RUF012  (needs no database)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, required=True, help="folder that holds daily/ and hourly/")
        parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            measured = measure(options["data"], self.stderr.write)
        except (ValueError, OSError, NotEnoughData) as error:
            raise CommandError(str(error)) from error
        options["out"].write_text(write_report(measured))
        for goal in measured.goals():
            self.stdout.write(f"{goal.name:>4} {'reached' if goal.reached else 'MISSED '} {goal.what}: {goal.found}")
