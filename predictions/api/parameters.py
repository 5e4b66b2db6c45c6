"""The GET parameters of the forecasts' endpoints."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from cryptopredict.rest.pagination import Cursor, PageNumbers
from cryptopredict.rest.query import QuerySerializer
from markets.api.parameters import MomentField, refusal
from markets.models import Cryptocurrency
from predictions.frequency import Frequency
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


class FrequencyParameter(serializers.ChoiceField):
    """daily or hourly; read as the frequency."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=[one.word for one in Frequency], required=False, **options)

    def to_internal_value(self, data: Any) -> Frequency:
        return Frequency.named(super().to_internal_value(data))


def horizon(frequency: Frequency) -> WholeNumberChoice:
    help_text = f"Only this horizon, of {frequency.word} forecasts."
    return WholeNumberChoice(choices=list(frequency.horizons), required=False, help_text=help_text)


class HorizonQuery(QuerySerializer):
    """A frequency and a horizon in its own unit, read as `frequency` and `horizon`; a horizon alone says which."""

    frequency = FrequencyParameter(help_text="daily (1d) or hourly (1h).")
    horizon_days = horizon(Frequency.DAY)
    horizon_hours = horizon(Frequency.HOUR)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        for frequency, name in ((Frequency.DAY, "horizon_days"), (Frequency.HOUR, "horizon_hours")):
            if name not in attrs:
                continue
            if attrs.setdefault("frequency", frequency) is not frequency:
                raise refusal(name, f"{attrs['frequency'].label} forecasts have no such horizon.", "other_frequency")
            attrs["horizon"] = attrs.pop(name)
        return attrs


class NewestFirst(Cursor):
    """The ledger from its newest end; any page costs the same."""

    ordering = ("-sequence",)


class PeriodQuery(QuerySerializer):
    """Bounds on the cutoffs."""

    start = MomentField(required=False, help_text="Cutoffs from then on; ISO 8601.")
    end = MomentField(required=False, help_text="Cutoffs before then; ISO 8601.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "start" in attrs and "end" in attrs and attrs["start"] >= attrs["end"]:
            raise refusal("start", "It must lie before the end.", "start_not_before_end")
        return attrs


class LedgerFilters(PeriodQuery, HorizonQuery):
    coin = CoinParameter(required=False, max_length=150, help_text="CoinGecko id.")
    model = ModelParameter(required=False, max_length=60, help_text="A model's version.")
    state = serializers.ChoiceField(choices=Prediction.State.values, required=False)


class LedgerQuery(LedgerFilters):
    pagination_class = NewestFirst


class ForecastQuery(HorizonQuery):
    """Daily ones unless asked otherwise."""


class FrequencyQuery(QuerySerializer):
    frequency = FrequencyParameter(help_text="daily (1d) unless given, or hourly (1h).")


class TrackRecordQuery(PeriodQuery, HorizonQuery):
    coin = CoinParameter(required=False, max_length=150, help_text="Only this coin, by its CoinGecko id.")
    model = ModelParameter(required=False, max_length=60, help_text="Only this version of the model.")


class ModelsQuery(QuerySerializer):
    pagination_class = PageNumbers

    state = serializers.ChoiceField(choices=TrainedModel.State.values, required=False)
    frequency = FrequencyParameter(help_text="daily (1d) or hourly (1h).")
