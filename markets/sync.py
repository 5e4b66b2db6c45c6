"""The jobs that bring the market in: prices, history, the list of coins, and the clearing out of old slots."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.errors import BadParameter, CoinGeckoError, NotFound
from markets.coingecko.schemas import MarketChart, MarketRow, Rejected
from markets.ingest import Slot, closed_slots, tick_slot, write_rows, write_slots
from markets.models import Cryptocurrency, Interval, PriceData, RejectedPoint, SyncRun
from markets.rollup import roll_up, widen_days

PER_PAGE = 250
HOURLY_DAYS = 90  # CoinGecko answers in hours up to 90 days, in days beyond
HISTORY_PAUSE = timedelta(minutes=50)  # one coin is not asked again sooner
ABANDONED_AFTER = timedelta(minutes=40)  # longer than any job's time limit
KEPT_REJECTS = 200
DELETE_BATCH = 10_000
KEEP_RUNS = timedelta(days=90)

LATEST_FIELDS = (
    "symbol", "name", "image_url", "is_listed", "market_cap_rank", "price_usd", "market_cap_usd", "volume_24h_usd",
    "high_24h_usd", "low_24h_usd", "change_1h_percent", "change_24h_percent", "change_7d_percent",
    "circulating_supply", "max_supply", "all_time_high_usd", "all_time_high_at", "sparkline_7d", "price_at",
    "updated_at",
)  # fmt: skip


@dataclass
class Tally:
    """What one run counted; copied to its SyncRun row."""

    calls: int = 0
    rows_written: int = 0
    rejected: list[tuple[str, Rejected]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def reject(self, coingecko_id: str, rejected: Iterable[Rejected]) -> None:
        self.rejected += [(coingecko_id, one) for one in rejected]


@contextmanager
def recorded_run(kind: SyncRun.Kind, tally: Tally) -> Iterator[SyncRun]:
    """Keeps a SyncRun from start to end; an error ends it as failed and goes on to the caller."""
    now = timezone.now()
    SyncRun.objects.running().filter(kind=kind, started_at__lt=now - ABANDONED_AFTER).update(
        state=SyncRun.State.FAILED, finished_at=now, problem="The worker stopped before the run ended."
    )
    run = SyncRun.objects.create(kind=kind)
    try:
        yield run
    except BaseException as error:
        _finish(run, tally, SyncRun.State.FAILED, str(error) or type(error).__name__)
        raise
    state = SyncRun.State.PARTIAL if tally.problems else SyncRun.State.SUCCEEDED
    _finish(run, tally, state, "\n".join(tally.problems))


def _finish(run: SyncRun, tally: Tally, state: SyncRun.State, problem: str) -> None:
    run.state, run.problem, run.finished_at = state, problem, timezone.now()
    run.calls, run.rows_written, run.rows_rejected = tally.calls, tally.rows_written, len(tally.rejected)
    run.save()
    RejectedPoint.objects.bulk_create(
        RejectedPoint(run=run, coingecko_id=coin[:150], reason=one.reason[:200], value=str(one.what)[:500])
        for coin, one in tally.rejected[:KEPT_REJECTS]
    )


# Prices -------------------------------------------------------------------------------------------


def sync_prices(*, client: CoinGeckoClient, now: datetime | None = None) -> SyncRun:
    """One tick: the latest price of the biggest coins and of every tracked one, whole or not at all.

    Raises CoinGeckoError when upstream did not give all pages; then nothing of this tick is stored.
    """
    tally = Tally()
    with recorded_run(SyncRun.Kind.PRICES, tally) as run:
        rows = fetch_market(client, tally)
        with transaction.atomic():
            store_tick(rows, tally)
        roll_up(coin_ids=tracked_ids(), now=now or timezone.now())
    return run


def tracked_ids() -> list[int]:
    return list(Cryptocurrency.objects.tracked().values_list("pk", flat=True))


def fetch_market(client: CoinGeckoClient, tally: Tally) -> list[MarketRow]:
    """The first page by market cap, then the tracked coins that are not on it, by id."""
    by_id: dict[str, MarketRow] = {}

    def take(ids: Sequence[str] | None) -> None:
        answer = client.coins_markets(ids=ids, per_page=PER_PAGE, page=1)
        tally.calls += 1
        tally.reject("", answer.rejected)
        by_id.update({row.id: row for row in answer.rows})

    take(None)
    tracked = Cryptocurrency.objects.tracked().listed().order_by("pk").values_list("coingecko_id", flat=True)
    missing = [coin for coin in tracked if coin not in by_id]
    for start in range(0, len(missing), PER_PAGE):
        take(missing[start : start + PER_PAGE])
    return list(by_id.values())


def store_tick(rows: Sequence[MarketRow], tally: Tally) -> None:
    """Brings the latest figures up to date, from newer ones only, and writes the tracked coins' five-minute slots."""
    known = {
        coin.coingecko_id: coin
        for coin in Cryptocurrency.objects.select_for_update().filter(coingecko_id__in=[row.id for row in rows])
    }
    newer = [row for row in rows if _is_news(row, known.get(row.id))]
    Cryptocurrency.objects.bulk_create(
        [_latest(row) for row in sorted(newer, key=lambda row: row.id)],
        update_conflicts=True,
        unique_fields=["coingecko_id"],
        update_fields=LATEST_FIELDS,
    )
    track_biggest()
    ids = dict(Cryptocurrency.objects.tracked().values_list("coingecko_id", "pk"))
    slots = [(ids[row.id], Interval.FIVE_MINUTES, _tick(row)) for row in rows if row.id in ids and _is_priced(row)]
    tally.rows_written += write_rows(rows=slots)


