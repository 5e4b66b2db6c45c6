"""The public endpoints about coins: list, search, movers, one coin."""

from datetime import timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest.answers import Clock
from cryptopredict.rest.conditional import SharedMixin
from cryptopredict.rest.pagination import LINKS, PageNumbers, page_schema
from cryptopredict.rest.query import StrictQueryMixin
from markets.api import parameters, serializers
from markets.api.serializers import (
    COIN_COLUMNS,
    LATEST_COLUMNS,
    LIST_COLUMNS,
    PAGE_COLUMNS,
    SPARKLINE_AS_WRITTEN,
    rows_of,
)
from markets.models import Cryptocurrency
from markets.querysets import CryptocurrencyQuerySet
from markets.search import search_coins
from markets.services import data_source

TAGS = ["Cryptocurrencies"]
# A coin that upstream last saw so long before the newest price no longer moves, however large its last change was.
MOVES_WITHIN = timedelta(days=1)


class PublicView(SharedMixin, StrictQueryMixin):
    """Open to everyone, conditional, and strict about its parameters."""

    permission_classes = (AllowAny,)
    max_age_seconds = 30


def get_coin(coingecko_id: str) -> Cryptocurrency:
    """The coin, or 404; an id with a NUL character never reaches the database, which would refuse it."""
    coin = None
    if "\x00" not in coingecko_id:
        coin = Cryptocurrency.objects.filter(coingecko_id=coingecko_id).first()
    if coin is None:
        raise NotFound(f"There is no coin with the id {coingecko_id}.")
    return coin


def coin_source(coin: Cryptocurrency, clock: Clock) -> dict[str, Any]:
    """What every answer about one coin's prices says."""
    is_stale = coin.price_at is None or clock.is_past(coin.price_at + coin.fresh_for)
    return {"id": coin.coingecko_id, "as_of": coin.price_at, "is_stale": is_stale, "data_source": data_source()}


def market_source(rows: list[dict[str, Any]], clock: Clock) -> dict[str, Any]:
    """What an answer with many coins says of them all: the newest price's time, and whether even that is stale."""
    newest = max((row["as_of"] for row in rows if row["as_of"]), default=None)
    is_stale = newest is None or clock.is_past(newest + 2 * Cryptocurrency.SHORTEST_PERIOD)
    return {"as_of": newest, "is_stale": is_stale, "data_source": data_source()}


def rows(coins: QuerySet[Cryptocurrency], columns: dict[str, str], clock: Clock) -> list[dict[str, Any]]:
    return rows_of(columns, coins.values_list(*columns.values()), clock)


