"""Long runs in fast-forward: a month on the free plan, and a day of ticks over five thousand coins."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db.models import Count, F

from markets import sync
from markets.coingecko import planner
from markets.coingecko.errors import CoinGeckoError
from markets.models import Cryptocurrency, Interval, PriceData, SyncRun
from markets.planning import current_plan
from markets.sample.universe import STALE_COIN_ID
from markets.sync import coins as coins_module
from markets.sync import prices as prices_module
from markets.tests.world import World

# Real transactions: in a single one no row version is ever cleared away, and each update reads all earlier ones.
pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

FREE_CREDITS, FREE_RATE = 10_000, 30
SLOT = timedelta(minutes=5)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two coins: eight coins then cost as many calls as a thousand."""
    for module in (planner, prices_module, coins_module):
        monkeypatch.setattr(module, "PAGE_COINS", 2)
    monkeypatch.setattr("markets.planning.PAGE_COINS", 2)


@pytest.fixture
def month(tmp_path: Path, settings: LazySettings, small_pages: None) -> Iterator[World]:
    settings.TRACKED_COINS = 8
    settings.COINGECKO_CALLS_PER_MINUTE, settings.COINGECKO_MONTHLY_CREDITS = FREE_RATE, FREE_CREDITS
    start = datetime(2026, 3, 1, tzinfo=UTC)
    world = World(tmp_path, start=start, coins=8, credits=FREE_CREDITS, rate=FREE_RATE)
    yield world
    world.server.stop()


def oldest_beyond_promise(now: datetime) -> list[tuple[str, int]]:
    """Coins whose price is older than their tier promises, with their age in seconds."""
    coins = Cryptocurrency.objects.tracked().listed().filter(price_synced_at__isnull=False)
    return [
        (coin.coingecko_id, int((now - coin.price_synced_at).total_seconds()))
        for coin in coins
        if coin.price_synced_at and now - coin.price_synced_at >= timedelta(seconds=coin.sync_every_seconds)
    ]


def test_it_ends_a_month_of_the_free_plan_within_its_credits_and_keeps_every_promise(month: World) -> None:
    """Every scheduled job of 31 days; one try in a hundred fails and is tried again."""
    start = month.now
    sync.discover_coins(client=month.client, now=start)
    late: list[tuple[datetime, str, int]] = []
    failed = 0
    for number in range(31 * 288):
        now = start + number * SLOT
        if number % 100 == 50:
            month.server.faults.add({"kind": "503", "count": 1})
        try:
            month.tick(now)
        except CoinGeckoError:
            failed += 1
        late += [(now, coin, age) for coin, age in oldest_beyond_promise(now)]
        if number % 12 == 1:
            month.now = now + timedelta(minutes=3)
            sync.sync_history(client=month.client, now=month.now)
        if number % 288 == 31:
            sync.discover_coins(client=month.client, now=month.now)
    statuses = Counter(entry["status"] for entry in month.server.journal.listed())
    plan = current_plan()
    tiers = ", ".join(f"{tier.period_seconds} s" for tier in plan.tiers)
    print(
        f"\nmonth: {sum(statuses.values())} calls of {FREE_CREDITS} credits, {statuses[200]} answered with 200; "
        f"{failed} ticks failed; tiers {tiers}; {len(late)} promises broken"
    )
    assert sum(statuses.values()) <= FREE_CREDITS
    assert statuses[429] == 0
    assert late == []
    assert failed == 0
    days = PriceData.objects.filter(interval=Interval.DAY, at__gte=start).values("coin").annotate(count=Count("pk"))
    assert {row["count"] for row in days} == {30}  # the last day closes with the first tick of the next month


def test_it_stores_a_day_of_five_thousand_coins_exactly(tmp_path: Path, settings: LazySettings) -> None:
    """289 ticks of 20 pages: a day, and the first slot of the next one, which closes it."""
    coins = 5_000
    settings.TRACKED_COINS, settings.COINGECKO_CALLS_PER_MINUTE, settings.COINGECKO_MONTHLY_CREDITS = coins, 1_000, 0
    start = datetime(2026, 3, 29, tzinfo=UTC)
    world = World(tmp_path, start=start, coins=coins, rate=1_000)
    try:
        sync.discover_coins(client=world.client, now=start)
        Cryptocurrency.objects.update(is_tracked=True)  # staff take in what the rules of discovery leave out
        tracked = Cryptocurrency.objects.tracked().listed()
        count = tracked.count()
        stale = tracked.filter(coingecko_id=STALE_COIN_ID).count()
        unpriced = tracked.filter(price_usd__isnull=True).count()
        expected = count - stale - unpriced
        for number in range(289):
            run = world.tick(start + number * SLOT)
            assert run is not None
            assert run.state == SyncRun.State.SUCCEEDED
    finally:
        world.server.stop()
    rows = dict(PriceData.objects.order_by().values_list("interval").annotate(count=Count("pk")))
    print(f"\nday: {count} coins tracked, {expected} with a price; rows {rows}; {world.calls()} calls")
    assert count > 4_900
    assert rows == {"5m": expected * 289, "1h": expected * 24, "1d": expected}
    uneven = PriceData.objects.filter(interval="5m").values("at").annotate(count=Count("pk")).exclude(count=expected)
    assert not uneven.exists()
    moved = PriceData.objects.filter(interval=Interval.DAY).exclude(low__lte=F("open"), high__gte=F("close"))
    assert not moved.exists()
