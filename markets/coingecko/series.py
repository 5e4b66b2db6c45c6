"""Price series: reading chart answers and setting the live point apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Literal

from .errors import BadAnswer
from .fields import Answer, Rejected, Unsound, amount, capitalisation, required_price, unix_time

Interval = Literal["5m", "1h", "1d"]
INTERVALS: dict[Interval, timedelta] = {
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
_LONGEST_CACHED = timedelta(minutes=10)
"""How old an answer, and with it the price of "now", may be when it is read."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ChartPoint:
    """A price at a moment, with the capitalisation and the volume of the 24 hours before, if known."""

    at: datetime
    price: float
    market_cap: float | None
    volume_24h: float | None


@dataclass(frozen=True)
class MarketChart:
    """A coin's points by time; ``live`` is the price of "now" that CoinGecko appends, no sample."""

    points: tuple[ChartPoint, ...]
    live: ChartPoint | None
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Candle:
    """A candle; ``closed_at`` is its end, as CoinGecko stamps it."""

    closed_at: datetime
    open: float
    high: float
    low: float
    close: float


def parse_market_chart(document: Any, *, now: datetime) -> MarketChart:
    """Read ``{"prices": [[ms, number], …], "market_caps": …, "total_volumes": …}``.

    Points are sorted by time; of two with one stamp the later sent wins. Raises BadAnswer for another shape.
    """
    if not isinstance(document, dict) or not isinstance(document.get("prices"), list):
        raise BadAnswer("The chart has no list of prices.", status=200)
    rejected: list[Rejected] = []
    caps = _values(document, "market_caps", capitalisation, now, rejected)
    volumes = _values(document, "total_volumes", amount, now, rejected)
    by_time: dict[datetime, ChartPoint] = {}
    last_sent: ChartPoint | None = None
    for at, price in _pairs(document["prices"], "prices", required_price, now, rejected):
        last_sent = ChartPoint(at, price, caps.get(at), volumes.get(at))
        known = by_time.get(at)
        if known is not None and known.price != price:
            rejected.append(Rejected("another price at the same time", f"prices[{at.isoformat()}]"))
        by_time[at] = last_sent
    points = [by_time[at] for at in sorted(by_time)]
    live = last_sent if last_sent is not None and _is_live(last_sent, points, now) else None
    return MarketChart(
        points=tuple(point for point in points if point is not live), live=live, rejected=tuple(rejected)
    )


def parse_ohlc(document: Any, *, now: datetime) -> Answer[Candle]:
    """Read ``[[ms, open, high, low, close], …]``, sorted by time. Raises BadAnswer for another shape."""
    if not isinstance(document, list):
        raise BadAnswer("The candles are not a list.", status=200)
    rejected: list[Rejected] = []
    by_time: dict[datetime, Candle] = {}
    for index, row in enumerate(document):
        try:
            candle = _candle(row, now)
        except Unsound as reason:
            rejected.append(Rejected(str(reason), f"ohlc[{index}]"))
        else:
            by_time[candle.closed_at] = candle
    return Answer(tuple(by_time[at] for at in sorted(by_time)), tuple(rejected))


def floor_time(at: datetime, length: timedelta) -> datetime:
    """Return the start of the slot of ``length`` that holds ``at``, counted from 1970-01-01 00:00 UTC."""
    return _EPOCH + (at - _EPOCH) // length * length


def _is_live(point: ChartPoint, points: Sequence[ChartPoint], now: datetime) -> bool:
    """Tell whether the point that was sent last is "now" and not a sample of the chart's grid.

    Of a daily chart it lies off midnight; of a finer one its slot is not over yet, or it is but minutes old.
    (It may be stamped a moment before the point sent ahead of it, so the order by time does not tell.)
    """
    length = _spacing(points)
    slot_at = floor_time(point.at, length)
    if length == INTERVALS["1d"]:
        return point.at != slot_at
    return now < max(slot_at + length, point.at + _LONGEST_CACHED)


def _spacing(points: Sequence[ChartPoint]) -> timedelta:
    """Return the interval nearest, by ratio, to the median distance of the points."""
    gaps = [(after.at - before.at).total_seconds() for before, after in pairwise(points)]
    if not gaps:
        return INTERVALS["5m"]
    typical = median(gaps)
    return min(INTERVALS.values(), key=lambda length: abs(math.log(length.total_seconds() / typical)))


def _pairs(
    rows: Sequence[Any], name: str, read: Any, now: datetime, rejected: list[Rejected]
) -> Iterator[tuple[datetime, Any]]:
    for index, row in enumerate(rows):
        try:
            if not isinstance(row, list) or len(row) != 2:
                raise Unsound("not a pair")
            yield unix_time(row[0], now=now, per_second=1000), read(row[1])
        except Unsound as reason:
            rejected.append(Rejected(str(reason), f"{name}[{index}]"))


def _values(
    document: dict[str, Any], name: str, read: Any, now: datetime, rejected: list[Rejected]
) -> dict[datetime, float | None]:
    rows = document.get(name)
    if rows is None:
        return {}
    if not isinstance(rows, list):
        rejected.append(Rejected("not a list", name))
        return {}
    return dict(_pairs(rows, name, read, now, rejected))


def _candle(row: Any, now: datetime) -> Candle:
    if not isinstance(row, list) or len(row) != 5:
        raise Unsound("not a candle")
    closed_at = unix_time(row[0], now=now, per_second=1000)
    opened, high, low, close = (required_price(value) for value in row[1:])
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise Unsound("open or close outside of low and high")
    return Candle(closed_at, opened, high, low, close)
