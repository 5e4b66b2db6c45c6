"""The API of prices over time."""

import csv
import io
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from markets.api import serializers
from markets.models import Cryptocurrency, Interval, PriceData
from markets.tests.api import API, ask, assert_documented, count_queries, error_code, faults

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EXACT = 0.1 + 0.2
PRICES = "cryptocurrencies/bitcoin/prices/"


def add(coin: Cryptocurrency, interval: str, start: datetime, closes: list[float]) -> None:
    """Slots in a row from `start` on; each opens where the one before closed."""
    length = Interval(interval).length
    opens = [closes[0], *closes[:-1]]
    PriceData.objects.bulk_create(
        PriceData(
            coin=coin, interval=interval, at=start + i * length, open=first, close=last,
            high=max(first, last), low=min(first, last), volume_24h=None, market_cap=5.0,
        )
        for i, (first, last) in enumerate(zip(opens, closes, strict=True))
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _sample_market(settings: Settings) -> None:
    settings.MARKET = "sample"


@pytest.fixture
def bitcoin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(
        coingecko_id="bitcoin", symbol="btc", name="Bitcoin", price_usd=9.0, price_at=timezone.now()
    )


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def download(path: str, **parameters: Any) -> tuple[list[dict[str, str]], dict[str, str]]:
    response = Client().get(f"{API}{path}", parameters, headers={"Accept": "text/csv"})
    assert response.status_code == 200
    assert response.streaming
    text = response.getvalue().decode()
    return list(csv.DictReader(io.StringIO(text))), dict(response.items())


class TestSeries:
    def test_it_answers_columns_with_the_stored_doubles(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0, EXACT, 5.7000000000000005e-11])
        answer = ask(PRICES, start="2026-03-01", end="2026-03-05", interval="1d")
        assert answer["at"] == ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z"]
        assert answer["close"] == [1.0, EXACT, 5.7000000000000005e-11]
        assert (answer["volume_24h"], answer["market_cap"]) == ([None] * 3, [5.0] * 3)
        assert (answer["id"], answer["interval"], answer["total_points"]) == ("bitcoin", "1d", 3)
        assert (answer["is_downsampled"], answer["is_stale"], answer["data_source"]) == (
            False, False, "sample data",
        )  # fmt: skip
        assert_documented(answer, serializers.SeriesSerializer())

    def test_it_says_which_interval_auto_took(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0] * 5)
        assert ask(PRICES, start="2026-03-02", end="2026-03-05")["interval"] == "1d"
        add(bitcoin, "1h", START, [1.0] * 100)
        assert ask(PRICES, start="2026-03-02", end="2026-03-05")["interval"] == "1h"

    def test_it_takes_a_range_up_to_now(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1h", timezone.now() - 10 * DAY + HOUR / 2, [1.0] * 239)
        assert ask(PRICES, range="7d", interval="1h")["total_points"] == 167
        assert ask(PRICES, interval="1h")["total_points"] == 167
        assert ask(PRICES, range="all", interval="1h")["total_points"] == 239

    def test_it_thins_to_max_points_and_keeps_the_extremes(self, bitcoin: Cryptocurrency) -> None:
        closes = [100.0 + i % 13 for i in range(900)]
        closes[333], closes[555] = 1.0, 999.0
        add(bitcoin, "1h", START, closes)
        answer = ask(PRICES, start=iso(START), end=iso(START + 900 * HOUR), interval="1h", max_points=50)
        assert len(answer["at"]) <= 50
        assert (min(answer["close"]), max(answer["close"])) == (1.0, 999.0)
        assert (answer["total_points"], answer["is_downsampled"]) == (900, True)

    def test_it_reads_a_time_with_another_offset_as_the_same_instant(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1h", START, [1.0, 2.0, 3.0])
        answer = ask(PRICES, start="2026-03-02T03:00:00+02:00", end="2026-03-02T04:00:00+02:00", interval="1h")
        assert answer["close"] == [2.0]

    def test_it_is_empty_where_there_are_no_prices(self, bitcoin: Cryptocurrency) -> None:
        answer = ask(PRICES)
        assert (answer["at"], answer["close"], answer["total_points"]) == ([], [], 0)

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"start": "yesterday"}, ("start", "invalid")),
            ({"start": "2026-02-30"}, ("start", "invalid")),
            ({"start": "1900-01-01"}, ("start", "out_of_range")),
            ({"end": "9999-12-31T23:59:59Z"}, ("end", "out_of_range")),
            ({"start": "0001-01-01T00:00:00+14:00"}, ("start", "overflow")),
            ({"start": "2026-03-02", "end": "2026-03-01"}, ("start", "start_not_before_end")),
            ({"start": "2026-03-02", "end": "2026-03-02"}, ("start", "start_not_before_end")),
            ({"start": "2099-01-01"}, ("start", "start_not_before_end")),
            ({"range": "7d", "start": "2026-03-01"}, ("range", "range_and_dates")),
            ({"range": "2w"}, ("range", "invalid_choice")),
            ({"interval": "4h"}, ("interval", "invalid_choice")),
            ({"max_points": 9}, ("max_points", "min_value")),
            ({"max_points": 2001}, ("max_points", "max_value")),
            ({"max_points": "all"}, ("max_points", "invalid")),
            ({"from": "2026-03-01"}, ("from", "unknown_parameter")),
            ({"range": ["7d", "1d"]}, ("range", "repeated_parameter")),
        ],
    )
    def test_it_refuses_bad_parameters(
        self, bitcoin: Cryptocurrency, parameters: dict[str, Any], fault: tuple[str, str]
    ) -> None:
        assert faults(PRICES, **parameters) == [fault]

    @pytest.mark.parametrize("end", ["", "latest/", "candles/", "export/", "at/?timestamp=2026-03-01"])
    def test_it_answers_404_for_an_unknown_coin(self, db: None, end: str) -> None:
        assert error_code(f"cryptocurrencies/nonesuch/prices/{end}", status=404) == "not_found"

    @pytest.mark.parametrize("rows", [1, 1000])
    def test_it_takes_three_queries_however_many_rows(self, bitcoin: Cryptocurrency, rows: int) -> None:
        add(bitcoin, "1h", START, [1.0] * rows)
        assert count_queries(PRICES, start="2026-03-01", end="2026-05-01") == 3

    def test_it_answers_304_to_a_client_that_has_the_series(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0, 2.0])
        path = f"{API}{PRICES}?start=2026-03-01&end=2026-03-09"
        first = Client().get(path)
        again = Client().get(path, headers={"If-None-Match": first["ETag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


class TestCandles:
    def test_it_makes_weeks_of_days(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [3.0, 9.0, 1.0, 4.0, 5.0, 6.0, 7.0, 8.0])
        answer = ask(f"{PRICES}candles/", start="2026-03-02", end="2026-03-16", interval="1w")
        assert answer["at"] == ["2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"]
        assert (answer["open"], answer["close"]) == ([3.0, 7.0], [7.0, 8.0])
        assert (answer["high"], answer["low"]) == ([9.0, 8.0], [1.0, 7.0])
        assert answer["is_complete"] == [True, False]
        assert_documented(answer, serializers.CandlesSerializer())

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({"interval": "5m"}, ("interval", "invalid_choice")),
            ({"interval": "1h", "range": "1y"}, ("interval", "too_many_candles")),
            ({"start": "2026-03-02", "end": "2026-03-01"}, ("start", "start_not_before_end")),
            ({"max_points": 100}, ("max_points", "unknown_parameter")),
        ],
    )
    def test_it_refuses_bad_parameters(
        self, bitcoin: Cryptocurrency, parameters: dict[str, Any], fault: tuple[str, str]
    ) -> None:
        assert faults(f"{PRICES}candles/", **parameters) == [fault]

    def test_it_refuses_more_candles_than_2000_in_all_the_history(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1h", START - 2001 * HOUR, [1.0] * 2001)
        assert faults(f"{PRICES}candles/", interval="1h", range="all") == [("interval", "too_many_candles")]


class TestLatest:
    def test_it_gives_one_coins_latest_price(self, bitcoin: Cryptocurrency) -> None:
        answer = ask(f"{PRICES}latest/")
        assert (answer["id"], answer["price_usd"], answer["is_stale"]) == ("bitcoin", 9.0, False)
        assert_documented(answer, serializers.SourcedLatestPriceSerializer())

    def test_it_gives_many_coins_in_the_order_asked_for(self, bitcoin: Cryptocurrency) -> None:
        Cryptocurrency.objects.create(coingecko_id="unpriced", symbol="u", name="Unpriced")
        answer = ask("prices/latest/", ids="unpriced, bitcoin,unpriced")
        assert [row["id"] for row in answer["results"]] == ["unpriced", "bitcoin"]
        assert [row["price_usd"] for row in answer["results"]] == [None, 9.0]
        assert_documented(answer, serializers.LatestPricesSerializer())
        assert count_queries("prices/latest/", ids="unpriced,bitcoin") == 1

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({}, ("ids", "required")),
            ({"ids": ""}, ("ids", "blank")),
            ({"ids": "bitcoin,nonesuch"}, ("ids", "unknown_coin")),
            ({"ids": "bitcoin,"}, ("ids", "empty_id")),
            ({"ids": "bit\x00coin"}, ("ids", "null_characters_not_allowed")),
        ],
    )
    def test_it_refuses_bad_parameters(
        self, bitcoin: Cryptocurrency, parameters: dict[str, Any], fault: tuple[str, str]
    ) -> None:
        assert faults("prices/latest/", **parameters) == [fault]


