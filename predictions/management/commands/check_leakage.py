"""manage.py check_leakage: looks for anything after a cutoff that reaches a forecast."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.forecasting.artifact import ArtifactError, read_artifact
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.frequency import FREQUENCIES
from predictions.forecasting.leakage import run_checks, simulated_panel, subject_of


class Command(BaseCommand):
    help = "Alters, cuts and plants prices around a cutoff and checks that no forecast before it changes by one bit."
    requires_system_checks = []  # noqa: RUF012  (needs no database)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", help="folder of <coin>.csv files (default: a simulated market)")
        parser.add_argument("--frequency", default="daily", help="daily or hourly")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["frequency"]
        if name not in FREQUENCIES or (name == "hourly" and not options["data"]):
            raise CommandError("--frequency is daily, or hourly with --data.")
        try:
            artifact = read_artifact(
                settings.STARTER_MODEL_DIR if name == "daily" else settings.HOURLY_STARTER_MODEL_DIR
            )
            frequency = FREQUENCIES[name]
            panel = (
                read_csv_folder(Path(options["data"]), frequency=frequency) if options["data"] else simulated_panel()
            )
            found = list(run_checks(subject_of(panel, artifact)))
        except (ValueError, OSError, ArtifactError) as error:
            raise CommandError(str(error)) from error
        for check, leak in found:
            sentence = (check.__doc__ or check.__name__).strip()
            self.stdout.write(f"{'LEAK' if leak else 'ok  '}  {sentence}" + (f" {leak}." if leak else ""))
        if any(leak for _, leak in found):
            raise CommandError("Something after a cutoff reaches a forecast.")
