"""The registry of trained models and the ledger of forecasts."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from markets.models import Cryptocurrency
from predictions.querysets import PredictionQuerySet, TrainedModelQuerySet


class TrainedModel(models.Model):
    """One version of the LSTM: where it came from, how it did, and whether it serves."""

    class State(models.TextChoices):
        TRAINING = "training", "Training"
        CANDIDATE = "candidate", "Candidate"
        SERVING = "serving", "Serving"
        RETIRED = "retired", "Retired"
        FAILED = "failed", "Failed"

    class Origin(models.TextChoices):
        STARTER = "starter", "Starter model"
        OWN = "own", "Trained on this site's history"

    version = models.CharField(max_length=60, unique=True)
    state = models.CharField(max_length=10, choices=State.choices)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    created_at = models.DateTimeField(default=timezone.now)
    trained_at = models.DateTimeField(null=True, blank=True)
    promoted_at = models.DateTimeField(null=True, blank=True)
    cutoff_on = models.DateField(null=True, blank=True, help_text="The last day of the training data.")
    folder = models.CharField(max_length=500, blank=True, help_text="Where the artefact lies.")
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    dataset_sha256 = models.CharField(max_length=64, blank=True)
    coins = models.PositiveIntegerField(default=0, help_text="Coins that it was trained on.")
    rows = models.PositiveIntegerField(default=0, help_text="Training windows.")
    metrics = models.JSONField(default=dict, blank=True, help_text="Validation by horizon, against each baseline.")
    done = models.PositiveIntegerField(default=0, help_text="Training steps done, of `total`.")
    total = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was promoted or retired.")
    problem = models.TextField(blank=True)

    objects = TrainedModelQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=["state"], condition=Q(state="serving"), name="one_model_serves"),
            models.CheckConstraint(
                condition=~Q(state__in=["candidate", "serving", "retired"])
                | (~Q(folder="") & ~Q(manifest_sha256="") & Q(cutoff_on__isnull=False)),
                name="usable_model_has_artefact",
            ),
        )

    def __str__(self) -> str:
        return self.version


class ForecastRefusal(models.Model):
    """Why the last issue left a coin out."""

    coin = models.OneToOneField(Cryptocurrency, on_delete=models.CASCADE, related_name="forecast_refusal")
    reason = models.CharField(max_length=200)
    checked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("coin",)

    def __str__(self) -> str:
        return f"{self.coin_id}: {self.reason}"


class Prediction(models.Model):
    """One frozen forecast of one coin at one horizon, beside its baselines, scored when its day comes.

    Quantiles are lists of 13 prices in US dollars at the levels of ``predictions.forecasting.quantiles.LEVELS``.
    Everything up to ``row_hash`` is written once and never changes.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        SCORED = "scored", "Scored"
        VOID = "void", "Void"

    class Headline(models.TextChoices):
        MODEL = "model", "LSTM"
        BASELINE = "fhs", "FHS random walk"

    FROZEN = (
        "sequence", "coin_id", "model_id", "horizon_days", "cutoff_at", "target_at", "issued_at", "base_price",
        "headline", "multiplier_80", "multiplier_95", "quantiles", "model_quantiles", "fhs_quantiles", "ewma_quantiles",
        "label", "counts_as_evidence", "is_sample", "inputs_sha256", "previous_hash", "row_hash",
    )  # fmt: skip

    sequence = models.PositiveBigIntegerField(unique=True, help_text="Place in the hash chain, from 1.")
    coin = models.ForeignKey(Cryptocurrency, on_delete=models.PROTECT, related_name="predictions")
    model = models.ForeignKey(TrainedModel, on_delete=models.PROTECT, related_name="predictions")
    horizon_days = models.PositiveSmallIntegerField()
    cutoff_at = models.DateTimeField(help_text="The last instant that was known to this forecast.")
    target_at = models.DateTimeField(help_text="The instant that it is about.")
    issued_at = models.DateTimeField()
    base_price = models.FloatField(help_text="The price at the cutoff.")
    headline = models.CharField(max_length=5, choices=Headline.choices)
    multiplier_80 = models.FloatField(default=1.0, help_text="How far calibration stretched the 80 % band.")
    multiplier_95 = models.FloatField(default=1.0, help_text="How far calibration stretched the 95 % band.")
    quantiles = models.JSONField(help_text="What was published: the headline's quantiles, calibrated.")
    model_quantiles = models.JSONField()
    fhs_quantiles = models.JSONField()
    ewma_quantiles = models.JSONField()
    label = models.CharField(max_length=20, help_text="What the record said of this horizon when it was issued.")
    counts_as_evidence = models.BooleanField(help_text="Issued soon enough after its cutoff.")
    is_sample = models.BooleanField(default=False, help_text="Made from sample data.")
    inputs_sha256 = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64)
    row_hash = models.CharField(max_length=64, unique=True)

    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    void_reason = models.CharField(max_length=200, blank=True)
    actual_price = models.FloatField(null=True, blank=True)
    scored_at = models.DateTimeField(null=True, blank=True)
    crps = models.FloatField(null=True, blank=True, help_text="Of the published quantiles, on the log-return.")
    crps_model = models.FloatField(null=True, blank=True)
    crps_fhs = models.FloatField(null=True, blank=True)
    crps_ewma = models.FloatField(null=True, blank=True)
    interval_score_80 = models.FloatField(null=True, blank=True)
    is_hit_80 = models.BooleanField(null=True, blank=True)
    is_hit_95 = models.BooleanField(null=True, blank=True)

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ("-sequence",)
        indexes = (
            models.Index(fields=["coin", "-cutoff_at", "horizon_days"], name="prediction_coin_cutoff"),
            models.Index(fields=["state", "target_at"], name="prediction_due"),
            models.Index(fields=["horizon_days", "cutoff_at"], name="prediction_horizon"),
        )
        constraints = (
            models.UniqueConstraint(fields=["coin", "model", "cutoff_at", "horizon_days"], name="forecast_once"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="forecast_sequence"),
            models.CheckConstraint(condition=Q(horizon_days__gte=1), name="forecast_horizon"),
            models.CheckConstraint(condition=Q(base_price__gt=0), name="forecast_base_price"),
            models.CheckConstraint(condition=Q(target_at__gt=F("cutoff_at")), name="forecast_targets_the_future"),
            models.CheckConstraint(condition=Q(issued_at__gte=F("cutoff_at")), name="forecast_after_cutoff"),
            models.CheckConstraint(
                condition=Q(counts_as_evidence=False) | Q(issued_at__lt=F("target_at")),
                name="evidence_before_target",
            ),
            models.CheckConstraint(
                condition=~Q(state="scored")
                | (Q(actual_price__gt=0) & Q(scored_at__isnull=False) & Q(crps__isnull=False)),
                name="scored_has_outcome",
            ),
            models.CheckConstraint(condition=~Q(state="void") | ~Q(void_reason=""), name="void_has_reason"),
        )

    def __str__(self) -> str:
        return f"#{self.sequence} {self.coin_id} +{self.horizon_days}d"

    def save(self, *args: object, **kwargs: object) -> None:
        """Refuses to change what was frozen."""
        if self.pk is not None:
            frozen = type(self).objects.filter(pk=self.pk).values(*self.FROZEN).first()
            changed = [name for name, value in (frozen or {}).items() if getattr(self, name) != value]
            if changed:
                raise ValidationError(f"A frozen forecast cannot change: {', '.join(changed)}.", code="frozen")
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def is_due_at(self, now: datetime) -> bool:
        return self.state == self.State.OPEN and self.target_at <= now
