"""What the forecasts' endpoints answer, as OpenAPI shows it."""

from typing import Any

from rest_framework import serializers

from cryptopredict.rest.strict import StrictMixin
from markets.api.serializers import figure, figures
from predictions.api.parameters import CoinParameter, FrequencyParameter
from predictions.forecasting.labels import Label
from predictions.forecasting.quantiles import LEVELS

FREQUENCY_HELP = "Of the prices that it was made from: 1d is daily, 1h hourly."
LABEL_HELP = "Against the FHS random walk, by the published rule."
QUANTILES_HELP = "US dollars, at `levels`."


def label_field() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=[label.value for label in Label], help_text=LABEL_HELP)


def frequency_field() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=["1d", "1h"], help_text=FREQUENCY_HELP)


class SpanSerializer(serializers.Serializer[Any]):
    """A horizon in both units."""

    horizon_days = serializers.IntegerField(allow_null=True, help_text="Null for one from hourly prices.")
    horizon_hours = serializers.IntegerField()


class BandSerializer(serializers.Serializer[Any]):
    """A band in US dollars."""

    low = serializers.FloatField()
    high = serializers.FloatField()


class SkillIntervalSerializer(serializers.Serializer[Any]):
    """A 95 % interval."""

    low = serializers.FloatField()
    high = serializers.FloatField()


class EvidenceSerializer(serializers.Serializer[Any]):
    """A label and every figure it rests on; shares and skill are fractions, null without a settled forecast."""

    label = label_field()  # type: ignore[assignment]  # DRF's Field has a `label` of its own
    baseline = serializers.CharField()
    n_dates = serializers.IntegerField(help_text="Distinct cutoffs.")
    n_forecasts = serializers.IntegerField()
    skill = figure("1 minus the LSTM's CRPS over the baseline's.")
    interval = SkillIntervalSerializer(allow_null=True, help_text="Of the skill; null from too few dates.")
    coverage_80 = figure("Share of outcomes inside the published 80 % band.")
    coverage_95 = figure("Share of outcomes inside the published 95 % band.")
    period_start = serializers.DateField(allow_null=True, help_text="First cutoff.")
    period_end = serializers.DateField(allow_null=True, help_text="Last cutoff.")
    weighting = serializers.CharField()


class BaselineSerializer(serializers.Serializer[Any]):
    """The naive forecast that was frozen beside this one."""

    name = serializers.CharField()
    quantiles = figures(QUANTILES_HELP)
    band_80 = BandSerializer()


class FanHorizonSerializer(SpanSerializer):
    """One horizon of a fan."""

    prediction_id = serializers.IntegerField()
    target_at = serializers.DateTimeField(help_text="The instant that it is about.")
    headline = serializers.ChoiceField(choices=["model", "fhs"], help_text="Whose quantiles are published.")
    headline_name = serializers.CharField()
    headline_reason = serializers.CharField(
        allow_blank=True, help_text="Why the baseline's band is published; empty where the model's is."
    )
    median = serializers.FloatField()
    band_80 = BandSerializer()
    band_95 = BandSerializer()
    quantiles = figures(f"Published. {QUANTILES_HELP}")
    model_quantiles = figures(f"The LSTM's. {QUANTILES_HELP}")
    ewma_quantiles = figures(f"The EWMA normal random walk's. {QUANTILES_HELP}")
    baseline = BaselineSerializer()
    label = label_field()  # type: ignore[assignment]  # DRF's Field has a `label` of its own
    evidence = EvidenceSerializer()


class ForecastSourceSerializer(serializers.Serializer[Any]):
    """How old a forecast is and where its prices come from."""

    as_of = serializers.DateTimeField(help_text="The last instant that was known to it.")
    is_stale = serializers.BooleanField(help_text="Older than two days, or two hours of an hourly one.")
    data_source = serializers.CharField(help_text="`live`, or words that say that the figures are samples.")


class ForecastSerializer(ForecastSourceSerializer):
    """A coin's newest forecast at all horizons."""

    id = serializers.CharField(help_text="CoinGecko id.")
    frequency = frequency_field()
    model = serializers.CharField(help_text="The model's version.")
    issued_at = serializers.DateTimeField()
    base_price_usd = serializers.FloatField(help_text="The price at the cutoff.")
    counts_as_evidence = serializers.BooleanField(help_text="Issued soon enough after its cutoff.")
    headline_horizons = serializers.ListField(
        child=serializers.IntegerField(), help_text="In days, or hours of an hourly one."
    )
    levels = figures(f"The quantiles' levels: {', '.join(map(str, LEVELS))}.")
    horizons = FanHorizonSerializer(many=True)


class ScoresSerializer(serializers.Serializer[Any]):
    """How it did, all on the log-return; null until it is scored."""

    crps = figure("Of the published quantiles.")
    crps_model = figure("Of the LSTM's.")
    crps_fhs = figure("Of the FHS random walk's.")
    crps_ewma = figure("Of the EWMA normal random walk's.")
    interval_score_80 = figure("Of the published 80 % band.")
    is_hit_80 = serializers.BooleanField(allow_null=True)
    is_hit_95 = serializers.BooleanField(allow_null=True)


class ChainSerializer(serializers.Serializer[Any]):
    """The forecast's place in the hash chain."""

    sequence = serializers.IntegerField(help_text="From 1.")
    inputs_sha256 = serializers.CharField()
    previous_hash = serializers.CharField()
    row_hash = serializers.CharField()
    hash_version = serializers.IntegerField(help_text="What the hash covers.")
    outcome_hash = serializers.CharField(allow_blank=True, help_text="Of the outcome; empty while it is open.")


