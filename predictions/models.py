"""The registry of trained models and the ledger of forecasts."""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from markets.models import Cryptocurrency
from predictions.frequency import Frequency
from predictions.querysets import ModelAlarmQuerySet, PredictionQuerySet, TrainedModelQuerySet


class TrainedModel(models.Model):
    """One version of the LSTM: where it came from, how it did, and whether it serves.

    The one that serves is the champion of its frequency; a shadow is a challenger whose forecasts are frozen beside
    the champion's and never published as the headline.
    """

    class State(models.TextChoices):
        TRAINING = "training", "Training"
        CANDIDATE = "candidate", "Candidate"
        SHADOW = "shadow", "Shadow"
        SERVING = "serving", "Champion"
        RETIRED = "retired", "Retired"
        FAILED = "failed", "Failed"

    class Origin(models.TextChoices):
        STARTER = "starter", "Starter model"
        OWN = "own", "Trained on this site's history"

    version = models.CharField(max_length=60, unique=True)
    state = models.CharField(max_length=10, choices=State.choices)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    frequency = models.CharField(
        max_length=2, choices=Frequency.choices, default=Frequency.DAY, db_default=Frequency.DAY
    )
    created_at = models.DateTimeField(default=timezone.now)
    trained_at = models.DateTimeField(null=True, blank=True)
    promoted_at = models.DateTimeField(null=True, blank=True)
    window_start_on = models.DateField(null=True, blank=True, help_text="The first day of the training data.")
    cutoff_on = models.DateField(null=True, blank=True, help_text="The last day of the training data.")
    code_revision = models.CharField(max_length=64, blank=True, help_text="Of the code that trained it.")
    seed = models.PositiveBigIntegerField(null=True, blank=True)
    folder = models.CharField(max_length=500, blank=True, help_text="Where the artefact lies.")
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    dataset_sha256 = models.CharField(max_length=64, blank=True)
    artefacts = models.JSONField(default=dict, blank=True, help_text="Its files: name, SHA-256 and bytes of each.")
    reference = models.JSONField(default=dict, blank=True, help_text="How its inputs were distributed in training.")
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
            models.UniqueConstraint(fields=["frequency"], condition=Q(state="serving"), name="one_model_serves"),
            models.CheckConstraint(
                condition=~Q(state__in=["candidate", "shadow", "serving", "retired"])
                | (~Q(folder="") & ~Q(manifest_sha256="") & Q(cutoff_on__isnull=False)),
                name="usable_model_has_artefact",
            ),
        )

    def __str__(self) -> str:
        return self.version

    @property
    def is_champion(self) -> bool:
        return self.state == self.State.SERVING


class ModelEvent(models.Model):
    """One step in the life of a model: who took it, when and why."""

    class Kind(models.TextChoices):
        REGISTERED = "registered", "Registered"
        SHADOWED = "shadowed", "Began to run in shadow"
        PROMOTED = "promoted", "Promoted"
        RETIRED = "retired", "Retired"
        ROLLED_BACK = "rolled_back", "Rolled back"
        RESTORED = "restored", "Restored by a rollback"
        REFUSED = "refused", "Refused"

    model = models.ForeignKey(TrainedModel, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+",
        help_text="Empty when a job took the step.",
    )  # fmt: skip
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-at", "-id")
        indexes = (models.Index(fields=["kind", "-at"], name="model_event_kind"),)

    def __str__(self) -> str:
        return f"{self.model_id} {self.kind}"


class ModelAlarm(models.Model):
    """Something about a model that staff must know; open until the check that raised it no longer finds it."""

    class Kind(models.TextChoices):
        EXPIRED = "expired", "Expired"
        DRIFT = "drift", "Inputs have drifted"
        WORSE = "worse", "Worse than the baseline"
        COVERAGE = "coverage", "Coverage is off"
        ARTEFACT = "artefact", "Its files are damaged"

    model = models.ForeignKey(TrainedModel, on_delete=models.CASCADE, related_name="alarms")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    horizon = models.PositiveSmallIntegerField(
        default=0, help_text="In days or hours, as the model forecasts from; 0: of no horizon in particular."
    )
    message = models.CharField(max_length=300)
    stops_headline = models.BooleanField(default=False, help_text="The baseline is the headline while this is open.")
    raised_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = ModelAlarmQuerySet.as_manager()

    class Meta:
        ordering = ("-raised_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["model", "kind", "horizon"], condition=Q(resolved_at__isnull=True), name="alarm_open_once"
            ),
        )

    def __str__(self) -> str:
        return self.message


