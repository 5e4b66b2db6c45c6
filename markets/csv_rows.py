"""Reads one row of an imported CSV file: slots with their four prices, or one price a day. No database here."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from markets.coingecko.series import floor_time
from markets.ingest import Slot
from markets.models import Interval

SLOT_COLUMNS = ("id", "interval", "at", "open", "high", "low", "close", "volume", "market_cap")
DAILY_COLUMNS = ("id", "date", "price", "market_cap", "volume")
NUMBER = re.compile(r"\d{1,30}(\.\d{0,40})?([eE][+-]?\d{1,3})?|\.\d{1,40}([eE][+-]?\d{1,3})?")
FORMULA = ("=", "+", "-", "@")
FIRST_YEAR = 2009  # before any coin
ID_LENGTH = 150


@dataclass(frozen=True)
class RowError:
    """One fault of one cell."""

    line: int
    field: str
    code: str
    message: str

    def at(self, line: int) -> "RowError":
        return RowError(line, self.field, self.code, self.message)


class BadRow(ValueError):
    """A row with faults, each of them named."""

    def __init__(self, faults: list[RowError]) -> None:
        super().__init__(faults[0].message)
        self.faults = faults


@dataclass(frozen=True)
class SlotRow:
    """One slot of one coin."""

    id: str
    interval: Interval
    slot: Slot

    @property
    def key(self) -> tuple[str, str, datetime]:
        return self.id, self.interval.value, self.slot.at


@dataclass(frozen=True)
class DailyPoint:
    """The price at 00:00 UTC of a date."""

    id: str
    at: datetime
    price: float
    market_cap: float | None
    volume_24h: float | None


class Row:
    """The cells of a row, read one after another while faults are collected."""

    def __init__(self, cells: dict[str, str]) -> None:
        self.cells = cells
        self.faults: list[RowError] = []

    def fault(self, name: str, code: str, message: str) -> None:
        self.faults.append(RowError(0, name, code, message))

    def coin_id(self) -> str:
        value = self.cells["id"]
        if not value:
            self.fault("id", "required", "A CoinGecko id is needed.")
        elif len(value) > ID_LENGTH or value.startswith(FORMULA):
            self.fault("id", "invalid", "This is no CoinGecko id.")
        return value

    def price(self, name: str) -> float:
        number = self.number(name)
        if number is None and not self.cells[name]:
            self.fault(name, "required", "A price is needed.")
        elif number == 0:
            self.fault(name, "not_positive", "A price is greater than zero.")
        return number or math.nan

    def number(self, name: str) -> float | None:
        """A number of zero or more; None when the cell is empty or, with a fault, when it is none."""
        text = self.cells[name]
        if not text:
            return None
        if text.startswith(FORMULA):
            self.fault(name, "invalid", "A formula or a sign stands where a number of zero or more is expected.")
        elif not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            self.fault(name, "invalid", "A number is expected, with a point for decimals and no separators.")
        else:
            return float(text)
        return None

    def cap(self) -> float | None:
        return self.number("market_cap") or None  # a cap of 0 means unknown

    def check(self) -> None:
        if self.faults:
            raise BadRow(self.faults)


def read_slot_row(cells: dict[str, str], now: datetime) -> SlotRow:
    """A slot that is over, on its interval's grid, with a low and a high that hold its open and close.

    Raises BadRow with every fault.
    """
    row = Row(cells)
    coin_id = row.coin_id()
    interval = _interval(row)
    at = _moment(row, interval, now)
    first, high, low, last = (row.price(name) for name in ("open", "high", "low", "close"))
    if high < max(first, last) or high < low:
        row.fault("high", "below_others", "It is below the open, the close or the low.")
    if low > min(first, last):
        row.fault("low", "above_others", "It is above the open or the close.")
    volume, cap = row.number("volume"), row.cap()
    row.check()
    assert interval is not None
    assert at is not None
    return SlotRow(coin_id, interval, Slot(at, first, high, low, last, volume, cap, samples=1))


def read_daily_point(cells: dict[str, str], now: datetime) -> DailyPoint:
    """The price at 00:00 UTC of a date that has begun. Raises BadRow with every fault."""
    row = Row(cells)
    coin_id = row.coin_id()
    day: date | None = None
    try:
        day = date.fromisoformat(cells["date"])
    except ValueError:
        row.fault("date", "invalid", "A date like 2025-09-30 is expected.")
    at = datetime.combine(day, time(), tzinfo=UTC) if day else now
    _check_age(row, "date", at, now)
    price, cap, volume = row.price("price"), row.cap(), row.number("volume")
    row.check()
    return DailyPoint(coin_id, at, price, cap, volume)


def _interval(row: Row) -> Interval | None:
    try:
        return Interval(row.cells["interval"])
    except ValueError:
        row.fault("interval", "invalid_choice", f"It is one of {', '.join(Interval.values)}.")
        return None


def _moment(row: Row, interval: Interval | None, now: datetime) -> datetime | None:
    try:
        at = datetime.fromisoformat(row.cells["at"])
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        row.fault("at", "invalid", "A time in ISO 8601 is expected, like 2025-09-30T14:00Z.")
        return None
    length = interval.length if interval else timedelta(0)
    if interval and floor_time(at, length) != at:
        row.fault("at", "off_grid", f"A slot of {interval.value} does not begin then.")
    _check_age(row, "at", at, now - length)
    return at


def _check_age(row: Row, name: str, at: datetime, now: datetime) -> None:
    if at > now:
        row.fault(name, "in_future", "It is not over yet.")
    elif at.year < FIRST_YEAR:
        row.fault(name, "out_of_range", f"A time from {FIRST_YEAR} on is expected.")
