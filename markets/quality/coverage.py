"""How much of a coin's history is there: the slots that should be, that are, and that are quarantined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery

from markets.models import Cryptocurrency, Interval, PriceData
from markets.quality.rules import LIMITS

# What the coin page and the staff board look at, by interval.
WINDOWS = {
    Interval.FIVE_MINUTES: timedelta(days=2),
    Interval.HOUR: timedelta(days=90),
    Interval.DAY: timedelta(days=365),
}


@dataclass(frozen=True)
class Coverage:
    """Slots of one interval that were over by `end`, counted from `start` or the coin's first one if that is later.

    `present` includes the quarantined ones; `share` is of sound slots, None where nothing was ever stored.
    """

    interval: str
    start: datetime | None
    end: datetime
    expected: int
    present: int
    quarantined: int

    @property
    def missing(self) -> int:
        return self.expected - self.present

    @property
    def share(self) -> float | None:
        return (self.present - self.quarantined) / self.expected if self.expected else None


@dataclass(frozen=True)
class BoardRow:
    """One coin of the board with the coverage of each interval."""

    coingecko_id: str
    name: str
    coverage: dict[str, Coverage]


def coverage(coin: Cryptocurrency, interval: Interval, start: datetime | None, end: datetime) -> Coverage:
    """The coverage of one interval over a range (None: since the coin's first slot), in one query."""
    return coverages(coin, {interval: (start, end)})[interval.value]


def coverages(coin: Cryptocurrency, ranges: dict[Interval, tuple[datetime | None, datetime]]) -> dict[str, Coverage]:
    """The coverage of several intervals, in one query."""
    row = _counted(Cryptocurrency.objects.filter(pk=coin.pk), ranges).values().get()
    return _read(row, ranges)


def coverage_board(*, now: datetime, coin_ids: Sequence[int] | None = None) -> list[BoardRow]:
    """The coverage of all tracked coins (or of those given) over each interval's window, by rank, in one query."""
    coins = Cryptocurrency.objects.tracked() if coin_ids is None else Cryptocurrency.objects.filter(pk__in=coin_ids)
    ranges = usual_ranges(now)
    return [BoardRow(row["coingecko_id"], row["name"], _read(row, ranges)) for row in _counted(coins, ranges).values()]


def usual_ranges(now: datetime) -> dict[Interval, tuple[datetime | None, datetime]]:
    return {interval: (now - length, now) for interval, length in WINDOWS.items()}


def _counted(
    coins: QuerySet[Cryptocurrency], ranges: dict[Interval, tuple[datetime | None, datetime]]
) -> QuerySet[Cryptocurrency]:
    """Adds each interval's first slot and its counts: index ranges of one coin each, never a scan of the table."""
    counts: dict[str, Subquery] = {}
    for interval, (start, end) in ranges.items():
        name = f"of_{interval.value}"
        slots = PriceData.objects.filter(coin=OuterRef("pk"), interval=interval)
        inside = slots.filter(at__gte=_ceiling(start, interval)) if start else slots
        inside = inside.filter(at__lte=end - interval.length)
        counts[f"{name}_first"] = Subquery(slots.order_by("at").values("at")[:1])
        counts[f"{name}_present"] = _count(inside)
        counts[f"{name}_quarantined"] = _count(inside.filter(is_quarantined=True))
    return coins.annotate(**counts)


def _count(slots: QuerySet[PriceData]) -> Subquery:
    return Subquery(slots.order_by().values("coin").annotate(n=Count("pk")).values("n"))


def _read(row: Mapping[str, Any], ranges: dict[Interval, tuple[datetime | None, datetime]]) -> dict[str, Coverage]:
    found = {}
    for interval, (start, end) in ranges.items():
        name = f"of_{interval.value}"
        first = row[f"{name}_first"]
        begin = max(first, _ceiling(start, interval)) if first and start else first
        expected = max(0, _slot(end, interval) - _slot(begin, interval)) if begin else 0
        present, quarantined = row[f"{name}_present"] or 0, row[f"{name}_quarantined"] or 0
        found[interval.value] = Coverage(interval.value, begin, end, expected, present, quarantined)
    return found


def _slot(at: datetime, interval: Interval) -> int:
    return int(at.timestamp()) // LIMITS[interval.value].seconds


def _ceiling(at: datetime, interval: Interval) -> datetime:
    """The first start of a slot at or after a moment."""
    seconds = LIMITS[interval.value].seconds
    over = at.timestamp() % seconds
    return at + timedelta(seconds=seconds - over) if over else at
