"""Daily price panels: building, cleaning and deciding which coins have enough history to forecast."""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Dates = NDArray[np.datetime64]

MIN_DAYS = 90
MAX_GAP_DAYS = 3
NEAR_CONSTANT_RETURN = 0.006
NEAR_CONSTANT_DAYS = 365
MIN_DAYS_TO_JUDGE = 30
MIN_SHARE_OF_COINS = 0.5

NO_PRICE = "no price at cutoff"
NEAR_CONSTANT = "near-constant: stable or wrapped"


@dataclass(frozen=True)
class Panel:
    """Prices of many coins on consecutive days.

    `dates` (T,) datetime64[D] without holes; `coins` the N names in order; `prices` (T, N) in USD at 00:00
    UTC of the date, NaN where unknown.
    """

    dates: Dates
    coins: list[str]
    prices: Floats

    def __post_init__(self) -> None:
        if self.prices.shape != (len(self.dates), len(self.coins)):
            raise ValueError(f"prices are {self.prices.shape}, not {(len(self.dates), len(self.coins))}")
        if len(self.dates) > 1 and not (np.diff(self.dates) == np.timedelta64(1, "D")).all():
            raise ValueError("a panel's dates are consecutive days")

    def index_of(self, day: date) -> int:
        """Row of `day`; KeyError outside the panel."""
        row = int((np.datetime64(day, "D") - self.dates[0]).astype(int)) if len(self.dates) else -1
        if not 0 <= row < len(self.dates):
            raise KeyError(f"{day} is not in the panel")
        return row

    def until(self, cutoff: date) -> "Panel":
        """What was known at 00:00 UTC of `cutoff`: every later row is gone."""
        end = int(np.searchsorted(self.dates, np.datetime64(cutoff, "D"), side="right"))
        return Panel(self.dates[:end], self.coins, self.prices[:end])

    @property
    def last_date(self) -> date:
        """The newest date; IndexError for an empty panel."""
        return self.dates[-1].astype(object)


def build_panel(
    rows: Iterable[tuple[str, date, float | None]] | Mapping[str, Mapping[date, float | None]],
    *,
    now: datetime | None = None,
) -> Panel:
    """A panel from (coin, date, USD price) rows or from {coin: {date: price}}.

    A missing, non-finite, zero or negative price is unknown (NaN). A row stamped with a time of day other
    than 00:00 UTC is the live point of a day that has not closed and is left out, as are dates after `now`
    and the last days that few coins have. ValueError when a coin has two prices for one date, or nothing is
    left, or when `now` has no time zone.
    """
    if now is not None and now.tzinfo is None:
        raise ValueError("now needs a time zone")
    if isinstance(rows, Mapping):
        rows = ((coin, day, price) for coin, by_date in rows.items() for day, price in by_date.items())
    known: dict[tuple[str, date], float] = {}
    for coin, stamp, price in rows:
        day = _closed_day(stamp)
        if day is None or (now is not None and day > now.astimezone(UTC).date()):
            continue
        if (coin, day) in known:
            raise ValueError(f"{coin} has two prices for {day}")
        is_usable = price is not None and np.isfinite(price) and price > 0
        known[coin, day] = float(price) if is_usable and price is not None else np.nan
    if not known:
        raise ValueError("no prices to build a panel from")
    return drop_thin_last_days(_assemble(known))


def _closed_day(stamp: date) -> date | None:
    if not isinstance(stamp, datetime):
        return stamp
    stamp = stamp.astimezone(UTC) if stamp.tzinfo else stamp
    return stamp.date() if stamp.time() == time() else None


def _assemble(known: dict[tuple[str, date], float]) -> Panel:
    coins = sorted({coin for coin, _ in known})
    column = {coin: n for n, coin in enumerate(coins)}
    days = np.array([day for _, day in known], dtype="datetime64[D]")
    dates = np.arange(days.min(), days.max() + 1)
    prices = np.full((len(dates), len(coins)), np.nan)
    prices[(days - dates[0]).astype(int), [column[coin] for coin, _ in known]] = list(known.values())
    return Panel(dates, coins, prices)


def drop_thin_last_days(panel: Panel) -> Panel:
    """Without the last days that fewer than half of the lately priced coins have: they are still arriving."""
    has_price = np.isfinite(panel.prices)
    end = len(panel.dates)
    while end > 1:
        expected = has_price[max(0, end - 1 - MAX_GAP_DAYS) : end - 1].any(axis=0).sum()
        if has_price[end - 1].sum() > 0 and has_price[end - 1].sum() >= MIN_SHARE_OF_COINS * expected:
            break
        end -= 1
    return Panel(panel.dates[:end], panel.coins, panel.prices[:end])


