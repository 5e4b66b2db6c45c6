"""What the registry's endpoints read and answer, as OpenAPI shows it."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from cryptopredict.rest.strict import StrictMixin
from markets.api.serializers import figure
from predictions.api.parameters import FrequencyParameter
from predictions.api.serializers import EvidenceSerializer, SpanSerializer, frequency_field, label_field
from predictions.training import HOLDOUT_DAYS

MAX_SEED = 2**31 - 1
MAX_BACKTEST_DAYS = 1100


class ModelRowSerializer(serializers.Serializer[Any]):
    """One version of the model."""

    version = serializers.CharField()
    state = serializers.CharField(
        help_text="training, candidate, shadow (a challenger), serving (the champion), retired or failed."
    )
    origin = serializers.ChoiceField(choices=["starter", "own"])
    frequency = frequency_field()
    created_at = serializers.DateTimeField()
    trained_at = serializers.DateTimeField(allow_null=True)
    promoted_at = serializers.DateTimeField(allow_null=True, help_text="When it became champion or challenger.")
    window_start_on = serializers.DateField(allow_null=True, help_text="The first day of its training data.")
    cutoff_on = serializers.DateField(allow_null=True, help_text="The last day of its training data.")
    coins = serializers.IntegerField(help_text="Coins that it was trained on.")
    rows = serializers.IntegerField(help_text="Training windows.")
    reason = serializers.CharField(allow_blank=True, help_text="Why it is in this state.")


class ModelEventSerializer(serializers.Serializer[Any]):
    """One step in a model's life."""

    kind = serializers.CharField(help_text="registered, shadowed, promoted, retired, rolled_back, restored or refused.")
    at = serializers.DateTimeField()
    by = serializers.ChoiceField(choices=["staff", "job"])
    reason = serializers.CharField(allow_blank=True)


class BacktestSerializer(serializers.Serializer[Any]):
    """A back-test that was asked for; never evidence."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["queued", "running", "done", "failed"])
    start_on = serializers.DateField()
    end_on = serializers.DateField()
    queued_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    done = serializers.IntegerField(help_text="Fits done, of `total`.")
    total = serializers.IntegerField()
    problem = serializers.CharField(allow_blank=True)
    summary = serializers.DictField(help_text="By model and horizon, as in `metrics`.")


class ModelSerializer(ModelRowSerializer):
    """A model's card."""

    code_revision = serializers.CharField(allow_blank=True, help_text="SHA-256 of the sources that trained it.")
    seed = serializers.IntegerField(allow_null=True)
    manifest_sha256 = serializers.CharField(allow_blank=True)
    dataset_sha256 = serializers.CharField(allow_blank=True)
    artefacts = serializers.DictField(help_text="Its files: SHA-256 and bytes by name.")
    metrics = serializers.DictField(help_text="Validation by horizon, against each baseline.")
    n_predictions = serializers.IntegerField(help_text="Forecasts in the ledger.")
    n_scored = serializers.IntegerField()
    events = ModelEventSerializer(many=True, help_text="The newest first.")
    backtests = BacktestSerializer(many=True, help_text="The ten newest.")
    data_source = serializers.CharField(help_text="Where the site's prices come from.")


class StepReasonSerializer(StrictMixin, serializers.Serializer[Any]):
    """Why a step is taken."""

    reason = serializers.CharField(max_length=300)


class TrainSerializer(StrictMixin, serializers.Serializer[Any]):
    """How a training differs from the weekly one."""

    seed = serializers.IntegerField(min_value=0, max_value=MAX_SEED, required=False)
    frequency = FrequencyParameter(help_text="daily (1d) unless given, or hourly (1h).")


class BacktestRequestSerializer(StrictMixin, serializers.Serializer[Any]):
    """The cutoffs of a back-test; without them the last 120 days."""

    start_on = serializers.DateField(required=False)
    end_on = serializers.DateField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        today = timezone.now().date()
        end = attrs.get("end_on", today)
        start = attrs.get("start_on", end - timedelta(days=HOLDOUT_DAYS))
        if end > today:
            raise serializers.ValidationError({"end_on": ["It must not lie in the future."]}, code="in_the_future")
        if not 0 < (end - start).days <= MAX_BACKTEST_DAYS:
            message = f"It must lie from 1 to {MAX_BACKTEST_DAYS} days before the end."
            raise serializers.ValidationError({"start_on": [message]}, code="out_of_range")
        return {"start_on": start, "end_on": end}


class ValidationSerializer(serializers.Serializer[Any]):
    """What a model's own back-test said of a horizon, against FHS."""

    label = label_field()  # type: ignore[assignment]  # DRF's Field has a `label` of its own
    skill = figure("Of the back-test.")
    n_dates = serializers.IntegerField(allow_null=True)
    coverage_80 = figure("Of the back-test.")
    coverage_95 = figure("Of the back-test.")


class HorizonWatchSerializer(SpanSerializer):
    """One horizon: live evidence beside the validation."""

    live = EvidenceSerializer()
    validation = ValidationSerializer(allow_null=True)
    is_coverage_80_off = serializers.BooleanField()
    is_coverage_95_off = serializers.BooleanField()


class DriftSerializer(serializers.Serializer[Any]):
    """How far the inputs of the last 90 days lie from those of training (population stability index)."""

    mean_psi = figure("Over all watched inputs; null while it cannot be told.")
    warn_at = serializers.FloatField()
    stop_at = serializers.FloatField(help_text="From here on the baseline is the headline.")
    days = serializers.IntegerField()
    psi = serializers.DictField(child=serializers.FloatField(), help_text="By input.")


class AlarmSerializer(serializers.Serializer[Any]):
    """Something that staff must know."""

    model = serializers.CharField(help_text="Its version.")
    kind = serializers.CharField(help_text="expired, drift, worse, coverage or artefact.")
    horizon_days = serializers.IntegerField(allow_null=True)
    horizon_hours = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()
    stops_headline = serializers.BooleanField()
    raised_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)


class HorizonEvidenceSerializer(SpanSerializer):
    live = EvidenceSerializer()


class ChallengerSerializer(serializers.Serializer[Any]):
    """A model in shadow with its own record."""

    version = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    horizons = HorizonEvidenceSerializer(many=True)


class MonitoringSerializer(serializers.Serializer[Any]):
    """What is watched about the champion and its challengers."""

    as_of = serializers.DateTimeField()
    frequency = frequency_field()
    model = serializers.CharField(help_text="The champion's version.")
    cutoff_on = serializers.DateField(allow_null=True)
    age_days = serializers.IntegerField(allow_null=True)
    max_age_days = serializers.IntegerField(help_text="0 is no limit.")
    stopped_because = serializers.CharField(allow_blank=True, help_text="Why the baseline is the headline everywhere.")
    drift = DriftSerializer()
    horizons = HorizonWatchSerializer(many=True)
    challengers = ChallengerSerializer(many=True)
    alarms = AlarmSerializer(many=True, help_text="The fifty newest, open ones and ended ones.")
    data_source = serializers.CharField()
