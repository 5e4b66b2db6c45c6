"""The coin endpoints with what staff may do beside reading: add a coin, choose what is tracked, stop tracking."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ErrorDetail
from rest_framework.permissions import AllowAny, BasePermission, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from cryptopredict.rest import staff
from cryptopredict.rest.answers import Clock
from cryptopredict.rest.errors import ApiProblem
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.query import QuerySerializer
from cryptopredict.rest.strict import StrictMixin
from markets.api import parameters
from markets.api.serializers import COIN_COLUMNS, CoinSerializer
from markets.api.views import TAGS, CoinListView, CoinView, coin_answer, get_coin
from markets.coingecko.fields import Unsound, coin_id
from markets.models import Cryptocurrency
from markets.services import track_coins, untrack_coins

READS = {"GET", "HEAD", "OPTIONS"}


class AddCoinSerializer(StrictMixin):
    """A coin to add."""

    id = serializers.CharField(max_length=150, help_text="CoinGecko id, such as bitcoin.")

    def validate_id(self, value: str) -> str:
        try:
            return coin_id(value)
        except Unsound:
            raise serializers.ValidationError("A CoinGecko id, such as bitcoin, is expected.", code="invalid") from None


class ChangeCoinSerializer(StrictMixin):
    """What of a coin staff may change."""

    is_tracked = serializers.BooleanField(help_text="Its prices are synced and forecasts issued.")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300, default="")


def reading_is_public(request: Request | None) -> list[BasePermission]:
    is_read = request is None or request.method in READS
    return [AllowAny() if is_read else IsAdminUser()]


class CoinsView(IdempotentMixin, CoinListView):
    """The market list for everyone; staff add a coin."""

    def get_permissions(self) -> list[Any]:
        return reading_is_public(getattr(self, "request", None))

    @property
    def query_class(self) -> type[QuerySerializer]:  # type: ignore[override]
        return parameters.CoinListQuery if self.request.method in READS else QuerySerializer

    @extend_schema(
        operation_id="cryptocurrencies_create",
        tags=TAGS,
        request=AddCoinSerializer,
        responses={202: staff.QueuedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Queues the job that asks CoinGecko for this coin and tracks it; 409 when it is tracked already."""
        body = AddCoinSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        added = body.validated_data["id"]
        if Cryptocurrency.objects.tracked().filter(coingecko_id=added).exists():
            raise ApiProblem("conflict", f"{added} is tracked already.", status.HTTP_409_CONFLICT)
        name, arguments = "markets.sync_specific_cryptocurrency", {"coingecko_id": added}
        return staff.queue(request, name, arguments, action="coin.add", target=added)


class OneCoinView(CoinView):
    """One coin for everyone; staff choose whether it is tracked."""

    def get_permissions(self) -> list[Any]:
        return reading_is_public(getattr(self, "request", None))

    @extend_schema(
        operation_id="cryptocurrencies_update", tags=TAGS, request=ChangeCoinSerializer, responses=CoinSerializer
    )
    def patch(self, request: Request, coingecko_id: str) -> Response:
        """Starts or stops tracking a coin; its history stays."""
        coin = get_coin(coingecko_id)
        body = ChangeCoinSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        set_tracked(request, coin, **body.validated_data)
        return Response(coin_answer(coingecko_id, COIN_COLUMNS, Clock()))

    @extend_schema(operation_id="cryptocurrencies_destroy", tags=TAGS, responses={204: None})
    def delete(self, request: Request, coingecko_id: str) -> Response:
        """Stops tracking a coin and keeps its history and forecasts."""
        set_tracked(request, get_coin(coingecko_id), is_tracked=False)
        return Response(status=status.HTTP_204_NO_CONTENT)


def set_tracked(request: Request, coin: Cryptocurrency, *, is_tracked: bool, reason: str = "") -> None:
    """Writes an audit entry when it changes anything."""
    coins = Cryptocurrency.objects.filter(pk=coin.pk)
    if is_tracked and not coin.is_listed:
        detail = ErrorDetail("CoinGecko no longer lists this coin.", code="not_listed")
        raise serializers.ValidationError({"is_tracked": [detail]})
    with transaction.atomic():
        changed = track_coins(coins=coins) if is_tracked else untrack_coins(coins=coins)
        if changed:
            action = "coin.track" if is_tracked else "coin.untrack"
            staff.record(request, action, coin.coingecko_id, reason=reason)
