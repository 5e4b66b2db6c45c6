"""manage.py train_model: trains and validates a model on this site's own history."""

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions import training
from predictions.frequency import Frequency
from predictions.history import NoHistory


class Command(BaseCommand):
    help = "Trains an LSTM on the stored history, validates it on held-out days and registers it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cutoff", type=date.fromisoformat, help="last day to learn from (YYYY-MM-DD)")
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--frequency", choices=[one.word for one in Frequency], default=Frequency.DAY.word)

    def handle(self, *args: Any, **options: Any) -> None:
        from predictions.forecasting.training import NotEnoughData

        frequency = Frequency.named(options["frequency"])
        try:
            model = training.train_model(
                frequency=frequency,
                cutoff_on=options["cutoff"],
                seed=options["seed"],
                tell=lambda line: self.stderr.write(line),
            )
        except (NoHistory, NotEnoughData) as error:
            raise CommandError(f"No model was trained: {error}") from error
        self.stdout.write(f"{model.version}: {model.get_state_display()}, {model.rows} windows of {model.coins} coins.")
        for row in model.metrics["validation"]["rows"]:
            if row["model"] == "lstm":
                fhs = row["against"]["fhs"]
                self.stdout.write(
                    f"  {row['horizon']:>2} {frequency.noun}s against FHS: skill {fhs['skill']:+.2%} over "
                    f"{fhs['n_dates']} dates, {fhs['label']} (back-test, not evidence)"
                )