def _is_priced(row: MarketRow) -> bool:
    return row.current_price is not None and row.last_updated_at is not None


def _is_news(row: MarketRow, coin: Cryptocurrency | None) -> bool:
    if coin is None or coin.price_at is None:
        return True
    return _is_priced(row) and row.last_updated_at is not None and row.last_updated_at > coin.price_at


@dataclass(frozen=True, slots=True)
class Tick:
    at: datetime
    price: float
    market_cap: float | None
    volume_24h: float | None


def _tick(row: MarketRow) -> Slot:
    assert row.current_price is not None
    assert row.last_updated_at is not None
    return tick_slot(Tick(row.last_updated_at, row.current_price, row.market_cap, row.total_volume))


def _latest(row: MarketRow) -> Cryptocurrency:
    priced = _is_priced(row)
    return Cryptocurrency(
        coingecko_id=row.id,
        symbol=row.symbol[:50],
        name=row.name[:200],
        image_url=(row.image or "")[:500],
        is_listed=True,
        market_cap_rank=row.market_cap_rank,
        price_usd=row.current_price if priced else None,
        market_cap_usd=row.market_cap,
        volume_24h_usd=row.total_volume,
        high_24h_usd=row.high_24h,
        low_24h_usd=row.low_24h,
        change_1h_percent=row.price_change_percentage_1h,
        change_24h_percent=row.price_change_percentage_24h,
        change_7d_percent=row.price_change_percentage_7d,
        circulating_supply=row.circulating_supply,
        max_supply=row.max_supply,
        all_time_high_usd=row.ath,
        all_time_high_at=row.ath_at,
        sparkline_7d=list(row.sparkline or ()),
        price_at=row.last_updated_at if priced else None,
        updated_at=timezone.now(),
    )


def track_biggest() -> None:
    """On a new site: tracks the biggest coins, as many as TRACKED_COINS says. What staff chose later stays."""
    if Cryptocurrency.objects.tracked().exists():
        return
    biggest = Cryptocurrency.objects.listed().priced().filter(market_cap_rank__isnull=False)
    ids = list(biggest.order_by("market_cap_rank").values_list("pk", flat=True)[: settings.TRACKED_COINS])
    Cryptocurrency.objects.filter(pk__in=ids).update(is_tracked=True)