class MarketPages(PageNumbers):
    """Pages that also say how old their newest price is and where the figures come from."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        whole = {"type": "integer", "minimum": 0}
        return page_schema(
            {
                "as_of": {"type": ["string", "null"], "format": "date-time"},
                "is_stale": {"type": "boolean"},
                "data_source": {"type": "string"},
                **dict.fromkeys(("count", "page", "page_size", "pages"), whole),
                **LINKS,
                "results": schema,
            }
        )


class CoinListView(PublicView, ListAPIView[Cryptocurrency]):
    """The market list: filtered, ordered, in pages."""

    query_class = parameters.CoinListQuery
    free_parameters = parameters.CoinListQuery.free_parameters
    pagination_class = MarketPages
    serializer_class = serializers.CoinRowSerializer
    queryset = Cryptocurrency.objects.listed()

    @extend_schema(operation_id="list_cryptocurrencies", summary="List coins", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return self.share(request, self.page)

    def page(self, clock: Clock) -> dict[str, Any]:
        coins = self.selected().annotate(**SPARKLINE_AS_WRITTEN)
        values = self.paginate_queryset(coins.values_list(*PAGE_COLUMNS.values()))
        found = rows_of(PAGE_COLUMNS, values, clock)
        return {**market_source(found, clock), **self.get_paginated_response(found).data}

    def selected(self) -> QuerySet[Cryptocurrency]:
        coins = Cryptocurrency.objects.listed()
        if text := self.query.get("q"):
            coins = coins.matching(text)
        if (ids := self.query.get("ids")) is not None:
            coins = self.among(coins, ids)
        if (is_tracked := self.query.get("is_tracked")) is not None:
            coins = coins.filter(is_tracked=is_tracked)
        return coins.filter(**self.bounds()).order_by(*self.order())

    def among(self, coins: CryptocurrencyQuerySet, ids: list[str]) -> CryptocurrencyQuerySet:
        wanted = coins.filter(coingecko_id__in=ids)
        parameters.check_known("ids", ids, set(wanted.values_list("coingecko_id", flat=True)))
        return wanted

    def bounds(self) -> dict[str, float]:
        lookups = {}
        for name in ("price", "market_cap", "volume_24h"):
            for side, lookup in (("min", "gte"), ("max", "lte")):
                if (bound := self.query.get(f"{side}_{name}")) is not None:
                    lookups[f"{parameters.ORDERS[name]}__{lookup}"] = bound
        return lookups

    def order(self) -> tuple[Any, ...]:
        name = self.query["order"]
        column = F(parameters.ORDERS[name.removeprefix("-")])
        turned = column.desc(nulls_last=True) if name.startswith("-") else column.asc(nulls_last=True)
        return turned, "coingecko_id"


class CoinSearchView(PublicView):
    """Coins by id, symbol or name."""

    query_class = parameters.SearchQuery

    @extend_schema(
        operation_id="search_cryptocurrencies",
        summary="Search coins",
        tags=TAGS,
        responses=serializers.SearchSerializer,
    )
    def get(self, request: Request) -> Response:
        clock = Clock()
        coins = search_coins(self.query["q"], limit=self.query["limit"])
        values = [[getattr(coin, name) for name in LIST_COLUMNS.values()] for coin in coins]
        found = rows_of(LIST_COLUMNS, values, clock)
        return Response({**market_source(found, clock), "results": found})


class MoversView(PublicView):
    """The largest rises and falls among coins that are still traded."""

    query_class = parameters.MoversQuery
    free_parameters = frozenset({"min_volume_24h"})

    @extend_schema(
        operation_id="get_movers", summary="List gainers and losers", tags=TAGS, responses=serializers.MoversSerializer
    )
    def get(self, request: Request) -> HttpResponse:
        return self.share(request, self.movers)

    def movers(self, clock: Clock) -> dict[str, Any]:
        column = parameters.PERIODS[self.query["period"]]
        moving = self.moving()
        limit = self.query["limit"]
        gainers = moving.filter(**{f"{column}__gt": 0}).order_by(f"-{column}", "coingecko_id")[:limit]
        losers = moving.filter(**{f"{column}__lt": 0}).order_by(column, "coingecko_id")[:limit]
        up, down = rows(gainers, LATEST_COLUMNS, clock), rows(losers, LATEST_COLUMNS, clock)
        answer = {"period": self.query["period"], "gainers": up, "losers": down}
        return {**market_source(up + down, clock), **answer}

    def moving(self) -> CryptocurrencyQuerySet:
        coins = Cryptocurrency.objects.listed().priced()
        newest = coins.newest_price_at()
        if newest is None:
            return coins.none()
        is_thick = Q(volume_24h_usd__gte=self.query["min_volume_24h"])
        if self.query["min_volume_24h"] == 0:
            is_thick |= Q(volume_24h_usd__isnull=True)
        return coins.filter(is_thick, price_at__gte=newest - MOVES_WITHIN)


class CoinView(PublicView):
    """One coin with its latest figures."""

    @extend_schema(
        operation_id="get_cryptocurrency", summary="Read a coin", tags=TAGS, responses=serializers.CoinSerializer
    )
    def get(self, request: Request, coingecko_id: str) -> HttpResponse:
        return self.share(request, lambda clock: coin_answer(coingecko_id, COIN_COLUMNS, clock))


def coin_answer(coingecko_id: str, columns: dict[str, str], clock: Clock) -> dict[str, Any]:
    """One coin's figures with their source, or 404."""
    coin = get_coin(coingecko_id)
    figures = {name: getattr(coin, column) for name, column in columns.items()}
    return {**figures, **coin_source(coin, clock)}
