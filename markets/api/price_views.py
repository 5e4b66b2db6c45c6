"""The public endpoints about one coin's prices over time."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest.answers import Clock
from cryptopredict.rest.errors import ApiProblem
from cryptopredict.rest.query import StrictQueryMixin
from markets.api import parameters, serializers
from markets.api.serializers import LATEST_COLUMNS
from markets.api.statistics import DailyPrices, correlation, summarise
from markets.api.streams import CsvView, csv_response
from markets.api.views import PublicView, coin_answer, coin_source, get_coin, market_source, rows
from markets.models import Cryptocurrency, Interval, PriceData
from markets.series import MAX_POINTS, candles, price_series, within
from markets.services import data_source

TAGS = ["Prices"]
EXPORT_COLUMNS = ("at", "open", "high", "low", "close", "volume_24h", "market_cap", "samples")
BENCHMARK = "bitcoin"


class SeriesView(PublicView):
    """One coin's prices as columns, thinned with the extremes kept."""

    query_class = parameters.SeriesQuery
    free_parameters = frozenset({"start", "end"})

    @extend_schema(operation_id="prices_list", tags=TAGS, responses=serializers.SeriesSerializer)
    def get(self, request: Request, coingecko_id: str) -> HttpResponse:
        return self.share(request, lambda clock: self.series(coingecko_id, clock))

    def series(self, coingecko_id: str, clock: Clock) -> dict[str, Any]:
        coin = get_coin(coingecko_id)
        series = price_series(
            coin,
            start=self.query["start"],
            end=self.query["end"],
            interval=self.query["interval"],
            max_points=self.query["max_points"],
        )
        columns = {name: values for name, values in vars(series).items() if name in serializers.SERIES_FIELDS}
        return {**coin_source(coin, clock), **columns}


class CandlesView(PublicView):
    """One coin's candles as columns."""

    query_class = parameters.CandlesQuery

    @extend_schema(operation_id="prices_candles", tags=TAGS, responses=serializers.CandlesSerializer)
    def get(self, request: Request, coingecko_id: str) -> Response:
        coin = get_coin(coingecko_id)
        made = candles(coin, interval=self.query["interval"], start=self.query["start"], end=self.query["end"])
        if len(made.at) > MAX_POINTS:
            raise parameters.too_many_candles()
        return Response({**coin_source(coin, Clock()), **vars(made)})


class LatestPriceView(PublicView):
    """One coin's latest figures."""

    @extend_schema(operation_id="prices_latest", tags=TAGS, responses=serializers.SourcedLatestPriceSerializer)
    def get(self, request: Request, coingecko_id: str) -> HttpResponse:
        return self.share(request, lambda clock: coin_answer(coingecko_id, LATEST_COLUMNS, clock))


class LatestPricesView(PublicView):
    """The latest figures of many coins in one call, in the order asked for."""

    query_class = parameters.LatestQuery

    @extend_schema(operation_id="prices_latest_many", tags=TAGS, responses=serializers.LatestPricesSerializer)
    def get(self, request: Request) -> HttpResponse:
        return self.share(request, self.latest)

    def latest(self, clock: Clock) -> dict[str, Any]:
        ids = self.query["ids"]
        found = rows(Cryptocurrency.objects.filter(coingecko_id__in=ids), LATEST_COLUMNS, clock)
        by_id = {row["id"]: row for row in found}
        parameters.check_known("ids", ids, set(by_id))
        return {**market_source(found, clock), "results": [by_id[coin] for coin in ids]}


