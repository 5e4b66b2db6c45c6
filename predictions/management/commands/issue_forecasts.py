"""manage.py issue_forecasts: freezes the forecasts of the newest closed day or hour."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions import issuing, registry
from predictions.forecasting.artifact import ArtifactError
from predictions.frequency import Frequency
from predictions.history import NoHistory
from predictions.registry import NoModel


class Command(BaseCommand):
    help = "Issues the forecasts that are missing for the newest closed day or hour; installs the starter model first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--frequency", choices=[one.word for one in Frequency], default=Frequency.DAY.word)

    def handle(self, *args: Any, **options: Any) -> None:
        frequency = Frequency.named(options["frequency"])
        try:
            registry.install_starter_model(frequency)
            issue = issuing.issue_forecasts(frequency=frequency)
        except (NoModel, NoHistory, ArtifactError) as error:
            raise CommandError(f"No forecasts were issued: {error}") from error
        at = issue.cutoff_on if frequency is Frequency.DAY else f"{issue.cutoff_at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"{issue.forecasts} forecasts of {issue.coins} coins at {at} by {issue.model}.")
        for coin, reason in sorted(issue.refused.items()):
            self.stdout.write(f"  {coin}: {reason}")
