"""The sync jobs against the sample server, through the real client, over a real connection."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from markets import sync
from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.errors import CoinGeckoError, NotFound
from markets.coingecko.state import DiskState
from markets.models import Cryptocurrency, Interval, PriceData, RejectedPoint, SyncRun
from markets.sample.server import SampleServer
from markets.sample.simulated import simulated_market
from markets.services import market_freshness

COINS = 8


@pytest.fixture
def server() -> Iterator[SampleServer]:
    market = simulated_market(seed=7, coin_count=COINS, today=datetime.now(UTC).date())
    with SampleServer(market) as running:
        yield running


@pytest.fixture
def client(server: SampleServer, tmp_path: Path) -> CoinGeckoClient:
    return CoinGeckoClient(
        base_url=server.base_url,
        state=DiskState(tmp_path / "state.sqlite3"),
        calls_per_minute=1000,
        monthly_credits=None,
        user_agent="tests",
        sleep=lambda seconds: None,
        timeout_seconds=5,
    )


@pytest.fixture(autouse=True)
def few_coins(settings: LazySettings, db: None) -> None:
    settings.TRACKED_COINS = COINS
    settings.HISTORY_DAYS = 365


def calls(server: SampleServer, part: str) -> int:
    return sum(part in entry["path"] for entry in server.journal.listed())


def test_it_brings_in_the_latest_prices_and_tracks_the_biggest_coins(client: CoinGeckoClient) -> None:
    run = sync.sync_prices(client=client)
    assert run is not None
    assert (run.state, run.calls) == (SyncRun.State.SUCCEEDED, 1)
    bitcoin = Cryptocurrency.objects.get(coingecko_id="bitcoin")
    assert bitcoin.is_tracked
    assert bitcoin.price_usd
    assert len(bitcoin.sparkline_7d) == 168
    tick = PriceData.objects.get(coin=bitcoin)
    assert (tick.interval, tick.close, tick.at.minute % 5) == ("5m", bitcoin.price_usd, 0)


def test_it_fills_a_slot_once_however_often_it_is_asked_to(client: CoinGeckoClient, server: SampleServer) -> None:
    now = datetime.now(UTC)
    assert sync.sync_prices(client=client, now=now) is not None
    rows, asked = PriceData.objects.count(), calls(server, "markets")
    assert sync.sync_prices(client=client, now=now + timedelta(seconds=1)) is None
    assert (PriceData.objects.count(), calls(server, "markets")) == (rows, asked)


def test_it_never_goes_back_to_an_older_price(client: CoinGeckoClient) -> None:
    sync.sync_prices(client=client)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    Cryptocurrency.objects.filter(coingecko_id="bitcoin").update(price_usd=7.0, price_at=ahead)
    sync.sync_prices(client=client, now=datetime.now(UTC) + timedelta(minutes=5))
    assert Cryptocurrency.objects.get(coingecko_id="bitcoin").price_usd == 7.0


@pytest.mark.parametrize("kind", ["500", "503", "html", "truncated"])
def test_it_stores_nothing_of_a_tick_that_upstream_did_not_finish(
    client: CoinGeckoClient, server: SampleServer, kind: str
) -> None:
    server.faults.add({"kind": kind, "path": "markets"})
    with pytest.raises(CoinGeckoError):
        sync.sync_prices(client=client)
    assert not Cryptocurrency.objects.exists()
    run = SyncRun.objects.get()
    assert run.state == SyncRun.State.FAILED
    assert run.problem
    assert market_freshness().problem == run.problem


@pytest.mark.parametrize("kind", ["nan", "negative", "absurd"])
def test_it_stores_no_impossible_value_and_keeps_what_it_refused_for_staff(
    client: CoinGeckoClient, server: SampleServer, kind: str
) -> None:
    server.faults.add({"kind": kind, "path": "markets", "count": 1})
    try:
        run = sync.sync_prices(client=client)
    except CoinGeckoError:
        assert not Cryptocurrency.objects.exists()  # the whole answer was unusable
        return
    assert run is not None
    assert run.rows_rejected > 0
    assert RejectedPoint.objects.filter(run=run).count() == run.rows_rejected
    for price in Cryptocurrency.objects.priced().values_list("price_usd", flat=True):
        assert price is not None
        assert 0 < price < 1e9


def test_it_takes_repeated_rows_once(client: CoinGeckoClient, server: SampleServer) -> None:
    server.faults.add({"kind": "duplicate_rows", "path": "markets"})
    sync.sync_prices(client=client)
    assert Cryptocurrency.objects.tracked().count() <= COINS


@pytest.mark.second
def test_it_pulls_a_year_of_days_and_ninety_days_of_hours_and_then_only_gaps(
    client: CoinGeckoClient, server: SampleServer
) -> None:
    sync.sync_prices(client=client)
    assert sync.sync_history(client=client) == 0
    bitcoin = Cryptocurrency.objects.get(coingecko_id="bitcoin")
    days = list(PriceData.objects.of(bitcoin, Interval.DAY))
    assert len(days) >= 364
    assert days[-1].at.date() == datetime.now(UTC).date() - timedelta(days=1)
    for before, after in pairwise(days):
        assert after.at - before.at == timedelta(days=1)
        assert after.open == before.close
    hours = PriceData.objects.of(bitcoin, Interval.HOUR).between(days[-2].at, days[-1].at)
    assert days[-2].high == max(days[-2].open, days[-2].close, *(hour.high for hour in hours))
    assert days[-2].low == min(days[-2].open, days[-2].close, *(hour.low for hour in hours))
    assert days[-2].samples == 24
    assert PriceData.objects.of(bitcoin, Interval.HOUR).count() > 24 * 88
    asked = calls(server, "market_chart")
    assert sync.sync_history(client=client) == 0
    assert calls(server, "market_chart") == asked


@pytest.mark.second
def test_it_goes_on_where_a_run_was_cut_short(client: CoinGeckoClient) -> None:
    sync.sync_prices(client=client)
    left = sync.sync_history(client=client, max_calls=3)
    assert left > 0
    run = SyncRun.objects.latest_of(SyncRun.Kind.HISTORY)
    assert run is not None
    assert (run.done, run.total) == (3, 3)
    while left:
        previous, left = left, sync.sync_history(client=client, max_calls=5)
        assert left < previous
    assert not Cryptocurrency.objects.tracked().filter(history_synced_at=None).exists()


@pytest.mark.second
def test_it_fills_the_days_that_were_missed(client: CoinGeckoClient) -> None:
    sync.sync_prices(client=client)
    sync.sync_history(client=client)
    bitcoin = Cryptocurrency.objects.get(coingecko_id="bitcoin")
    whole = PriceData.objects.of(bitcoin, Interval.DAY).count()
    recent = datetime.now(UTC) - timedelta(days=5)
    PriceData.objects.filter(coin=bitcoin, at__gte=recent).delete()
    Cryptocurrency.objects.update(history_synced_at=datetime.now(UTC) - timedelta(hours=2))
    sync.sync_history(client=client)
    assert PriceData.objects.of(bitcoin, Interval.DAY).count() == whole


def test_it_keeps_the_coins_it_has_when_upstream_fails_in_the_middle(
    client: CoinGeckoClient, server: SampleServer
) -> None:
    sync.sync_prices(client=client)
    sync.sync_history(client=client, max_calls=2)
    rows = PriceData.objects.filter(interval=Interval.DAY).count()
    server.faults.add({"kind": "500", "path": "market_chart"})
    with pytest.raises(CoinGeckoError):
        sync.sync_history(client=client)
    assert PriceData.objects.filter(interval=Interval.DAY).count() == rows > 0
    latest = SyncRun.objects.latest_of(SyncRun.Kind.HISTORY)
    assert latest is not None
    assert latest.state == SyncRun.State.FAILED


def test_it_adds_one_coin_on_demand_with_its_history(client: CoinGeckoClient) -> None:
    sync.sync_coin(client=client, coingecko_id="bitcoin")
    bitcoin = Cryptocurrency.objects.get(coingecko_id="bitcoin")
    assert bitcoin.is_tracked
    assert PriceData.objects.of(bitcoin, Interval.DAY).count() >= 364


def test_it_says_that_there_is_no_such_coin_and_adds_nothing(client: CoinGeckoClient) -> None:
    with pytest.raises(NotFound, match="no-such-coin"):
        sync.sync_coin(client=client, coingecko_id="no-such-coin")
    assert not Cryptocurrency.objects.exists()


def test_it_marks_coins_that_upstream_no_longer_lists_and_keeps_their_history(
    client: CoinGeckoClient,
) -> None:
    sync.sync_coin(client=client, coingecko_id="bitcoin")
    gone = Cryptocurrency.objects.create(coingecko_id="gone-coin", symbol="gone", name="Gone", is_tracked=True)
    sync.discover_coins(client=client)
    gone.refresh_from_db()
    assert not gone.is_listed
    assert Cryptocurrency.objects.get(coingecko_id="bitcoin").is_listed


def test_it_closes_a_run_whose_worker_died(client: CoinGeckoClient) -> None:
    dead = SyncRun.objects.create(kind=SyncRun.Kind.PRICES, started_at=datetime.now(UTC) - timedelta(hours=3))
    sync.sync_prices(client=client)
    dead.refresh_from_db()
    assert (dead.state, dead.problem) == (SyncRun.State.FAILED, "The worker stopped before the run ended.")


def test_it_deletes_fine_slots_past_their_time_and_keeps_every_day(settings: LazySettings) -> None:
    settings.KEEP_5M_DAYS, settings.KEEP_1H_DAYS = 30, 400
    now = datetime(2026, 3, 10, tzinfo=UTC)
    coin = Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin")
    for interval, days in (("5m", 31), ("5m", 29), ("1h", 401), ("1h", 399), ("1d", 4000)):
        at = now - timedelta(days=days)
        PriceData.objects.create(coin=coin, interval=interval, at=at, open=1, high=1, low=1, close=1)
    run = sync.cleanup(now=now)
    assert run.rows_written == 2
    kept = sorted((row.interval, (now - row.at).days) for row in PriceData.objects.all())
    # What the dropped slots said lives on in an hour and two days.
    assert kept == [("1d", 31), ("1d", 401), ("1d", 4000), ("1h", 31), ("1h", 399), ("5m", 29)]


def test_it_needs_the_same_number_of_queries_for_few_and_for_many_coins(
    client: CoinGeckoClient, server: SampleServer, settings: LazySettings
) -> None:
    now = datetime.now(UTC)
    sync.sync_prices(client=client, now=now)
    counts = []
    # Neither tick is the first of an hour, which asks for sparklines without a look at the coins.
    later = [minutes for minutes in (5, 10, 15) if (now + timedelta(minutes=minutes)).minute >= 5]
    for minutes, tracked in zip(later, (2, COINS), strict=False):
        Cryptocurrency.objects.update(is_tracked=False)
        few = Cryptocurrency.objects.order_by("market_cap_rank").values_list("pk", flat=True)[:tracked]
        Cryptocurrency.objects.filter(pk__in=list(few)).update(is_tracked=True)
        with CaptureQueriesContext(connection) as queries:
            sync.sync_prices(client=client, now=now + timedelta(minutes=minutes))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 60


def test_it_tells_how_far_the_first_history_sync_is() -> None:
    assert market_freshness().as_of is None
    SyncRun.objects.create(kind=SyncRun.Kind.HISTORY, done=7, total=50)
    freshness = market_freshness()
    assert (freshness.is_syncing, freshness.done, freshness.total, freshness.is_stale) == (True, 7, 50, True)


def test_it_calls_prices_stale_after_two_periods(client: CoinGeckoClient) -> None:
    sync.sync_prices(client=client)
    now = datetime.now(UTC)
    assert not market_freshness(now=now).is_stale
    later = market_freshness(now=now + timedelta(minutes=12))
    assert later.is_stale
    assert later.as_of
    assert later.as_of.date() >= date(2026, 1, 1)