class BacktestRun(models.Model):
    """One back-test that was asked for, from the request to its summary; never evidence."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    model = models.ForeignKey(TrainedModel, on_delete=models.CASCADE, related_name="backtests")
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    start_on = models.DateField()
    end_on = models.DateField()
    queued_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0, help_text="Fits done, of `total`.")
    total = models.PositiveIntegerField(default=0)
    summary = models.JSONField(default=dict, blank=True)
    problem = models.TextField(blank=True)

    class Meta:
        ordering = ("-queued_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(end_on__gt=F("start_on")), name="backtest_ends_after_its_start"),
        )

    def __str__(self) -> str:
        return f"{self.model_id} {self.start_on} to {self.end_on}"


class ForecastRefusal(models.Model):
    """Why the last issue of a frequency left a coin out."""

    coin = models.ForeignKey(Cryptocurrency, on_delete=models.CASCADE, related_name="forecast_refusals")
    frequency = models.CharField(
        max_length=2, choices=Frequency.choices, default=Frequency.DAY, db_default=Frequency.DAY
    )
    reason = models.CharField(max_length=200)
    checked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("coin", "frequency")
        constraints = (models.UniqueConstraint(fields=["coin", "frequency"], name="refusal_once"),)

    def __str__(self) -> str:
        return f"{self.coin_id}: {self.reason}"


class Prediction(models.Model):
    """One frozen forecast of one coin at one horizon, beside its baselines, scored when its time comes.

    A daily forecast's horizon is in `horizon_days`; that of one made from hourly prices is in `horizon_hours` alone,
    so that a question about a horizon of days never meets it.

    Quantiles are lists of 13 prices in US dollars at the levels of ``predictions.forecasting.quantiles.LEVELS``.
    Everything up to ``row_hash`` is written once, the outcome once when the day comes; the database itself refuses
    any other change (``predictions.guards``).
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        SCORED = "scored", "Scored"
        VOID = "void", "Void"

    class Headline(models.TextChoices):
        MODEL = "model", "LSTM"
        BASELINE = "fhs", "FHS random walk"

    FROZEN = (
        "sequence", "coin_id", "model_id", "frequency", "horizon_days", "horizon_hours", "cutoff_at", "target_at",
        "issued_at", "base_price", "headline", "multiplier_80", "multiplier_95", "quantiles", "model_quantiles",
        "fhs_quantiles", "ewma_quantiles", "label", "counts_as_evidence", "is_sample", "is_shadow", "hash_version",
        "inputs_sha256", "previous_hash", "row_hash",
    )  # fmt: skip
    OUTCOME = (
        "state", "void_reason", "actual_price", "scored_at", "crps", "crps_model", "crps_fhs", "crps_ewma",
        "interval_score_80", "is_hit_80", "is_hit_95", "outcome_hash",
    )  # fmt: skip

    sequence = models.PositiveBigIntegerField(unique=True, help_text="Place in the hash chain, from 1.")
    coin = models.ForeignKey(Cryptocurrency, on_delete=models.PROTECT, related_name="predictions")
    model = models.ForeignKey(TrainedModel, on_delete=models.PROTECT, related_name="predictions")
    frequency = models.CharField(
        max_length=2, choices=Frequency.choices, default=Frequency.DAY, db_default=Frequency.DAY
    )
    horizon_days = models.PositiveSmallIntegerField(default=0, help_text="0 for a forecast from hourly prices.")
    horizon_hours = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="The horizon, whatever it is.")
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
    is_shadow = models.BooleanField(
        default=False, db_default=False, help_text="A challenger's, frozen beside the champion's and not published."
    )
    hash_version = models.PositiveSmallIntegerField(default=2, db_default=1, help_text="What its hash covers.")
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
    outcome_hash = models.CharField(max_length=64, blank=True, default="", help_text="Ties the outcome to the row.")

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ("-sequence",)
        indexes = (
            models.Index(fields=["coin", "frequency", "-cutoff_at", "horizon_hours"], name="prediction_coin_issue"),
            models.Index(fields=["state", "target_at"], name="prediction_due"),
            models.Index(fields=["frequency", "horizon_hours", "cutoff_at"], name="prediction_at_horizon"),
            models.Index(fields=["coin", "-sequence"], name="prediction_coin_ledger"),
            models.Index(fields=["model", "-sequence"], name="prediction_model_ledger"),
            models.Index(fields=["frequency", "state", "scored_at"], name="prediction_scored"),
        )
        constraints = (
            models.UniqueConstraint(fields=["coin", "model", "cutoff_at", "horizon_hours"], name="forecast_once"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="forecast_sequence"),
            models.CheckConstraint(
                condition=Q(frequency="1d", horizon_days__gte=1, horizon_hours=F("horizon_days") * 24)
                | Q(frequency="1h", horizon_days=0, horizon_hours__gte=1, horizon_hours__lte=24),
                name="forecast_horizon",
            ),
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
            models.CheckConstraint(
                condition=~Q(state="open") | (Q(actual_price__isnull=True) & Q(crps__isnull=True)),
                name="open_has_no_outcome",
            ),
        )

    def __str__(self) -> str:
        return f"#{self.sequence} {self.coin_id} +{self.horizon_name}"

    @property
    def horizon(self) -> int:
        """In days, or in hours for one from hourly prices."""
        return self.horizon_days if self.frequency == Frequency.DAY else self.horizon_hours

    @property
    def horizon_name(self) -> str:
        """7d, or 6h for one from hourly prices."""
        return f"{self.horizon}{Frequency(self.frequency).unit}"

    def set_horizon(self) -> None:
        """A daily forecast's horizon in hours follows from its days."""
        if self.frequency == Frequency.DAY:
            self.horizon_hours = 24 * self.horizon_days

    def save(self, *args: object, **kwargs: object) -> None:
        """Refuses to change what was frozen."""
        self.set_horizon()
        if self.pk is not None:
            frozen = type(self).objects.filter(pk=self.pk).values(*self.FROZEN).first()
            changed = [name for name, value in (frozen or {}).items() if getattr(self, name) != value]
            if changed:
                raise ValidationError(f"A frozen forecast cannot change: {', '.join(changed)}.", code="frozen")
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def is_due_at(self, now: datetime) -> bool:
        return self.state == self.State.OPEN and self.target_at <= now
