"""What the API says and takes about portfolios, transactions and watchlists."""

import re
from decimal import Decimal
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from cryptopredict.rest.pagination import PageNumbers
from cryptopredict.rest.query import QuerySerializer
from cryptopredict.rest.strict import StrictMixin
from markets.api.parameters import MAX_ID_LENGTH
from markets.models import Cryptocurrency
from markets.services import data_source
from portfolios.models import Portfolio, Transaction, WatchlistItem
from portfolios.pricing import Worth
from portfolios.valuation import Holding, decimal_text

QUANTITY = "A decimal string, of at most 15 significant digits and 18 decimals."


class PortfolioSerializer(StrictMixin, serializers.ModelSerializer[Portfolio]):
    """A portfolio by name; what it holds is in its valuation."""

    class Meta:
        model = Portfolio
        fields = ("id", "name", "created_at")
        read_only_fields = ("id", "created_at")


AMOUNT = r"[0-9]{1,20}(\.[0-9]{0,18})?|\.[0-9]{1,18}"
DECIMAL = re.compile(f"-?({AMOUNT})")  # one below 0 is told by what it is for: it must be above 0


@extend_schema_field({"type": "string", "format": "decimal", "pattern": f"^({AMOUNT})$"})
class ExactField(serializers.DecimalField):
    """A decimal string without needless zeros. A JSON number, which is a double, is refused."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=38, decimal_places=18, normalize_output=True, **options)

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or not DECIMAL.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"})
class ComputedField(serializers.Field[Decimal, Any, str, Decimal]):
    """A computed amount of coins or US dollars: a decimal string, null when not known."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: Decimal) -> str:
        return decimal_text(value)


@extend_schema_field({"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH})
class CoinField(serializers.SlugRelatedField[Cryptocurrency]):
    """A coin by CoinGecko's id."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="coingecko_id", queryset=Cryptocurrency.objects.all(), **options)


class TransactionSerializer(StrictMixin, serializers.ModelSerializer[Transaction]):
    """One event of a portfolio's ledger."""

    coin = CoinField(help_text="CoinGecko's id.")
    kind = serializers.ChoiceField(choices=Transaction.Kind.choices)
    quantity = ExactField(help_text=QUANTITY)
    unit_price_usd = ExactField(
        required=False,
        allow_null=True,
        help_text="Price of one coin. A buy or a sell of now that names none takes the latest price.",
    )
    fee_usd = ExactField(required=False, help_text="0 when it is not named.")
    occurred_at = serializers.DateTimeField(required=False, help_text="Now when it is not named.")

    class Meta:
        model = Transaction
        fields = (
            "id",
            "coin",
            "kind",
            "quantity",
            "unit_price_usd",
            "fee_usd",
            "occurred_at",
            "note",
            "created_at",
        )
        read_only_fields = ("id", "created_at")


class TransactionQuery(QuerySerializer):
    """Which of a portfolio's transactions are listed."""

    pagination_class = PageNumbers

    coin = CoinField(required=False, help_text="Only those of this coin, by CoinGecko's id.")
    kind = serializers.ChoiceField(
        choices=Transaction.Kind.choices, required=False, help_text="Only those of this kind."
    )


class ValuationQuery(QuerySerializer):
    """The moment of a valuation."""

    at = serializers.DateTimeField(
        required=False, help_text="A moment of the past to value the portfolio at; now when it is not named."
    )

    def validate_at(self, at: Any) -> Any:
        if at > timezone.now():
            raise serializers.ValidationError("This moment is in the future.", code="future")
        return at


class HoldingSerializer(serializers.Serializer[Holding]):
    """One coin of a valuation."""

    coin = serializers.CharField()
    quantity = ComputedField()
    price_usd = ComputedField(source="price.usd", default=None)
    price_at = serializers.DateTimeField(source="price.at", default=None, allow_null=True, read_only=True)
    value_usd = ComputedField()
    cost_basis_usd = ComputedField()
    unrealised_usd = ComputedField()
    unrealised_percent = serializers.FloatField(allow_null=True)
    realised_usd = ComputedField()
    change_24h_usd = ComputedField()
    allocation = serializers.FloatField(
        allow_null=True, help_text="Share, 0 to 1, in the value of all priced holdings."
    )


class ValuationSerializer(serializers.Serializer[Worth]):
    """A portfolio's worth; cost is first in, first out."""

    portfolio = serializers.IntegerField(source="portfolio.pk")
    at = serializers.DateTimeField(source="valuation.as_of", help_text="The moment that it is valued at.")
    as_of = serializers.DateTimeField(
        source="valuation.priced_at", allow_null=True, help_text="The time of the oldest price used."
    )
    is_stale = serializers.BooleanField(source="valuation.is_stale")
    data_source = serializers.SerializerMethodField()
    cost_method = serializers.SerializerMethodField()
    value_usd = ComputedField(source="valuation.value_usd")
    is_partial = serializers.BooleanField(
        source="valuation.is_partial", help_text="A holding without a price is missing in value_usd."
    )
    cost_basis_usd = ComputedField(source="valuation.cost_basis_usd")
    is_cost_partial = serializers.BooleanField(
        source="valuation.is_cost_partial", help_text="Something of unknown cost is missing in the results."
    )
    unrealised_usd = ComputedField(source="valuation.unrealised_usd")
    unrealised_percent = serializers.FloatField(source="valuation.unrealised_percent", allow_null=True)
    realised_usd = ComputedField(source="valuation.realised_usd")
    change_24h_usd = ComputedField(source="valuation.change_24h_usd")
    change_24h_percent = serializers.FloatField(source="valuation.change_24h_percent", allow_null=True)
    holdings = HoldingSerializer(source="valuation.holdings", many=True)
    closed = HoldingSerializer(
        source="valuation.closed", many=True, help_text="Coins that were held once and are no more."
    )

    def get_data_source(self, worth: Worth) -> str:
        return data_source()

    @extend_schema_field({"type": "string", "enum": ["fifo"]})
    def get_cost_method(self, worth: Worth) -> str:
        return "fifo"


class WatchedSerializer(serializers.ModelSerializer[WatchlistItem]):
    """A coin on the watchlist, with its latest price."""

    id = serializers.CharField(source="coin.coingecko_id", help_text="CoinGecko's id of the coin.")
    symbol = serializers.CharField(source="coin.symbol")
    name = serializers.CharField(source="coin.name")
    price_usd = serializers.FloatField(source="coin.price_usd", allow_null=True)
    change_24h_percent = serializers.FloatField(source="coin.change_24h_percent", allow_null=True)
    as_of = serializers.DateTimeField(source="coin.price_at", allow_null=True)
    is_stale = serializers.BooleanField(source="coin.is_stale")
    data_source = serializers.SerializerMethodField()

    class Meta:
        model = WatchlistItem
        fields = (
            "id",
            "symbol",
            "name",
            "added_at",
            "price_usd",
            "change_24h_percent",
            "as_of",
            "is_stale",
            "data_source",
        )

    def get_data_source(self, item: WatchlistItem) -> str:
        return data_source()
