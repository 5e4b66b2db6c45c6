"""One tick: the prices that are due now, fetched whole, then stored in one transaction or not at all."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, QuerySet

from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.planner import PAGE_COINS, MonthPlan
from markets.coingecko.schemas import MarketRow
from markets.coingecko.series import floor_time
from markets.ingest import Slot, write_rows
from markets.latest import is_priced, write_latest
from markets.lease import database_now, let_go
from markets.models import Cryptocurrency, Interval, SyncRun
from markets.planning import plan_at
from markets.rollup import roll_up
from markets.sync.runs import Step, Tally, single_run

logger = logging.getLogger(__name__)

SLOT = Interval.FIVE_MINUTES.length
# Upstream's own caches are minutes old; a price that it saw longer ago than this does not stand for the slot.
STALE_AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Page:
    """One call: the biggest coins by rank (``coins`` empty), or up to 250 coins by id; all promised one period."""

    coins: tuple[Cryptocurrency, ...]
    period_seconds: int


@dataclass(frozen=True)
class Fetched:
    """The rows of one tick and, for each coin id asked for, how often it is to be asked for."""

    rows: dict[str, MarketRow]
    periods: dict[str, int]


def sync_prices(*, client: CoinGeckoClient, now: datetime | None = None, task_id: str = "") -> SyncRun | None:
    """Brings in the prices that are due in this five-minute slot; None when the slot is filled or nothing is due.

    Raises CoinGeckoError when upstream did not give all pages, ScheduleDoesNotFit when the call budget allows no
    tick, and AlreadyRunning while another tick goes on; then nothing of this tick is stored.
    """
    now = now or database_now()
    slot_at = floor_time(now, SLOT)
    if SyncRun.objects.filter(kind=SyncRun.Kind.PRICES, slot_at=slot_at, state=SyncRun.State.SUCCEEDED).exists():
        if task_id:  # delivered again after a kill: nobody else would free its lease before it runs out
            let_go(SyncRun.Kind.PRICES.value, holder=task_id)
        return None
    tally = Tally()
    with single_run(SyncRun.Kind.PRICES, tally, task_id=task_id, slot_at=slot_at) as step:
        plan = plan_at(spent=client.credits_spent(), now=now)
        fetched = fetch_due(client, step, plan, slot_at)
        with step.writing():
            store_tick(fetched, slot_at, tally)
        roll_up(coin_ids=tracked_ids(), now=now)
    return step.run


def tracked_ids() -> list[int]:
    return list(Cryptocurrency.objects.tracked().values_list("pk", flat=True))


def fetch_due(client: CoinGeckoClient, step: Step, plan: MonthPlan, slot_at: datetime) -> Fetched:
    """The first page by rank if it is due, then the tracked coins that are due and not on it, by id."""
    fetched = Fetched({}, {})
    top = plan.period_of_page(0)
    step.begin(1)
    biggest = Cryptocurrency.objects.tracked().listed().filter(market_cap_rank__lte=PAGE_COINS)
    if is_due(biggest, slot_at, top):
        fetch_page(client, step.tally, Page((), top), fetched, slot_at)
    pages = [page for page in pages_below(plan, fetched, slot_at) if page.coins]
    for number, page in enumerate(pages, start=1):
        step.advance(number, 1 + len(pages))
        fetch_page(client, step.tally, page, fetched, slot_at)
    step.advance(1 + len(pages), 1 + len(pages))
    return fetched


def is_due(coins: QuerySet[Cryptocurrency], slot_at: datetime, period_seconds: int) -> bool:
    """At the slots that divide the day by the period, and when a coin's promise has run out since its last tick."""
    if int(slot_at.timestamp()) % period_seconds == 0:
        return True
    promised = slot_at - timedelta(seconds=period_seconds)
    return not coins.exists() or coins.filter(price_synced_at__lte=promised).exists()


def pages_below(plan: MonthPlan, fetched: Fetched, slot_at: datetime) -> list[Page]:
    """The due pages of tracked coins below the first one, in the order of their ranks."""
    coins = Cryptocurrency.objects.tracked().listed().order_by(F("market_cap_rank").asc(nulls_last=True), "pk")
    others = [coin for coin in coins.only(*_NEEDED) if not _is_on_top(coin, fetched)]
    pages = [others[start : start + PAGE_COINS] for start in range(0, len(others), PAGE_COINS)]
    return [
        Page(tuple(page), period)
        for number, page in enumerate(pages, start=1)
        if _is_page_due(page, slot_at, period := plan.period_of_page(number))
    ]


