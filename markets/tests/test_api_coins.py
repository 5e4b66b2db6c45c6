"""The API of the market list, search, movers and single coins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from markets.api import serializers
from markets.models import Cryptocurrency
from markets.tests.api import API, ask, assert_documented, count_queries, error_code, faults

EXACT = 0.1 + 0.2  # 0.30000000000000004: a double that careless rounding changes


def add(coingecko_id: str, rank: int | None = None, **columns: object) -> Cryptocurrency:
    values = {"symbol": coingecko_id[:3], "name": coingecko_id.title(), "market_cap_rank": rank, **columns}
    if "price_usd" in values:
        values.setdefault("price_at", timezone.now())
    return Cryptocurrency.objects.create(coingecko_id=coingecko_id, **values)


@pytest.fixture(autouse=True)
def _sample_market(settings: Settings) -> None:
    settings.MARKET = "sample"


@pytest.fixture
def market(db: None) -> None:
    add(
        "bitcoin", 1, price_usd=60_000.5, market_cap_usd=1.2e12, volume_24h_usd=3e10, change_24h_percent=-1.5,
        change_1h_percent=0.25, change_7d_percent=4.0, is_tracked=True, sparkline_7d=[1.0, 2.5],
    )  # fmt: skip
    add("ethereum", 2, price_usd=EXACT, market_cap_usd=3e11, volume_24h_usd=1e10, change_24h_percent=7.0)
    add("tinycoin", 900, price_usd=5.7000000000000005e-11, market_cap_usd=1e6, change_24h_percent=90.0)
    add("priceless")
    add("gone", 3, price_usd=1.0, is_listed=False, change_24h_percent=500.0)


def ids(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [row["id"] for row in answer["results"]]


@pytest.mark.usefixtures("market")
class TestList:
    def test_it_lists_coins_by_rank_with_the_unranked_last(self) -> None:
        answer = ask("cryptocurrencies/")
        assert ids(answer) == ["bitcoin", "ethereum", "tinycoin", "priceless"]
        assert (answer["count"], answer["page"], answer["pages"], answer["next"]) == (4, 1, 1, None)

    def test_it_gives_exactly_the_stored_doubles_and_null_for_the_unknown(self) -> None:
        rows = ask("cryptocurrencies/")["results"]
        assert [row["price_usd"] for row in rows] == [60_000.5, EXACT, 5.7000000000000005e-11, None]
        assert rows[1]["change_1h_percent"] is None
        assert rows[0]["sparkline_7d"] == [1.0, 2.5]

    def test_it_has_the_documented_fields(self) -> None:
        answer = ask("cryptocurrencies/")
        assert_documented(answer["results"], serializers.CoinRowSerializer(many=True))

    def test_it_says_how_old_and_whence_the_figures_are(self) -> None:
        Cryptocurrency.objects.filter(coingecko_id="ethereum").update(price_at=timezone.now() - timedelta(minutes=11))
        answer = ask("cryptocurrencies/")
        assert (answer["is_stale"], answer["data_source"]) == (False, "sample data")
        assert answer["as_of"] == answer["results"][2]["as_of"]
        assert [row["is_stale"] for row in answer["results"]] == [False, True, False, True]

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"q": "COIN"}, ["bitcoin", "tinycoin"]),
            ({"ids": "tinycoin,bitcoin"}, ["bitcoin", "tinycoin"]),
            ({"is_tracked": "true"}, ["bitcoin"]),
            ({"is_tracked": "false"}, ["ethereum", "tinycoin", "priceless"]),
            ({"min_market_cap": "3e11"}, ["bitcoin", "ethereum"]),
            ({"max_market_cap": 3e11}, ["ethereum", "tinycoin"]),
            ({"min_price": 0.1, "max_price": 1}, ["ethereum"]),
            ({"min_volume_24h": 2e10}, ["bitcoin"]),
            ({"order": "price"}, ["tinycoin", "ethereum", "bitcoin", "priceless"]),
            ({"order": "-price"}, ["bitcoin", "ethereum", "tinycoin", "priceless"]),
            ({"order": "-change_24h"}, ["tinycoin", "ethereum", "bitcoin", "priceless"]),
            ({"order": "-name"}, ["tinycoin", "priceless", "ethereum", "bitcoin"]),
            ({"page": 2, "page_size": 3}, ["priceless"]),
        ],
    )
    def test_it_filters_orders_and_pages(self, parameters: dict[str, Any], expected: list[str]) -> None:
        assert ids(ask("cryptocurrencies/", **parameters)) == expected

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"colour": "red"}, ("colour", "unknown_parameter")),
            ({"order": ["rank", "name"]}, ("order", "repeated_parameter")),
            ({"order": "luck"}, ("order", "invalid_choice")),
            ({"min_price": "cheap"}, ("min_price", "invalid")),
            ({"min_price": "nan"}, ("min_price", "invalid")),
            ({"max_price": "inf"}, ("max_price", "invalid")),
            ({"min_price": -1}, ("min_price", "min_value")),
            ({"min_market_cap": 2, "max_market_cap": 1}, ("min_market_cap", "min_above_max")),
            ({"ids": "bitcoin,nonesuch"}, ("ids", "unknown_coin")),
            ({"ids": "bitcoin,,ethereum"}, ("ids", "empty_id")),
            ({"ids": ",".join(f"c{i}" for i in range(251))}, ("ids", "too_many")),
            ({"is_tracked": "perhaps"}, ("is_tracked", "invalid")),
            ({"q": "x" * 101}, ("q", "max_length")),
            ({"q": "a\x00b"}, ("q", "null_characters_not_allowed")),
            ({"page": 0}, ("page", "min_value")),
            ({"page": "two"}, ("page", "invalid")),
            ({"page_size": 251}, ("page_size", "max_value")),
        ],
    )
    def test_it_refuses_bad_parameters(self, parameters: dict[str, Any], fault: tuple[str, str]) -> None:
        assert faults("cryptocurrencies/", **parameters) == [fault]

    def test_it_names_every_fault_at_once(self) -> None:
        found = faults("cryptocurrencies/", order="luck", min_price="cheap", colour="red")
        assert set(found) == {
            ("order", "invalid_choice"), ("min_price", "invalid"), ("colour", "unknown_parameter")
        }  # fmt: skip

    def test_it_answers_404_past_the_last_page(self) -> None:
        assert error_code("cryptocurrencies/", status=404, page=2) == "not_found"

    def test_it_takes_as_few_queries_for_many_coins_as_for_one(self) -> None:
        one = count_queries("cryptocurrencies/", page_size=1, ids="bitcoin")
        Cryptocurrency.objects.bulk_create(
            Cryptocurrency(coingecko_id=f"c{i}", symbol=f"c{i}", name=f"C{i}") for i in range(240)
        )
        many = count_queries("cryptocurrencies/", ids=",".join(f"c{i}" for i in range(240)), page_size=250)
        assert one == many <= 6

    def test_it_answers_304_to_a_client_that_has_the_list(self) -> None:
        first = Client().get(f"{API}cryptocurrencies/")
        assert "max-age=30" in first["Cache-Control"]
        again = Client().get(f"{API}cryptocurrencies/", headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        Cryptocurrency.objects.filter(coingecko_id="bitcoin").update(price_usd=1.0)
        changed = Client().get(f"{API}cryptocurrencies/", headers={"If-None-Match": first["ETag"]})
        assert changed.status_code == 200

    def test_it_takes_no_writes_from_strangers(self) -> None:
        assert Client().post(f"{API}cryptocurrencies/").status_code in {401, 405}


@pytest.mark.usefixtures("market")
class TestSearch:
    def test_it_finds_a_misspelt_coin(self) -> None:
        answer = ask("cryptocurrencies/search/", q="bitcon")
        assert ids(answer)[0] == "bitcoin"
        assert_documented(answer, serializers.SearchSerializer())

    def test_it_answers_an_empty_list_when_nothing_is_like_the_text(self) -> None:
        answer = ask("cryptocurrencies/search/", q="qqqqzzzz")
        assert (answer["results"], answer["as_of"], answer["is_stale"]) == ([], None, True)

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({}, ("q", "required")),
            ({"q": " "}, ("q", "blank")),
            ({"q": "btc", "limit": 0}, ("limit", "min_value")),
            ({"q": "btc", "limit": 51}, ("limit", "max_value")),
            ({"q": "btc", "page": 1}, ("page", "unknown_parameter")),
        ],
    )
    def test_it_refuses_bad_parameters(self, parameters: dict[str, Any], fault: tuple[str, str]) -> None:
        assert faults("cryptocurrencies/search/", **parameters) == [fault]

    def test_it_takes_at_most_three_queries(self) -> None:
        assert count_queries("cryptocurrencies/search/", q="bitcon") <= 3


@pytest.mark.usefixtures("market")
class TestMovers:
    def test_it_ranks_rises_and_falls_and_leaves_out_unlisted_coins(self) -> None:
        answer = ask("cryptocurrencies/movers/")
        assert [row["id"] for row in answer["gainers"]] == ["tinycoin", "ethereum"]
        assert [row["id"] for row in answer["losers"]] == ["bitcoin"]
        assert answer["period"] == "24h"
        assert_documented(answer, serializers.MoversSerializer())

    def test_it_takes_another_period_and_a_least_volume(self) -> None:
        assert [row["id"] for row in ask("cryptocurrencies/movers/", period="7d")["gainers"]] == ["bitcoin"]
        assert ask("cryptocurrencies/movers/", min_volume_24h=1e9, limit=1)["gainers"][0]["id"] == "ethereum"

    def test_it_leaves_out_coins_whose_price_stopped_long_ago(self) -> None:
        stopped = timezone.now() - timedelta(days=2)
        Cryptocurrency.objects.filter(coingecko_id="tinycoin").update(price_at=stopped)
        assert [row["id"] for row in ask("cryptocurrencies/movers/")["gainers"]] == ["ethereum"]

    def test_it_is_empty_on_an_empty_market(self) -> None:
        Cryptocurrency.objects.all().delete()
        answer = ask("cryptocurrencies/movers/")
        assert (answer["gainers"], answer["losers"], answer["as_of"]) == ([], [], None)

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"period": "2h"}, ("period", "invalid_choice")),
            ({"limit": "many"}, ("limit", "invalid")),
            ({"min_volume_24h": -1}, ("min_volume_24h", "min_value")),
        ],
    )
    def test_it_refuses_bad_parameters(self, parameters: dict[str, Any], fault: tuple[str, str]) -> None:
        assert faults("cryptocurrencies/movers/", **parameters) == [fault]


@pytest.mark.usefixtures("market")
class TestCoin:
    def test_it_shows_one_coin(self) -> None:
        answer = ask("cryptocurrencies/bitcoin/")
        assert (answer["id"], answer["price_usd"], answer["max_supply"]) == ("bitcoin", 60_000.5, None)
        assert (answer["is_stale"], answer["data_source"]) == (False, "sample data")
        assert_documented(answer, serializers.CoinSerializer())

    def test_it_still_shows_a_coin_that_is_no_longer_listed(self) -> None:
        assert ask("cryptocurrencies/gone/")["is_listed"] is False

    def test_it_calls_a_coin_without_price_stale(self) -> None:
        answer = ask("cryptocurrencies/priceless/")
        assert (answer["price_usd"], answer["as_of"], answer["is_stale"]) == (None, None, True)

    def test_it_writes_times_in_utc(self) -> None:
        Cryptocurrency.objects.update(price_at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
        assert ask("cryptocurrencies/bitcoin/")["as_of"] == "2026-03-01T12:30:00Z"

    @pytest.mark.parametrize("coin", ["nonesuch", "BTC", "btc", "x" * 500, "%00", "a%27b"])
    def test_it_answers_404_for_an_unknown_coin(self, coin: str) -> None:
        assert error_code(f"cryptocurrencies/{coin}/", status=404) == "not_found"

    def test_it_accepts_no_parameters(self) -> None:
        assert faults("cryptocurrencies/bitcoin/", currency="eur") == [("currency", "unknown_parameter")]
