"""Makes hours and days again from their sound finer slots, after some of these went into or out of quarantine."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import Q

from markets.coingecko.series import floor_time
from markets.ingest import Slot, write_rows
from markets.models import Interval, PriceData
from markets.rollup import STEPS, merge

BATCH = 100
Key = tuple[int, datetime]  # a coin's key and the start of a slot


def rebuild_coarser(fine: Interval, slots: Iterable[Key]) -> int:
    """Rebuilds the coarser rows that hold the given (coin, time) slots; returns how many rows changed.

    A row that was rolled up from few enough prices to lose to a poorer one keeps its number of samples. Where too few
    sound slots are left, or one at an end is missing, the row stays as it was and is judged by itself.
    """
    for source, coarse, needed, _ in STEPS:
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
        inside |= Q(coin=coin, at__gte=at, at__lt=at + coarse.length)
    stored = {(row.coin_id, row.at): row for row in PriceData.objects.filter(at_keys, interval=coarse)}
    parts: dict[Key, list[PriceData]] = {}
    for row in PriceData.objects.sound().filter(inside, interval=fine).order_by("coin_id", "at"):
        parts.setdefault((row.coin_id, floor_time(row.at, coarse.length)), []).append(row)
    rows = [
        (key[0], coarse, slot)
        for key, group in parts.items()
        if key in stored and (slot := _merged(key[1], group, stored[key], fine, coarse, needed))
    ]
    if rows:
        write_rows(rows=rows)
    return [(coin, slot.at) for coin, _, slot in rows]


def _merged(
    at: datetime, group: list[PriceData], stored: PriceData, fine: Interval, coarse: Interval, needed: int
) -> Slot | None:
    """The rebuilt row, or None where it would be no better founded, or the same."""
    is_whole = group[0].at == at and group[-1].at + fine.length == at + coarse.length
    if len(group) < needed or not is_whole:
        return None
    new = merge(at, group)
    if coarse == Interval.DAY:  # a day's open and close are exact at midnight; only what lies between is made of hours
        first, last = stored.open, stored.close
        new = replace(new, open=first, close=last, high=max(new.high, first, last), low=min(new.low, first, last))
    if (new.open, new.high, new.low, new.close) == (stored.open, stored.high, stored.low, stored.close):
        return None
    return replace(new, samples=max(new.samples, stored.samples))
