"""What the market's endpoints answer: the shapes that OpenAPI shows, and the rows that fill them."""

from datetime import timedelta
from typing import Any

import orjson
from django.db.models import ExpressionWrapper, F
from rest_framework import serializers

from cryptopredict.rest.answers import Clock
from markets.fields import WrittenJSONField
from markets.models import Interval
from markets.series import CANDLES

# Row in the answer → column of Cryptocurrency. One query of plain values: no model objects are built for a list.
LATEST_COLUMNS = {
    "id": "coingecko_id",
    "symbol": "symbol",
    "name": "name",
    "price_usd": "price_usd",
    "change_1h_percent": "change_1h_percent",
    "change_24h_percent": "change_24h_percent",
    "change_7d_percent": "change_7d_percent",
    "market_cap_usd": "market_cap_usd",
    "volume_24h_usd": "volume_24h_usd",
    "as_of": "price_at",
    "sync_every_seconds": "sync_every_seconds",
}
LIST_COLUMNS = {
    **LATEST_COLUMNS,
    "market_cap_rank": "market_cap_rank",
    "is_tracked": "is_tracked",
    "sparkline_7d": "sparkline_7d",
}
COIN_COLUMNS = {
    **LIST_COLUMNS,
    "is_listed": "is_listed",
    "high_24h_usd": "high_24h_usd",
    "low_24h_usd": "low_24h_usd",
    "circulating_supply": "circulating_supply",
    "max_supply": "max_supply",
    "all_time_high_usd": "all_time_high_usd",
    "all_time_high_at": "all_time_high_at",
    "history_synced_at": "history_synced_at",
}


