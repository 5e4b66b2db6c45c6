"""Rolls five-minute slots up into hours and hours into days, once enough of them are there."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from markets.coingecko.series import floor_time
from markets.ingest import Slot, write_rows
from markets.models import Interval, PriceData

# (from, to, how far back a run looks); days also come straight from ticks, for coins synced less than hourly
STEPS = (
    (Interval.FIVE_MINUTES, Interval.HOUR, timedelta(hours=6)),
    (Interval.HOUR, Interval.DAY, timedelta(days=3)),
    (Interval.FIVE_MINUTES, Interval.DAY, timedelta(days=2)),
)


def roll_up(*, coin_ids: Iterable[int], now: datetime) -> int:
    """Writes the hours and days that closed lately; returns the rows written.

    A coarse slot needs the finer slot at its start and the one right after its end: their opening prices are its
    true open and close. Highs and lows are those of all finer slots between.
    """
    ids = list(coin_ids)
    return sum(
        _roll(ids, fine, coarse, floor_time(now - back, coarse.length), floor_time(now, coarse.length))
        for fine, coarse, back in STEPS
    )


def _roll(coin_ids: list[int], fine: Interval, coarse: Interval, start: datetime, end: datetime) -> int:
    rows = [(coin_id, coarse, slot) for coin_id, slot in _merged(coin_ids, fine, coarse, start, end, is_final=False)]
    return write_rows(rows=rows) if rows else 0


def _merged(
    coin_ids: list[int], fine: Interval, coarse: Interval, start: datetime, end: datetime, *, is_final: bool
) -> Iterator[tuple[int, Slot]]:
    found = PriceData.objects.sound().filter(coin_id__in=coin_ids, interval=fine, at__gte=start, at__lte=end)
    parts: dict[tuple[int, datetime], list[PriceData]] = {}
    for row in found.order_by("coin_id", "at").iterator(chunk_size=5000):
        parts.setdefault((row.coin_id, floor_time(row.at, coarse.length)), []).append(row)
    for (coin_id, at), group in parts.items():
        following = parts.get((coin_id, at + coarse.length))
        closing = following[0] if following and following[0].at == at + coarse.length else None
        if at < end and (is_final or (closing is not None and group[0].at == at)):
            yield coin_id, merge(at, group, closing)


def roll_up_range(*, coin_ids: Iterable[int], start: datetime, end: datetime) -> int:
    """Before finer slots of whole days are dropped: their extremes go into the hours and days that replace them.

    What is not there yet is made of what there is, even where slots are missing.
    """
    ids = list(coin_ids)
    return sum(_settle(ids, fine, coarse, start, end) for fine, coarse, _ in STEPS)


def _settle(coin_ids: list[int], fine: Interval, coarse: Interval, start: datetime, end: datetime) -> int:
    known = {
        (row.coin_id, row.at): row
        for row in PriceData.objects.filter(coin_id__in=coin_ids, interval=coarse).between(start, end)
    }
    rows = []
    for coin_id, slot in _merged(coin_ids, fine, coarse, start, end, is_final=True):
        row = known.get((coin_id, slot.at))
        rows.append((coin_id, coarse, slot if row is None else _widened(row, slot)))
    return write_rows(rows=rows) if rows else 0


def _widened(row: PriceData, finer: Slot) -> Slot:
    return Slot(
        at=row.at,
        open=row.open,
        high=max(row.high, finer.high),
        low=min(row.low, finer.low),
        close=row.close,
        volume_24h=row.volume_24h,
        market_cap=row.market_cap,
        samples=max(row.samples, finer.samples),
    )


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


def merge(at: datetime, rows: list[PriceData], closing: PriceData | None) -> Slot:
    """One slot out of finer ones in time order; it closes with the opening of the one after them, if that is known."""
    close = rows[-1].close if closing is None else closing.open
    return Slot(
        at=at,
        open=rows[0].open,
        high=max(close, *(row.high for row in rows)),
        low=min(close, *(row.low for row in rows)),
        close=close,
        volume_24h=rows[-1].volume_24h,
        market_cap=rows[-1].market_cap,
        samples=sum(row.samples for row in rows),
    )
