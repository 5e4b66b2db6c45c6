"""The history of coins: pulled once, then only what is missing."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max

from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.errors import BadParameter, NotFound
from markets.coingecko.schemas import MarketChart
from markets.coingecko.series import floor_time
from markets.ingest import Slot, closed_slots, tick_slot, write_slots
from markets.lease import database_now
from markets.models import Cryptocurrency, Interval, PriceData, SyncRun
from markets.planning import current_plan, history_allowance
from markets.rollup import roll_up, widen_days
from markets.sync.prices import tracked_ids
from markets.sync.runs import Step, Tally, single_run

HOURLY_DAYS = 90  # CoinGecko answers in hours up to 90 days, in days beyond
HISTORY_PAUSE = timedelta(minutes=50)  # one coin is not asked again sooner
DAY_SLOTS = timedelta(hours=23)  # how far back CoinGecko's five-minute points of one day surely reach


@dataclass(frozen=True, slots=True)
class Gap:
    """One call that a coin's history needs."""

    coin: Cryptocurrency
    days: int
    intervals: tuple[Interval, ...]


def sync_history(
    *,
    client: CoinGeckoClient,
    now: datetime | None = None,
    max_calls: int = 120,
    max_seconds: float = 900,
    task_id: str = "",
) -> int:
    """Fills the gaps in the tracked coins' history; returns how many calls are still to make and may be made now.

    Daily history of all coins comes first: it is what a forecast needs. Each coin is stored at once or not at
    all, so a run that is cut short leaves whole coins and the next one goes on from there. It spends only what
    prices leave of the month's credits. Raises AlreadyRunning while another one goes on.
    """
    now = now or database_now()
    roll_up(coin_ids=tracked_ids(), now=now)
    gaps = history_gaps(now=now)
    if not gaps:
        return 0
    allowed = history_allowance(spent=client.credits_spent(), now=now, plan=current_plan())
    affordable = gaps if allowed is None else gaps[:allowed]
    with single_run(SyncRun.Kind.HISTORY, tally := Tally(), task_id=task_id) as step:
        if len(affordable) < len(gaps):
            tally.problems.append(
                f"{len(gaps) - len(affordable)} of {len(gaps)} calls wait: prices need what is left of the month's "
                "credits."
            )
        fill_gaps(client, step, affordable[:max_calls], now=now, max_seconds=max_seconds)
    if step.run.state == SyncRun.State.CANCELLED:
        return 0
    return len(affordable) - step.run.done


def fill_gaps(client: CoinGeckoClient, step: Step, gaps: Sequence[Gap], *, now: datetime, max_seconds: float) -> None:
    """One call after the other, until all are made or the time is up."""
    until = time.monotonic() + max_seconds
    step.begin(len(gaps))
    for number, gap in enumerate(gaps, start=1):
        fill_gap(client, step, gap, now)
        step.advance(number)
        if time.monotonic() > until:
            return


def history_gaps(*, now: datetime, coins: Sequence[Cryptocurrency] | None = None) -> list[Gap]:
    """The calls that would complete the history, in the order they matter."""
    if coins is None:
        due = Cryptocurrency.objects.tracked().listed().lacking_history(before=now - HISTORY_PAUSE)
        coins = list(due)
    newest = _newest_slots([coin.pk for coin in coins])
    gaps = [gap for coin in coins for gap in _gaps_of(coin, newest, now)]
    gaps += _hole_gaps(coins, {gap.coin.pk for gap in gaps}, now)
    return sorted(gaps, key=_urgency)  # stable: whole years first, by rank


def _urgency(gap: Gap) -> int:
    if gap.days > HOURLY_DAYS:
        return 0
    return 2 if Interval.FIVE_MINUTES in gap.intervals else 1


