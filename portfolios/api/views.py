"""The API of portfolios, their transactions and valuation, and of the watchlist."""

from typing import Any, cast

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.query import ListQueryMixin, StrictQueryMixin
from markets.models import Cryptocurrency
from portfolios import services
from portfolios.api.serializers import (
    PortfolioSerializer,
    TransactionQuery,
    TransactionSerializer,
    ValuationQuery,
    ValuationSerializer,
    WatchedSerializer,
)
from portfolios.models import Portfolio, Transaction, WatchlistItem
from portfolios.pricing import value_portfolio

WITHOUT_PUT = ["get", "patch", "delete", "head", "options"]


class OwnPortfolioMixin(StrictQueryMixin):
    """For views below one portfolio: another user's answers 404."""

    def own_portfolio(self) -> Portfolio:
        own = Portfolio.objects.for_user(self.request.user)
        return get_object_or_404(own, pk=self.kwargs["portfolio_id"])


@extend_schema(tags=["Portfolios"])
@extend_schema_view(
    get=extend_schema(
        operation_id="list_portfolios", summary="List portfolios", description="One's own portfolios, oldest first."
    ),
    post=extend_schema(
        operation_id="create_portfolio", summary="Create a portfolio", description="Creates an empty portfolio."
    ),
)
class PortfoliosView(IdempotentMixin, ListQueryMixin, generics.ListCreateAPIView[Portfolio]):
    """The user's portfolios, oldest first; POST creates an empty one."""

    queryset = Portfolio.objects.none()
    serializer_class = PortfolioSerializer

    def get_queryset(self) -> QuerySet[Portfolio]:
        return Portfolio.objects.for_user(self.request.user)

    def perform_create(self, serializer: BaseSerializer[Portfolio]) -> None:
        serializer.instance = services.create_portfolio(owner=signed_in(self.request), **serializer.validated_data)


@extend_schema(tags=["Portfolios"])
@extend_schema_view(
    get=extend_schema(
        operation_id="get_portfolio",
        summary="Read a portfolio",
        description="Its name; what it holds is in its valuation.",
    ),
    patch=extend_schema(
        operation_id="update_portfolio", summary="Rename a portfolio", description="Changes the portfolio's name."
    ),
    delete=extend_schema(
        operation_id="delete_portfolio",
        summary="Delete a portfolio",
        description="Deletes the portfolio with all its transactions.",
    ),
)
class PortfolioView(StrictQueryMixin, generics.RetrieveUpdateDestroyAPIView[Portfolio]):
    """One portfolio: read, rename, or delete it with all its transactions."""

    queryset = Portfolio.objects.none()
    serializer_class = PortfolioSerializer
    lookup_url_kwarg = "portfolio_id"
    http_method_names = WITHOUT_PUT

    def get_queryset(self) -> QuerySet[Portfolio]:
        return Portfolio.objects.for_user(self.request.user)

    def perform_update(self, serializer: BaseSerializer[Portfolio]) -> None:
        portfolio = cast(Portfolio, serializer.instance)
        if changes := serializer.validated_data:
            serializer.instance = services.rename_portfolio(portfolio=portfolio, **changes)

    def perform_destroy(self, instance: Portfolio) -> None:
        services.delete_portfolio(portfolio=instance)


@extend_schema(tags=["Portfolios"])
@extend_schema_view(
    get=extend_schema(
        operation_id="list_transactions",
        summary="List a portfolio's transactions",
        description="A portfolio's transactions, newest first.",
    ),
    post=extend_schema(
        operation_id="create_transaction",
        summary="Add a transaction",
        description="Adds a transaction; one that would sell more than is held at any moment is refused.",
    ),
)
class TransactionsView(IdempotentMixin, ListQueryMixin, OwnPortfolioMixin, generics.ListCreateAPIView[Transaction]):
    """A portfolio's transactions, newest first; POST adds one and is refused when it would oversell."""

    queryset = Transaction.objects.none()
    serializer_class = TransactionSerializer
    list_query_class = TransactionQuery

    def get_queryset(self) -> QuerySet[Transaction]:
        rows = self.own_portfolio().transactions.select_related("coin").in_order().reverse()
        return rows.filter(**self.query)

    def perform_create(self, serializer: BaseSerializer[Transaction]) -> None:
        portfolio = self.own_portfolio()
        serializer.instance = services.add_transaction(portfolio=portfolio, **serializer.validated_data)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.own_portfolio()  # another user's portfolio is not there, whatever the body says
        return super().create(request, *args, **kwargs)


