"""The market list by Django REST framework: a ModelSerializer and page numbers."""

from datetime import timedelta

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.db import models  # noqa: E402  (only now may models be made)
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.generics import ListAPIView  # noqa: E402


class Coin(models.Model):
    """The product's table of coins."""

    coingecko_id = models.CharField(max_length=150, unique=True)
    symbol = models.CharField(max_length=50)
    name = models.CharField(max_length=200)
    is_tracked = models.BooleanField()
    is_listed = models.BooleanField()
    market_cap_rank = models.PositiveIntegerField(null=True)
    price_usd = models.FloatField(null=True)
    market_cap_usd = models.FloatField(null=True)
    volume_24h_usd = models.FloatField(null=True)
    change_1h_percent = models.FloatField(null=True)
    change_24h_percent = models.FloatField(null=True)
    change_7d_percent = models.FloatField(null=True)
    sparkline_7d = models.JSONField()
    price_at = models.DateTimeField(null=True)
    sync_every_seconds = models.PositiveIntegerField()

    class Meta:
        app_label = "peer"
        managed = False
        db_table = "markets_cryptocurrency"


class CoinSerializer(serializers.ModelSerializer[Coin]):
    id = serializers.CharField(source="coingecko_id")
    as_of = serializers.DateTimeField(source="price_at")
    is_stale = serializers.SerializerMethodField()

    class Meta:
        model = Coin
        fields = (
            "id", "symbol", "name", "price_usd", "change_1h_percent", "change_24h_percent", "change_7d_percent",
            "market_cap_usd", "volume_24h_usd", "as_of", "sync_every_seconds", "market_cap_rank", "is_tracked",
            "sparkline_7d", "is_stale",
        )  # fmt: skip

    def get_is_stale(self, coin: Coin) -> bool:
        fresh_for = timedelta(seconds=2 * coin.sync_every_seconds)
        return coin.price_at is None or timezone.now() - coin.price_at > fresh_for


class CoinListView(ListAPIView[Coin]):
    queryset = Coin._default_manager.filter(is_listed=True).order_by(
        models.F("market_cap_rank").asc(nulls_last=True), "coingecko_id"
    )
    serializer_class = CoinSerializer


urlpatterns = [path("coins/", CoinListView.as_view())]
