"""Prices that move as a coin's do, the recorded market, and rows in the database."""

import csv
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from markets.models import Cryptocurrency, Interval, PriceData

NOW = datetime(2026, 3, 10, 12, 25, tzinfo=UTC)


def wander(count: int, *, daily: float = 0.03, seed: int = 7, start: float = 100.0) -> np.ndarray:
    """Prices whose moves have this size, fat tails included."""
    random = np.random.default_rng(seed)
    return np.asarray(start * np.exp(np.cumsum(daily * random.standard_t(6, count).clip(-4, 4))))


def write(
    coin: Cryptocurrency, interval: str, first: datetime, closes: Sequence[float] | np.ndarray, **columns: float
) -> None:
    """Slots in a row from `first` on, each opening where the one before closed; NaN leaves a slot out."""
    length = Interval(interval).length
    rows = []
    for place, close in enumerate(closes):
        if np.isnan(close):
            continue
        opening = closes[place - 1] if place and not np.isnan(closes[place - 1]) else close
        rows.append(
            PriceData(
                coin=coin, interval=interval, at=first + place * length, open=opening, close=close,
                high=max(opening, close), low=min(opening, close), **columns,
            )
        )  # fmt: skip
    PriceData.objects.bulk_create(rows)


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(
        coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True, price_usd=100.0, price_at=NOW
    )


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of recorded prices; tests that use it are marked `shared`."""
    default = Path(__file__).resolve().parents[3] / ".." / "shared"
    folder = Path(os.environ.get("CRYPTOPREDICT_SHARED", default)).resolve() / "data"
    assert folder.is_dir(), f"{folder} is not there: set CRYPTOPREDICT_SHARED or run with -m 'not shared'"
    return folder


Stored = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_days(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(day numbers, prices at 00:00 UTC) of a daily file."""
    with path.open(encoding="utf-8") as file:
        rows = [(row["date"], float(row["price"])) for row in csv.DictReader(file) if row["price"]]
    days = [datetime.fromisoformat(day).toordinal() for day, _ in rows]
    return np.array(days), np.array([price for _, price in rows])


def stored_days(path: Path) -> Stored:
    """(slots, opens, closes) as a daily file is stored: a price opens its day and closes the day before."""
    days, prices = read_days(path)
    whole = np.nonzero(np.diff(days) == 1)[0]
    return days[whole], prices[whole], prices[whole + 1]


def read_candles(path: Path, seconds: int) -> Stored:
    with path.open(encoding="utf-8") as file:
        rows = [(row["timestamp"], float(row["open"]), float(row["close"])) for row in csv.DictReader(file)]
    slots = [int(datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()) // seconds for at, _, _ in rows]
    return np.array(slots), np.array([first for _, first, _ in rows]), np.array([last for _, _, last in rows])