# History ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gap:
    """One call that a coin's history needs."""

    coin: Cryptocurrency
    days: int
    intervals: tuple[Interval, ...]


def sync_history(
    *, client: CoinGeckoClient, now: datetime | None = None, max_calls: int = 120, max_seconds: float = 900
) -> int:
    """Fills the gaps in the tracked coins' daily and hourly history; returns how many calls are still to make.

    Daily history of all coins comes first: it is what a forecast needs. Each coin is stored at once or not at
    all, so a run that is cut short leaves whole coins and the next one goes on from there.
    """
    now = now or timezone.now()
    tally = Tally()
    roll_up(coin_ids=tracked_ids(), now=now)
    gaps = history_gaps(now=now)
    if not gaps:
        return 0
    with recorded_run(SyncRun.Kind.HISTORY, tally) as run:
        done = _fill_gaps(client, run, tally, gaps[:max_calls], until=timezone.now() + timedelta(seconds=max_seconds))
    return len(gaps) - done


def _fill_gaps(client: CoinGeckoClient, run: SyncRun, tally: Tally, gaps: Sequence[Gap], *, until: datetime) -> int:
    run.total = len(gaps)
    run.save(update_fields=["total"])
    for number, gap in enumerate(gaps, start=1):
        fill_gap(client, gap, tally)
        run.done, run.calls, run.rows_written = number, tally.calls, tally.rows_written
        run.save(update_fields=["done", "calls", "rows_written"])
        if timezone.now() > until:
            return number
    return len(gaps)


def history_gaps(*, now: datetime, coins: Sequence[Cryptocurrency] | None = None) -> list[Gap]:
    """The calls that would complete the history, in the order they matter."""
    if coins is None:
        due = Cryptocurrency.objects.tracked().listed().lacking_history(before=now - HISTORY_PAUSE)
        coins = list(due)
    newest = _newest_slots([coin.pk for coin in coins])
    gaps = [gap for coin in coins for gap in _gaps_of(coin, newest, now)]
    return sorted(gaps, key=lambda gap: gap.days <= HOURLY_DAYS)  # stable: whole years first, by rank


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


def fill_gap(client: CoinGeckoClient, gap: Gap, tally: Tally) -> None:
    """One call, stored in one transaction. A coin that upstream no longer knows is marked as not listed."""
    problem = ""
    slots: list[tuple[Interval, list[Slot]]] = []
    tally.calls += 1
    try:
        chart = client.market_chart(gap.coin.coingecko_id, days=gap.days)
        slots = _chart_slots(chart, gap.intervals)
        tally.reject(gap.coin.coingecko_id, chart.rejected)
    except (NotFound, BadParameter) as error:
        problem = error.message[:300]
        tally.problems.append(f"{gap.coin.coingecko_id}: {problem}")
        if isinstance(error, NotFound):
            Cryptocurrency.objects.filter(pk=gap.coin.pk).update(is_listed=False)
    with transaction.atomic():
        for interval, found in slots:
            tally.rows_written += write_slots(coin_id=gap.coin.pk, interval=interval, slots=found)
        if Interval.HOUR in gap.intervals:
            widen_days(coin_id=gap.coin.pk, since=timezone.now() - timedelta(days=gap.days))
        changed: dict[str, object] = {"history_problem": problem}
        if Interval.HOUR in gap.intervals or problem:
            changed["history_synced_at"] = timezone.now()
        Cryptocurrency.objects.filter(pk=gap.coin.pk).update(**changed)


def _chart_slots(chart: MarketChart, intervals: Iterable[Interval]) -> list[tuple[Interval, list[Slot]]]:
    now = timezone.now()
    return [(interval, closed_slots(chart.points, interval, now=now)) for interval in intervals]


# One coin, the list of coins, old slots -------------------------------------------------------------


