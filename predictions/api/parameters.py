"""The GET parameters of the forecasts' endpoints."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from cryptopredict.rest.pagination import Cursor, PageNumbers
from cryptopredict.rest.query import QuerySerializer
from markets.api.parameters import MomentField, refusal
from markets.models import Cryptocurrency
from predictions.forecasting.quantiles import HORIZONS
from predictions.models import Prediction, TrainedModel


class CoinParameter(serializers.CharField):
    """The id of a coin; read as the coin."""

    def run_validation(self, data: Any = empty) -> Cryptocurrency:
        coingecko_id = super().run_validation(data)
        coin = Cryptocurrency.objects.filter(coingecko_id=coingecko_id).first()
        if coin is None:
            raise serializers.ValidationError(f"There is no coin {coingecko_id}.", code="unknown_coin")
        return coin


class ModelParameter(serializers.CharField):
    """The version of a model; read as the model."""

    def run_validation(self, data: Any = empty) -> TrainedModel:
        version = super().run_validation(data)
        model = TrainedModel.objects.filter(version=version).first()
        if model is None:
            raise serializers.ValidationError(f"There is no model {version}.", code="unknown_model")
        return model


class WholeNumberChoice(serializers.ChoiceField):
    """One of a few whole numbers."""

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        return int(super().to_internal_value(data))


def horizon(**options: Any) -> WholeNumberChoice:
    return WholeNumberChoice(choices=list(HORIZONS), required=False, **options)


class NewestFirst(Cursor):
    """The ledger from its newest end; any page costs the same."""

    ordering = ("-sequence",)


class PeriodQuery(QuerySerializer):
    """Bounds on the cutoffs."""

    start = MomentField(required=False, help_text="Cutoffs from then on; ISO 8601.")
    end = MomentField(required=False, help_text="Cutoffs before then; ISO 8601.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "start" in attrs and "end" in attrs and attrs["start"] >= attrs["end"]:
            raise refusal("start", "It must lie before the end.", "start_not_before_end")
        return attrs


class LedgerFilters(PeriodQuery):
    coin = CoinParameter(required=False, max_length=150, help_text="CoinGecko id.")
    horizon_days = horizon()
    model = ModelParameter(required=False, max_length=60, help_text="A model's version.")
    state = serializers.ChoiceField(choices=Prediction.State.values, required=False)


class LedgerQuery(LedgerFilters):
    pagination_class = NewestFirst


class ForecastQuery(QuerySerializer):
    horizon_days = horizon(help_text="Only this horizon.")


class TrackRecordQuery(PeriodQuery):
    horizon_days = horizon(help_text="Only this horizon.")
    coin = CoinParameter(required=False, max_length=150, help_text="Only this coin, by its CoinGecko id.")
    model = ModelParameter(required=False, max_length=60, help_text="Only this version of the model.")


class ModelsQuery(QuerySerializer):
    pagination_class = PageNumbers

    state = serializers.ChoiceField(choices=TrainedModel.State.values, required=False)