class PriceAtView(PublicView):
    """The last price that was known at an instant; 404 `no_price` when there was none."""

    query_class = parameters.AtQuery

    @extend_schema(operation_id="prices_at", tags=TAGS, responses=serializers.PriceAtSerializer)
    def get(self, request: Request, coingecko_id: str) -> Response:
        coin = get_coin(coingecko_id)
        timestamp = self.query["timestamp"]
        known = known_prices(coin, timestamp)
        if not known:
            message = f"No price of {coin.coingecko_id} was known at {timestamp:%Y-%m-%d %H:%M} UTC."
            raise ApiProblem("no_price", message, status.HTTP_404_NOT_FOUND)
        as_of, price, interval = max(known, key=lambda candidate: candidate[0])
        lasts = coin.fresh_for
        if interval is not None:
            lasts = max(lasts, Interval(interval).length)
        answer = {
            "id": coin.coingecko_id,
            "timestamp": timestamp,
            "price_usd": price,
            "interval": interval,
            "as_of": as_of,
            "is_stale": timestamp - as_of > lasts,
            "data_source": data_source(),
        }
        return Response(answer)


def known_prices(coin: Cryptocurrency, timestamp: datetime) -> list[tuple[datetime, float, str | None]]:
    """(time, price, interval) of each interval's last close at or before an instant, and of the latest price."""
    known: list[tuple[datetime, float, str | None]] = []
    if coin.price_at is not None and coin.price_usd is not None and coin.price_at <= timestamp:
        known.append((coin.price_at, coin.price_usd, None))
    for interval in Interval:
        closed = PriceData.objects.of(coin, interval).sound().closed_by(timestamp, interval.length)
        if last := closed.order_by("-at").values_list("at", "close").first():
            known.append((last[0] + interval.length, last[1], interval.value))
    return known


class PricesExportView(CsvView, StrictQueryMixin):
    """Every slot of one interval as CSV."""

    permission_classes = (AllowAny,)
    query_class = parameters.PricesExportQuery

    @extend_schema(
        operation_id="prices_export",
        tags=TAGS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
        description="Every slot of one interval as CSV, streamed; `data_source` in each row marks sample data.",
    )
    def get(self, request: Request, coingecko_id: str) -> StreamingHttpResponse:
        coin = get_coin(coingecko_id)
        interval, source = self.query["interval"], data_source()
        slots = within(PriceData.objects.of(coin, interval).sound(), self.query["start"], self.query["end"])
        return csv_response(
            filename=export_name(coin.coingecko_id, interval, source),
            columns=("coin", "interval", *EXPORT_COLUMNS, "data_source"),
            rows=export_rows(coin.coingecko_id, interval, slots, source),
            data_source=source,
        )


def export_name(coingecko_id: str, interval: str, source: str) -> str:
    """A file name of safe characters that says when the figures are not live ones."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", coingecko_id)
    return f"{safe}-{interval}{'' if source == 'live' else '-sample-data'}.csv"


def export_rows(coingecko_id: str, interval: str, slots: QuerySet[PriceData], source: str) -> Iterable[tuple[Any, ...]]:
    for row in slots.values_list(*EXPORT_COLUMNS).iterator(chunk_size=2000):
        yield (coingecko_id, interval, *row, source)


class StatisticsView(PublicView):
    """What one coin's daily closes did over a range."""

    query_class = parameters.StatisticsQuery
    max_age_seconds = 300

    @extend_schema(operation_id="cryptocurrencies_statistics", tags=TAGS, responses=serializers.StatisticsSerializer)
    def get(self, request: Request, coingecko_id: str) -> Response:
        coin = get_coin(coingecko_id)
        prices = self.daily_prices(coin.coingecko_id)
        other = [] if coin.coingecko_id == BENCHMARK else self.daily_prices(BENCHMARK)
        together = correlation(prices, other)
        return Response({**coin_source(coin, Clock()), **summarise(prices), "correlation_with_bitcoin": together})

    def daily_prices(self, coingecko_id: str) -> list[DailyPrices]:
        slots = PriceData.objects.sound().filter(coin__coingecko_id=coingecko_id, interval=Interval.DAY)
        chosen = within(slots, self.query["start"], self.query["end"]).order_by("at")
        return [DailyPrices(*row) for row in chosen.values_list("at", "open", "high", "low", "close")]
