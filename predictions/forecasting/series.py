"""Price panels: building, cleaning and deciding which coins have enough history to forecast."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.frequency import DAILY_STEPS, Frequency, frequency_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Dates = NDArray[np.datetime64]

MIN_SHARE_OF_COINS = 0.5

NO_PRICE = "no price at cutoff"
NEAR_CONSTANT = "near-constant: stable or wrapped"


@dataclass(frozen=True)
class Panel:
    """Prices of many coins at consecutive moments: each day's 00:00 UTC, or each full hour.

    `dates` (T,) datetime64[D] or [h] without holes; `coins` the N names in order; `prices` (T, N) in USD at
    those moments, NaN where unknown. `realised` (T, N) is the variance of the log-price within the step that ended at
    each moment, NaN where unknown, and None if no step's is known. Of a window of a longer history, `steps_before`
    (N,) says how many prices each coin has before it.
    """

    dates: Dates
    coins: list[str]
    prices: Floats
    steps_before: NDArray[np.int64] | None = None
    realised: Floats | None = None

    def __post_init__(self) -> None:
        if self.prices.shape != (len(self.dates), len(self.coins)):
            raise ValueError(f"prices are {self.prices.shape}, not {(len(self.dates), len(self.coins))}")
        if self.realised is not None and self.realised.shape != self.prices.shape:
            raise ValueError(f"realised variances are {self.realised.shape}, not {self.prices.shape}")
        if len(self.dates) > 1 and not (np.diff(self.dates) == self.frequency.span(1)).all():
            raise ValueError(f"a panel's dates are consecutive {self.frequency.noun}s")

    @property
    def frequency(self) -> Frequency:
        """Daily or hourly, as the dates' unit says."""
        return frequency_of(self.dates)

    def index_of(self, at: date) -> int:
        """Row of a date or moment; KeyError outside the panel."""
        row = int((self.frequency.moment(at) - self.dates[0]).astype(int)) if len(self.dates) else -1
        if not 0 <= row < len(self.dates):
            raise KeyError(f"{at} is not in the panel")
        return row

    def until(self, cutoff: date) -> "Panel":
        """What was known at `cutoff` (00:00 UTC of a date): every later row is gone."""
        end = int(np.searchsorted(self.dates, self.frequency.moment(cutoff), side="right"))
        realised = None if self.realised is None else self.realised[:end]
        return Panel(self.dates[:end], self.coins, self.prices[:end], self.steps_before, realised)

    @property
    def last_date(self) -> date:
        """The newest date, or moment (UTC, without a time zone) of an hourly panel; IndexError for an empty one."""
        return self.dates[-1].astype(object)


def build_panel(
    rows: Iterable[tuple[str, date, float | None]] | Mapping[str, Mapping[date, float | None]],
    *,
    now: datetime | None = None,
    frequency: Frequency = DAILY_STEPS,
) -> Panel:
    """A panel from (coin, date or moment, USD price) rows or from {coin: {date: price}}.

    A missing, non-finite, zero or negative price is unknown (NaN). A row stamped with a time between two
    steps (other than 00:00 UTC of a daily panel) is the live point of one that has not closed and is left
    out, as are rows after `now` and the last ones that few coins have. ValueError when a coin has two prices
    for one moment, or nothing is left, or when `now` has no time zone.
    """
    if now is not None and now.tzinfo is None:
        raise ValueError("now needs a time zone")
    if isinstance(rows, Mapping):
        rows = ((coin, day, price) for coin, by_date in rows.items() for day, price in by_date.items())
    latest = frequency.moment(now) if now is not None else None
    steps: dict[date, date | None] = {}  # a few stamps stand in very many rows
    known: dict[tuple[str, date], float] = {}
    for coin, stamp, price in rows:
        if stamp not in steps:
            steps[stamp] = _known_step(stamp, frequency, latest)
        if (at := steps[stamp]) is None:
            continue
        if (coin, at) in known:
            raise ValueError(f"{coin} has two prices for {at}")
        is_usable = price is not None and math.isfinite(price) and price > 0
        known[coin, at] = float(price) if is_usable and price is not None else math.nan
    if not known:
        raise ValueError("no prices to build a panel from")
    return drop_thin_last_days(_assemble(known, frequency))


def _known_step(stamp: date, frequency: Frequency, latest: np.datetime64 | None) -> date | None:
    at = _closed_step(stamp, frequency)
    return None if at is None or (latest is not None and frequency.moment(at) > latest) else at


def _closed_step(stamp: date, frequency: Frequency) -> date | None:
    if not isinstance(stamp, datetime):
        return stamp if frequency is DAILY_STEPS else datetime.combine(stamp, time())
    stamp = stamp.astimezone(UTC).replace(tzinfo=None) if stamp.tzinfo else stamp
    if frequency is DAILY_STEPS:
        return stamp.date() if stamp.time() == time() else None
    return stamp if (stamp.minute, stamp.second, stamp.microsecond) == (0, 0, 0) else None


