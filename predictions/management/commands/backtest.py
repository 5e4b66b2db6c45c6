"""manage.py backtest: a walk-forward back-test on a folder of CSV files or on the stored history."""

import json
import os
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from predictions.forecasting.backtest import BacktestResult, full_report_json, run_backtest
from predictions.forecasting.folders import read_coin_list, read_csv_folder
from predictions.forecasting.frequency import FREQUENCIES
from predictions.forecasting.labels import Evidence
from predictions.forecasting.rows_csv import write_csv
from predictions.forecasting.series import Panel
from predictions.forecasting.training import NotEnoughData
from predictions.frequency import Frequency
from predictions.history import NoHistory, training_panel


class Command(BaseCommand):
    help = "Forecasts a past period with models that saw nothing after each cutoff, and scores them."
    requires_system_checks = []  # noqa: RUF012  (a folder of prices is enough to run on)

    def add_arguments(self, parser: CommandParser) -> None:
        # Values are parsed in `handle`: a bad one is one sentence and exit status 1, not argparse's usage and 2.
        parser.add_argument("--frequency", default="daily", help="daily or hourly")
        parser.add_argument("--data", help="folder of <coin>.csv files; without it the stored history")
        parser.add_argument("--start", help="first cutoff, YYYY-MM-DD (default: 120 days before the end)")
        parser.add_argument("--end", help="last cutoff, YYYY-MM-DD (default: the last day)")
        parser.add_argument("--step", default="1", help="days between two cutoffs; of hours, 0.25 is six hours")
        parser.add_argument("--retrain", default="120", help="days between two fits")
        parser.add_argument("--horizons", help="comma-separated, in days or hours (default: all)")
        parser.add_argument("--coins", help="file with the coins to forecast, one a line (default: all)")
        parser.add_argument("--seed", default="7")
        parser.add_argument("--out", help="CSV file of every forecast; the metrics go beside it as .json")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result, start, end = self._run(options)
        except (ValueError, OSError, NoHistory, NotEnoughData) as error:
            raise CommandError(_one_sentence(error)) from error
        self._tell(result, start, end)
        if options["out"]:
            out = Path(options["out"])
            report = full_report_json(result, start=start) | {"start": str(start), "end": str(end)}
            try:
                count = _write_both(result, report | {"retrain_days": int(options["retrain"])}, out)
            except OSError as error:
                raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
            self.stdout.write(f"{count} forecasts written to {out}, metrics to {out.with_suffix('.json')}.")

    def _run(self, options: dict[str, Any]) -> tuple[BacktestResult, date, date]:
        if options["frequency"] not in FREQUENCIES:
            raise ValueError(f"--frequency is daily or hourly, not {options['frequency']}")
        given = {name: _date(name, options[name]) for name in ("start", "end")}
        step, retrain = _number("step", options["step"]), int(_number("retrain", options["retrain"], whole=True))
        seed = int(_number("seed", options["seed"], whole=True))
        horizons = _horizons(options["horizons"])
        if given["start"] and given["end"] and given["end"] < given["start"]:
            raise ValueError(f"--end {given['end']} is before --start {given['start']}")
        if options["out"] and not Path(options["out"]).resolve().parent.is_dir():
            raise ValueError(f"there is no folder {Path(options['out']).parent} to write to")
        coins = read_coin_list(Path(options["coins"])) if options["coins"] else None
        panel = self._panel(options)
        if coins is not None and (unknown := [coin for coin in coins if coin not in panel.coins]):
            raise ValueError(f"there are no prices of {unknown[0]}, which {options['coins']} names")
        last = panel.last_date
        end = given["end"] or (last.date() if hasattr(last, "date") else last)
        start = given["start"] or end - timedelta(days=120)
        result = run_backtest(
            panel,
            start=start,
            end=end,
            refit_every_days=retrain,
            horizons=horizons,
            seed=seed,
            step_days=step,
            coins=coins,
            progress=lambda done, total: self.stderr.write(f"fit {done} of {total}"),
        )
        if not len(result.rows):
            raise ValueError(f"no coin has enough history for a forecast from {start} to {end}")
        return result, start, end

    def _panel(self, options: dict[str, Any]) -> Panel:
        frequency = FREQUENCIES[options["frequency"]]
        if options["data"]:
            return read_csv_folder(Path(options["data"]), frequency=frequency)
        return training_panel(frequency=Frequency.named(frequency.name), cutoff_on=timezone.now().date())

    def _tell(self, result: BacktestResult, start: date, end: date) -> None:
        self.stdout.write(f"Back-test {start} to {end}, every figure weighted by date. Not evidence.")
        unit = result.features.frequency.unit
        for row in result.summary:
            against = "; ".join(f"{name} {_words(evidence)}" for name, evidence in row.against.items())
            self.stdout.write(
                f"{row.model:>9} {row.horizon:>2} {unit}  n={row.n_dates} dates  CRPS {row.crps:.5f}  "
                f"80 % band holds {row.coverage_80:.1%}  skill vs {against}"
            )


def _words(evidence: Evidence) -> str:
    skill = "—" if evidence.skill is None else f"{evidence.skill:+.2%}"
    interval = "" if evidence.interval is None else f" [{evidence.interval[0]:+.2%}, {evidence.interval[1]:+.2%}]"
    return f"{skill}{interval} ({evidence.label})"


def _date(name: str, text: str | date | None) -> date | None:
    if text is None or isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--{name} is a date as 2024-01-31, not {text!r}") from None


def _number(name: str, text: Any, *, whole: bool = False) -> float:
    try:
        value = float(int(text)) if whole else float(text)
    except (TypeError, ValueError):
        raise ValueError(f"--{name} is a {'whole ' if whole else ''}number, not {text!r}") from None
    if not 0 < value < 100_000 and name != "seed":
        raise ValueError(f"--{name} is more than 0, not {text}")
    return value


def _horizons(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise ValueError(f"--horizons are numbers as 1,7,30, not {text!r}") from None


def _one_sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    is_file = any(mark in text.split()[0] for mark in "./")
    return f"{text if is_file else text[0].upper() + text[1:]}."


def _write_both(result: BacktestResult, report: dict[str, Any], out: Path) -> int:
    """Writes the CSV and the JSON beside their final names first, so that neither appears alone or in part."""
    with tempfile.TemporaryDirectory(dir=out.resolve().parent, prefix=".backtest-") as folder:
        rows, metrics = Path(folder) / "rows", Path(folder) / "metrics"
        count = write_csv(result, rows)
        metrics.write_text(json.dumps(report, indent=1, sort_keys=True, default=str) + "\n")
        os.replace(metrics, out.with_suffix(".json"))
        os.replace(rows, out)
    return count