@extend_schema(tags=["Portfolios"])
@extend_schema_view(
    get=extend_schema(
        operation_id="get_transaction", summary="Read a transaction", description="One transaction of a portfolio."
    ),
    patch=extend_schema(
        operation_id="update_transaction",
        summary="Change a transaction",
        description="Changes a transaction; a change that would oversell at any moment is refused.",
    ),
    delete=extend_schema(
        operation_id="delete_transaction",
        summary="Delete a transaction",
        description="Deletes a transaction; refused when what was sold later would be missing.",
    ),
)
class TransactionView(OwnPortfolioMixin, generics.RetrieveUpdateDestroyAPIView[Transaction]):
    """One transaction; a change or a deletion that would oversell at any moment is refused."""

    queryset = Transaction.objects.none()
    serializer_class = TransactionSerializer
    lookup_url_kwarg = "transaction_id"
    http_method_names = WITHOUT_PUT

    def get_queryset(self) -> QuerySet[Transaction]:
        return self.own_portfolio().transactions.select_related("coin", "portfolio")

    def perform_update(self, serializer: BaseSerializer[Transaction]) -> None:
        entry = cast(Transaction, serializer.instance)
        serializer.instance = services.change_transaction(entry=entry, **serializer.validated_data)

    def perform_destroy(self, instance: Transaction) -> None:
        services.delete_transaction(entry=instance)


class ValuationView(OwnPortfolioMixin):
    """Holdings, cost basis, realised and unrealised result and allocation, now or `at` a moment."""

    query_class = ValuationQuery

    @extend_schema(
        operation_id="get_portfolio_valuation",
        summary="Value a portfolio",
        tags=["Portfolios"],
        responses=ValuationSerializer,
    )
    def get(self, request: Request, portfolio_id: int) -> Response:
        worth = value_portfolio(self.own_portfolio(), at=self.query.get("at"))
        return Response(ValuationSerializer(worth).data)


@extend_schema(tags=["Watchlist"])
@extend_schema_view(get=extend_schema(operation_id="list_watchlist", summary="List watched coins"))
class WatchlistView(ListQueryMixin, generics.ListAPIView[WatchlistItem]):
    """The coins that the user watches, with their latest prices; the last added first."""

    queryset = WatchlistItem.objects.none()
    serializer_class = WatchedSerializer

    def get_queryset(self) -> QuerySet[WatchlistItem]:
        return WatchlistItem.objects.filter(user_id=signed_in(self.request).pk).select_related("coin")


class WatchedView(StrictQueryMixin):
    """One coin's place on the watchlist; both methods may be repeated."""

    @extend_schema(
        operation_id="watch_cryptocurrency",
        summary="Watch a coin",
        tags=["Watchlist"],
        request=None,
        responses={200: WatchedSerializer, 201: WatchedSerializer},
    )
    def put(self, request: Request, coin_id: str) -> Response:
        """Watches the coin: 201 when it is new on the list, 200 when it was there."""
        item, is_new = services.watch_coin(user=signed_in(request), coin=find_coin(coin_id))
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(WatchedSerializer(item).data, status=code)

    @extend_schema(
        operation_id="unwatch_cryptocurrency",
        summary="Stop watching a coin",
        tags=["Watchlist"],
        responses={204: None},
    )
    def delete(self, request: Request, coin_id: str) -> Response:
        """Stops watching the coin; 204 also when it was not watched."""
        services.unwatch_coin(user=signed_in(request), coin=find_coin(coin_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


def signed_in(request: Request) -> AbstractBaseUser:
    """The request's user, whom the default permission has let in."""
    return cast(AbstractBaseUser, request.user)


def find_coin(coin_id: str) -> Cryptocurrency:
    if "\0" in coin_id:  # PostgreSQL refuses such text with an error of its own
        raise NotFound
    return get_object_or_404(Cryptocurrency, coingecko_id=coin_id)