def read_csv_folder(path: Path) -> Panel:
    """A panel from `<coin id>.csv` files with `date` and `price` columns.

    FileNotFoundError without any such file, ValueError naming the file and line of a bad value.
    """
    files = sorted(Path(path).glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"no CSV files in {path}")
    return build_panel(row for file in files for row in _read_csv(file))


def _read_csv(file: Path) -> Iterable[tuple[str, date, float | None]]:
    with file.open(newline="") as lines:
        reader = csv.DictReader(lines)
        if not {"date", "price"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{file.name}: needs the columns date and price")
        for row in reader:
            try:
                price = float(row["price"]) if row["price"] else None
                yield file.stem, date.fromisoformat(row["date"]), price
            except ValueError as error:
                raise ValueError(f"{file.name}, line {reader.line_num}: {error}") from error


def dataset_hash(panel: Panel) -> str:
    """SHA-256 (hex) of the panel's coins, dates and prices: equal panels, equal hashes."""
    digest = hashlib.sha256("\n".join(panel.coins).encode())
    digest.update(panel.dates.astype("datetime64[D]").astype("<i8").tobytes())
    digest.update(np.where(np.isnan(panel.prices), np.nan, panel.prices).astype("<f8").tobytes())
    return digest.hexdigest()


def fill_short_gaps(prices: Floats) -> Floats:
    """Prices (T, N) with gaps of at most three days filled by the last known price; longer gaps stay NaN.

    Only gaps that have ended are filled, so the fill never uses a later price and a coin that stopped stays
    stopped.
    """
    days = np.arange(len(prices))[:, None]
    known = np.isfinite(prices)
    last = np.maximum.accumulate(np.where(known, days, -1), axis=0)
    following = np.minimum.accumulate(np.where(known, days, len(prices))[::-1], axis=0)[::-1]
    is_short = ~known & (last >= 0) & (following < len(prices)) & (following - last - 1 <= MAX_GAP_DAYS)
    carried = np.take_along_axis(prices, np.maximum(last, 0), axis=0)
    return np.where(is_short, carried, prices)


def log_returns(prices: Floats) -> Floats:
    """ln(P_t / P_{t-1}) (T, N); NaN on the first day and beside unknown prices."""
    returns = np.full_like(prices, np.nan)
    returns[1:] = np.diff(np.log(prices), axis=0)
    return returns


def days_since_restart(filled: Floats) -> NDArray[np.int64]:
    """Consecutive known days up to and including each day (T, N); 0 where unknown."""
    known = np.isfinite(filled)
    days = np.arange(len(filled))[:, None]
    return days - np.maximum.accumulate(np.where(known, -1, days), axis=0)


def is_near_constant(prices: Floats) -> Bools:
    """Whether the median |daily return| of the 365 days up to each day (T, N) is below 0.6 %.

    Judged day by day from the past alone, so that a peg of today says nothing about earlier years. Gaps count
    neither way; under 30 returns there is no verdict (False).
    """
    moves = np.abs(log_returns(prices))
    small = _sum_of_last(moves < NEAR_CONSTANT_RETURN, NEAR_CONSTANT_DAYS)
    valid = _sum_of_last(np.isfinite(moves), NEAR_CONSTANT_DAYS)
    return (valid >= MIN_DAYS_TO_JUDGE) & (2 * small > valid)


def _sum_of_last(flags: Bools, days: int) -> NDArray[np.int64]:
    total = np.cumsum(flags, axis=0, dtype=np.int64)
    earlier = np.zeros_like(total)
    earlier[days:] = total[:-days]
    return total - earlier


def is_eligible(prices: Floats, filled: Floats) -> Bools:
    """Where (T, N) a forecast may start: an observed price, 90 days since a restart, not near-constant."""
    return np.isfinite(prices) & (days_since_restart(filled) >= MIN_DAYS) & ~is_near_constant(prices)


def eligibility(panel: Panel, cutoff: date) -> dict[str, str]:
    """Why each ineligible coin cannot be forecast at `cutoff`; coins that can are absent."""
    past = panel.until(cutoff)
    if not len(past.dates) or past.last_date != cutoff:
        return dict.fromkeys(panel.coins, NO_PRICE)
    has_price = np.isfinite(past.prices[-1])
    days = days_since_restart(fill_short_gaps(past.prices))[-1]
    constant = is_near_constant(past.prices)[-1]
    reasons = {}
    for n, coin in enumerate(panel.coins):
        if not has_price[n]:
            reasons[coin] = NO_PRICE
        elif days[n] < MIN_DAYS:
            reasons[coin] = f"not enough data: {days[n]} of {MIN_DAYS} days"
        elif constant[n]:
            reasons[coin] = NEAR_CONSTANT
    return reasons
