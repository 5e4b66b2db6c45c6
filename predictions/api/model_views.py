"""The endpoints about the registry: versions, cards, training, promotion, back-tests, monitoring."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from cryptopredict.rest import staff
from cryptopredict.rest.conditional import ConditionalMixin
from cryptopredict.rest.errors import ApiProblem
from cryptopredict.rest.idempotency import IdempotentMixin
from cryptopredict.rest.pagination import PageNumbers
from cryptopredict.rest.query import StrictQueryMixin
from cryptopredict.rest.schema import ErrorSerializer
from markets.api.views import PublicView
from markets.services import data_source
from predictions import monitoring, registry, tasks
from predictions.api import model_serializers as serializers
from predictions.api import parameters
from predictions.api.answers import evidence_of
from predictions.forecasting.artifact import ArtifactError
from predictions.forecasting.drift import RECENT_DAYS
from predictions.frequency import Frequency
from predictions.models import BacktestRun, ModelAlarm, ModelEvent, Prediction, TrainedModel

if TYPE_CHECKING:
    from accounts.models import User

TAGS = ["Models"]
NO_MODEL = OpenApiResponse(ErrorSerializer, description="No model serves yet.")
ROW_COLUMNS = (
    "version", "state", "origin", "frequency", "created_at", "trained_at", "promoted_at", "window_start_on",
    "cutoff_on", "coins", "rows", "reason",
)  # fmt: skip
CARD_COLUMNS = (
    *ROW_COLUMNS, "code_revision", "seed", "manifest_sha256", "dataset_sha256", "artefacts", "metrics",
)  # fmt: skip
BACKTEST_COLUMNS = (
    "id", "state", "start_on", "end_on", "queued_at", "finished_at", "done", "total", "problem", "summary",
)  # fmt: skip
BACKTESTS_SHOWN = 10
TRAINING_ENDS_WITHIN = timedelta(hours=1)  # a job's hard time limit is half of it


class ModelListView(PublicView, ListAPIView[TrainedModel]):
    """The versions of the model and their state, newest first."""

    query_class = parameters.ModelsQuery
    pagination_class = PageNumbers
    serializer_class = serializers.ModelRowSerializer
    queryset = TrainedModel.objects.all()

    @extend_schema(operation_id="list_models", summary="List models", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        models = TrainedModel.objects.filter(**self.query)
        return self.get_paginated_response(self.paginate_queryset(models.values(*ROW_COLUMNS)))


class ModelView(PublicView):
    """One model's card."""

    @extend_schema(
        operation_id="get_model", summary="Read a model's card", tags=TAGS, responses=serializers.ModelSerializer
    )
    def get(self, request: Request, version: str) -> Response:
        return Response(card_of(get_model(version)))


def get_model(version: str) -> TrainedModel:
    """The model, or 404; a version with a NUL character never reaches the database, which would refuse it."""
    model = None if "\x00" in version else TrainedModel.objects.filter(version=version).first()
    if model is None:
        raise NotFound(f"There is no model {version}.")
    return model


def card_of(model: TrainedModel) -> dict[str, Any]:
    issued = Prediction.objects.filter(model=model).aggregate(
        n_predictions=Count("id"), n_scored=Count("id", filter=Q(state=Prediction.State.SCORED))
    )
    return {
        **{name: getattr(model, name) for name in CARD_COLUMNS},
        **issued,
        "events": [event_of(event) for event in model.events.all()],
        "backtests": list(model.backtests.values(*BACKTEST_COLUMNS)[:BACKTESTS_SHOWN]),
        "data_source": data_source(),
    }


def event_of(event: ModelEvent) -> dict[str, Any]:
    """Who of the staff it was stays inside the house."""
    return {"kind": event.kind, "at": event.at, "by": "staff" if event.by_id else "job", "reason": event.reason}


class StaffView(StrictQueryMixin):
    """For staff only, and strict about its parameters."""

    permission_classes = (IsAdminUser,)

    def read(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)

    @property
    def actor(self) -> "User":
        return cast("User", self.request.user)


def conflict(message: str, code: str = "conflict") -> ApiProblem:
    return ApiProblem(code, message, status.HTTP_409_CONFLICT)


