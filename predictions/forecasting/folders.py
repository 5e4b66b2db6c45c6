"""Folders of CSV files, one per coin: daily prices, or hourly candles whose opening prices are the panel's."""

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from predictions.forecasting.candles import Candles
from predictions.forecasting.frequency import DAILY_STEPS, Frequency
from predictions.forecasting.series import Panel, build_panel

# A candle is named by the moment it opens; its close is the next row's opening price.
COLUMNS = {"daily": ("date", "price"), "hourly": ("timestamp", "open")}
CANDLE = ("open", "high", "low", "close")


def read_csv_folder(path: Path, *, frequency: Frequency = DAILY_STEPS, coins: Sequence[str] | None = None) -> Panel:
    """A panel from `<coin id>.csv` files with `date` and `price`, or hourly ones with `timestamp` and `open`.

    With `high`, `low` and `close` beside `open` it also has what the hours realised, each known when it has closed.
    All files by default, else those of `coins`. FileNotFoundError without any such file or without the file
    of a named coin, ValueError naming the file and line of a bad value.
    """
    folder = Path(path)
    files = sorted(folder.glob("*.csv")) if coins is None else [folder / f"{coin}.csv" for coin in coins]
    if not files:
        raise FileNotFoundError(f"no CSV files in {path}")
    if missing := [file.stem for file in files if not file.is_file()]:
        raise FileNotFoundError(f"no file {missing[0]}.csv in {path}")
    candles = Candles()
    panel = build_panel((row for file in files for row in _read_csv(file, frequency, candles)), frequency=frequency)
    return candles.onto(panel)


def read_coin_list(path: Path) -> list[str]:
    """Coin ids from a text file, one a line or in the first column of a CSV; ValueError if it holds none."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a list of coins: {error}") from error
    names = [line.split(",")[0].strip() for line in lines]
    coins = [name for name in dict.fromkeys(names) if name and not name.startswith("#") and name not in {"coin", "id"}]
    if not coins:
        raise ValueError(f"{path} names no coins")
    return coins


def _read_csv(file: Path, frequency: Frequency, candles: Candles) -> Iterator[tuple[str, date, float | None]]:
    stamp_name, price_name = COLUMNS[frequency.name]
    rows = None
    try:
        with file.open(newline="") as lines:
            rows = csv.reader(lines)
            header = next(rows, [])
            if not {stamp_name, price_name} <= set(header):
                raise ValueError(f"needs the columns {stamp_name} and {price_name}")
            stamp, price = header.index(stamp_name), header.index(price_name)
            has_candles = frequency is not DAILY_STEPS and set(CANDLE) <= set(header)
            places = [header.index(name) for name in CANDLE] if has_candles else []
            for row in filter(None, rows):
                at = _moment(row[stamp], frequency)
                if places:
                    candles.add(file.stem, at, [float(row[place] or "nan") for place in places])
                yield file.stem, at, float(row[price]) if row[price] else None
    except (ValueError, IndexError, OSError, csv.Error) as error:
        place = f"line {rows.line_num}: " if rows is not None and rows.line_num > 1 else ""
        raise ValueError(f"{file.name}: {place}{error}") from error


def _moment(text: str, frequency: Frequency) -> date:
    if frequency is DAILY_STEPS:
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
