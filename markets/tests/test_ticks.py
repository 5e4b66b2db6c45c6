"""Ticks over hours and days, in fast-forward."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from markets import sync
from markets.coingecko import planner
from markets.coingecko.errors import CoinGeckoError
from markets.coingecko.schemas import MarketChart
from markets.models import Cryptocurrency, Interval, Lease, PriceData, SyncRun
from markets.planning import current_plan
from markets.sample.universe import STALE_COIN_ID
from markets.sync import coins as coins_module
from markets.sync import prices as prices_module
from markets.sync.history import missed_slots
from markets.tests.world import World

START = datetime(2026, 3, 28, tzinfo=UTC)
SLOT = timedelta(minutes=5)


@pytest.fixture
def world(tmp_path: Path, settings: LazySettings, db: None) -> Iterator[World]:
    settings.TRACKED_COINS, settings.COINGECKO_CALLS_PER_MINUTE = 6, 10_000
    settings.COINGECKO_MONTHLY_CREDITS = 0
    made = World(tmp_path, start=START, coins=6)
    yield made
    made.server.stop()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two coins, so that a handful of coins makes the calls of a thousand."""
    for module in (planner, prices_module, coins_module):
        monkeypatch.setattr(module, "PAGE_COINS", 2)
    monkeypatch.setattr("markets.planning.PAGE_COINS", 2)


def slots_of(coin: str) -> list[datetime]:
    rows = PriceData.objects.filter(coin__coingecko_id=coin, interval=Interval.FIVE_MINUTES)
    return list(rows.order_by("at").values_list("at", flat=True))


@pytest.mark.slow
def test_it_fills_each_of_the_288_slots_of_a_day_once_whatever_second_a_tick_comes(world: World) -> None:
    # 29 March 2026 holds Europe's change to summer time; the slots are in UTC and do not know of it.
    day = START + timedelta(days=1)
    for number in range(288):
        world.tick(day + number * SLOT + timedelta(seconds=(number * 37) % 290))
    assert slots_of("bitcoin") == [day + number * SLOT for number in range(288)]


def test_it_fills_no_slot_twice_when_the_clock_is_stepped_back_by_an_hour(world: World) -> None:
    for minutes in range(0, 120, 5):
        world.tick(START + timedelta(minutes=minutes))
    stored, asked = PriceData.objects.count(), world.calls()
    for minutes in range(60, 120, 5):
        assert world.tick(START + timedelta(minutes=minutes)) is None
    assert (PriceData.objects.count(), world.calls()) == (stored, asked)


def test_it_frees_what_a_job_left_behind_that_was_killed_when_its_tick_was_stored(world: World) -> None:
    world.tick(START)
    Lease.objects.filter(name="prices").update(holder="killed", expires_at=timezone.now() + timedelta(minutes=4))
    assert sync.sync_prices(client=world.client, now=START, task_id="killed") is None  # delivered again
    assert world.tick(START + SLOT) is not None
    assert slots_of("bitcoin") == [START, START + SLOT]


def test_it_does_not_store_a_price_that_upstream_saw_long_ago(tmp_path: Path, settings: LazySettings, db: None) -> None:
    settings.TRACKED_COINS = 50
    world = World(tmp_path, start=START, coins=50)
    run = world.tick(START)
    world.server.stop()
    assert run is not None
    assert run.rows_stale == 1
    assert Cryptocurrency.objects.get(coingecko_id=STALE_COIN_ID).is_tracked
    assert slots_of(STALE_COIN_ID) == []
    assert slots_of("bitcoin") == [START]