def _assemble(known: dict[tuple[str, date], float], frequency: Frequency) -> Panel:
    coins = sorted({coin for coin, _ in known})
    column = {coin: n for n, coin in enumerate(coins)}
    row = {at: frequency.moment(at).astype(np.int64) for at in {at for _, at in known}}
    first, last = min(row.values()), max(row.values())
    prices = np.full((last - first + 1, len(coins)), np.nan)
    places = np.array([(row[at] - first, column[coin]) for coin, at in known])
    prices[places[:, 0], places[:, 1]] = list(known.values())
    return Panel(np.arange(first, last + 1).astype(f"datetime64[{frequency.unit}]"), coins, prices)


def drop_thin_last_days(panel: Panel) -> Panel:
    """Without the last steps that are thin: their prices are still arriving."""
    end = len(panel.dates)
    while end > 1 and is_thin(panel, end - 1):
        end -= 1
    return panel if end == len(panel.dates) else panel.until(panel.dates[end - 1].astype(object))


def is_thin(panel: Panel, step: int) -> bool:
    """Whether fewer than half of the coins that had a price in the three steps before have one at a step."""
    lately = np.isfinite(panel.prices[max(0, step - panel.frequency.max_gap_steps) : step])
    priced = np.isfinite(panel.prices[step]).sum()
    return bool(priced == 0 or priced < MIN_SHARE_OF_COINS * lately.any(axis=0).sum())


def dataset_hash(panel: Panel) -> str:
    """SHA-256 (hex) of the panel's coins, dates, prices and candles: equal panels, equal hashes."""
    digest = hashlib.sha256("\n".join(panel.coins).encode())
    digest.update(panel.dates.astype("<i8").tobytes())
    for figures in (panel.prices, panel.realised):
        if figures is not None:
            digest.update(np.where(np.isnan(figures), np.nan, figures).astype("<f8").tobytes())
    return digest.hexdigest()


def fill_short_gaps(prices: Floats) -> Floats:
    """Prices (T, N) with gaps of at most three steps filled by the last known price; longer gaps stay NaN.

    Only gaps that have ended are filled, so the fill never uses a later price and a coin that stopped stays
    stopped.
    """
    days = np.arange(len(prices))[:, None]
    known = np.isfinite(prices)
    last = np.maximum.accumulate(np.where(known, days, -1), axis=0)
    following = np.minimum.accumulate(np.where(known, days, len(prices))[::-1], axis=0)[::-1]
    is_short = ~known & (last >= 0) & (following < len(prices)) & (following - last - 1 <= DAILY_STEPS.max_gap_steps)
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


def is_near_constant(prices: Floats, frequency: Frequency = DAILY_STEPS) -> Bools:
    """Whether the median |return| of the year up to each step (T, N) is below 0.6 % a day (0.04 % an hour).

    Judged step by step from the past alone, so that a peg of today says nothing about earlier years. Gaps
    count neither way; under 30 days of returns there is no verdict (False).
    """
    moves = np.abs(log_returns(prices))
    small = _sum_of_last(moves < frequency.near_constant_return, frequency.near_constant_steps)
    valid = _sum_of_last(np.isfinite(moves), frequency.near_constant_steps)
    return (valid >= frequency.min_steps_to_judge) & (2 * small > valid)


def _sum_of_last(flags: Bools, steps: int) -> NDArray[np.int64]:
    total = np.cumsum(flags, axis=0, dtype=np.int64)
    earlier = np.zeros_like(total)
    earlier[steps:] = total[:-steps]
    return total - earlier


def is_eligible(prices: Floats, filled: Floats, frequency: Frequency = DAILY_STEPS) -> Bools:
    """Where (T, N) a forecast may start: an observed price, 90 days (30 of hours) since a restart, not pegged."""
    seasoned = days_since_restart(filled) >= frequency.min_steps
    return np.isfinite(prices) & seasoned & ~is_near_constant(prices, frequency)


def eligibility(panel: Panel, cutoff: date) -> dict[str, str]:
    """Why each ineligible coin cannot be forecast at `cutoff`; coins that can are absent."""
    past, frequency = panel.until(cutoff), panel.frequency
    if not len(past.dates) or past.dates[-1] != frequency.moment(cutoff):
        return dict.fromkeys(panel.coins, NO_PRICE)
    has_price = np.isfinite(past.prices[-1])
    steps = days_since_restart(fill_short_gaps(past.prices))[-1]
    constant = is_near_constant(past.prices, frequency)[-1]
    reasons = {}
    for n, coin in enumerate(panel.coins):
        if not has_price[n]:
            reasons[coin] = NO_PRICE
        elif steps[n] < frequency.min_steps:
            reasons[coin] = f"not enough data: {steps[n]} of {frequency.min_steps} {frequency.noun}s"
        elif constant[n]:
            reasons[coin] = NEAR_CONSTANT
    return reasons
