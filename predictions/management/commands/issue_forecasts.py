"""manage.py issue_forecasts: freezes the forecasts of the newest closed day."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from predictions import issuing, registry
from predictions.forecasting.artifact import ArtifactError
from predictions.history import NoHistory
from predictions.registry import NoModel


class Command(BaseCommand):
    help = "Issues the forecasts that are missing for the newest closed day; installs the starter model if none serves."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            registry.install_starter_model()
            issue = issuing.issue_forecasts()
        except (NoModel, NoHistory, ArtifactError) as error:
            raise CommandError(f"No forecasts were issued: {error}") from error
        self.stdout.write(f"{issue.forecasts} forecasts of {issue.coins} coins at {issue.cutoff_on} by {issue.model}.")
        for coin, reason in sorted(issue.refused.items()):
            self.stdout.write(f"  {coin}: {reason}")