class TestAt:
    def test_it_gives_the_last_close_known_then_and_never_a_later_one(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0, 2.0])
        add(bitcoin, "1h", START + DAY, [10.0, 20.0])
        at = f"{PRICES}at/"
        answer = ask(at, timestamp="2026-03-03T01:59:59Z")
        assert (answer["price_usd"], answer["as_of"]) == (10.0, "2026-03-03T01:00:00Z")
        assert (answer["interval"], answer["is_stale"]) == ("1h", False)
        assert_documented(answer, serializers.PriceAtSerializer())
        assert ask(at, timestamp="2026-03-03T02:00:00Z")["price_usd"] == 20.0
        assert ask(at, timestamp="2026-03-03T00:30:00Z")["price_usd"] == 1.0

    def test_it_says_when_the_price_known_then_was_already_old(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0])
        assert ask(f"{PRICES}at/", timestamp="2026-03-03T23:00:00Z")["is_stale"] is False
        assert ask(f"{PRICES}at/", timestamp="2026-03-05")["is_stale"] is True

    def test_it_gives_the_latest_price_for_now(self, bitcoin: Cryptocurrency) -> None:
        answer = ask(f"{PRICES}at/", timestamp=timezone.now().isoformat())
        assert (answer["price_usd"], answer["interval"]) == (9.0, None)

    def test_it_answers_404_before_the_first_price(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0])
        assert error_code(f"{PRICES}at/", status=404, timestamp="2026-03-02T12:00:00Z") == "no_price"

    @pytest.mark.parametrize(
        ("parameters", "fault"),
        [
            ({}, ("timestamp", "required")),
            ({"timestamp": "noon"}, ("timestamp", "invalid")),
            ({"timestamp": "2099-01-01"}, ("timestamp", "in_future")),
            ({"timestamp": "1999-01-01"}, ("timestamp", "out_of_range")),
        ],
    )
    def test_it_refuses_bad_parameters(
        self, bitcoin: Cryptocurrency, parameters: dict[str, Any], fault: tuple[str, str]
    ) -> None:
        assert faults(f"{PRICES}at/", **parameters) == [fault]


