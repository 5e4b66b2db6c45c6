"""Turns observed prices into slots and writes them: every slot stored once, and never by a poorer one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, Protocol

from django.db import connection, transaction

from markets.coingecko.series import floor_time
from markets.models import Interval, PriceData

BATCH = 500
# Upstream's stamps lag the grid by seconds to minutes; a first price later than this is not the slot's opening.
LATEST_OPENING = timedelta(minutes=15)


class Observed(Protocol):
    """A price at an instant, with the trailing volume and the cap if known; all in US dollars."""

    @property
    def at(self) -> datetime: ...
    @property
    def price(self) -> float: ...
    @property
    def market_cap(self) -> float | None: ...
    @property
    def volume_24h(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Slot:
    """One row of PriceData without its coin."""

    at: datetime
    open: float
    high: float
    low: float
    close: float
    volume_24h: float | None
    market_cap: float | None
    samples: int


def tick_slot(point: Observed, at: datetime) -> Slot:
    """The slot that begins at `at`, of the one price that stands for it."""
    price = point.price
    return Slot(at, price, price, price, price, point.volume_24h, point.market_cap, samples=1)


def closed_slots(points: Iterable[Observed], interval: Interval, *, now: datetime) -> list[Slot]:
    """The slots that are over, made from points in time order.

    A slot's close is the first price of the slot right after it (the daily value of CoinGecko is the price at
    00:00 UTC, so it closes the day before). A slot whose successor was not observed is left out: its close is
    unknown, and a guess would be stored for ever. So is one whose first price came too late to be its opening:
    an answer begins in the middle of a day.
    """
    length = interval.length
    slots: list[Slot] = []
    groups = [
        (at, list(group))
        for at, group in groupby(sorted(points, key=attrgetter("at")), key=lambda p: floor_time(p.at, length))
    ]
    for (at, group), (next_at, next_group) in pairwise(groups):
        closing = next_group[0]
        is_whole = group[0].at - at <= LATEST_OPENING and closing.at - (at + length) <= LATEST_OPENING
        if next_at != at + length or next_at > now or not is_whole:
            continue
        prices = [point.price for point in group] + [closing.price]
        slots.append(
            Slot(
                at=at,
                open=prices[0],
                high=max(prices),
                low=min(prices),
                close=prices[-1],
                volume_24h=closing.volume_24h,
                market_cap=closing.market_cap,
                samples=len(group),
            )
        )
    return slots


COLUMNS = ("coin_id", "interval", "at", "open", "high", "low", "close", "volume_24h", "market_cap", "samples")


def _upsert_sql(rows: int) -> str:
    table = PriceData._meta.db_table
    quoted = ", ".join(f'"{column}"' for column in COLUMNS)
    row = f"({', '.join(['%s'] * len(COLUMNS))})"
    changed = ", ".join(f'"{column}" = excluded."{column}"' for column in COLUMNS[3:])
    return (
        f'INSERT INTO "{table}" ({quoted}) VALUES {", ".join([row] * rows)} '
        f'ON CONFLICT ("coin_id", "interval", "at") DO UPDATE SET {changed} '
        f'WHERE excluded."samples" >= "{table}"."samples"'
    )


def write_slots(*, coin_id: int, interval: Interval, slots: Sequence[Slot]) -> int:
    """Stores the slots of one coin in one transaction; returns how many rows are new or replaced.

    Two slots of one time in one call: the later one in the list counts (one statement may not touch a row twice).
    """
    return write_rows(rows=[(coin_id, interval, slot) for slot in slots])


def write_rows(*, rows: Sequence[tuple[int, Interval, Slot]]) -> int:
    """Stores slots of many coins in one transaction, in key order so that two writers cannot deadlock."""
    unique = {(coin_id, interval.value, slot.at): slot for coin_id, interval, slot in rows}
    keys = sorted(unique)
    written = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            values: list[Any] = []
            for key in batch:
                slot = unique[key]
                values += [
                    key[0],
                    key[1],
                    connection.ops.adapt_datetimefield_value(slot.at),
                    slot.open,
                    slot.high,
                    slot.low,
                    slot.close,
                    slot.volume_24h,
                    slot.market_cap,
                    slot.samples,
                ]
            cursor.execute(_upsert_sql(len(batch)), values)
            written += cursor.rowcount
    return written