def sync_coin(*, client: CoinGeckoClient, coingecko_id: str, now: datetime | None = None) -> SyncRun:
    """One coin at once: its latest price and the gaps of its history. Adds a coin that was not known.

    Raises NotFound when CoinGecko has no coin of this id.
    """
    tally = Tally()
    with recorded_run(SyncRun.Kind.COIN, tally) as run:
        answer = client.coins_markets(ids=[coingecko_id], per_page=1, page=1)
        tally.calls += 1
        tally.reject(coingecko_id, answer.rejected)
        if not answer.rows:
            Cryptocurrency.objects.filter(coingecko_id=coingecko_id).update(is_listed=False)
            raise NotFound(f"CoinGecko lists no coin {coingecko_id!r}.", status=404)
        with transaction.atomic():
            store_tick(answer.rows, tally)
            coins = Cryptocurrency.objects.filter(coingecko_id=coingecko_id)
            coins.update(is_tracked=True)
            coin = coins.get()
        _fill_gaps(
            client, run, tally, history_gaps(now=now or timezone.now(), coins=[coin]),
            until=timezone.now() + timedelta(minutes=5),
        )  # fmt: skip
    return run


def discover_coins(*, client: CoinGeckoClient) -> SyncRun:
    """Compares our coins with CoinGecko's whole list, and tracks new big ones where a place is free."""
    tally = Tally()
    with recorded_run(SyncRun.Kind.DISCOVER, tally) as run:
        answer = client.coins_list()
        tally.calls += 1
        tally.reject("", answer.rejected)
        if not answer.rows:
            raise CoinGeckoError("CoinGecko's list of coins is empty; nothing was changed.")
        listed = {row.id for row in answer.rows}
        with transaction.atomic():
            tally.rows_written += _mark_listed(listed)
            tally.rows_written += _fill_free_places()
    return run


def _mark_listed(listed: set[str]) -> int:
    ours = Cryptocurrency.objects.values_list("coingecko_id", "is_listed")
    gone = [coin for coin, is_listed in ours if is_listed and coin not in listed]
    back = [coin for coin, is_listed in ours if not is_listed and coin in listed]
    changed = 0
    for ids, is_listed in ((gone, False), (back, True)):
        for start in range(0, len(ids), 500):
            batch = Cryptocurrency.objects.filter(coingecko_id__in=ids[start : start + 500])
            changed += batch.update(is_listed=is_listed)
    return changed


def _fill_free_places() -> int:
    free = settings.TRACKED_COINS - Cryptocurrency.objects.tracked().listed().count()
    if free <= 0:
        return 0
    waiting = (
        Cryptocurrency.objects.listed().priced().filter(is_tracked=False, market_cap_rank__lte=settings.TRACKED_COINS)
    )
    ids = list(waiting.order_by("market_cap_rank").values_list("pk", flat=True)[:free])
    return Cryptocurrency.objects.filter(pk__in=ids).update(is_tracked=True)


def cleanup(*, now: datetime | None = None) -> SyncRun:
    """Deletes five-minute and hourly slots past their keep time, in batches that hold no lock for long."""
    now = now or timezone.now()
    tally = Tally()
    keep = ((Interval.FIVE_MINUTES, settings.KEEP_5M_DAYS), (Interval.HOUR, settings.KEEP_1H_DAYS))
    with recorded_run(SyncRun.Kind.CLEANUP, tally) as run:
        for interval, days in keep:
            tally.rows_written += _delete_slots(interval, before=now - timedelta(days=days))
        SyncRun.objects.finished().filter(started_at__lt=now - KEEP_RUNS).delete()
    return run


def _delete_slots(interval: Interval, *, before: datetime) -> int:
    old = PriceData.objects.filter(interval=interval, at__lt=before).order_by("at").values_list("pk", flat=True)
    deleted = 0
    while ids := list(old[:DELETE_BATCH]):
        deleted += PriceData.objects.filter(pk__in=ids).delete()[0]
    return deleted