class WrittenJSON(WrittenJSONField):
    """JSON that goes into the answer as it was written, whose numbers are neither read nor written anew."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> orjson.Fragment | None:
        return None if value is None else orjson.Fragment(value)


# A page of the list holds 168 prices of each coin: to parse them took longer than all else.
SPARKLINE_AS_WRITTEN = {"sparkline_as_written": ExpressionWrapper(F("sparkline_7d"), output_field=WrittenJSON())}
PAGE_COLUMNS = {**LIST_COLUMNS, "sparkline_7d": "sparkline_as_written"}


def rows_of(columns: dict[str, str], values: Any, clock: Clock) -> list[dict[str, Any]]:
    """Answer rows from `values_list(*columns.values())` tuples, each with its own `is_stale`."""
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    for row in rows:
        fresh_for = 2 * timedelta(seconds=row["sync_every_seconds"])
        row["is_stale"] = row["as_of"] is None or clock.is_past(row["as_of"] + fresh_for)
    return rows


def figure(help_text: str = "") -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=help_text)


def figures(help_text: str = "", *, allow_null: bool = False) -> serializers.ListField:
    return serializers.ListField(child=serializers.FloatField(allow_null=allow_null), help_text=help_text)


class FreshSerializer(serializers.Serializer[Any]):
    """How old the answer is."""

    as_of = serializers.DateTimeField(allow_null=True, help_text="When upstream last saw the newest price.")
    is_stale = serializers.BooleanField(help_text="Older than two sync periods.")


class SourcedSerializer(FreshSerializer):
    """How old the answer is and where its figures come from."""

    data_source = serializers.CharField(help_text="`live`, or words that say that the figures are samples.")


class LatestPriceSerializer(FreshSerializer):
    """The latest figures of one coin; null is unknown."""

    id = serializers.CharField(help_text="CoinGecko id.")
    symbol = serializers.CharField()
    name = serializers.CharField()
    price_usd = figure()
    change_1h_percent = figure()
    change_24h_percent = figure()
    change_7d_percent = figure()
    market_cap_usd = figure()
    volume_24h_usd = figure("Trailing 24 hours.")
    sync_every_seconds = serializers.IntegerField(help_text="How often the call budget lets its price be synced.")


class CoinRowSerializer(LatestPriceSerializer):
    """One coin of the market list."""

    market_cap_rank = serializers.IntegerField(allow_null=True)
    is_tracked = serializers.BooleanField()
    sparkline_7d = figures("Up to 168 hourly prices, oldest first.")


class CoinSerializer(CoinRowSerializer, SourcedSerializer):
    """One coin with its latest figures."""

    is_listed = serializers.BooleanField(help_text="CoinGecko still lists it.")
    high_24h_usd = figure()
    low_24h_usd = figure()
    circulating_supply = figure()
    max_supply = figure()
    all_time_high_usd = figure()
    all_time_high_at = serializers.DateTimeField(allow_null=True)
    history_synced_at = serializers.DateTimeField(allow_null=True)


class SourcedLatestPriceSerializer(LatestPriceSerializer, SourcedSerializer):
    """The latest figures of one coin, and where they come from."""


class LatestPricesSerializer(SourcedSerializer):
    """The latest figures of the coins asked for, in that order."""

    results = LatestPriceSerializer(many=True)


class SearchSerializer(SourcedSerializer):
    """Coins that the text may mean, best first."""

    results = CoinRowSerializer(many=True)


class MoversSerializer(SourcedSerializer):
    """The largest rises and falls over the period, largest first."""

    period = serializers.CharField()
    gainers = LatestPriceSerializer(many=True)
    losers = LatestPriceSerializer(many=True)


class SeriesSerializer(SourcedSerializer):
    """Prices as columns of equal length, oldest first, in US dollars."""

    id = serializers.CharField()
    interval = serializers.ChoiceField(choices=Interval.values, help_text="What `at` counts in.")
    total_points = serializers.IntegerField(help_text="Slots in the range.")
    is_downsampled = serializers.BooleanField(
        help_text="Whether slots were left out; the first, last, lowest and highest never are."
    )
    at = serializers.ListField(child=serializers.DateTimeField(), help_text="Each slot's start.")
    open = figures()
    high = figures()
    low = figures()
    close = figures()
    volume_24h = figures("Trailing 24 hours at the close.", allow_null=True)
    market_cap = figures("At the close.", allow_null=True)


SERIES_FIELDS = frozenset(SeriesSerializer().fields)


class CandlesSerializer(SourcedSerializer):
    """Candles as columns of equal length, oldest first, in US dollars."""

    id = serializers.CharField()
    interval = serializers.ChoiceField(choices=list(CANDLES))
    at = serializers.ListField(child=serializers.DateTimeField(), help_text="Each candle's start.")
    open = figures()
    high = figures()
    low = figures()
    close = figures()
    volume_24h = figures("Trailing 24 hours at the close.", allow_null=True)
    market_cap = figures("At the close.", allow_null=True)
    is_complete = serializers.ListField(
        child=serializers.BooleanField(), help_text="Whether all its slots were observed."
    )


class PriceAtSerializer(SourcedSerializer):
    """The last price that was known at an instant."""

    id = serializers.CharField()
    timestamp = serializers.DateTimeField()
    price_usd = serializers.FloatField()
    interval = serializers.CharField(
        allow_null=True, help_text="Of the slot whose close this is; null for the latest price itself."
    )


class CorrelationSerializer(serializers.Serializer[Any]):
    """How alike the daily log-returns of two coins are."""

    coefficient = figure("Pearson's, from -1 to 1; null below 30 days in common or for bitcoin itself.")
    n_days = serializers.IntegerField()


class StatisticsSerializer(SourcedSerializer):
    """What one coin's daily closes did over a range; null where there are too few."""

    id = serializers.CharField()
    n_days = serializers.IntegerField(help_text="Days with a price.")
    first_at = serializers.DateTimeField(allow_null=True, help_text="Start of the first day.")
    last_at = serializers.DateTimeField(allow_null=True, help_text="Start of the last day.")
    return_percent = figure("From the first day's open to the last day's close.")
    volatility_percent = figure(
        "Standard deviation of daily log-returns, for a year of 365 days, in percent; from 30 returns on."
    )
    max_drawdown_percent = figure("Largest fall of the close from an earlier high of the close.")
    high_usd = figure()
    high_on = serializers.DateField(allow_null=True)
    low_usd = figure()
    low_on = serializers.DateField(allow_null=True)
    best_day_percent = figure()
    worst_day_percent = figure()
    correlation_with_bitcoin = CorrelationSerializer()
