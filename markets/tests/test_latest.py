"""The latest figures move forward in time only, whatever upstream sends."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from markets.coingecko.schemas import MarketRow, parse_markets
from markets.latest import write_latest
from markets.models import Cryptocurrency

NOW = datetime(2026, 3, 1, 12, 5, 7, 250_000, tzinfo=UTC)
SEEN = NOW - timedelta(minutes=1)

pytestmark = pytest.mark.django_db


def row(coin: str = "bitcoin", **sent: Any) -> MarketRow:
    fields = {
        "id": coin,
        "symbol": "btc",
        "name": "Bitcoin",
        "image": "https://example.org/btc.png",
        "current_price": 0.1 + 0.2,
        "market_cap": 2.1e13,
        "market_cap_rank": 1,
        "total_volume": 0,
        "high_24h": 1 / 3,
        "low_24h": 1e-12,
        "price_change_percentage_1h_in_currency": -0.5,
        "price_change_percentage_24h": 1.5,
        "price_change_percentage_7d_in_currency": None,
        "circulating_supply": 1.9e7,
        "max_supply": 2.1e7,
        "ath": 126_080,
        "ath_date": "2025-10-06T18:57:42.558Z",
        "last_updated": SEEN.isoformat(),
        "sparkline_in_7d": {"price": [1.5, 5.7000000000000005e-11]},
    }
    answer = parse_markets([fields | sent], now=NOW)
    assert answer.rejected == ()
    return answer.rows[0]


def coin(of: str = "bitcoin") -> Cryptocurrency:
    return Cryptocurrency.objects.get(coingecko_id=of)


def test_it_adds_a_coin_with_every_figure_as_sent() -> None:
    write_latest(rows=[row()], now=NOW)
    stored = coin()
    assert (stored.symbol, stored.name, stored.image_url) == ("btc", "Bitcoin", "https://example.org/btc.png")
    assert (stored.price_usd, stored.high_24h_usd, stored.low_24h_usd) == (0.1 + 0.2, 1 / 3, 1e-12)
    assert (stored.market_cap_rank, stored.market_cap_usd, stored.volume_24h_usd) == (1, 2.1e13, 0.0)
    assert (stored.change_1h_percent, stored.change_24h_percent, stored.change_7d_percent) == (-0.5, 1.5, None)
    assert (stored.circulating_supply, stored.max_supply) == (1.9e7, 2.1e7)
    assert stored.all_time_high_usd == 126_080
    assert stored.all_time_high_at == datetime(2025, 10, 6, 18, 57, 42, 558_000, tzinfo=UTC)
    assert stored.sparkline_7d == [1.5, 5.7000000000000005e-11]
    assert (stored.price_at, stored.updated_at, stored.created_at) == (SEEN, NOW, NOW)
    assert (stored.is_listed, stored.is_tracked, stored.sync_every_seconds) == (True, False, 300)
    assert stored.history_problem == ""


def test_it_takes_a_newer_price_and_leaves_alone_what_is_not_upstreams() -> None:
    write_latest(rows=[row()], now=NOW)
    Cryptocurrency.objects.update(is_tracked=True, is_listed=False, sync_every_seconds=900, history_problem="none")
    before = coin()
    later = row(current_price=2.0, market_cap=None, last_updated=NOW.isoformat())
    write_latest(rows=[later], now=NOW + timedelta(minutes=5))
    after = coin()
    assert (after.pk, after.price_usd, after.market_cap_usd, after.price_at) == (before.pk, 2.0, None, NOW)
    assert after.is_listed
    assert (after.is_tracked, after.sync_every_seconds, after.history_problem) == (True, 900, "none")
    assert (after.created_at, after.updated_at) == (NOW, NOW + timedelta(minutes=5))


@pytest.mark.parametrize(
    "sent",
    [
        {"last_updated": (SEEN - timedelta(microseconds=1)).isoformat()},
        {"last_updated": SEEN.isoformat()},
        {"last_updated": SEEN.replace(microsecond=0).isoformat()},
        {"last_updated": None},
        {"current_price": None, "last_updated": NOW.isoformat()},
    ],
)
def test_it_never_replaces_a_price_by_one_that_is_not_newer(sent: dict[str, Any]) -> None:
    write_latest(rows=[row()], now=NOW)
    write_latest(rows=[row(**({"current_price": 9.0} | sent))], now=NOW)
    assert (coin().price_usd, coin().price_at, coin().market_cap_usd) == (0.1 + 0.2, SEEN, 2.1e13)


@pytest.mark.parametrize("sent", [{"current_price": None}, {"last_updated": None}])
def test_it_keeps_a_coin_without_a_price_up_to_date_until_it_gets_one(sent: dict[str, Any]) -> None:
    write_latest(rows=[row(name="Old", **sent)], now=NOW)
    assert (coin().name, coin().price_usd, coin().price_at) == ("Old", None, None)
    write_latest(rows=[row(name="New", **sent)], now=NOW)
    assert coin().name == "New"
    write_latest(rows=[row()], now=NOW)
    assert coin().price_usd == 0.1 + 0.2


@pytest.mark.parametrize("sparkline", [None, ()])
def test_it_keeps_the_sparkline_when_none_was_sent(sparkline: tuple[float, ...] | None) -> None:
    bare = replace(row(last_updated=NOW.isoformat()), sparkline=sparkline)
    write_latest(rows=[row()], now=NOW)
    write_latest(rows=[bare, replace(bare, id="unseen")], now=NOW)
    assert (coin().price_at, coin().sparkline_7d) == (NOW, [1.5, 5.7000000000000005e-11])
    assert coin("unseen").sparkline_7d == []
    write_latest(rows=[replace(row(last_updated=(NOW + timedelta(minutes=1)).isoformat()), sparkline=(2.0,))], now=NOW)
    assert coin().sparkline_7d == [2.0]


def test_it_takes_the_newest_of_two_rows_of_one_coin() -> None:
    older = row(current_price=1.0)
    newer = row(current_price=2.0, last_updated=NOW.isoformat())
    for number, pair in enumerate([(older, newer), (newer, older)]):
        write_latest(rows=[replace(one, id=f"coin-{number}") for one in pair], now=NOW)
        assert coin(f"coin-{number}").price_usd == 2.0


def test_it_keeps_texts_letter_by_letter_and_cuts_long_ones() -> None:
    name = "\\N\t\"quoted\", 'and' \\ päckchen 🚀\nline"
    write_latest(rows=[row(symbol="s" * 90, name=name), row("long", name="n" * 300)], now=NOW)
    assert (coin().name, coin().symbol) == (name, "s" * 50)
    assert coin("long").name == "n" * 200


def test_it_writes_all_coins_or_none() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        write_latest(rows=[row(), replace(row("broken"), current_price=-1.0)], now=NOW)
    assert not Cryptocurrency.objects.exists()


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_it_asks_the_database_as_often_for_one_coin_as_for_a_thousand(
    django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    rows = [replace(row(), id=f"coin-{number}", current_price=math.pi * (number + 1)) for number in range(count)]
    with django_assert_num_queries(6 if count else 0):
        write_latest(rows=rows, now=NOW)
    assert Cryptocurrency.objects.filter(price_usd__gt=3).count() == count
