"""One coin's prices over a range, as columns: few enough to draw, with every extreme kept."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from django.db.models import OuterRef, QuerySet, Subquery

from markets.models import Cryptocurrency, Interval, PriceData
from markets.quality.rules import LIMITS

RANGES: dict[str, timedelta | None] = {
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
    "all": None,
}
AUTO = "auto"
MIN_POINTS = 10
MAX_POINTS = 2000

# The finest interval that `auto` may pick for a range; the coarser ones follow where it does not reach back.
FINE_UNTIL = timedelta(days=2)
HOURLY_UNTIL = timedelta(days=90)
# An interval that begins this share of the range later than another does not reach back far enough.
MISSING_SHARE = 0.1

CANDLES: dict[str, tuple[Interval, timedelta]] = {
    "1h": (Interval.HOUR, timedelta(hours=1)),
    "4h": (Interval.HOUR, timedelta(hours=4)),
    "1d": (Interval.DAY, timedelta(days=1)),
    "1w": (Interval.DAY, timedelta(days=7)),
}
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


class Columns(NamedTuple):
    """Slots as columns of equal length, oldest first."""

    at: list[datetime]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume_24h: list[float | None]
    market_cap: list[float | None]

    def take(self, places: Sequence[int]) -> "Columns":
        taken: list[list[Any]] = [[column[place] for place in places] for column in self]
        return Columns(*taken)


@dataclass(frozen=True)
class PriceSeries:
    """Columns of equal length, oldest first; prices, trailing 24-hour volume and market cap in US dollars.

    `at` is each slot's start in UTC; `total_points` counts the slots before any were left out. `is_after_gap` says
    where slots are missing before a point, which a line must not cross.
    """

    interval: str
    at: list[datetime]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume_24h: list[float | None]
    market_cap: list[float | None]
    total_points: int
    is_downsampled: bool
    is_after_gap: list[bool]


@dataclass(frozen=True)
class Candles:
    """Columns of equal length, oldest first, in US dollars; volume is the trailing 24-hour one at the close.

    A candle is complete when all the slots that it is made of were observed.
    """

    interval: str
    at: list[datetime]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume_24h: list[float | None]
    market_cap: list[float | None]
    is_complete: list[bool]


def price_series(
    coin: Cryptocurrency,
    *,
    start: datetime | None,
    end: datetime | None,
    interval: str = AUTO,
    max_points: int = 1000,
) -> PriceSeries:
    """The slots that begin at or after `start` and before `end` (None: no limit), thinned to `max_points`.

    `auto` takes the finest interval that suits the range and reaches back as far as the others do. The
    first, last, lowest and highest slots are always kept. Raises ValueError for an unknown interval, a range
    that does not run forward, naive times, or `max_points` outside 10 to 2,000.
    """
    check_range(start, end)
    if interval != AUTO and interval not in Interval.values:
        raise ValueError(f"There is no interval {interval!r}.")
    if not MIN_POINTS <= max_points <= MAX_POINTS:
        raise ValueError(f"max_points must be from {MIN_POINTS} to {MAX_POINTS}, not {max_points}.")
    used = auto_interval(coin, start, end) if interval == AUTO else interval
    slots = read_slots(coin, used, start, end)
    places = kept_places(slots, max_points)
    kept = slots.take(places)
    return PriceSeries(
        interval=used,
        **kept._asdict(),
        total_points=len(slots.at),
        is_downsampled=len(places) < len(slots.at),
        is_after_gap=gaps_before(slots.at, places, shortest_gap(coin, used)),
    )


def candles(coin: Cryptocurrency, *, interval: str, start: datetime | None, end: datetime | None) -> Candles:
    """The 1h, 4h, 1d or 1w candles that begin at or after `start` and before `end` (None: no limit).

    Candles begin on whole multiples of their length in UTC, weeks on Monday; one without any slot is left
    out. Raises ValueError like `price_series`.
    """
    check_range(start, end)
    if interval not in CANDLES:
        raise ValueError(f"There is no candle of {interval!r}.")
    source, length = CANDLES[interval]
    slots = read_slots(coin, source, start and next_boundary(start, length), end and next_boundary(end, length))
    groups = [
        (at, list(places))
        for at, places in groupby(range(len(slots.at)), key=lambda place: boundary(slots.at[place], length))
    ]
    last = [places[-1] for _, places in groups]
    return Candles(
        interval=interval,
        at=[at for at, _ in groups],
        open=[slots.open[places[0]] for _, places in groups],
        high=[max(slots.high[place] for place in places) for _, places in groups],
        low=[min(slots.low[place] for place in places) for _, places in groups],
        close=[slots.close[place] for place in last],
        volume_24h=[slots.volume_24h[place] for place in last],
        market_cap=[slots.market_cap[place] for place in last],
        is_complete=[len(places) == length // source.length for _, places in groups],
    )


def check_range(start: datetime | None, end: datetime | None) -> None:
    """Raises ValueError unless both times name their zone and the range runs forward."""
    if any(at is not None and at.utcoffset() is None for at in (start, end)):
        raise ValueError("Times must have a time zone.")
    if start is not None and end is not None and start >= end:
        raise ValueError("The range must begin before it ends.")


def auto_interval(coin: Cryptocurrency, start: datetime | None, end: datetime | None) -> str:
    """The first interval in order of suitability that has data from (nearly) the range's beginning on."""
    order = suitable_intervals(start, end)
    firsts = first_slots(coin, start, end)
    if not firsts:
        return order[0]
    earliest = min(firsts.values())
    reach = (end or max(firsts.values())) - (start or earliest)
    for name in order:
        if name in firsts and firsts[name] - earliest <= max(reach * MISSING_SHARE, Interval(name).length):
            return name
    return min(firsts, key=lambda name: firsts[name])


