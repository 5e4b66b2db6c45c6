"""What the operations' endpoints answer and read: the shapes that OpenAPI shows."""

from datetime import date
from typing import Any

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from cryptopredict.operations.arguments import queue_of
from cryptopredict.operations.models import Heartbeat, TaskRun
from cryptopredict.operations.progress import Progress
from cryptopredict.rest.strict import StrictMixin
from markets.models import RejectedPoint, SyncRun
from markets.sync.coins import LONGEST_BACKFILL

MAX_REASON = 300
SHORTEST_PERIOD_SECONDS, LONGEST_PERIOD_SECONDS = 10, 31 * 86_400


def moment(help_text: str = "") -> serializers.DateTimeField:
    return serializers.DateTimeField(allow_null=True, help_text=help_text)


# Sync ---------------------------------------------------------------------------------------------


class SyncRunSerializer(serializers.ModelSerializer[SyncRun]):
    """One run of a sync: what it asked, wrote and refused."""

    duration_seconds = serializers.SerializerMethodField(allow_null=True, help_text="Null while it runs.")

    class Meta:
        model = SyncRun
        fields = (
            "id", "kind", "state", "started_at", "finished_at", "duration_seconds", "done", "total", "calls",
            "rows_written", "rows_rejected", "problem", "slot_at", "task_id", "is_cancel_requested",
        )  # fmt: skip

    def get_duration_seconds(self, run: SyncRun) -> float | None:
        return (run.finished_at - run.started_at).total_seconds() if run.finished_at else None


class RejectedPointSerializer(serializers.ModelSerializer[RejectedPoint]):
    """A value that was refused."""

    class Meta:
        model = RejectedPoint
        fields = ("coingecko_id", "reason", "value", "seen_at")


class SyncRunDetailSerializer(SyncRunSerializer):
    """One run with the values that it refused, the first 200."""

    rejected = RejectedPointSerializer(many=True)

    class Meta(SyncRunSerializer.Meta):
        fields = (*SyncRunSerializer.Meta.fields, "rejected")  # type: ignore[assignment]


class IntervalFreshnessSerializer(serializers.Serializer[Any]):
    """How far the stored prices of one interval reach."""

    interval = serializers.CharField()
    newest_at = moment("The newest slot of the coin that is furthest ahead.")
    oldest_at = moment("The newest slot of the coin that is furthest behind.")
    coins_without = serializers.IntegerField(help_text="Tracked coins without any slot.")


class NextRunSerializer(serializers.Serializer[Any]):
    """When the schedule queues a job next."""

    name = serializers.CharField()
    task = serializers.CharField()
    next_run_at = moment()


class LimiterSerializer(serializers.Serializer[Any]):
    """Calls in the last 60 seconds, over all processes."""

    used = serializers.IntegerField()
    limit = serializers.IntegerField()
    held_seconds = serializers.FloatField(help_text="All calls wait so long; CoinGecko asked for it.")


class CreditsSerializer(serializers.Serializer[Any]):
    """Calls in the current UTC month, over all processes."""

    spent = serializers.IntegerField()
    monthly_credits = serializers.IntegerField(allow_null=True, help_text="Null: the plan has no monthly limit.")


class BreakerStateSerializer(serializers.Serializer[Any]):
    """Whether CoinGecko is asked at all."""

    state = serializers.ChoiceField(choices=["closed", "open", "half_open"])
    failures = serializers.IntegerField(help_text="In a row.")
    open_until = moment()


class LastErrorSerializer(serializers.Serializer[Any]):
    """The last failure that spoke about CoinGecko or our key."""

    at = moment()
    kind = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()


class UpstreamSerializer(serializers.Serializer[Any]):
    """Limiter, budget and breaker as all processes share them."""

    limiter = LimiterSerializer()
    budget = CreditsSerializer()
    breaker = BreakerStateSerializer()
    last_success_at = moment()
    last_error = LastErrorSerializer(allow_null=True)


