"""Reads a chunk of coins' slots of one interval and says what the rules find in them; writes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter

import numpy as np
from django.db.models import OuterRef, Subquery

from markets.amounts import price_text
from markets.models import Cryptocurrency, DataFault, Interval, PriceData
from markets.quality.rules import (
    LIMITS,
    Gap,
    Limits,
    find_duplicates,
    find_frozen,
    find_gaps,
    find_outliers,
)

COLUMNS = ("coin_id", "pk", "at", "open", "close", "volume_24h", "market_cap")
Row = tuple[int, int, datetime, float, float, float | None, float | None]


@dataclass(frozen=True)
class Finding:
    """One fault as the rules see it; `rows` are the keys of the rows to quarantine."""

    coin_id: int
    interval: Interval
    kind: DataFault.Kind
    start_at: datetime
    end_at: datetime
    slots: int
    detail: str
    rows: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[int, str, str, datetime]:
        return self.coin_id, self.interval.value, self.kind.value, self.start_at


@dataclass
class Scan:
    """What was found, and from when on each coin's slots were judged."""

    interval: Interval
    judged_from: datetime | None
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Reach:
    """What one coin's window does not show: the slot before it, and how far apart its five-minute prices come."""

    slot_before: int | None
    usual_step: int


def scan_interval(coin_ids: Sequence[int], interval: Interval, *, judged_from: datetime | None) -> Scan:
    """Judges the slots from `judged_from` on (None: all) in two queries, however many coins there are."""
    limits = LIMITS[interval.value]
    read_from = judged_from - limits.context_slots * interval.length if judged_from else None
    reaches = _reaches(coin_ids, interval, read_from)
    scan = Scan(interval, judged_from)
    for coin_id, rows in _rows_by_coin(coin_ids, interval, read_from):
        scan.findings += _judge(coin_id, interval, rows, reaches[coin_id], judged_from)
    return scan


def _reaches(coin_ids: Sequence[int], interval: Interval, read_from: datetime | None) -> dict[int, Reach]:
    limits = LIMITS[interval.value]
    coins = Cryptocurrency.objects.filter(pk__in=coin_ids).order_by()
    earlier = PriceData.objects.filter(coin=OuterRef("pk"), interval=interval).order_by("-at")
    earlier = earlier.filter(at__lt=read_from) if read_from else earlier.none()
    found = coins.annotate(before=Subquery(earlier.values("at")[:1]))
    return {
        coin_id: Reach(
            slot_number(before, limits) if before else None,
            seconds // limits.seconds if interval == Interval.FIVE_MINUTES else 1,
        )
        for coin_id, seconds, before in found.values_list("pk", "sync_every_seconds", "before")
    }


def _rows_by_coin(
    coin_ids: Sequence[int], interval: Interval, read_from: datetime | None
) -> Iterator[tuple[int, list[Row]]]:
    slots = PriceData.objects.filter(coin_id__in=coin_ids, interval=interval).order_by("coin_id", "at")
    if read_from:
        slots = slots.filter(at__gte=read_from)
    found: Iterable[Row] = slots.values_list(*COLUMNS).iterator(chunk_size=5000)
    for coin_id, rows in groupby(found, key=itemgetter(0)):
        yield coin_id, list(rows)


def _judge(
    coin_id: int, interval: Interval, rows: list[Row], reach: Reach, judged_from: datetime | None
) -> list[Finding]:
    limits = LIMITS[interval.value]
    slots = np.array([slot_number(row[2], limits) for row in rows])
    opens, closes = np.array([row[3] for row in rows]), np.array([row[4] for row in rows])
    volumes = np.array([np.nan if row[5] is None else row[5] for row in rows])
    caps = np.array([0.0 if row[6] is None else row[6] for row in rows])
    since = slot_number(judged_from, limits) if judged_from else int(slots[0])

    def finding(kind: DataFault.Kind, start: int, count: int, detail: str, pks: Iterable[int] = ()) -> Finding:
        start_at, end_at = slot_time(start, limits), slot_time(start + count, limits)
        return Finding(coin_id, interval, kind, start_at, end_at, count, detail[:300], tuple(pks))

    known = slots if reach.slot_before is None else np.concatenate([[reach.slot_before], slots])
    found = [gap_finding(coin_id, interval, gap) for gap in find_gaps(known, limits, usual_step=reach.usual_step)]
    for run in find_frozen(slots, closes, limits):
        words = f"{run.stop - run.start} slots in a row at {price_text(closes[run.start])}"
        found.append(finding(DataFault.Kind.FROZEN, int(slots[run.start]), run.stop - run.start, words))
    for run in find_duplicates(slots, [opens, closes, volumes, caps], closes, limits):
        words = "the same price, volume and cap as the slot before, to the last digit"
        found.append(finding(DataFault.Kind.DUPLICATE, int(slots[run.start]), run.stop - run.start, words))
    for one in find_outliers(slots, opens, closes, limits):
        words = f"{price_text(one.price)} between {price_text(one.before)} and {price_text(one.after)}"
        count = int(slots[one.stop - 1] - slots[one.start]) + 1
        pks = [row[1] for row in rows[one.start : one.stop]]
        found.append(finding(DataFault.Kind.OUTLIER, int(slots[one.start]), count, words, pks))
    start_of_judged = slot_time(since, limits)
    return [one for one in found if one.end_at >= start_of_judged]


def gap_finding(coin_id: int, interval: Interval, gap: Gap) -> Finding:
    limits = LIMITS[interval.value]
    start_at, end_at = slot_time(gap.slot, limits), slot_time(gap.slot + gap.count, limits)
    return Finding(coin_id, interval, DataFault.Kind.GAP, start_at, end_at, gap.count, "")


def slot_number(at: datetime, limits: Limits) -> int:
    return int(at.timestamp()) // limits.seconds


def slot_time(slot: int, limits: Limits) -> datetime:
    return datetime.fromtimestamp(slot * limits.seconds, tz=UTC)


def floor_to_slot(at: datetime, length: timedelta) -> datetime:
    return at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % length
