"""A chart is read from one index and from few pages of it, however many coins there are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from markets.models import Cryptocurrency, PriceData
from markets.series import price_series, read_slots
from markets.upkeep import repack_prices

END = datetime(2026, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
COINS, SLOTS = 100, 2400

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def market() -> Cryptocurrency:
    """A hundred coins with more than eight days of five-minute prices, stored tick by tick as they come in."""
    if connection.vendor != "postgresql":
        pytest.skip("what PostgreSQL's planner does: run it by make test, or with DATABASE_URL set")
    Cryptocurrency.objects.bulk_create(
        Cryptocurrency(coingecko_id=f"coin-{number}", symbol="c", name="Coin") for number in range(COINS)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO markets_pricedata (coin_id, interval, at, open, high, low, close, volume_24h, market_cap,"
            " samples) SELECT coin.id, '5m', %s - slot * interval '5 minutes', 1, 1, 1, 1, 1e9, 1e12, 1"
            " FROM generate_series(%s, 1, -1) slot CROSS JOIN (SELECT id FROM markets_cryptocurrency ORDER BY id) coin",
            [END, SLOTS],
        )
    return Cryptocurrency.objects.get(coingecko_id="coin-50")


def explained(sql: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
        plan: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
    return plan


def test_it_reads_a_week_of_one_coin_from_the_index_alone(market: Cryptocurrency) -> None:
    repack_prices()
    with CaptureQueriesContext(connection) as queries:
        assert len(read_slots(market, "5m", END - WEEK, END).at) == 2016
    (query,) = queries.captured_queries
    plan = explained(query["sql"])
    assert (plan["Node Type"], plan["Heap Fetches"]) == ("Index Only Scan", 0)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= 40


def test_it_asks_two_questions_for_a_chart_however_long(
    market: Cryptocurrency, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for days in (1, 7):
        with django_assert_num_queries(2):  # where each interval begins, and the slots
            price_series(market, start=END - timedelta(days=days), end=END)


def test_it_can_go_back_to_the_plain_constraint_and_forward_again(market: Cryptocurrency) -> None:
    def definition() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'price_once_per_slot'")
            found: str = cursor.fetchone()[0]
        return found

    rows = PriceData.objects.count()
    try:
        MigrationExecutor(connection).migrate([("markets", "0002_production")])
        assert definition() == 'UNIQUE (coin_id, "interval", at)'
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    assert "INCLUDE (open, high, low, close" in definition()
    assert PriceData.objects.count() == rows


def test_it_keeps_sparklines_apart_from_what_a_list_of_latest_prices_reads(market: Cryptocurrency) -> None:
    Cryptocurrency.objects.update(sparkline_7d=[1.0 + place / 7 for place in range(168)])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM FULL markets_cryptocurrency")
    plan = explained("SELECT coingecko_id, price_usd, price_at FROM markets_cryptocurrency")
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= COINS * 500 / 8192 + 2