class SyncStatusSerializer(serializers.Serializer[Any]):
    """The sync in one look."""

    as_of = moment("When upstream last saw the newest price.")
    is_stale = serializers.BooleanField()
    data_source = serializers.CharField()
    problems = serializers.ListField(child=serializers.CharField())
    freshness = IntervalFreshnessSerializer(many=True)
    last_runs = SyncRunSerializer(many=True, help_text="The newest of each kind.")
    next_runs = NextRunSerializer(many=True)
    upstream = UpstreamSerializer(allow_null=True, help_text="Null while the shared state cannot be read.")


class BreakerSerializer(BreakerStateSerializer):
    """The breaker, the last success and the last failure."""

    last_success_at = moment()
    last_error = LastErrorSerializer(allow_null=True)


class TierSerializer(serializers.Serializer[Any]):
    """Coins of neighbouring ranks whose prices are asked for equally often."""

    name = serializers.CharField()
    first_rank = serializers.IntegerField(allow_null=True)
    last_rank = serializers.IntegerField(allow_null=True)
    period_seconds = serializers.FloatField()
    calls_per_month = serializers.FloatField()


class PlannedJobSerializer(serializers.Serializer[Any]):
    """What one scheduled job asks of CoinGecko."""

    name = serializers.CharField()
    calls_per_run = serializers.IntegerField()
    period_seconds = serializers.FloatField()
    calls_per_month = serializers.FloatField()


class PlanSerializer(serializers.Serializer[Any]):
    """What the schedule will use."""

    arithmetic = serializers.CharField(help_text="How the sum comes about.")
    calls_per_month = serializers.FloatField(allow_null=True, help_text="Null when the schedule does not fit.")
    tiers = TierSerializer(many=True)
    jobs = PlannedJobSerializer(many=True)
    degrades = serializers.ListField(child=serializers.CharField(), help_text="What gives way first, in that order.")
    problem = serializers.CharField(allow_blank=True)


class BudgetSerializer(serializers.Serializer[Any]):
    """Calls of this minute and month, and what the schedule will use of them."""

    limiter = LimiterSerializer()
    budget = CreditsSerializer()
    plan = PlanSerializer()


class BackfillSerializer(StrictMixin):
    """The days to fill, both included; at most a year back, which is what a free plan answers."""

    start = serializers.DateField()
    end = serializers.DateField()

    def validate_start(self, value: date) -> date:
        if value < timezone.now().date() - LONGEST_BACKFILL:
            raise serializers.ValidationError("It lies more than 365 days back.", code="too_old")
        return value

    def validate_end(self, value: date) -> date:
        if value > timezone.now().date():
            raise serializers.ValidationError("It lies in the future.", code="in_future")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["start"] > attrs["end"]:
            message = ErrorDetail("It must not lie after the end.", code="start_after_end")
            raise serializers.ValidationError({"start": [message]})
        return attrs


class ReasonSerializer(StrictMixin):
    """Why; kept in the audit log."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=MAX_REASON, default="")


# Jobs ---------------------------------------------------------------------------------------------


class ParameterSerializer(serializers.Serializer[Any]):
    """One argument of a job."""

    name = serializers.CharField()
    type = serializers.CharField()
    is_required = serializers.BooleanField()


class TaskSerializer(serializers.Serializer[Any]):
    """A registered job."""

    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    queue = serializers.CharField()
    is_runnable = serializers.BooleanField(help_text="Staff may start it by hand.")
    parameters = ParameterSerializer(many=True)
    schedule = serializers.ListField(child=serializers.CharField(), help_text="Its entries in the schedule, in words.")


class ProgressSerializer(serializers.Serializer[Any]):
    """Steps done of all steps."""

    done = serializers.IntegerField()
    total = serializers.IntegerField()
    calls = serializers.IntegerField(allow_null=True)
    rows_written = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField(allow_blank=True)
    sync_run_id = serializers.IntegerField(allow_null=True)


class TaskRunSerializer(serializers.ModelSerializer[TaskRun]):
    """One run of a job. The list's context holds the progress of all its runs."""

    queue = serializers.SerializerMethodField()
    queued_by = serializers.SerializerMethodField(
        allow_null=True, help_text="Null when the schedule or another job queued it."
    )
    progress = serializers.SerializerMethodField(allow_null=True)
    url = serializers.SerializerMethodField()

    class Meta:
        model = TaskRun
        fields = (
            "task_id", "name", "arguments", "queue", "state", "queued_at", "started_at", "finished_at", "deliveries",
            "is_cancel_requested", "queued_by", "progress", "result", "url",
        )  # fmt: skip

    def get_queue(self, run: TaskRun) -> str:
        return run.queue or queue_of(run.name)

    def get_queued_by(self, run: TaskRun) -> str | None:
        return run.queued_by.get_username() if run.queued_by else None

    @extend_schema_field(ProgressSerializer)  # the method's field says that it may be null
    def get_progress(self, run: TaskRun) -> dict[str, Any] | None:
        progress: Progress | None = self.context["progress"].get(run.task_id)
        return None if progress is None else dict(ProgressSerializer(progress).data)

    def get_url(self, run: TaskRun) -> str:
        return run_url(run)


