"""Single coins on demand, and the list of coins: what is new, what is gone, and what is tracked."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings

from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.errors import CoinGeckoError, NotFound
from markets.coingecko.planner import PAGE_COINS
from markets.coingecko.schemas import MarketRow
from markets.coingecko.series import floor_time
from markets.ingest import closed_slots, write_slots
from markets.latest import write_latest
from markets.lease import database_now
from markets.models import Cryptocurrency, Interval, SyncRun
from markets.planning import discovery_pages
from markets.rollup import widen_days
from markets.sync.history import fill_gaps, history_gaps
from markets.sync.prices import SLOT, Fetched, store_tick
from markets.sync.runs import Step, Tally, single_run

UPDATE_BATCH = 500
LONGEST_BACKFILL = timedelta(days=365)  # what a free plan answers
BACKFILL_STEP = timedelta(days=88)  # CoinGecko answers a range of up to 90 days in hours

# What discovery tracks by itself. The rules keep out coins whose price says nothing about a market.
LEAST_CAP_USD = 1_000_000.0
LEAST_VOLUME_USD = 50_000.0
LARGEST_TURNOVER = 20.0  # volume of a day over capitalisation: more than this is no trade but wash
OLDEST_PRICE = timedelta(days=1)


def sync_coin(*, client: CoinGeckoClient, coingecko_id: str, now: datetime | None = None, task_id: str = "") -> SyncRun:
    """One coin at once: its latest price and the gaps of its history. Adds a coin that was not known.

    Raises NotFound when CoinGecko has no coin of this id.
    """
    now = now or database_now()
    with single_run(SyncRun.Kind.COIN, tally := Tally(), task_id=task_id, lease=f"coin:{coingecko_id}") as step:
        answer = client.coins_markets(ids=[coingecko_id], per_page=1, page=1)
        tally.calls += 1
        tally.reject(coingecko_id, answer.rejected)
        if not answer.rows:
            Cryptocurrency.objects.filter(coingecko_id=coingecko_id).update(is_listed=False)
            raise NotFound(f"CoinGecko lists no coin {coingecko_id!r}.", status=404)
        coin = _track(step, answer.rows[0], now)
        gaps = history_gaps(now=now, coins=[coin])
        fill_gaps(client, step, gaps, now=now, max_seconds=300)
    return step.run


def _track(step: Step, row: MarketRow, now: datetime) -> Cryptocurrency:
    with step.writing():
        write_latest(rows=[row], now=now)
        coins = Cryptocurrency.objects.filter(coingecko_id=row.id)
        coins.update(is_tracked=True, is_excluded=False)
        coin = coins.get()
        store_tick(Fetched({row.id: row}, {row.id: coin.sync_every_seconds}), floor_time(now, SLOT), step.tally)
    return coin


def backfill_coin(
    *,
    client: CoinGeckoClient,
    coingecko_id: str,
    start: datetime,
    end: datetime,
    now: datetime | None = None,
    task_id: str = "",
) -> SyncRun:
    """Asks again for a coin's hours and days between two instants, in ranges that are answered in hours.

    Raises NotFound for a coin that is not ours and ValueError for a range that does not run forward, begins more
    than 365 days ago or ends in the future.
    """
    now = now or database_now()
    if not now - LONGEST_BACKFILL - timedelta(days=1) <= start < end <= now:
        raise ValueError("A backfill runs forward, begins at most 365 days ago and ends in the past.")
    coin = Cryptocurrency.objects.filter(coingecko_id=coingecko_id).first()
    if coin is None:
        raise NotFound(f"There is no coin {coingecko_id!r} here.", status=404)
    ranges = [(at, min(at + BACKFILL_STEP, end)) for at in _steps(start, end)]
    with single_run(SyncRun.Kind.BACKFILL, Tally(), task_id=task_id, lease=f"coin:{coingecko_id}") as step:
        step.begin(len(ranges))
        for number, (begin, until) in enumerate(ranges, start=1):
            _fill_range(client, step, coin, begin, until, now)
            step.advance(number)
    return step.run


def _steps(start: datetime, end: datetime) -> Iterable[datetime]:
    at = start
    while at < end:
        yield at
        at += BACKFILL_STEP


def _fill_range(
    client: CoinGeckoClient, step: Step, coin: Cryptocurrency, start: datetime, end: datetime, now: datetime
) -> None:
    # Two hours more at the end: the last slot closes with the price that follows it.
    chart = client.market_chart_range(coin.coingecko_id, start=start, end=end + timedelta(hours=2))
    step.tally.calls += 1
    step.tally.reject(coin.coingecko_id, chart.rejected)
    with step.writing():
        for interval in (Interval.HOUR, Interval.DAY):
            slots = closed_slots(chart.points, interval, now=now)
            step.tally.rows_written += write_slots(coin_id=coin.pk, interval=interval, slots=slots)
        widen_days(coin_id=coin.pk, since=floor_time(start, Interval.DAY.length))


def discover_coins(*, client: CoinGeckoClient, now: datetime | None = None, task_id: str = "") -> SyncRun:
    """Compares our coins with CoinGecko's list and ranks, and tracks sound ones where a place is free."""
    now = now or database_now()
    with single_run(SyncRun.Kind.DISCOVER, tally := Tally(), task_id=task_id) as step:
        pages = discovery_pages()
        step.begin(1 + pages)
        answer = client.coins_list()
        tally.calls += 1
        tally.reject("", answer.rejected)
        if not answer.rows:
            raise CoinGeckoError("CoinGecko's list of coins is empty; nothing was changed.")
        ranked = _ranked_rows(client, step, pages)
        with step.writing():
            tally.rows_written += _mark_listed({row.id for row in answer.rows})
            write_latest(rows=ranked, now=now)
            tally.rows_written += fill_free_places(ranked, now)
        step.advance(1 + pages)
    return step.run


