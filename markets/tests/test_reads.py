"""Reads stay small however much is stored: queries, bytes, and rows held in memory."""

import csv
import gzip
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import orjson
import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.test import Client, RequestFactory
from django.utils import timezone

from markets import charts
from markets.api.streams import ROWS_PER_CHUNK, lines
from markets.ingest import Slot, write_slots
from markets.models import Cryptocurrency, Interval, PriceData
from markets.series import MAX_POINTS, price_series
from markets.tests.api import API, count_queries

PATHS = {
    "list": "cryptocurrencies/?page_size=250",
    "coin": "cryptocurrencies/coin-0/",
    "latest": "cryptocurrencies/coin-0/prices/latest/",
    "global": "cryptocurrencies/global/",
    "movers": "cryptocurrencies/movers/?limit=50",
    "prices": "cryptocurrencies/coin-0/prices/?range=all&max_points=2000",
    "candles": "cryptocurrencies/coin-0/prices/candles/?interval=1d",
}


def add_coins(first: int, last: int) -> None:
    now = timezone.now()
    Cryptocurrency.objects.bulk_create(
        Cryptocurrency(
            coingecko_id=f"coin-{number}", symbol="c", name=f"Coin {number}", market_cap_rank=number + 1,
            price_usd=1.0, price_at=now, market_cap_usd=1e9, volume_24h_usd=1e6, change_24h_percent=number % 7 - 3,
        )
        for number in range(first, last)
    )  # fmt: skip


def add_days(first: int, last: int) -> None:
    coin = Cryptocurrency.objects.get(coingecko_id="coin-0")
    start = datetime(2020, 1, 1, tzinfo=UTC)
    rows = (
        PriceData(coin=coin, interval="1d", at=start + timedelta(days=day), open=1, high=2, low=0.5, close=1)
        for day in range(first, last)
    )
    PriceData.objects.bulk_create(rows)


@pytest.mark.django_db
def test_no_read_asks_more_queries_of_a_thousand_rows_than_of_one() -> None:
    add_coins(0, 1)
    add_days(0, 1)
    few = {name: count_queries(path) for name, path in PATHS.items()}
    add_coins(1, 1000)
    add_days(1, 1000)
    many = {name: count_queries(path) for name, path in PATHS.items()}
    assert many == few
    assert max(many.values()) <= 6


def test_a_csv_of_a_million_rows_is_never_held_in_memory() -> None:
    """However far the file has been read, the rows that were fetched and not yet sent are one chunk at most."""
    total, fetched = 1_000_000, 0

    def rows() -> Iterator[tuple[int]]:
        nonlocal fetched
        for fetched in range(1, total + 1):
            yield (fetched,)

    sent = largest = 0
    for chunk in lines(("id",), rows()):
        sent += chunk.count("\n")
        largest = max(largest, len(chunk))
        assert fetched - (sent - 1) <= 1, "rows were read ahead"
    assert (sent, fetched) == (total + 1, total)
    assert largest <= ROWS_PER_CHUNK * len("1000000\r\n")


@pytest.mark.postgres
@pytest.mark.django_db
def test_postgresql_keeps_the_rows_of_a_csv_until_they_are_sent() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("what PostgreSQL's cursors do: run it by make test, or with DATABASE_URL set")
    add_coins(0, 1)
    add_days(0, 1700)
    response = Client().get(f"{API}cryptocurrencies/coin-0/prices/export/")
    streamed = iter(response.streaming_content)  # type: ignore[attr-defined]
    list(islice(streamed, 2))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors WHERE name LIKE '_django%%'")
        assert cursor.fetchone() == (1,)
    assert sum(chunk.count(b"\n") for chunk in streamed) == 1700 + 1 - 2 * ROWS_PER_CHUNK


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, str]]:
    """Three months of bitcoin's five-minute prices, as they really were."""
    default = Path(__file__).resolve().parents[2] / ".." / "shared"
    folder = Path(os.environ.get("CRYPTOPREDICT_SHARED", default)).resolve() / "data"
    assert folder.is_dir(), f"{folder} is not there: set CRYPTOPREDICT_SHARED or run with -m 'not shared'"
    with (folder / "5min" / "bitcoin.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def bitcoin(db: None, recorded: list[dict[str, str]]) -> Cryptocurrency:
    slots = [
        Slot(
            at=datetime.fromisoformat(row["timestamp"]),
            open=float(row["open"]), high=float(row["high"]), low=float(row["low"]), close=float(row["close"]),
            volume_24h=float(row["volume"]) * float(row["close"]), market_cap=float(row["close"]) * 19_850_000.7,
            samples=1,
        )
        for row in recorded
    ]  # fmt: skip
    coin = Cryptocurrency.objects.create(
        coingecko_id="bitcoin", symbol="btc", name="Bitcoin", is_tracked=True, price_usd=1.0, price_at=slots[-1].at
    )
    write_slots(coin_id=coin.pk, interval=Interval.FIVE_MINUTES, slots=slots)
    return coin


@pytest.mark.shared
def test_a_thinned_series_of_real_prices_keeps_its_ends_and_its_extremes(bitcoin: Cryptocurrency) -> None:
    whole = PriceData.objects.of(bitcoin, "5m")
    count, first, last = whole.count(), whole.first(), whole.last()
    assert count > 25_000
    assert first is not None
    assert last is not None
    lowest, highest = whole.order_by("low", "at").first(), whole.order_by("-high", "at").first()
    for max_points in (10, 11, 100, 1000, MAX_POINTS):
        series = price_series(bitcoin, start=None, end=None, interval="5m", max_points=max_points)
        assert 0.8 * max_points <= len(series.at) <= max_points
        assert (series.at[0], series.at[-1], series.total_points) == (first.at, last.at, count)
        assert lowest is not None
        assert highest is not None
        assert min(zip(series.low, series.at, strict=True)) == (lowest.low, lowest.at)
        assert (max(series.high), series.at[series.high.index(highest.high)]) == (highest.high, highest.at)
        assert series.at == sorted(set(series.at))


def gzipped(content: bytes) -> int:
    return len(gzip.compress(content, 6, mtime=0))


def row_objects(coin: Cryptocurrency, start: datetime) -> bytes:
    """What a serializer of the model would send for the same range: an object a row."""
    fields = "at", "open", "high", "low", "close", "volume_24h", "market_cap"
    rows = PriceData.objects.of(coin, "5m").filter(at__gte=start).values(*fields)
    return DjangoJSONEncoder(separators=(",", ":")).encode(list(rows)).encode()


@pytest.mark.shared
@pytest.mark.parametrize("days", [7, 30, 90])
def test_chart_data_are_a_sixth_of_row_objects_at_most(bitcoin: Cryptocurrency, days: int) -> None:
    assert bitcoin.price_at is not None
    start = bitcoin.price_at - timedelta(days=days)
    objects = gzipped(row_objects(bitcoin, start))
    view = charts.ChartView.from_address(RequestFactory().get("/", {"range": f"{days}d"}).GET)
    chart = charts.coin_chart(bitcoin, view)
    assert gzipped(orjson.dumps(chart.figure)) <= objects / 6
    # The API's columns hold exact doubles and seven columns: they are that small where rows are left out.
    parameters = {"interval": "5m", "start": start.isoformat(), "end": "2025-12-31"}
    answer = Client().get(f"{API}cryptocurrencies/bitcoin/prices/", parameters)
    assert answer.json()["is_downsampled"]
    assert gzipped(answer.content) <= objects / (6 if days >= 30 else 2)
