"""The whole market in a few figures, added up from our own rows."""

from typing import Any

from django.db.models import Count, Max, Sum
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from cryptopredict.rest.answers import Clock
from markets.api.serializers import SourcedSerializer, figure
from markets.api.views import TAGS, PublicView
from markets.models import Cryptocurrency
from markets.services import data_source

DOMINANT = 10
BASIS = "Added up from the coins that this site lists with a price; CoinGecko's own totals hold all its coins."


class DominanceSerializer(serializers.Serializer[Any]):
    """One coin's share of the total."""

    id = serializers.CharField(help_text="CoinGecko id.")
    symbol = serializers.CharField()
    market_cap_usd = serializers.FloatField()
    percent = serializers.FloatField(help_text="Of the total market cap.")


class GlobalSerializer(SourcedSerializer):
    """The market as a whole."""

    coins = serializers.IntegerField(help_text="Listed coins with a price.")
    total_market_cap_usd = figure()
    total_volume_24h_usd = figure("Trailing 24 hours.")
    dominance = DominanceSerializer(many=True, help_text=f"The {DOMINANT} biggest, biggest first.")
    basis = serializers.CharField(help_text="What the totals are of.")


class GlobalView(PublicView):
    """Totals and dominance."""

    @extend_schema(operation_id="cryptocurrencies_global", tags=TAGS, responses=GlobalSerializer)
    def get(self, request: Request) -> HttpResponse:
        return self.share(request, global_figures)


def global_figures(clock: Clock) -> dict[str, Any]:
    """Totals over the listed coins with a price, in two queries; unknown is None."""
    priced = Cryptocurrency.objects.listed().priced()
    totals = priced.aggregate(
        coins=Count("pk"), cap=Sum("market_cap_usd"), volume=Sum("volume_24h_usd"), as_of=Max("price_at")
    )
    biggest = priced.filter(market_cap_usd__isnull=False).order_by("-market_cap_usd", "coingecko_id")[:DOMINANT]
    as_of = totals["as_of"]
    return {
        "coins": totals["coins"],
        "total_market_cap_usd": totals["cap"],
        "total_volume_24h_usd": totals["volume"],
        "dominance": [
            {"id": id, "symbol": symbol, "market_cap_usd": cap, "percent": 100 * cap / totals["cap"]}
            for id, symbol, cap in biggest.values_list("coingecko_id", "symbol", "market_cap_usd")
            if cap is not None
        ],
        "basis": BASIS,
        "as_of": as_of,
        "is_stale": as_of is None or clock.is_past(as_of + 2 * Cryptocurrency.SHORTEST_PERIOD),
        "data_source": data_source(),
    }