@pytest.mark.second
def test_it_records_the_slots_that_no_tick_filled_and_fills_them_from_history(world: World) -> None:
    world.tick(START)
    sync.sync_history(client=world.client, now=START + timedelta(minutes=2))
    world.server.faults.add({"kind": "503", "path": "markets"})
    for minutes in (5, 10, 15):
        with pytest.raises(CoinGeckoError):
            world.tick(START + timedelta(minutes=minutes))
    world.server.faults.clear()
    later = START + timedelta(minutes=70)  # the breaker's pause and the coins' own are over
    for minutes in range(20, 75, 5):
        world.tick(START + timedelta(minutes=minutes))
    holes = [START + timedelta(minutes=minutes) for minutes in (5, 10, 15)]
    assert missed_slots(now=later) == holes
    failed = SyncRun.objects.filter(kind=SyncRun.Kind.PRICES, state=SyncRun.State.FAILED).order_by("slot_at")
    assert list(failed.values_list("slot_at", flat=True)) == holes
    sync.sync_history(client=world.client, now=later)
    assert set(holes) <= set(slots_of("bitcoin"))
    assert len(slots_of("bitcoin")) == 15


@pytest.mark.slow
def test_it_asks_lower_ranks_less_often_and_keeps_each_promise(
    world: World, small_pages: None, settings: LazySettings
) -> None:
    settings.COINGECKO_MONTHLY_CREDITS = 12_000
    sync.discover_coins(client=world.client, now=START)
    periods: dict[str, int] = {}
    for number in range(12 * 24):
        now = START + number * SLOT
        world.tick(now)
        for coin in Cryptocurrency.objects.tracked().filter(price_synced_at__isnull=False):
            assert coin.price_synced_at is not None
            assert now - coin.price_synced_at < timedelta(seconds=coin.sync_every_seconds)
            periods[coin.coingecko_id] = coin.sync_every_seconds
    plan = current_plan()
    assert plan.tiers[0].period_seconds == 300
    assert set(periods.values()) == {plan.period_of_page(page) for page in range(3)}
    assert max(periods.values()) > 300


def test_it_stops_a_run_that_staff_cancelled_at_its_next_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.tick(START)
    ask = world.client.market_chart

    def ask_and_cancel(id: str, *, days: int) -> MarketChart:
        SyncRun.objects.filter(kind=SyncRun.Kind.HISTORY).update(is_cancel_requested=True)
        return ask(id, days=days)

    monkeypatch.setattr(world.client, "market_chart", ask_and_cancel)
    assert sync.sync_history(client=world.client, now=START + timedelta(minutes=2)) == 0
    run = SyncRun.objects.latest_of(SyncRun.Kind.HISTORY)
    assert run is not None
    assert (run.state, run.done) == (SyncRun.State.CANCELLED, 1)


def test_it_leaves_alone_what_staff_stopped_tracking(world: World) -> None:
    world.tick(START)
    Cryptocurrency.objects.filter(coingecko_id="bitcoin").update(is_tracked=False, is_excluded=True)
    sync.discover_coins(client=world.client, now=START + timedelta(hours=2))
    assert not Cryptocurrency.objects.get(coingecko_id="bitcoin").is_tracked


def test_it_backfills_a_range_of_one_coin(world: World) -> None:
    world.tick(START)
    start, end = START - timedelta(days=10), START - timedelta(days=3)
    run = sync.backfill_coin(client=world.client, coingecko_id="bitcoin", start=start, end=end, now=START)
    assert run.state == SyncRun.State.SUCCEEDED
    bitcoin = Cryptocurrency.objects.get(coingecko_id="bitcoin")
    assert PriceData.objects.of(bitcoin, Interval.HOUR).between(start, end).count() == 7 * 24
    assert PriceData.objects.of(bitcoin, Interval.DAY).between(start, end).count() == 7


@pytest.mark.parametrize(("start", "end"), [(3, 10), (400, 10), (10, -1)])
def test_it_refuses_a_backfill_of_an_impossible_range(world: World, start: int, end: int) -> None:
    world.tick(START)
    with pytest.raises(ValueError, match="A backfill runs forward"):
        sync.backfill_coin(
            client=world.client,
            coingecko_id="bitcoin",
            start=START - timedelta(days=start),
            end=START - timedelta(days=end),
            now=START,
        )
    assert not SyncRun.objects.filter(kind=SyncRun.Kind.BACKFILL).exists()