class TrainView(IdempotentMixin, StaffView):
    """Queues the training of a new model; it never becomes the champion unless its validation says so."""

    @extend_schema(
        operation_id="train_model", summary="Train a model", tags=TAGS, request=serializers.TrainSerializer,
        responses={202: staff.QueuedSerializer},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        options = self.read(serializers.TrainSerializer)
        if "frequency" in options:
            options["frequency"] = options["frequency"].word
        since = timezone.now() - TRAINING_ENDS_WITHIN
        if TrainedModel.objects.filter(state=TrainedModel.State.TRAINING, created_at__gte=since).exists():
            raise conflict("A training is under way.")
        return staff.queue(request, tasks.train_model.name, options, action="model.train", target="")


class StepView(IdempotentMixin, StaffView):
    """A step of one model in the registry, with a reason."""

    name = ""  # of the step in the audit log

    def take(self, model: TrainedModel, reason: str) -> None:
        raise NotImplementedError

    def step(self, version: str) -> Response:
        model = get_model(version)
        reason = self.read(serializers.StepReasonSerializer)["reason"]
        try:
            with transaction.atomic():
                self.take(model, reason)
                staff.record(self.request, self.name, version, reason=reason)
        except registry.PromotionRefused as refusal:
            raise conflict(str(refusal)) from None
        except ArtifactError as problem:
            raise conflict(f"Its files are not good: {problem}.", "bad_artefact") from None
        model.refresh_from_db()
        return Response(card_of(model))


STEP: dict[str, Any] = {
    "tags": TAGS, "request": serializers.StepReasonSerializer, "responses": {200: serializers.ModelSerializer},
}  # fmt: skip


class PromoteView(StepView):
    """Makes a model the champion; its files are checked first. Of several at once one wins, the others get 409."""

    name = "model.promote"

    def take(self, model: TrainedModel, reason: str) -> None:
        registry.promote(model=model, reason=reason, by=self.actor)

    @extend_schema(operation_id="promote_model", summary="Promote a model", **STEP)
    def post(self, request: Request, version: str) -> Response:
        return self.step(version)


class RollbackView(StepView):
    """Takes the champion back; the champion before it serves again. Answers with the one that was taken back."""

    name = "model.rollback"

    def take(self, model: TrainedModel, reason: str) -> None:
        registry.rollback(model=model, reason=reason, by=self.actor)

    @extend_schema(operation_id="roll_back_model", summary="Roll back the champion", **STEP)
    def post(self, request: Request, version: str) -> Response:
        return self.step(version)


class BacktestView(IdempotentMixin, StaffView):
    """Queues a walk-forward back-test of a model's recipe and seed; its card keeps the summary."""

    @extend_schema(
        operation_id="backtest_model",
        summary="Back-test a model",
        tags=TAGS,
        request=serializers.BacktestRequestSerializer,
        responses={202: staff.QueuedSerializer},
    )
    def post(self, request: Request, version: str) -> Response:
        model = get_model(version)
        period = self.read(serializers.BacktestRequestSerializer)
        if not TrainedModel.objects.usable().filter(pk=model.pk).exists():
            raise conflict(f"A model that is {model.get_state_display().lower()} cannot be back-tested.")
        with transaction.atomic():
            run = BacktestRun.objects.create(model=model, **period)
            arguments = {"run_id": run.pk}
            return staff.queue(request, tasks.run_backtest.name, arguments, action="model.backtest", target=version)


class MonitoringView(ConditionalMixin, StaffView):
    """Live coverage, skill and drift of a champion against its validation, its challengers, and the alarms."""

    query_class = parameters.FrequencyQuery

    @extend_schema(
        operation_id="get_model_monitoring",
        summary="Read the champion's monitoring",
        tags=TAGS,
        responses={200: serializers.MonitoringSerializer, 404: NO_MODEL},
    )
    def get(self, request: Request) -> Response:
        found = monitoring.monitor(frequency=self.query.get("frequency", Frequency.DAY))
        if found is None:
            raise NotFound("No model serves yet.")
        return Response(monitoring_of(found))


def monitoring_of(found: monitoring.Monitoring) -> dict[str, Any]:
    columns = found.frequency.columns
    return {
        "as_of": timezone.now(),
        "frequency": found.frequency.value,
        "model": found.model.version,
        "cutoff_on": found.model.cutoff_on,
        "age_days": found.age_days,
        "max_age_days": found.max_age_days,
        "stopped_because": found.stopped_because,
        "drift": {
            "mean_psi": found.mean_psi, "warn_at": monitoring.WARN_PSI, "stop_at": monitoring.STOP_PSI,
            "days": RECENT_DAYS, "psi": found.psi,
        },
        "horizons": [watch_of(one) | columns(one.horizon) for one in found.horizons],
        "challengers": [
            {
                "version": model.version,
                "since": model.promoted_at,
                "horizons": [{**columns(h), "live": evidence_of(live)} for h, live in horizons],
            }
            for model, horizons in found.shadows
        ],
        "alarms": [alarm_of(alarm) for alarm in found.alarms],
        "data_source": data_source(),
    }  # fmt: skip


def watch_of(one: monitoring.HorizonWatch) -> dict[str, Any]:
    return {
        "live": evidence_of(one.live), "validation": one.validation,
        "is_coverage_80_off": one.is_coverage_80_off, "is_coverage_95_off": one.is_coverage_95_off,
    }  # fmt: skip


def alarm_of(alarm: ModelAlarm) -> dict[str, Any]:
    nowhere = {"horizon_days": None, "horizon_hours": None}
    span = Frequency(alarm.model.frequency).columns(alarm.horizon) if alarm.horizon else nowhere
    return {
        "model": alarm.model.version, "kind": alarm.kind, **span,
        "message": alarm.message, "stops_headline": alarm.stops_headline, "raised_at": alarm.raised_at,
        "resolved_at": alarm.resolved_at,
    }  # fmt: skip
