"""Rolls five-minute slots up into hours and hours into days, once enough of them are there."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from markets.coingecko.series import floor_time
from markets.ingest import Slot, write_rows
from markets.models import Interval, PriceData

# (from, to, how many of the finer slots a coarser one needs, how far back a run looks)
STEPS = (
    (Interval.FIVE_MINUTES, Interval.HOUR, 10, timedelta(hours=6)),
    (Interval.HOUR, Interval.DAY, 22, timedelta(days=3)),
)


def roll_up(*, coin_ids: Iterable[int], now: datetime) -> int:
    """Writes the hours and days that closed lately and are well covered; returns the rows written.

    A well-covered slot opens with its first and closes with its last finer slot; the finer slots at both ends
    must be there, or the true open and close are unknown.
    """
    ids = list(coin_ids)
    return sum(_roll(ids, fine, coarse, needed, now, back) for fine, coarse, needed, back in STEPS)


def _roll(coin_ids: list[int], fine: Interval, coarse: Interval, needed: int, now: datetime, back: timedelta) -> int:
    end = floor_time(now, coarse.length)
    start = floor_time(now - back, coarse.length)
    found = PriceData.objects.filter(coin_id__in=coin_ids, interval=fine).between(start, end).order_by("coin_id", "at")
    parts: dict[tuple[int, datetime], list[PriceData]] = {}
    for row in found.iterator(chunk_size=5000):
        parts.setdefault((row.coin_id, floor_time(row.at, coarse.length)), []).append(row)
    rows = [
        (coin_id, coarse, merge(at, group))
        for (coin_id, at), group in parts.items()
        if len(group) >= needed and group[0].at == at and group[-1].at + fine.length == at + coarse.length
    ]
    return write_rows(rows=rows) if rows else 0


def widen_days(*, coin_id: int, since: datetime) -> int:
    """Lets a day's high and low include those of its hours; its open and close, exact at midnight, stay."""
    hours: dict[datetime, list[PriceData]] = {}
    for row in PriceData.objects.filter(coin_id=coin_id, interval=Interval.HOUR, at__gte=since):
        hours.setdefault(floor_time(row.at, Interval.DAY.length), []).append(row)
    rows = [
        (
            coin_id,
            Interval.DAY,
            Slot(
                at=day.at,
                open=day.open,
                high=max(day.high, *(hour.high for hour in hours[day.at])),
                low=min(day.low, *(hour.low for hour in hours[day.at])),
                close=day.close,
                volume_24h=day.volume_24h,
                market_cap=day.market_cap,
                samples=max(day.samples, len(hours[day.at])),
            ),
        )
        for day in PriceData.objects.filter(coin_id=coin_id, interval=Interval.DAY, at__in=hours)
    ]
    return write_rows(rows=rows) if rows else 0


def merge(at: datetime, rows: list[PriceData]) -> Slot:
    """One slot out of finer ones in time order."""
    return Slot(
        at=at,
        open=rows[0].open,
        high=max(row.high for row in rows),
        low=min(row.low for row in rows),
        close=rows[-1].close,
        volume_24h=rows[-1].volume_24h,
        market_cap=rows[-1].market_cap,
        samples=sum(row.samples for row in rows),
    )