class PredictionSerializer(SpanSerializer, ForecastSourceSerializer):
    """One frozen forecast of one coin at one horizon, and its outcome once there is one."""

    id = serializers.IntegerField()
    coin = serializers.CharField(help_text="CoinGecko id.")
    model = serializers.CharField(help_text="The model's version.")
    frequency = frequency_field()
    cutoff_at = serializers.DateTimeField()
    target_at = serializers.DateTimeField()
    issued_at = serializers.DateTimeField()
    base_price_usd = serializers.FloatField()
    headline = serializers.ChoiceField(choices=["model", "fhs"], help_text="Whose quantiles are published.")
    levels = figures("The quantiles' levels.")
    quantiles = figures(f"Published. {QUANTILES_HELP}")
    model_quantiles = figures(QUANTILES_HELP)
    fhs_quantiles = figures(QUANTILES_HELP)
    ewma_quantiles = figures(QUANTILES_HELP)
    multiplier_80 = serializers.FloatField(help_text="How far calibration stretched the 80 % band.")
    multiplier_95 = serializers.FloatField(help_text="How far calibration stretched the 95 % band.")
    label_when_issued = serializers.CharField(help_text="What the record said of this horizon then.")
    evidence = EvidenceSerializer(help_text="What the record says of this horizon now.")
    counts_as_evidence = serializers.BooleanField(help_text="Issued soon enough after its cutoff.")
    is_shadow = serializers.BooleanField(help_text="A challenger's, frozen beside the champion's and not published.")
    state = serializers.ChoiceField(choices=["open", "scored", "void"])
    void_reason = serializers.CharField(allow_blank=True)
    actual_price_usd = figure("The outcome.")
    scored_at = serializers.DateTimeField(allow_null=True)
    scores = ScoresSerializer()
    chain = ChainSerializer()


class HorizonRecordSerializer(SpanSerializer):
    """The record of one horizon against both baselines."""

    label = label_field()  # type: ignore[assignment]  # DRF's Field has a `label` of its own
    evidence_vs_fhs = EvidenceSerializer()
    evidence_vs_ewma = EvidenceSerializer()


class CalibrationSerializer(serializers.Serializer[Any]):
    """How often outcomes fell at or below one published quantile."""

    level = serializers.FloatField()
    observed = serializers.FloatField()
    n_dates = serializers.IntegerField()


class MonthSerializer(serializers.Serializer[Any]):
    """How many outcomes one month's bands held, weighted by date."""

    month = serializers.DateField(help_text="Its first day; by cutoff.")
    n_dates = serializers.IntegerField()
    coverage_80 = serializers.FloatField()
    coverage_95 = serializers.FloatField()


class CoinRecordSerializer(serializers.Serializer[Any]):
    """One coin's forecasts at the detail horizon."""

    coin = serializers.CharField(help_text="CoinGecko id.")
    evidence_vs_fhs = EvidenceSerializer()


class ModelRecordSerializer(serializers.Serializer[Any]):
    """One model's forecasts at the detail horizon, those of its time in shadow among them."""

    model = serializers.CharField(help_text="Its version.")
    state = serializers.CharField()
    evidence_vs_fhs = EvidenceSerializer()


class MissSerializer(SpanSerializer):
    """One of the forecasts that did worst."""

    prediction_id = serializers.IntegerField()
    coin = serializers.CharField(help_text="CoinGecko id.")
    target_at = serializers.DateTimeField()
    actual_price_usd = serializers.FloatField()
    band_80 = BandSerializer()
    crps = serializers.FloatField()


class TrackRecordSerializer(serializers.Serializer[Any]):
    """What the settled forecasts say; figures are weighted by date and come from evidence only."""

    frequency = frequency_field()
    verdict = serializers.CharField()
    as_of = serializers.DateTimeField(allow_null=True, help_text="When the last forecast was scored.")
    is_stale = serializers.BooleanField(help_text="Nothing was scored for two days, or of hours two hours.")
    data_source = serializers.CharField(help_text="`live`, or words that say that the figures are samples.")
    n_dates = serializers.IntegerField()
    n_forecasts = serializers.IntegerField()
    first_scored_on = serializers.DateField(allow_null=True)
    dates_missing = serializers.IntegerField(help_text="Scored dates still missing to a first judgement.")
    horizons = HorizonRecordSerializer(many=True)
    calibration = CalibrationSerializer(many=True)
    months = MonthSerializer(many=True)
    detail_horizon_days = serializers.IntegerField(
        allow_null=True, help_text="The horizon of `months`, `coins` and `models`; null for hourly forecasts."
    )
    detail_horizon_hours = serializers.IntegerField(help_text="The same in hours.")
    coins = CoinRecordSerializer(many=True)
    models = ModelRecordSerializer(many=True)
    worst = MissSerializer(many=True)
    backtest = serializers.DictField(help_text="The serving model's own validation: no evidence.")


class ChainReportSerializer(serializers.Serializer[Any]):
    """What a walk along the hash chain found."""

    is_intact = serializers.BooleanField()
    length = serializers.IntegerField(help_text="Forecasts that were found good from the beginning on.")
    head = serializers.CharField(help_text="The last good hash.")
    broken_at = serializers.IntegerField(allow_null=True, help_text="The first bad sequence number.")
    problem = serializers.CharField(allow_blank=True)
    checked_at = serializers.DateTimeField()


class ForecastRequestSerializer(StrictMixin, serializers.Serializer[Any]):
    """What a forecast is asked for."""

    coin = CoinParameter(max_length=150, help_text="CoinGecko id.")
    frequency = FrequencyParameter(help_text="daily (1d) unless given, or hourly (1h).")