def suitable_intervals(start: datetime | None, end: datetime | None) -> list[str]:
    """The interval that suits a range, then the coarser ones, then the finer ones."""
    names = list(Interval.values)
    if start is None:
        best = len(names) - 1
    else:
        span = (end or datetime.now(UTC)) - start
        best = 0 if span <= FINE_UNTIL else 1 if span <= HOURLY_UNTIL else 2
    return names[best:] + names[:best][::-1]


def first_slots(coin: Cryptocurrency, start: datetime | None, end: datetime | None) -> dict[str, datetime]:
    """When each interval that has slots in the range begins there, in one query of one index probe each."""

    def first(interval: str) -> Subquery:
        slots = within(PriceData.objects.sound().filter(coin=OuterRef("pk"), interval=interval), start, end)
        return Subquery(slots.order_by("at").values("at")[:1])

    probes = {f"first_{name}": first(name) for name in Interval.values}
    row = Cryptocurrency.objects.filter(pk=coin.pk).annotate(**probes).values_list(*probes).get()
    return {name: at for name, at in zip(Interval.values, row, strict=True) if at is not None}


def within(slots: QuerySet[PriceData], start: datetime | None, end: datetime | None) -> QuerySet[PriceData]:
    """The slots that begin at or after `start` and before `end`."""
    if start is not None:
        slots = slots.filter(at__gte=start)
    if end is not None:
        slots = slots.filter(at__lt=end)
    return slots


def read_slots(coin: Cryptocurrency, interval: str, start: datetime | None, end: datetime | None) -> Columns:
    rows = within(PriceData.objects.of(coin, interval).sound(), start, end).values_list(*Columns._fields)
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    return Columns(*columns) if columns else Columns([], [], [], [], [], [], [])


def kept_places(slots: Columns, max_points: int) -> Sequence[int]:
    """Where the slots to show are: the ends, the lowest and highest, and what gives the line of closes its shape.

    By MinMaxLTTB, which picks among each bucket's extremes the points that span the largest triangles (Van Der Donckt
    et al. 2023, https://arxiv.org/abs/2305.00332).
    """
    places = range(len(slots.at))
    if len(places) <= max_points:
        return places
    from tsdownsample import MinMaxLTTBDownsampler  # some megabytes, in processes that thin a series only

    keep = {
        min(places, key=slots.low.__getitem__),
        max(places, key=slots.high.__getitem__),
        min(places, key=slots.close.__getitem__),
        max(places, key=slots.close.__getitem__),
    }
    shape = MinMaxLTTBDownsampler().downsample(np.array(slots.close), n_out=max_points - len(keep))
    return sorted(keep.union(shape.tolist()))


def shortest_gap(coin: Cryptocurrency, interval: str) -> timedelta:
    """How far apart two slots of a coin begin when some are missing between them; late ticks are none."""
    length = Interval(interval).length
    if interval != Interval.FIVE_MINUTES:
        return 2 * length
    usual = max(length, timedelta(seconds=coin.sync_every_seconds))
    return (LIMITS[interval].gap_slots + 1) * usual


def gaps_before(at: Sequence[datetime], places: Sequence[int], shortest: timedelta) -> list[bool]:
    """For each kept place, whether slots are missing between it and the kept place before."""
    breaks = [place for place in range(1, len(at)) if at[place] - at[place - 1] >= shortest]
    return [
        number > 0 and bisect_right(breaks, places[number - 1]) < bisect_right(breaks, place)
        for number, place in enumerate(places)
    ]


def boundary(at: datetime, length: timedelta) -> datetime:
    """The start of the candle that holds an instant."""
    return at - (at - MONDAY) % length


def next_boundary(at: datetime, length: timedelta) -> datetime:
    """The first start of a candle at or after an instant."""
    before = boundary(at, length)
    return before if before == at else before + length
