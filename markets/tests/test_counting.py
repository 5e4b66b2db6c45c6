"""How many rows a list of the admin has."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from markets import counting
from markets.counting import EstimatedPaginator
from markets.models import Cryptocurrency, PriceData

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def coin(db: None) -> Cryptocurrency:
    return Cryptocurrency.objects.create(coingecko_id="bitcoin", symbol="btc", name="Bitcoin")


def add(coin: Cryptocurrency, *hours: int) -> None:
    price = {"open": 1, "high": 1, "low": 1, "close": 1}
    PriceData.objects.bulk_create(
        PriceData(coin=coin, interval="1h", at=AT + timedelta(hours=hour), **price) for hour in hours
    )


def analyse() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE markets_pricedata")


def test_it_counts_few_rows_whatever_the_statistics_say(coin: Cryptocurrency) -> None:
    add(coin, 1, 2, 3)
    analyse()
    add(coin, 4, 5)
    assert EstimatedPaginator(PriceData.objects.order_by("pk"), 2).count == 5


def test_it_takes_the_number_of_many_rows_from_postgresql(
    coin: Cryptocurrency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "COUNTED_UP_TO", 2)
    add(coin, 1, 2, 3)
    analyse()
    add(coin, 4, 5)
    everything = PriceData.objects.order_by("pk")
    expected = 3 if connection.vendor == "postgresql" else 5
    assert EstimatedPaginator(everything, 2).count == expected
    assert EstimatedPaginator(everything.filter(interval="1h"), 2).count == 5, "what is filtered is counted"


def test_the_list_of_prices_reads_no_table_through_to_sort_or_to_count_it(
    coin: Cryptocurrency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "COUNTED_UP_TO", 2)
    add(coin, 3, 1, 2)
    analyse()
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("staff@example.org", "correct horse battery"))
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/admin/markets/pricedata/")
    assert page.status_code == 200
    asked = [query["sql"] for query in queries if "markets_pricedata" in query["sql"]]
    assert 'ORDER BY "markets_pricedata"."id" DESC' in asked[-1]
    counts = [sql for sql in asked if "COUNT(" in sql]
    assert len(counts) == (0 if connection.vendor == "postgresql" else 1)