class TaskRunDetailSerializer(TaskRunSerializer):
    """One run with its traceback."""

    class Meta(TaskRunSerializer.Meta):
        fields = (*TaskRunSerializer.Meta.fields, "traceback")  # type: ignore[assignment]


def run_url(run: TaskRun) -> str:
    return reverse("api-task-run", args=[run.task_id])


class StartSerializer(StrictMixin):
    """A job to start."""

    name = serializers.CharField(max_length=120)
    arguments = serializers.DictField(required=False, default=dict)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=MAX_REASON, default="")


class HeartbeatSerializer(serializers.ModelSerializer[Heartbeat]):
    """One process by its last sign of life."""

    is_alive = serializers.SerializerMethodField(help_text="It gave a sign within the last minute.")
    is_busy = serializers.SerializerMethodField()

    class Meta:
        model = Heartbeat
        fields = (
            "name", "kind", "host", "pid", "version", "queues", "is_alive", "is_busy", "busy_with", "started_at", "at",
        )  # fmt: skip

    def get_is_alive(self, sign: Heartbeat) -> bool:
        return bool(self.context["now"] - sign.at <= self.context["silent_after"])

    def get_is_busy(self, sign: Heartbeat) -> bool:
        return bool(sign.busy_with)


class WorkersSerializer(serializers.Serializer[Any]):
    """The workers and beat."""

    problems = serializers.ListField(child=serializers.CharField())
    results = HeartbeatSerializer(many=True)


class QueueSerializer(serializers.Serializer[Any]):
    """One queue."""

    name = serializers.CharField()
    depth = serializers.IntegerField(help_text="Messages that no worker has taken.")
    oldest_queued_at = moment("When the run that waits longest was queued.")


class QueuesSerializer(serializers.Serializer[Any]):
    """All queues."""

    results = QueueSerializer(many=True)


class TasksSerializer(serializers.Serializer[Any]):
    """All registered jobs."""

    results = TaskSerializer(many=True)


class ScheduleEntrySerializer(serializers.Serializer[Any]):
    """One entry of the schedule."""

    name = serializers.CharField()
    task = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    is_enabled = serializers.BooleanField()
    times = serializers.CharField(help_text="When it is due, in words.")
    period_seconds = serializers.FloatField(allow_null=True, help_text="How often it is due on average.")
    last_run_at = moment()
    next_run_at = moment("Null while it is off.")


class ScheduleSerializer(serializers.Serializer[Any]):
    """The whole schedule."""

    results = ScheduleEntrySerializer(many=True)


class ScheduleChangeSerializer(StrictMixin):
    """What is to change: one of the two at least. A new period takes the place of a time of day."""

    is_enabled = serializers.BooleanField(required=False)
    period_seconds = serializers.IntegerField(
        required=False, min_value=SHORTEST_PERIOD_SECONDS, max_value=LONGEST_PERIOD_SECONDS
    )
    reason = serializers.CharField(required=False, allow_blank=True, max_length=MAX_REASON, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "is_enabled" not in attrs and "period_seconds" not in attrs:
            raise serializers.ValidationError("Give is_enabled or period_seconds.", code="required")
        return attrs
