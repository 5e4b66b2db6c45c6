"""The command that trains a starter model on a folder of prices and writes it with its model card."""

import argparse
import platform
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from predictions.forecasting.backtest import EWMA_N, FHS, LINEAR_HEAD, LSTM, BacktestResult, run_backtest, summary_json
from predictions.forecasting.drift import reference_of
from predictions.forecasting.features import candle_names, feature_names, step_names
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.frequency import FREQUENCIES
from predictions.forecasting.labels import Evidence
from predictions.forecasting.recipe import RECIPES
from predictions.forecasting.series import Panel
from predictions.forecasting.training import Trained, save, train

# The recipe was chosen on earlier years, so nothing from here on has had a say in it.
VALIDATE_FROM = date(2023, 10, 1)
REFIT_DAYS = 366
STEP_DAYS = {"daily": 1.0, "hourly": 7 / 24}  # seven hours reach every hour of the day within a week
SOURCES = {
    "daily": "CoinGecko's daily chart: USD price at 00:00 UTC of each date",
    "hourly": "hourly candles in USDT, of which the opening price is forecast",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read `--data`, validate walk-forward, train on all of it and write `--out`."""
    options = _parse(arguments)
    if options.out.exists() and any(options.out.iterdir()):
        raise SystemExit(f"{options.out} is not empty: remove it first")
    frequency = FREQUENCIES[options.frequency]
    panel = read_csv_folder(options.data, frequency=frequency)
    source = options.source or SOURCES[options.frequency]
    print(f"{len(panel.coins)} coins, {panel.dates[0]} to {panel.dates[-1]}")
    held_out = hold_out(panel, start=options.validate_from, seed=options.seed)
    recipe = RECIPES[options.frequency][0]
    trained = train(panel, cutoff=panel.last_date, recipe=recipe, seed=options.seed, progress=_print_progress)
    command = command_of(options.frequency)
    extra = {
        "kind": "starter",
        "command": command,
        "source": source,
        "validation": summary_json(held_out),
        "reference": reference_of(panel),  # a new site stores none of the days that it was trained on
    }
    save(trained, options.out, extra=extra, card=write_card(trained, panel, held_out, source=source))
    print(f"written to {options.out}")


def command_of(frequency: str) -> str:
    """The command that makes the starter model of a frequency from prices in DIR."""
    choice = "" if frequency == "daily" else f" --frequency {frequency}"
    return f"python -m predictions.forecasting.starter{choice} --data DIR --out predictions/starter/{frequency}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="predictions.forecasting.starter", description=__doc__)
    parser.add_argument("--frequency", choices=sorted(FREQUENCIES), default="daily")
    parser.add_argument("--data", type=Path, required=True, help="folder of <coin id>.csv: prices, or hourly candles")
    parser.add_argument("--out", type=Path, required=True, help="new or empty folder for the model")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--validate-from", type=date.fromisoformat, default=VALIDATE_FROM, help="first cutoff of the back-test"
    )
    parser.add_argument("--source", help="where the prices come from, for the model card")
    return parser.parse_args(arguments)


def _print_progress(done: float, loss: float) -> None:
    print(f"{done:4.0%}  loss {loss:.4f}")


def hold_out(panel: Panel, *, start: date, seed: int) -> BacktestResult:
    """Forecasts from `start` on, each by a model trained only on what came before its last refit."""
    last = panel.dates[-1].astype("datetime64[D]").astype(object)
    return run_backtest(
        panel,
        start=start,
        end=last,
        refit_every_days=REFIT_DAYS,
        step_days=STEP_DAYS[panel.frequency.name],
        models=(LSTM, LINEAR_HEAD, FHS, EWMA_N),
        seed=seed,
    )


def write_card(trained: Trained, panel: Panel, held_out: BacktestResult, *, source: str) -> str:
    """The model card in Markdown."""
    metrics, recipe = trained.metrics, trained.recipe
    names, noun = feature_names(recipe), recipe.steps.noun
    first_forecast = held_out.features.dates[held_out.rows.days[0]]
    start = f"{recipe.steps.min_steps} {noun}s"
    lines = [
        f"# Starter model, {recipe.frequency}",
        "",
        "One LSTM for all coins. It forecasts the width and shape of a price band, never a direction: the "
        "median is a fixed one, close to no change.",
        "",
        "## Data",
        f"- Source: {source}.",
        f"- {len(panel.coins)} coins, delisted and collapsed ones included, {panel.dates[0]} to "
        f"{panel.dates[-1]}; {metrics['rows']:,} forecast origins of {metrics['coins']} coins on "
        f"{metrics['dates']:,} dates ({metrics['first_date']} to {metrics['last_date']}) were trained on. "
        f"Stable and other near-constant coins are left out, as are origins within {start} of a listing or of "
        f"a gap of more than 3 {noun}s.",
        f"- SHA-256 of the prices: `{trained.dataset_sha256}`.",
        "",
        "## Model",
        *_towers(trained),
        f"- Features: {', '.join(names)}.",
        f"- Horizons ({noun}s): {', '.join(map(str, recipe.horizons))}. "
        f"Quantiles: {', '.join(map(str, recipe.levels))}.",
        f"- {recipe.epochs} epochs, seed {trained.seed}, {metrics['seconds']} s, {metrics['peak_memory_mb']} "
        f"MB at the peak with the back-test before it, Python {platform.python_version()}.",
        "",
        "## Validation",
        f"A back-test, not evidence: the same recipe, refitted every {REFIT_DAYS} days on what was known by then, "
        f"forecasting every {_spacing(held_out)} from {first_forecast} to {panel.dates[-1]}. CRPS of log-returns; n "
        "counts dates; every figure is weighted by date; intervals are 95 % from a moving-block bootstrap "
        "over dates, blank where there are too few dates for one.",
        "",
        *_validation_table(held_out, noun),
        "",
        "Positive skill means a lower CRPS than the named baseline: FHS is a random walk with the pooled "
        "empirical shape of past moves (by hour of day on hourly prices), EWMA-N one with a normal band.",
        "",
        "## Limits",
        "- It says nothing about direction and knows no news, no order books and no volumes.",
        "- A few years are a few market regimes: other years differ by more than the intervals suggest.",
        f"- A coin needs {start} without a gap of more than 3 {noun}s. Sudden collapses fall outside any band.",
        "- A site's own history is short at first: it retrains from this model as that grows.",
        "",
        "## Reproduce",
        f"With the same prices as one `<coin id>.csv` ({_columns(recipe.frequency)}) per coin in DIR, and an absent "
        "output folder:",
        "",
        f"    {command_of(recipe.frequency)} --seed {trained.seed}",
        "",
    ]
    return "\n".join(lines)


def _towers(trained: Trained) -> Iterator[str]:
    recipe, noun = trained.recipe, trained.recipe.steps.noun
    names, steps, candles = feature_names(recipe), step_names(recipe), candle_names(recipe)
    towers = f"{recipe.towers} towers whose log-widths are averaged" if recipe.towers > 1 else "a tower"
    plain_steps = [name for name in steps if name not in candles]
    yield (
        f"- {trained.metrics['parameters']:,} parameters in {towers}: an LSTM {recipe.lstm_units} on {recipe.window} "
        f"{noun}s of {len(plain_steps)} features and a linear head on {len(names) - len(candles)} features of the last "
        f"{noun}, with a loss of its own."
    )
    if candles:
        yield (
            f"- Where the highest and lowest prices within the {noun}s are known, a tower of {len(steps)} and "
            f"{len(names)} features takes its place, trained on those rows alone."
        )


def _columns(frequency: str) -> str:
    return "`date,price`" if frequency == "daily" else "`timestamp,open,high,low,close`"


def _spacing(held_out: BacktestResult) -> str:
    frequency = held_out.features.frequency
    steps = frequency.days(held_out.step_days)
    return frequency.noun if steps == 1 else f"{steps} {frequency.noun}s"


def _validation_table(held_out: BacktestResult, noun: str) -> Iterator[str]:
    yield f"| {noun}s | model | n dates | n forecasts | skill vs FHS | skill vs EWMA-N | 80 % band | 95 % band |"
    yield "|---|---|---|---|---|---|---|---|"
    for horizon in held_out.horizons:
        for model in (LSTM, LINEAR_HEAD):
            row = held_out.row(model, horizon)
            yield (
                f"| {horizon} | {model} | {row.n_dates} | {row.n_forecasts:,} | {_cell(row.against[FHS])} | "
                f"{_cell(row.against[EWMA_N])} | {row.coverage_80:.1%} | {row.coverage_95:.1%} |"
            )


def _cell(found: Evidence) -> str:
    interval = ""
    if found.interval is not None:
        interval = f" [{found.interval[0]:+.2%}, {found.interval[1]:+.2%}]"
    return f"{found.skill:+.2%}{interval} {found.label.value.replace('_', ' ')}"


if __name__ == "__main__":
    main()