def missed_slots(*, now: datetime) -> list[datetime]:
    """The five-minute slots of the last day that no tick filled, since the first tick there ever was."""
    ticks = SyncRun.objects.filter(kind=SyncRun.Kind.PRICES, state=SyncRun.State.SUCCEEDED, slot_at__isnull=False)
    first = ticks.order_by("slot_at").values_list("slot_at", flat=True).first()
    if first is None:
        return []
    length = Interval.FIVE_MINUTES.length
    end = floor_time(now, length) - length  # the slot before this one may still be on its way
    start = max(first, floor_time(now - DAY_SLOTS, length))
    filled = set(ticks.filter(slot_at__gte=start).values_list("slot_at", flat=True))
    count = max(0, (end - start) // length)
    return [at for at in (start + number * length for number in range(count)) if at not in filled]


def _hole_gaps(coins: Sequence[Cryptocurrency], busy: set[int], now: datetime) -> list[Gap]:
    """A call for each coin of the shortest period that lacks a slot which no tick filled."""
    slots = missed_slots(now=now)
    frequent = [coin for coin in coins if coin.sync_every_seconds == 300 and coin.pk not in busy]
    if not slots or not frequent:
        return []
    found = PriceData.objects.filter(
        coin_id__in=[coin.pk for coin in frequent], interval=Interval.FIVE_MINUTES, at__in=slots
    )
    stored = dict(found.order_by().values_list("coin_id").annotate(count=Count("pk")))
    return [Gap(coin, 1, (Interval.FIVE_MINUTES,)) for coin in frequent if stored.get(coin.pk, 0) < len(slots)]


def _newest_slots(coin_ids: Sequence[int]) -> dict[tuple[int, str], datetime]:
    rows = (
        PriceData.objects.filter(coin_id__in=coin_ids, interval__in=[Interval.HOUR, Interval.DAY])
        .order_by()
        .values_list("coin_id", "interval")
        .annotate(newest=Max("at"))
    )
    return {(coin, interval): newest for coin, interval, newest in rows}


def _gaps_of(coin: Cryptocurrency, newest: dict[tuple[int, str], datetime], now: datetime) -> Iterator[Gap]:
    day, hour = newest.get((coin.pk, "1d")), newest.get((coin.pk, "1h"))
    days_missing = (now - day).days - 1 if day else settings.HISTORY_DAYS
    if days_missing > HOURLY_DAYS - 2:
        yield Gap(coin, min(days_missing + 2, settings.HISTORY_DAYS), (Interval.DAY,))
        days_missing = 0
    hours_missing = (now - hour).total_seconds() / 3600 - 2 if hour else HOURLY_DAYS * 24
    if days_missing > 0 or hours_missing > 1:
        days = max(days_missing + 2, math.ceil(hours_missing / 24) + 1)
        intervals = (Interval.HOUR, Interval.DAY) if days_missing > 0 else (Interval.HOUR,)
        yield Gap(coin, min(days, HOURLY_DAYS), intervals)


def fill_gap(client: CoinGeckoClient, step: Step, gap: Gap, now: datetime) -> None:
    """One call, stored in one transaction. A coin that upstream no longer knows is marked as not listed."""
    problem = ""
    slots: list[tuple[Interval, list[Slot]]] = []
    step.tally.calls += 1
    try:
        chart = client.market_chart(gap.coin.coingecko_id, days=gap.days)
        slots = [(interval, _chart_slots(chart, interval, now)) for interval in gap.intervals]
        step.tally.reject(gap.coin.coingecko_id, chart.rejected)
    except (NotFound, BadParameter) as error:
        problem = error.message[:300]
        step.tally.problems.append(f"{gap.coin.coingecko_id}: {problem}")
        if isinstance(error, NotFound):
            Cryptocurrency.objects.filter(pk=gap.coin.pk).update(is_listed=False)
    with step.writing():
        for interval, found in slots:
            step.tally.rows_written += write_slots(coin_id=gap.coin.pk, interval=interval, slots=found)
        if Interval.HOUR in gap.intervals:
            widen_days(coin_id=gap.coin.pk, since=now - timedelta(days=gap.days))
        changed: dict[str, object] = {"history_problem": problem}
        if Interval.DAY not in gap.intervals or Interval.HOUR in gap.intervals or problem:
            changed["history_synced_at"] = now
        Cryptocurrency.objects.filter(pk=gap.coin.pk).update(**changed)


def _chart_slots(chart: MarketChart, interval: Interval, now: datetime) -> list[Slot]:
    if interval == Interval.FIVE_MINUTES:
        return _missing_ticks(chart, missed_slots(now=now))
    return closed_slots(chart.points, interval, now=now)


def _missing_ticks(chart: MarketChart, slots: Iterable[datetime]) -> list[Slot]:
    """The price of each missed slot: the last one that was known within five minutes of its start."""
    length = Interval.FIVE_MINUTES.length
    found = []
    for at in slots:
        known = [point for point in chart.points if at - length <= point.at < at + length]
        if known:
            nearest = min(known, key=lambda point: abs(point.at - at))
            found.append(tick_slot(nearest, at))
    return found
