"""Rolls five-minute prices up into hours and hours into days, in the database itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from markets.coingecko.series import floor_time
from markets.models import Cryptocurrency, Interval, PriceData
from markets.staging import is_postgres


@dataclass(frozen=True, slots=True)
class Step:
    """From which slots coarser ones are made, and when they are well enough covered.

    A five-minute price is seen at its slot's start, so an hour ends with the price that the next slot opens with.
    An hour ends with the price at its own end, so the last one also tells how a day ended. A day is made straight of
    five-minute prices only where there is none yet: for coins whose tier is synced less than hourly.
    """

    fine: Interval
    coarse: Interval
    needed: int
    looks_back: timedelta
    closes_at_its_end: bool
    only_missing: bool = False


STEPS = (
    Step(Interval.FIVE_MINUTES, Interval.HOUR, 1, timedelta(hours=6), closes_at_its_end=False),
    Step(Interval.HOUR, Interval.DAY, 22, timedelta(days=3), closes_at_its_end=True),
    Step(Interval.FIVE_MINUTES, Interval.DAY, 1, timedelta(days=2), closes_at_its_end=False, only_missing=True),
)
DAY = Interval.DAY.length
# One statement rolls up this many coarse slots: of 5,000 coins, some seconds' work at the most.
SLOTS_AT_ONCE = 24
PRICES = f'"{PriceData._meta.db_table}"'
REPLACED = (
    "open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, "
    "volume_24h = excluded.volume_24h, market_cap = excluded.market_cap, samples = excluded.samples "
    f"WHERE excluded.samples > {PRICES}.samples"
)
# The finer slots that tell how a coarse one begins and ends: kind of join, name, and when the slot begins.
JOINED = (("JOIN", "opening", "first_at"), ("JOIN", "ending", "last_at"), ("LEFT JOIN", "after_end", "end_at"))


def roll_up(*, coin_ids: Iterable[int], now: datetime) -> int:
    """Writes the hours and days that closed lately and are well covered; returns the rows written.

    Well covered means that the price at the start and the price at the end were seen. A slot
    that is stored with as many prices already is not looked at again, so a tick that closes no hour costs little.
    """
    ids = sorted(set(coin_ids))
    if not ids:
        return 0
    return sum(
        _combine(step, ids, floor_time(now - step.looks_back, step.coarse.length), floor_time(now, step.coarse.length))
        for step in STEPS
    )


def roll_up_range(*, start: datetime, end: datetime, is_final: bool, coin_ids: Sequence[int] | None = None) -> int:
    """Rolls up the whole days that touch the range; returns the rows written. No slot that goes on. None: all coins.

    With `is_final` the finer slots are about to be dropped: an hour or day that has any is made of what is there,
    and one that is stored takes in their extremes. So the highest and lowest price of any span stay what they were.
    """
    written = 0
    now = timezone.now()
    for step in STEPS:
        last = min(_ceiling(end), floor_time(now, step.coarse.length))
        for from_at, to_at in _chunks(floor_time(start, DAY), last, step.coarse.length * SLOTS_AT_ONCE):
            written += _combine(step, coin_ids, from_at, to_at)
            written += _combine(step, coin_ids, from_at, to_at, is_final=True) if is_final else 0
    return written


def widen_days(*, coin_id: int, since: datetime) -> int:
    """Lets a stored day's high and low include those of its hours; its open and close, exact at midnight, stay."""
    step = STEPS[1]
    start, end = floor_time(since, DAY), floor_time(timezone.now(), DAY)
    chunks = _chunks(start, end, timedelta(days=100))
    return sum(_combine(step, [coin_id], *chunk, is_final=True, only_stored=True) for chunk in chunks)


def _ceiling(at: datetime) -> datetime:
    floor = floor_time(at, DAY)
    return floor if floor == at else floor + DAY


def _chunks(start: datetime, end: datetime, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + length, end)
        start += length


