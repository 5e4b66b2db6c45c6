"""Reads the CSV files of a replay folder into columns, and says which file and line it cannot read."""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from markets.sample.market import Coin
from markets.sample.noise import FloatArray

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
TAIL_BYTES = 4096
DAILY_HEADER = ["date", "price", "market_cap", "volume"]
CANDLE_HEADER = ["timestamp", "open", "high", "low", "close", "volume"]


class ReplayDataError(ValueError):
    """The replay folder cannot be read; the message names the file."""


@dataclass(frozen=True)
class DailyFile:
    """Rows on consecutive days from `first_day` (days since 1970); NaN where a day or a value is missing."""

    first_day: int
    prices: FloatArray
    market_caps: FloatArray
    volumes: FloatArray


class LastRow(NamedTuple):
    """The end of a daily file; NaN where a value is unknown."""

    day: int
    price: float
    market_cap: float


@dataclass(frozen=True)
class Listing:
    """What `coins.csv` says of a coin: its names, and what fills the blanks in its rows."""

    coin: Coin
    circulating_supply: float  # NaN where unknown
    turnover: float  # traded value of 24 hours over market cap, NaN where unknown


def read_last_row(path: Path) -> LastRow:
    """Return the last row of a daily file without reading the rest of it."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read().decode().splitlines()
    try:
        day, price, market_cap, _ = lines[-1].split(",")
        return LastRow(_day_number(day), _number(price), _number(market_cap))
    except (IndexError, ValueError) as error:
        raise ReplayDataError(f"{path}: the last line is not `{','.join(DAILY_HEADER)}`: {error}") from error


def read_daily(path: Path) -> DailyFile:
    """Read one daily file; rows must be in order of date, days may be missing."""
    lines = path.read_text().splitlines()
    if not lines or lines[0].split(",") != DAILY_HEADER:
        raise ReplayDataError(f"{path}: the header must be `{','.join(DAILY_HEADER)}`")
    days: list[int] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            day, *cells = line.split(",")
            price, market_cap, volume = (_number(cell) for cell in cells)
            days.append(_day_number(day))
        except ValueError as error:
            raise ReplayDataError(f"{path}, line {number}: {error}") from error
        if len(days) > 1 and days[-1] <= days[-2]:
            raise ReplayDataError(f"{path}, line {number}: {day} does not follow the date before it")
        rows.append([price if price > 0.0 else np.nan, market_cap, volume])
    if not rows:
        raise ReplayDataError(f"{path}: no rows")
    filled = np.full((days[-1] - days[0] + 1, 3), np.nan)
    filled[np.array(days) - days[0]] = rows
    return DailyFile(days[0], filled[:, 0].copy(), filled[:, 1].copy(), filled[:, 2].copy())


def read_opening_prices(path: Path) -> tuple[FloatArray, FloatArray]:
    """Return the opening stamps (seconds since 1970) and opening prices of an hourly or five-minute file."""
    with path.open() as file:
        header = file.readline().rstrip("\n")
        if header.split(",") != CANDLE_HEADER:
            raise ReplayDataError(f"{path}: the header must be `{','.join(CANDLE_HEADER)}`")
        cells = [line.split(",", 2)[:2] for line in file]
    try:
        stamps = np.array([cell[0].rstrip("Z") for cell in cells], dtype="datetime64[s]").astype(np.float64)
        prices = np.array([cell[1] for cell in cells], dtype=np.float64)
    except (IndexError, ValueError) as error:
        raise ReplayDataError(f"{path}: {error}") from error
    return stamps, prices


def read_traded_values(path: Path) -> dict[int, float]:
    """Return the traded value in dollars of each day of a daily candle file, by day number."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if not {"date", "close", "volume"} <= set(reader.fieldnames or ()):
            raise ReplayDataError(f"{path}: needs the columns date, close and volume")
        try:
            return {_day_number(row["date"]): _number(row["volume"]) * _number(row["close"]) for row in reader}
        except ValueError as error:
            raise ReplayDataError(f"{path}, line {reader.line_num}: {error}") from error


def read_listings(path: Path) -> dict[str, Listing]:
    """Return the listings of a `coins.csv` by coin id; only the columns id, symbol and name must be there."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if not {"id", "symbol", "name"} <= set(reader.fieldnames or ()):
            raise ReplayDataError(f"{path}: needs the columns id, symbol and name")
        try:
            return {row["id"]: _listing(row) for row in reader}
        except ValueError as error:
            raise ReplayDataError(f"{path}, line {reader.line_num}: {error}") from error


def _listing(row: dict[str, str]) -> Listing:
    coin = Coin(
        id=row["id"],
        symbol=row["symbol"],
        name=row["name"],
        total_supply=_known(row.get("totalSupply")),
        max_supply=_known(row.get("maxSupply")),
    )
    market_cap = _number(row.get("marketCap"))
    turnover = _number(row.get("volume24h")) / market_cap if market_cap > 0.0 else np.nan
    return Listing(coin, _number(row.get("circulatingSupply")), turnover)


def _number(text: str | None) -> float:
    return float(text) if text else np.nan


def _day_number(text: str) -> int:
    return date.fromisoformat(text).toordinal() - EPOCH_ORDINAL


def _known(text: str | None) -> float | None:
    return float(text) if text else None
