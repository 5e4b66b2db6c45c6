"""Looks over stored prices every hour: opens and closes data faults, and quarantines what cannot be true."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery

from markets.models import Cryptocurrency, DataFault, Interval, PriceData, SyncRun
from markets.quality.quarantine import unquarantine
from markets.quality.rebuild import rebuild_coarser
from markets.quality.rules import LIMITS, find_gaps
from markets.quality.scan import Finding, Scan, floor_to_slot, gap_finding, scan_interval, slot_number
from markets.querysets import DataFaultQuerySet
from markets.sync import Tally, single_run

CHUNK = 100
# Slots before the last run that are looked at again: a spike is known once it is back, and rows arrive late.
LOOK_BACK_SLOTS = 8
# Five-minute slots are checked for this long; holes in them cannot be filled from upstream later.
FINE_FOR = timedelta(days=2)
# Every coin's whole history is checked once in so many runs: upstream may have changed any of it.
WHOLE_EVERY = 24
CHANGED_GAPS = 100

FILLED = "Filled."
PARTLY_FILLED = "Partly filled; what is left is a fault of its own."
NO_LONGER = "No longer so: the prices were restated."
EXPIRED = "Its slots are past their keep time."

FaultKey = tuple[int, str, str, datetime]


@dataclass(frozen=True)
class Portion:
    """Coins that are checked from one moment on; None: over all their history."""

    coin_ids: list[int]
    since: datetime | None


def check_quality(
    *, now: datetime, coin_ids: Sequence[int] | None = None, since: datetime | None = None, task_id: str = ""
) -> SyncRun:
    """Checks the tracked coins, or those given, and records the run; running it again changes nothing.

    Without `since` a run goes on from where the last one began, and takes one coin in 24 over all its history. With
    `coin_ids` and no `since` all of their history is checked. Raises AlreadyRunning while another check goes on.
    """
    portions = _portions(now, coin_ids, since)
    with single_run(SyncRun.Kind.QUALITY, tally := Tally(), task_id=task_id) as step:
        step.begin(sum(len(portion.coin_ids) for portion in portions))
        for ids, begin in _chunks(portions):
            tally.rows_written += _check_chunk(ids, begin, now)
            step.advance(step.run.done + len(ids))
        tally.rows_written += _expire(now)
    return step.run


def _portions(now: datetime, coin_ids: Sequence[int] | None, since: datetime | None) -> list[Portion]:
    if coin_ids is not None:
        return [Portion(sorted(set(coin_ids)), since)]
    tracked = list(Cryptocurrency.objects.tracked().order_by("pk").values_list("pk", flat=True))
    last = SyncRun.objects.filter(kind=SyncRun.Kind.QUALITY, state=SyncRun.State.SUCCEEDED, started_at__lt=now)
    since = since or last.values_list("started_at", flat=True).first()
    if since is None:
        return [Portion(tracked, None)]
    is_whole = {pk: pk % WHOLE_EVERY == now.hour for pk in tracked}
    return [
        Portion([pk for pk in tracked if not is_whole[pk]], since),
        Portion([pk for pk in tracked if is_whole[pk]], None),
    ]


def _chunks(portions: Sequence[Portion]) -> Iterator[tuple[list[int], datetime | None]]:
    for portion in portions:
        for start in range(0, len(portion.coin_ids), CHUNK):
            yield portion.coin_ids[start : start + CHUNK], portion.since


def _check_chunk(coin_ids: list[int], since: datetime | None, now: datetime) -> int:
    """Reads first and writes then, so that a database with one writer is held up for a moment only."""
    changed = 0
    for interval in Interval:
        scan = scan_interval(coin_ids, interval, judged_from=_judged_from(interval, since, now))
        with transaction.atomic():
            changed += _store(scan, coin_ids, now)
    return changed


def _judged_from(interval: Interval, since: datetime | None, now: datetime) -> datetime | None:
    begin = min(since, now) - LOOK_BACK_SLOTS * interval.length if since else None
    if interval == Interval.FIVE_MINUTES:
        begin = max(begin or now - FINE_FOR, now - FINE_FOR)
    return floor_to_slot(begin, interval.length) if begin else None


def _store(scan: Scan, coin_ids: list[int], now: datetime) -> int:
    """Brings the faults of these coins in line with what was found; returns how many rows and faults changed."""
    faults = DataFault.objects.filter(coin_id__in=coin_ids, interval=scan.interval)
    judged = faults.filter(end_at__gte=scan.judged_from) if scan.judged_from else faults
    changed, left = _close_touched_gaps(faults, scan.interval, now)
    known = {_key(fault): fault for fault in judged.unresolved()}
    findings = {one.key: one for one in _undecided([*scan.findings, *left], judged)}
    gone = [fault for key, fault in known.items() if key not in findings and _is_over(fault, scan)]
    changed += _resolve(gone, NO_LONGER, now) + unquarantine(gone)
    changed += _open(findings, known, now)
    return changed + _quarantine(scan.interval, [pk for one in findings.values() for pk in one.rows])


def _key(fault: DataFault) -> FaultKey:
    return fault.coin_id, fault.interval, fault.kind, fault.start_at


def _undecided(findings: Sequence[Finding], faults: DataFaultQuerySet) -> list[Finding]:
    """The findings on which staff have not decided; what they released or settled stays so."""
    decided: dict[tuple[int, str], list[DataFault]] = {}
    for fault in faults.filter(is_closed_by_staff=True):
        decided.setdefault((fault.coin_id, fault.kind), []).append(fault)
    return [
        one
        for one in findings
        if not any(
            old.start_at < one.end_at and one.start_at < old.end_at
            for old in decided.get((one.coin_id, one.kind.value), ())
        )
    ]


def _close_touched_gaps(faults: DataFaultQuerySet, interval: Interval, now: datetime) -> tuple[int, list[Finding]]:
    """Resolves gaps in which slots were stored since; returns how many, and the holes that are left in them."""
    inside = PriceData.objects.filter(
        coin=OuterRef("coin"), interval=interval, at__gte=OuterRef("start_at"), at__lt=OuterRef("end_at")
    )
    present = inside.order_by().values("coin").annotate(n=Count("pk")).values("n")
    gaps = faults.unresolved().filter(kind=DataFault.Kind.GAP).annotate(present=Subquery(present))
    touched: list[Any] = list(gaps.filter(present__gte=1).order_by("pk")[:CHANGED_GAPS])  # DataFaults with `present`
    partly = [gap for gap in touched if gap.present < gap.slots]
    filled = [gap for gap in touched if gap.present >= gap.slots]
    return _resolve(filled, FILLED, now) + _resolve(partly, PARTLY_FILLED, now), _holes_left(partly, interval)


def _holes_left(gaps: Sequence[DataFault], interval: Interval) -> list[Finding]:
    if not gaps:
        return []
    limits = LIMITS[interval.value]
    spans = Q()
    for gap in gaps:
        spans |= Q(coin=gap.coin_id, at__gte=gap.start_at, at__lt=gap.end_at)
    stored: dict[int, list[int]] = {}
    for coin_id, at in PriceData.objects.filter(spans, interval=interval).values_list("coin_id", "at"):
        stored.setdefault(coin_id, []).append(slot_number(at, limits))
    found = []
    for gap in gaps:
        first, stop = slot_number(gap.start_at, limits), slot_number(gap.end_at, limits)
        inside = sorted(slot for slot in stored[gap.coin_id] if first <= slot < stop)
        holes = find_gaps(np.array([first - 1, *inside, stop]), limits)
        found += [gap_finding(gap.coin_id, interval, hole) for hole in holes]
    return found


def _is_over(fault: DataFault, scan: Scan) -> bool:
    """Whether a fault was judged with all that it depends on and not found again; what staff opened stays."""
    is_judged = scan.judged_from is None or fault.start_at >= scan.judged_from
    return is_judged and fault.kind != DataFault.Kind.GAP and not fault.is_opened_by_staff


def _resolve(faults: Sequence[DataFault], resolution: str, now: datetime) -> int:
    open_ones = DataFault.objects.filter(pk__in=[fault.pk for fault in faults]).unresolved()
    return open_ones.update(resolved_at=now, resolution=resolution)


def _open(findings: dict[FaultKey, Finding], known: dict[FaultKey, DataFault], now: datetime) -> int:
    """Opens what is new and brings what grew up to date; a second run beside this one opens nothing twice."""
    new = [one for key, one in findings.items() if key not in known]
    DataFault.objects.bulk_create(
        [
            DataFault(
                coin_id=one.coin_id, interval=one.interval, kind=one.kind, start_at=one.start_at, end_at=one.end_at,
                slots=one.slots, detail=one.detail, found_at=now,
            )
            for one in new
        ],
        ignore_conflicts=True,
        batch_size=500,
    )  # fmt: skip
    grown = []
    for key, one in findings.items():
        fault = known.get(key)
        if fault and fault.end_at < one.end_at and not fault.is_opened_by_staff:
            fault.end_at, fault.slots, fault.detail = one.end_at, one.slots, one.detail
            grown.append(fault)
    DataFault.objects.bulk_update(grown, ["end_at", "slots", "detail"], batch_size=500)
    return len(new) + len(grown)


def _quarantine(interval: Interval, pks: Sequence[int]) -> int:
    """Marks rows that were sound, and makes the hours and days again that hold them."""
    sound = PriceData.objects.sound().filter(pk__in=pks)
    fresh = list(sound.values_list("coin_id", "at"))
    if not fresh:
        return 0
    changed = sound.update(is_quarantined=True)
    rebuild_coarser(interval, fresh)
    return changed


def _expire(now: datetime) -> int:
    """Closes the faults of slots that the clean-up has deleted."""
    expired = 0
    for interval, days in ((Interval.FIVE_MINUTES, settings.KEEP_5M_DAYS), (Interval.HOUR, settings.KEEP_1H_DAYS)):
        old = DataFault.objects.unresolved().filter(interval=interval, end_at__lt=now - timedelta(days=days))
        expired += old.update(resolved_at=now, resolution=EXPIRED)
    return expired