_NEEDED = ("coingecko_id", "market_cap_rank", "price_synced_at", "sync_every_seconds")


def _is_on_top(coin: Cryptocurrency, fetched: Fetched) -> bool:
    if fetched.rows:
        return coin.coingecko_id in fetched.rows
    return coin.market_cap_rank is not None and coin.market_cap_rank <= PAGE_COINS


def _is_page_due(coins: Sequence[Cryptocurrency], slot_at: datetime, period_seconds: int) -> bool:
    if int(slot_at.timestamp()) % period_seconds == 0:
        return True
    return any(
        coin.price_synced_at is None
        or coin.price_synced_at + timedelta(seconds=min(period_seconds, coin.sync_every_seconds)) <= slot_at
        for coin in coins
    )


def fetch_page(client: CoinGeckoClient, tally: Tally, page: Page, fetched: Fetched, slot_at: datetime) -> None:
    """One call. The week's sparkline is hourly and a third of the answer: it is asked for once an hour."""
    ids = [coin.coingecko_id for coin in page.coins] or None
    wants_sparkline = slot_at.minute == 0 or _lacks_sparkline(page)
    answer = client.coins_markets(ids=ids, per_page=PAGE_COINS, page=1, sparkline=wants_sparkline)
    tally.calls += 1
    tally.reject("", answer.rejected)
    fetched.rows.update({row.id: row for row in answer.rows})
    fetched.periods.update(dict.fromkeys(ids or [row.id for row in answer.rows], page.period_seconds))


def _lacks_sparkline(page: Page) -> bool:
    ids = [coin.pk for coin in page.coins]
    coins = Cryptocurrency.objects.filter(pk__in=ids) if ids else Cryptocurrency.objects.tracked()
    return not coins.exists() or coins.filter(price_synced_at__isnull=True).exists()


def store_tick(fetched: Fetched, slot_at: datetime, tally: Tally) -> None:
    """Brings the latest figures up to date, from newer ones only, and writes the tracked coins' five-minute slots."""
    rows = list(fetched.rows.values())
    write_latest(rows=rows, now=slot_at)
    track_biggest()
    ids = dict(Cryptocurrency.objects.tracked().values_list("coingecko_id", "pk"))
    priced = [row for row in rows if row.id in ids and is_priced(row)]
    fresh = [row for row in priced if is_fresh(row, slot_at)]
    tally.rows_stale += len(priced) - len(fresh)
    slots = [(ids[row.id], Interval.FIVE_MINUTES, tick(row, slot_at)) for row in fresh]
    tally.rows_written += write_rows(rows=slots)
    _note_sync(fetched, slot_at)


def _note_sync(fetched: Fetched, slot_at: datetime) -> None:
    for period in sorted(set(fetched.periods.values())):
        ids = [coin for coin, promised in fetched.periods.items() if promised == period]
        Cryptocurrency.objects.filter(coingecko_id__in=ids).update(price_synced_at=slot_at, sync_every_seconds=period)


def is_fresh(row: MarketRow, slot_at: datetime) -> bool:
    return row.last_updated_at is not None and row.last_updated_at >= slot_at - STALE_AFTER


def tick(row: MarketRow, slot_at: datetime) -> Slot:
    """The slot of one observed price: it stands for the slot in which we asked, so that no day has more or fewer."""
    assert row.current_price is not None
    price = row.current_price
    return Slot(slot_at, price, price, price, price, row.total_volume, row.market_cap, samples=1)


def track_biggest() -> None:
    """On a new site: tracks the biggest coins, as many as TRACKED_COINS says. What staff chose later stays."""
    if Cryptocurrency.objects.tracked().exists():
        return
    biggest = Cryptocurrency.objects.listed().priced().filter(market_cap_rank__isnull=False, is_excluded=False)
    ids = list(biggest.order_by("market_cap_rank").values_list("pk", flat=True)[: settings.TRACKED_COINS])
    Cryptocurrency.objects.filter(pk__in=ids).update(is_tracked=True)
