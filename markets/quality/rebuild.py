"""Finds the highest and lowest price of hours and days again, after finer slots went into or out of quarantine."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Q

from markets.coingecko.series import floor_time
from markets.models import Interval, PriceData

BATCH = 100
Key = tuple[int, datetime]  # a coin's key and the start of a slot
# The coarser slot that a finer one lies in, and how many sound finer ones tell its extremes: as many as roll-up needs.
COARSER = {Interval.FIVE_MINUTES: (Interval.HOUR, 10), Interval.HOUR: (Interval.DAY, 22)}


def rebuild_coarser(fine: Interval, slots: Iterable[Key]) -> int:
    """Corrects the coarser rows that hold the given (coin, time) slots; returns how many rows changed.

    Only highs and lows are made anew: how a coarser row begins and ends is known by itself and judged by itself. Where
    too few sound slots are left the row stays as it was. Our own corrections are no restatements of upstream.
    """
    if fine not in COARSER:
        return 0
    coarse, needed = COARSER[fine]
    keys = sorted({(coin, floor_time(at, coarse.length)) for coin, at in slots})
    changed: list[Key] = []
    for start in range(0, len(keys), BATCH):
        changed += _rebuild(fine, coarse, needed, keys[start : start + BATCH])
    return len(changed) + (rebuild_coarser(coarse, changed) if changed else 0)


def _rebuild(fine: Interval, coarse: Interval, needed: int, keys: Sequence[Key]) -> list[Key]:
    stored_keys, inside = Q(), Q()
    for coin, at in keys:
        stored_keys |= Q(coin=coin, at=at)
        inside |= Q(coin=coin, at__gte=at, at__lt=at + coarse.length)
    parts: dict[Key, list[PriceData]] = {}
    for row in PriceData.objects.sound().filter(inside, interval=fine).order_by("coin_id", "at"):
        parts.setdefault((row.coin_id, floor_time(row.at, coarse.length)), []).append(row)
    changed = []
    for row in PriceData.objects.filter(stored_keys, interval=coarse):
        group = parts.get((row.coin_id, row.at), [])
        if len(group) >= needed and _has_new_extremes(row, group):
            changed.append(row)
    PriceData.objects.bulk_update(changed, ["high", "low"])
    return [(row.coin_id, row.at) for row in changed]


def _has_new_extremes(row: PriceData, group: Sequence[PriceData]) -> bool:
    """Sets the row's high and low to those of the finer slots and of its own ends; whether they changed."""
    before = row.high, row.low
    row.high = max(row.open, row.close, *(part.high for part in group))
    row.low = min(row.open, row.close, *(part.low for part in group))
    return before != (row.high, row.low)