def _combine(
    step: Step,
    coin_ids: Sequence[int] | None,
    start: datetime,
    end: datetime,
    *,
    is_final: bool = False,
    only_stored: bool = False,
) -> int:
    """Makes the coarse slots that begin in the range, of these coins or of all, with one statement."""
    length = step.coarse.length
    starts = [start + number * length for number in range((end - start) // length)]
    if not starts:
        return 0
    stamp = connection.ops.adapt_datetimefield_value
    parameters: list[Any] = []
    for at in starts:
        parameters += [stamp(at), stamp(at + length), stamp(at + length - step.fine.length)]
    parameters += coin_ids or []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_sql(step, len(starts), len(coin_ids or []), is_final, only_stored), parameters)
        return max(cursor.rowcount, 0)


def _sql(step: Step, slots: int, coins: int, is_final: bool, only_stored: bool) -> str:
    """One INSERT for both databases: candidates, their finer slots put together, and what becomes of a stored row."""
    time = "timestamptz" if is_postgres() else "text"
    slot = f"({', '.join([f'CAST(%s AS {time})'] * 3)})"
    return (
        f'INSERT INTO {PRICES} (coin_id, "interval", at, open, high, low, close, volume_24h, market_cap, samples) '
        f"WITH slot (start_at, end_at, last_start_at) AS (VALUES {', '.join([slot] * slots)}), "
        f"wanted AS ({_wanted_sql(step, coins, is_final, only_stored)}), "
        f"parts AS ({_parts_sql(step)}), "
        f"made AS ({_made_sql(step, is_final)}) "
        f"SELECT coin_id, '{step.coarse.value}', start_at, open, {_most('high', 'close')}, {_least('low', 'close')}, "
        "close, volume_24h, market_cap, samples FROM made WHERE true ORDER BY coin_id, start_at "
        f'ON CONFLICT (coin_id, "interval", at) DO UPDATE SET {_widened_sql() if is_final else REPLACED}'
    )


def _wanted_sql(step: Step, coins: int, is_final: bool, only_stored: bool) -> str:
    """Which slots of which coins to look at."""
    stored = (
        f"SELECT 1 FROM {PRICES} stored WHERE stored.coin_id = coin.id AND stored.at = slot.start_at "
        f"""AND stored."interval" = '{step.coarse.value}'"""
    )
    full = step.coarse.length // step.fine.length
    if only_stored:
        condition = f"EXISTS ({stored})"
    elif is_final:
        condition = "true"
    elif step.only_missing:
        condition = f"NOT EXISTS ({stored})"
    else:  # a slot that was made of all its finer ones needs no second look
        condition = f"NOT EXISTS ({stored} AND stored.samples >= {full})"
    chosen = f"coin.id IN ({', '.join(['%s'] * coins)}) AND " if coins else ""
    return (
        "SELECT coin.id AS coin_id, slot.start_at, slot.end_at, slot.last_start_at "
        f'FROM "{Cryptocurrency._meta.db_table}" coin CROSS JOIN slot WHERE {chosen}{condition}'
    )


def _parts_sql(step: Step) -> str:
    """The sound finer slots of each: their extremes, their number, the first and the last."""
    slot = "wanted.coin_id, wanted.start_at, wanted.end_at, wanted.last_start_at"
    return (
        f"SELECT {slot}, max(part.high) AS high, min(part.low) AS low, sum(part.samples) AS samples, "
        "count(*) AS found, min(part.at) AS first_at, max(part.at) AS last_at "
        f"FROM wanted JOIN {PRICES} part ON part.coin_id = wanted.coin_id "
        f"""AND part."interval" = '{step.fine.value}' AND part.at >= wanted.start_at AND part.at < wanted.end_at """
        f"AND part.is_quarantined = false GROUP BY {slot}"
    )


def _made_sql(step: Step, is_final: bool) -> str:
    """How each opens and closes; only the well-covered ones unless their finer slots are about to go."""
    joins = " ".join(
        f"{join} {PRICES} {name} ON {name}.coin_id = parts.coin_id AND {name}.at = parts.{at} "
        f"""AND {name}."interval" = '{step.fine.value}' AND {name}.is_quarantined = false"""
        for join, name, at in JOINED
    )
    end_is_seen = "after_end.open IS NOT NULL"
    if step.closes_at_its_end:
        end_is_seen = f"({end_is_seen} OR parts.last_at = parts.last_start_at)"
    covered = f"parts.found >= {step.needed} AND parts.first_at = parts.start_at AND {end_is_seen}"
    at_end = ", ".join(
        f"CASE WHEN after_end.open IS NULL THEN ending.{name} ELSE after_end.{seen} END AS {name}"
        for name, seen in (("close", "open"), ("volume_24h", "volume_24h"), ("market_cap", "market_cap"))
    )
    return (
        "SELECT parts.coin_id, parts.start_at, opening.open AS open, parts.high, parts.low, parts.samples, "
        f"{at_end} FROM parts {joins} WHERE {'true' if is_final else covered}"
    )


def _widened_sql() -> str:
    """A stored slot takes in the extremes, and counts their prices: one that saw fewer does not replace it then."""
    high, low, samples = (f"{PRICES}.{name}" for name in ("high", "low", "samples"))
    return (
        f"high = {_most(high, 'excluded.high')}, low = {_least(low, 'excluded.low')}, "
        f"samples = {_most(samples, 'excluded.samples')} "
        f"WHERE excluded.high > {high} OR excluded.low < {low} OR excluded.samples > {samples}"
    )


def _most(one: str, other: str) -> str:
    return f"{'GREATEST' if is_postgres() else 'MAX'}({one}, {other})"


def _least(one: str, other: str) -> str:
    return f"{'LEAST' if is_postgres() else 'MIN'}({one}, {other})"
