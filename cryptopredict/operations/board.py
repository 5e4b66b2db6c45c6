"""How complete the stored prices of each tracked coin are: counted in one query."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from markets.models import Cryptocurrency, DataFault, Interval, PriceData


@dataclass(frozen=True, slots=True)
class Window:
    """The last days of one interval that are looked at.

    History fills hours and days from before a coin came to this site; five-minute slots there are only since then.
    """

    interval: Interval
    days: int

    @property
    def slots(self) -> int:
        return int(timedelta(days=self.days) / self.interval.length)

    def end(self, now: datetime) -> datetime:
        """The end of its last slot: the one that is not over yet is left out."""
        length = self.interval.length.total_seconds()
        return datetime.fromtimestamp(now.timestamp() // length * length, now.tzinfo)

    def expected(self, coin: Cryptocurrency, now: datetime) -> int:
        """How many slots this coin should have."""
        if self.interval != Interval.FIVE_MINUTES:
            return self.slots
        return max(min(self.slots, int((self.end(now) - coin.created_at) / self.interval.length)), 0)


WINDOWS = (Window(Interval.FIVE_MINUTES, 1), Window(Interval.HOUR, 30), Window(Interval.DAY, 364))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Sound slots of one window."""

    slots: int
    expected: int

    @property
    def percent(self) -> float | None:
        if not self.expected:
            return None
        # Rounded down: 100 means that nothing is missing.
        return int(1000 * min(self.slots, self.expected) / self.expected) / 10


@dataclass(frozen=True, slots=True)
class Row:
    """One tracked coin."""

    coin: Cryptocurrency
    coverage: tuple[Coverage, ...]
    quarantined: int
    open_faults: int


def coverage_board(*, now: datetime) -> QuerySet[Cryptocurrency]:
    """The tracked coins, each with its counts: one query for a whole page, each count by an index."""
    coins = Cryptocurrency.objects.tracked().defer("sparkline_7d")
    counts: dict[str, Any] = {}
    for window in WINDOWS:
        end = window.end(now)
        slots = PriceData.objects.sound().filter(interval=window.interval)
        start = end - window.slots * window.interval.length
        counts[f"slots_{window.interval}"] = _count(slots.between(start, end))
    counts["quarantined"] = _count(PriceData.objects.filter(is_quarantined=True))
    counts["open_faults"] = _count(DataFault.objects.unresolved())
    return coins.annotate(**counts)


def describe(coin: Any, now: datetime) -> Row:
    """A coin of the board with its counts by name."""
    coverage = tuple(
        Coverage(getattr(coin, f"slots_{window.interval}"), window.expected(coin, now)) for window in WINDOWS
    )
    return Row(coin, coverage, coin.quarantined, coin.open_faults)


def _count(rows: QuerySet[Any]) -> Any:
    mine: QuerySet[Model, Any] = rows.filter(coin=OuterRef("pk")).order_by().values("coin")
    counted = mine.annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))
