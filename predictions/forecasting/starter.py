"""The command that trains the starter model on a folder of daily prices and writes it with its model card."""

import argparse
import platform
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from predictions.forecasting.backtest import EWMA_N, FHS, LINEAR_HEAD, LSTM, BacktestResult, run_backtest, summary_json
from predictions.forecasting.features import FEATURES, STEP_FEATURES
from predictions.forecasting.labels import Evidence
from predictions.forecasting.quantiles import HORIZONS
from predictions.forecasting.series import Panel, read_csv_folder
from predictions.forecasting.training import Trained, save, train

# The recipe was chosen on earlier years, so nothing from here on has had a say in it.
VALIDATE_FROM = date(2024, 1, 1)
REFIT_DAYS = 180
COMMAND = "python -m predictions.forecasting.starter --data DIR --out predictions/starter"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read `--data`, validate walk-forward, train on all of it and write `--out`."""
    options = _parse(arguments)
    if options.out.exists() and any(options.out.iterdir()):
        raise SystemExit(f"{options.out} is not empty: remove it first")
    panel = read_csv_folder(options.data)
    print(f"{len(panel.coins)} coins, {panel.dates[0]} to {panel.last_date}")
    held_out = hold_out(panel, start=options.validate_from, seed=options.seed)
    trained = train(panel, cutoff=panel.last_date, seed=options.seed, progress=_print_epoch)
    extra = {
        "kind": "starter",
        "command": COMMAND,
        "source": options.source,
        "validation": summary_json(held_out),
    }
    save(trained, options.out, extra=extra, card=write_card(trained, panel, held_out, source=options.source))
    print(f"written to {options.out}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="predictions.forecasting.starter", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of <coin id>.csv with date and price")
    parser.add_argument("--out", type=Path, required=True, help="new or empty folder for the model")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--validate-from", type=date.fromisoformat, default=VALIDATE_FROM, help="first cutoff of the back-test"
    )
    parser.add_argument(
        "--source",
        default="CoinGecko's daily chart: USD price at 00:00 UTC of each date",
        help="where the prices come from, for the model card",
    )
    return parser.parse_args(arguments)


def _print_epoch(epoch: int, epochs: int, loss: float) -> None:
    print(f"epoch {epoch} of {epochs}: loss {loss:.4f}")


def hold_out(panel: Panel, *, start: date, seed: int) -> BacktestResult:
    """Forecasts of every day from `start` on, each by a model trained only on what came before its last refit."""
    models = (LSTM, LINEAR_HEAD, FHS, EWMA_N)
    return run_backtest(panel, start=start, end=panel.last_date, refit_every_days=REFIT_DAYS, models=models, seed=seed)


def write_card(trained: Trained, panel: Panel, held_out: BacktestResult, *, source: str) -> str:
    """The model card in Markdown."""
    metrics, recipe = trained.metrics, trained.recipe
    first_forecast = held_out.features.dates[held_out.rows.days[0]]
    lines = [
        "# Starter model",
        "",
        "One LSTM for all coins. It forecasts the width and shape of a price band, never a direction: the "
        "median is a fixed one, close to no change.",
        "",
        "## Data",
        f"- Source: {source}.",
        f"- {len(panel.coins)} coins, delisted and collapsed ones included, {panel.dates[0]} to "
        f"{trained.cutoff}; {metrics['rows']:,} forecast origins of {metrics['coins']} coins on "
        f"{metrics['dates']:,} dates ({metrics['first_date']} to {metrics['last_date']}) were trained on. "
        "Stable and other near-constant coins are left out, as are origins within 90 days of a listing or of "
        "a gap of more than 3 days.",
        f"- SHA-256 of the prices: `{trained.dataset_sha256}`.",
        "",
        "## Model",
        f"- {metrics['parameters']:,} parameters: LSTM {recipe.lstm_units} on {recipe.window} days of "
        f"{len(STEP_FEATURES)} features, and a linear head on {len(FEATURES)} features of the last day.",
        f"- Features: {', '.join(FEATURES)}.",
        f"- Horizons (days): {', '.join(map(str, recipe.horizons))}. Quantiles: {', '.join(map(str, recipe.levels))}.",
        f"- {recipe.epochs} epochs, seed {trained.seed}, {metrics['seconds']} s, {metrics['peak_memory_mb']} "
        f"MB at the peak, Python {platform.python_version()}.",
        "",
        "## Validation",
        f"A back-test, not evidence: the same recipe, refitted every {REFIT_DAYS} days on what was known by then, "
        f"forecasting every day from {first_forecast} to {trained.cutoff}. CRPS of log-returns; n "
        "counts dates; every figure is weighted by date; intervals are 95 % from a moving-block bootstrap "
        "over dates, blank where there are too few dates for one.",
        "",
        *_validation_table(held_out),
        "",
        "Positive skill means a lower CRPS than the named baseline: FHS is a random walk with the pooled "
        "empirical shape of past moves, EWMA-N one with a normal band.",
        "",
        "## Limits",
        "- It says nothing about direction and knows no news, no order books and no volumes.",
        "- A few years are a few market regimes: other years differ by more than the intervals suggest.",
        "- A coin needs 90 days without a gap of more than 3 days. Sudden collapses fall outside any band.",
        "- A site's own history is short at first: it retrains from this model as that grows.",
        "",
        "## Reproduce",
        "With the same prices as one `<coin id>.csv` (`date,price`) per coin in DIR, and an absent output folder:",
        "",
        f"    {COMMAND} --seed {trained.seed}",
        "",
    ]
    return "\n".join(lines)


def _validation_table(held_out: BacktestResult) -> Iterator[str]:
    yield "| days | model | n dates | n forecasts | skill vs FHS | skill vs EWMA-N | 80 % band | 95 % band |"
    yield "|---|---|---|---|---|---|---|---|"
    for horizon in HORIZONS:
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