class TestExport:
    def test_it_streams_every_slot_with_exact_doubles_and_marks_samples(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0, EXACT])
        rows, headers = download(f"{PRICES}export/")
        assert [float(row["close"]) for row in rows] == [1.0, EXACT]
        assert rows[0] == {
            "coin": "bitcoin", "interval": "1d", "at": "2026-03-02T00:00:00Z", "open": "1.0", "high": "1.0",
            "low": "1.0", "close": "1.0", "volume_24h": "", "market_cap": "5.0", "samples": "1",
            "data_source": "sample data",
        }  # fmt: skip
        assert headers["Content-Type"] == "text/csv; charset=utf-8"
        assert 'filename="bitcoin-1d-sample-data.csv"' in headers["Content-Disposition"]

    def test_it_writes_more_rows_than_one_chunk_holds(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1h", START, [float(i + 1) for i in range(1234)])
        rows, _ = download(f"{PRICES}export/", interval="1h")
        assert [float(row["close"]) for row in rows] == [float(i + 1) for i in range(1234)]

    def test_it_keeps_to_the_range(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [1.0, 2.0, 3.0])
        rows, _ = download(f"{PRICES}export/", start="2026-03-03", end="2026-03-04")
        assert [row["close"] for row in rows] == ["2.0"]

    def test_it_writes_the_column_names_when_there_are_no_rows(self, bitcoin: Cryptocurrency) -> None:
        response = Client().get(f"{API}{PRICES}export/")
        assert response.getvalue().startswith(b"coin,interval,at,open,")

    def test_it_says_live_only_of_live_data(self, bitcoin: Cryptocurrency, settings: Settings) -> None:
        add(bitcoin, "1d", START, [1.0])
        for market, words in (("live", "live"), ("replay", "replayed data (sample data)")):
            settings.MARKET = market
            rows, headers = download(f"{PRICES}export/")
            assert rows[0]["data_source"] == headers["X-Data-Source"] == words
            assert ("sample-data" in headers["Content-Disposition"]) is (market != "live")
            assert ask(f"{PRICES}latest/")["data_source"] == words

    def test_it_refuses_bad_parameters_in_json(self, bitcoin: Cryptocurrency) -> None:
        response = Client().get(f"{API}{PRICES}export/", {"interval": "auto"}, headers={"Accept": "text/csv"})
        assert (response.status_code, response["Content-Type"]) == (400, "application/json")
        assert response.json()["error"]["fields"][0]["field"] == "interval"


class TestStatistics:
    PATH = "cryptocurrencies/bitcoin/statistics/"

    def test_it_gives_return_drawdown_and_extremes(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [100.0, 200.0, 50.0, 150.0])
        answer = ask(self.PATH, start="2026-03-01", end="2026-03-20")
        assert (answer["n_days"], answer["return_percent"]) == (4, pytest.approx(50.0))
        assert answer["max_drawdown_percent"] == pytest.approx(-75.0)
        assert (answer["high_usd"], answer["high_on"]) == (200.0, "2026-03-03")
        assert (answer["low_usd"], answer["low_on"]) == (50.0, "2026-03-04")
        assert (answer["best_day_percent"], answer["worst_day_percent"]) == (
            pytest.approx(200.0), pytest.approx(-75.0),
        )  # fmt: skip
        assert (answer["volatility_percent"], answer["correlation_with_bitcoin"]["coefficient"]) == (None, None)
        assert_documented(answer, serializers.StatisticsSerializer())

    def test_it_scales_volatility_to_a_year_of_365_days(self, bitcoin: Cryptocurrency) -> None:
        add(bitcoin, "1d", START, [100.0 * math.exp(0.01 * (i % 2)) for i in range(41)])
        answer = ask(self.PATH, start="2026-03-01", end="2026-06-01")
        by_hand = 0.01 * math.sqrt(40 / 39) * math.sqrt(365) * 100  # 40 returns of ±1 % around 0
        assert answer["volatility_percent"] == pytest.approx(by_hand)

    def test_it_correlates_with_bitcoin_on_common_days(self, bitcoin: Cryptocurrency) -> None:
        other = Cryptocurrency.objects.create(coingecko_id="mirror", symbol="m", name="Mirror")
        closes = [100.0 + (i * 7 % 5) for i in range(41)]
        add(bitcoin, "1d", START, closes)
        add(other, "1d", START, [1 / close for close in closes])
        answer = ask("cryptocurrencies/mirror/statistics/", start="2026-03-01", end="2026-06-01")
        assert answer["correlation_with_bitcoin"] == {"coefficient": pytest.approx(-1.0), "n_days": 40}

    def test_it_is_null_without_data(self, bitcoin: Cryptocurrency) -> None:
        answer = ask(self.PATH)
        assert (answer["n_days"], answer["return_percent"], answer["high_usd"]) == (0, None, None)

    def test_it_refuses_bad_parameters(self, bitcoin: Cryptocurrency) -> None:
        assert faults(self.PATH, range="forever") == [("range", "invalid_choice")]
        assert error_code("cryptocurrencies/nonesuch/statistics/", status=404) == "not_found"


class TestQuarantine:
    def test_no_endpoint_shows_a_quarantined_slot(self, bitcoin: Cryptocurrency) -> None:
        now = timezone.now().replace(minute=0, second=0, microsecond=0)
        add(bitcoin, "1d", now.replace(hour=0) - 40 * DAY, [1.0] * 40)
        bad = PriceData.objects.filter(at=now.replace(hour=0) - 10 * DAY)
        bad.update(close=77.0, high=77.0, is_quarantined=True)
        assert 77.0 not in ask(PRICES, range="90d", interval="1d")["close"]
        assert 77.0 not in ask(f"{PRICES}candles/", range="90d", interval="1w")["high"]
        assert "77.0" not in [row["close"] for row in download(f"{PRICES}export/")[0]]
        assert ask(f"{PRICES}at/", timestamp=iso(now.replace(hour=0) - 9 * DAY))["price_usd"] == 1.0
        assert ask("cryptocurrencies/bitcoin/statistics/", range="90d")["high_usd"] == 1.0
