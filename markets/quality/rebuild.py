"""Makes hours and days again from their sound finer slots, after some of these went into or out of quarantine."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import Q

from markets.coingecko.series import floor_time
from markets.ingest import Slot, write_rows
from markets.models import Interval, PriceData

# (from, to, how many sound finer slots a rebuilt row needs)
STEPS = ((Interval.FIVE_MINUTES, Interval.HOUR, 10), (Interval.HOUR, Interval.DAY, 22))
BATCH = 100
Key = tuple[int, datetime]  # a coin's key and the start of a slot


def rebuild_coarser(fine: Interval, slots: Iterable[Key]) -> int:
    """Rebuilds the coarser rows that hold the given (coin, time) slots; returns how many rows changed.

    A row that was rolled up from few enough prices to lose to a poorer one keeps its number of samples. Where too few
    sound slots are left, or the one at the start is missing, the row stays as it was and is judged by itself.
    """
    for source, coarse, needed in STEPS:
        if source == fine:
            changed = _rebuild(fine, coarse, needed, {(coin, floor_time(at, coarse.length)) for coin, at in slots})
            return len(changed) + (rebuild_coarser(coarse, changed) if changed else 0)
    return 0


def _rebuild(fine: Interval, coarse: Interval, needed: int, keys: set[Key]) -> list[Key]:
    ordered = sorted(keys)
    changed: list[Key] = []
    for start in range(0, len(ordered), BATCH):
        changed += _rebuild_batch(fine, coarse, needed, ordered[start : start + BATCH])
    return changed


def _rebuild_batch(fine: Interval, coarse: Interval, needed: int, keys: Sequence[Key]) -> list[Key]:
    at_keys, inside = Q(), Q()
    for coin, at in keys:
        at_keys |= Q(coin=coin, at=at)
        inside |= Q(coin=coin, at__gte=at, at__lte=at + coarse.length)  # with the slot after it, which closes it
    stored = {(row.coin_id, row.at): row for row in PriceData.objects.filter(at_keys, interval=coarse)}
    finer: dict[int, list[PriceData]] = {}
    for row in PriceData.objects.sound().filter(inside, interval=fine).order_by("coin_id", "at"):
        finer.setdefault(row.coin_id, []).append(row)
    rows = [
        (coin, coarse, slot)
        for coin, at in keys
        if (coin, at) in stored
        and (slot := _rebuilt(stored[coin, at], finer.get(coin, []), at + coarse.length, coarse, needed))
    ]
    if rows:
        write_rows(rows=rows)
    return [(coin, slot.at) for coin, _, slot in rows]


def _rebuilt(
    stored: PriceData, finer: Sequence[PriceData], end: datetime, coarse: Interval, needed: int
) -> Slot | None:
    """The rebuilt row, or None where it would be no better founded, or the same."""
    group = [row for row in finer if stored.at <= row.at < end]
    if len(group) < needed or group[0].at != stored.at:
        return None
    following = next((row.open for row in finer if row.at == end), None)
    first, last = group[0].open, group[-1].close if following is None else following
    if coarse == Interval.DAY:  # a day's open and close are exact at midnight; only what lies between is made of hours
        first, last = stored.open, stored.close
    new = Slot(
        at=stored.at,
        open=first,
        high=max(first, last, *(row.high for row in group)),
        low=min(first, last, *(row.low for row in group)),
        close=last,
        volume_24h=group[-1].volume_24h,
        market_cap=group[-1].market_cap,
        samples=sum(row.samples for row in group),
    )
    if (new.open, new.high, new.low, new.close) == (stored.open, stored.high, stored.low, stored.close):
        return None
    return replace(new, samples=max(new.samples, stored.samples))