def _ranked_rows(client: CoinGeckoClient, step: Step, pages: int) -> list[MarketRow]:
    rows: dict[str, MarketRow] = {}
    for page in range(1, pages + 1):
        step.advance(page)
        answer = client.coins_markets(per_page=PAGE_COINS, page=page, sparkline=False)
        step.tally.calls += 1
        step.tally.reject("", answer.rejected)
        rows.update({row.id: row for row in answer.rows})
        if len(answer.rows) + len(answer.rejected) < PAGE_COINS:
            break
    return list(rows.values())


def _mark_listed(listed: set[str]) -> int:
    ours = Cryptocurrency.objects.values_list("coingecko_id", "is_listed")
    gone = [coin for coin, is_listed in ours if is_listed and coin not in listed]
    back = [coin for coin, is_listed in ours if not is_listed and coin in listed]
    changed = 0
    for ids, is_listed in ((gone, False), (back, True)):
        for start in range(0, len(ids), UPDATE_BATCH):
            batch = Cryptocurrency.objects.filter(coingecko_id__in=ids[start : start + UPDATE_BATCH])
            changed += batch.update(is_listed=is_listed)
    return changed


def junk_reason(row: MarketRow, now: datetime) -> str:
    """Why a coin is not tracked by itself; empty when it is sound. Staff may track it all the same."""
    if row.market_cap_rank is None:
        return "it has no rank"
    if row.current_price is None or row.last_updated_at is None or now - row.last_updated_at > OLDEST_PRICE:
        return "it was not traded for a day"
    if row.market_cap is None or row.market_cap < LEAST_CAP_USD:
        return f"its market cap is unknown or below ${LEAST_CAP_USD:,.0f}"
    if row.total_volume is None or row.total_volume < LEAST_VOLUME_USD:
        return f"less than ${LEAST_VOLUME_USD:,.0f} of it was traded in a day"
    if row.total_volume > LARGEST_TURNOVER * row.market_cap:
        return f"more than {LARGEST_TURNOVER:.0f} times its market cap was traded in a day"
    return ""


def fill_free_places(rows: Iterable[MarketRow], now: datetime) -> int:
    """Tracks the biggest sound coins while fewer than TRACKED_COINS are; staff's own choices stay."""
    free = settings.TRACKED_COINS - Cryptocurrency.objects.tracked().listed().count()
    if free <= 0:
        return 0
    sound = [row for row in rows if not junk_reason(row, now)]
    ids = [row.id for row in sorted(sound, key=lambda row: row.market_cap_rank or 0)]
    waiting = Cryptocurrency.objects.listed().filter(is_tracked=False, is_excluded=False, coingecko_id__in=ids)
    chosen = list(waiting.order_by("market_cap_rank").values_list("pk", flat=True)[:free])
    return Cryptocurrency.objects.filter(pk__in=chosen).update(is_tracked=True)
