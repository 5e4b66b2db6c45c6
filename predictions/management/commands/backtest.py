"""manage.py backtest: a walk-forward back-test on the stored history or on a folder of CSV files."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from predictions.forecasting.backtest import MODELS, run_backtest, write_csv
from predictions.forecasting.labels import Evidence
from predictions.forecasting.series import Panel, read_csv_folder
from predictions.forecasting.training import NotEnoughData
from predictions.history import TRAINING_DAYS, NoHistory, read_panel


class Command(BaseCommand):
    help = "Forecasts every day of a past period with models that saw nothing after each cutoff, and scores them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, help="folder of <coin>.csv files instead of the stored history")
        parser.add_argument("--start", type=date.fromisoformat, help="first cutoff (default: 120 days before the end)")
        parser.add_argument("--end", type=date.fromisoformat, help="last cutoff (default: the last day)")
        parser.add_argument("--refit-days", type=int, default=120, help="days between two fits")
        parser.add_argument("--models", default=",".join(MODELS), help="comma-separated, of " + ", ".join(MODELS))
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--output", type=Path, help="CSV file of every forecast")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            panel = self._panel(options["data"])
            end = options["end"] or panel.last_date
            start = options["start"] or end - timedelta(days=120)
            result = run_backtest(
                panel,
                start=start,
                end=end,
                refit_every_days=options["refit_days"],
                models=options["models"].split(","),
                seed=options["seed"],
                progress=lambda done, total: self.stderr.write(f"fit {done} of {total}"),
            )
        except (ValueError, FileNotFoundError, NoHistory, NotEnoughData) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Back-test {start} to {end}, every figure weighted by date. Not evidence.")
        for row in result.summary:
            against = "; ".join(f"{name} {self._words(evidence)}" for name, evidence in row.against.items())
            self.stdout.write(
                f"{row.model:>9} {row.horizon:>2} d  n={row.n_dates} dates  CRPS {row.crps:.5f}  "
                f"80 % band holds {row.coverage_80:.1%}  skill vs {against}"
            )
        if options["output"]:
            self.stdout.write(f"{write_csv(result, options['output'])} forecasts written to {options['output']}.")

    def _panel(self, folder: Path | None) -> Panel:
        if folder is not None:
            return read_csv_folder(folder)
        return read_panel(cutoff_on=timezone.now().date(), days=TRAINING_DAYS)

    @staticmethod
    def _words(evidence: Evidence) -> str:
        skill = "—" if evidence.skill is None else f"{evidence.skill:+.2%}"
        interval = "" if evidence.interval is None else f" [{evidence.interval[0]:+.2%}, {evidence.interval[1]:+.2%}]"
        return f"{skill}{interval} ({evidence.label})"
