"""The GET parameters of the market's endpoints."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from cryptopredict.rest.pagination import PageNumbers
from cryptopredict.rest.query import QuerySerializer
from markets.models import Interval
from markets.series import AUTO, CANDLES, MAX_POINTS, MIN_POINTS, RANGES

MAX_IDS = 250
FIRST_MOMENT = datetime(2009, 1, 1, tzinfo=UTC)  # before any coin
LAST_MOMENT = datetime(2100, 1, 1, tzinfo=UTC)

ORDERS = {
    "rank": "market_cap_rank",
    "name": "name",
    "price": "price_usd",
    "market_cap": "market_cap_usd",
    "volume_24h": "volume_24h_usd",
    "change_1h": "change_1h_percent",
    "change_24h": "change_24h_percent",
    "change_7d": "change_7d_percent",
}
PERIODS = {"1h": "change_1h_percent", "24h": "change_24h_percent", "7d": "change_7d_percent"}


def refusal(field: str, message: str, code: str) -> serializers.ValidationError:
    """A 400 that names the parameter at fault."""
    return serializers.ValidationError({field: [ErrorDetail(message, code=code)]})


class MomentField(serializers.DateTimeField):
    """A date or time in ISO 8601 from 2009 to 2099; without an offset it is read as UTC."""

    default_error_messages = {  # noqa: RUF012 (DRF merges these over the classes)
        "out_of_range": "A time from 2009 to 2099 is expected."
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(default_timezone=UTC, **options)

    def to_internal_value(self, value: Any) -> datetime:
        moment = super().to_internal_value(value)
        if not FIRST_MOMENT <= moment < LAST_MOMENT:
            self.fail("out_of_range")
        return moment


class IdsField(serializers.CharField):
    """Coin ids between commas, each once."""

    default_error_messages = {  # noqa: RUF012 (DRF merges these over the classes)
        "too_many": f"At most {MAX_IDS} coins are answered at once.",
        "empty_id": "There is an empty id in the list.",
    }

    def run_validation(self, data: Any = empty) -> list[str]:
        text: str = super().run_validation(data)
        ids = list(dict.fromkeys(part.strip() for part in text.split(",")))
        if len(ids) > MAX_IDS:
            self.fail("too_many")
        if "" in ids:
            self.fail("empty_id")
        return ids


class CoinListQuery(QuerySerializer):
    pagination_class = PageNumbers
    # Of these hardly two callers give the same.
    free_parameters = frozenset(
        {"q", "ids", *(f"{side}_{name}" for side in ("min", "max") for name in ("price", "market_cap", "volume_24h"))}
    )

    q = serializers.CharField(required=False, max_length=100, help_text="Part of an id, symbol or name.")
    ids = IdsField(required=False, help_text=f"Coin ids between commas, at most {MAX_IDS}.")
    is_tracked = serializers.BooleanField(required=False, help_text="Whether prices are synced.")
    min_price = serializers.FloatField(required=False, min_value=0, help_text="US dollars.")
    max_price = serializers.FloatField(required=False, min_value=0, help_text="US dollars.")
    min_market_cap = serializers.FloatField(required=False, min_value=0, help_text="US dollars.")
    max_market_cap = serializers.FloatField(required=False, min_value=0, help_text="US dollars.")
    min_volume_24h = serializers.FloatField(required=False, min_value=0, help_text="US dollars.")
    max_volume_24h = serializers.FloatField(required=False, min_value=0, help_text="US dollars.")
    order = serializers.ChoiceField(
        choices=[sign + name for name in ORDERS for sign in ("", "-")],
        default="rank",
        help_text="A minus sign turns the order round; coins without the figure come last either way.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("price", "market_cap", "volume_24h"):
            low, high = attrs.get(f"min_{name}"), attrs.get(f"max_{name}")
            if low is not None and high is not None and low > high:
                raise refusal(f"min_{name}", f"It is above max_{name}.", "min_above_max")
        return attrs


class SearchQuery(QuerySerializer):
    q = serializers.CharField(max_length=100, help_text="Id, symbol or name; typing errors are forgiven.")
    limit = serializers.IntegerField(default=10, min_value=1, max_value=50)


class MoversQuery(QuerySerializer):
    period = serializers.ChoiceField(choices=list(PERIODS), default="24h")
    limit = serializers.IntegerField(default=10, min_value=1, max_value=50)
    min_volume_24h = serializers.FloatField(default=0.0, min_value=0, help_text="US dollars.")


class LatestQuery(QuerySerializer):
    ids = IdsField(help_text=f"Coin ids between commas, at most {MAX_IDS}.")


class AtQuery(QuerySerializer):
    timestamp = MomentField(help_text="ISO 8601; not in the future.")

    def validate_timestamp(self, value: datetime) -> datetime:
        if value > timezone.now():
            raise serializers.ValidationError("It lies in the future.", code="in_future")
        return value


class RangeQuery(QuerySerializer):
    """`range`, or `start` and `end`; read as `start` and `end`, either None where there is no limit."""

    default_range = "7d"

    range = serializers.ChoiceField(
        choices=list(RANGES), required=False, help_text="Up to now; not together with start or end."
    )
    start = MomentField(required=False, help_text="ISO 8601, included.")
    end = MomentField(required=False, help_text="ISO 8601, excluded; now by default.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start, end = attrs.get("start"), attrs.get("end")
        if "range" in attrs and (start or end):
            raise refusal("range", "Give either a range or start and end.", "range_and_dates")
        now = timezone.now()
        if start and start >= (end or now):
            raise refusal("start", "It must lie before the end.", "start_not_before_end")
        if not start and not end:
            length = RANGES[attrs.get("range", self.default_range)]
            start = now - length if length else None
        return {**attrs, "start": start, "end": end or now}


class SeriesQuery(RangeQuery):
    interval = serializers.ChoiceField(
        choices=[AUTO, *Interval.values], default=AUTO, help_text="The answer says which one it holds."
    )
    max_points = serializers.IntegerField(default=1000, min_value=MIN_POINTS, max_value=MAX_POINTS)


class CandlesQuery(RangeQuery):
    default_range = "30d"

    interval = serializers.ChoiceField(choices=list(CANDLES), default="1d")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        length = CANDLES[attrs["interval"]][1]
        if attrs["start"] and (attrs["end"] - attrs["start"]) / length > MAX_POINTS:
            raise too_many_candles()
        return attrs


class PricesExportQuery(RangeQuery):
    default_range = "all"

    interval = serializers.ChoiceField(choices=Interval.values, default=Interval.DAY.value)


class QualityQuery(RangeQuery):
    default_range = "1y"

    interval = serializers.ChoiceField(choices=Interval.values, required=False, help_text="All by default.")
    limit = serializers.IntegerField(
        default=100, min_value=1, max_value=250, help_text="Items in each list; the newest come first."
    )


class ImportQuery(QuerySerializer):
    dry_run = serializers.BooleanField(default=True, help_text="Answer what would happen, and change nothing.")


class StatisticsQuery(RangeQuery):
    default_range = "90d"


def too_many_candles() -> serializers.ValidationError:
    message = f"More than {MAX_POINTS:,} candles: take a longer interval or a shorter range."
    return refusal("interval", message, "too_many_candles")


def check_known(field: str, wanted: Sequence[str], found: Sequence[str] | set[str]) -> None:
    """Raises ValidationError (400) that names the coins which are not known."""
    if missing := [coin for coin in wanted if coin not in found]:
        raise refusal(field, f"Unknown: {', '.join(missing)}.", "unknown_coin")
