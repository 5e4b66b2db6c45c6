"""A back-test's forecasts as CSV: one row per coin, cutoff, horizon and model, quantiles in US dollars."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from predictions.forecasting.backtest import BacktestResult
from predictions.forecasting.quantiles import LEVELS, short_level_name

HEADER = ("coin", "cutoff", "target", "horizon", "model", *map(short_level_name, LEVELS))


def csv_rows(result: BacktestResult) -> Iterator[list[str]]:
    """The header, then every forecast; cutoff and target are dates, or hours in UTC."""
    yield list(HEADER)
    features, rows = result.features, result.rows
    mark = "" if features.frequency.steps_per_day == 1 else ":00Z"
    for i, (day, column) in enumerate(zip(rows.days, rows.coins, strict=True)):
        price, cutoff = features.prices[day, column], features.dates[day]
        for h, horizon in enumerate(result.horizons):
            target = cutoff + features.frequency.span(horizon)
            start = [features.coins[column], f"{cutoff}{mark}", f"{target}{mark}", str(horizon)]
            for model, quantiles in result.log_quantiles.items():
                yield [*start, model, *(f"{value:.9g}" for value in (price * np.exp(quantiles[i, h])).tolist())]


def write_csv(result: BacktestResult, path: Path) -> int:
    """Write `csv_rows` to `path`; returns the number of forecasts written."""
    count = -1
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        for row in csv_rows(result):
            writer.writerow(row)
            count += 1
    return count
