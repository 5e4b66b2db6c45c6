"""The registry and the ledger in the admin."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from markets.counting import EstimatedPaginator
from predictions import registry, tasks
from predictions.forecasting.artifact import ArtifactError
from predictions.models import BacktestRun, ForecastRefusal, ModelAlarm, ModelEvent, Prediction, TrainedModel

if TYPE_CHECKING:
    from accounts.models import User


def acting_user(request: HttpRequest) -> "User | None":
    return request.user if request.user.is_authenticated else None


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows that are written by jobs only and never by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TrainedModel)
class TrainedModelAdmin(ReadOnlyAdmin):
    list_display = (
        "version", "frequency", "state", "origin", "cutoff_on", "trained_at", "promoted_at", "coins", "rows",
        "progress", "reason",
    )  # fmt: skip
    list_filter = ("frequency", "state", "origin")
    search_fields = ("version", "reason", "problem")
    actions = ("train_now", "activate", "issue_now")

    @admin.display(description="Progress")
    def progress(self, model: TrainedModel) -> str:
        return f"{model.done} of {model.total}" if model.state == TrainedModel.State.TRAINING else ""

    @admin.action(description="Train a new model now (the choice of rows does not matter)", permissions=["view"])
    def train_now(self, request: HttpRequest, queryset: QuerySet[TrainedModel]) -> None:
        tasks.train_model.delay()
        messages.success(request, "A training is queued; the new model appears in this list.")

    @admin.action(description="Activate the chosen model", permissions=["view"])
    def activate(self, request: HttpRequest, queryset: QuerySet[TrainedModel]) -> None:
        if queryset.count() != 1:
            messages.error(request, "Choose exactly one model to activate. Nothing was changed.")
            return
        model = queryset.get()
        try:
            registry.promote(model=model, reason="Activated in the admin.", by=acting_user(request))
        except (registry.PromotionRefused, ArtifactError) as error:
            messages.error(request, f"{model} was not activated: {error}")
            return
        messages.success(request, f"{model} serves now.")

    @admin.action(description="Issue today's forecasts now", permissions=["view"])
    def issue_now(self, request: HttpRequest, queryset: QuerySet[TrainedModel]) -> None:
        tasks.issue_forecasts.delay()
        messages.success(request, "An issue of forecasts is queued.")


class ModelFilter(admin.RelatedFieldListFilter):
    """Models by their versions alone: each one's figures are long, and there are many models."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        return list(TrainedModel.objects.values_list("pk", "version"))


@admin.register(Prediction)
class PredictionAdmin(ReadOnlyAdmin):
    list_display = (
        "sequence", "coin", "horizon_name", "cutoff_at", "target_at", "state", "headline", "label", "is_hit_80",
        "crps", "crps_fhs", "counts_as_evidence", "is_shadow", "model",
    )  # fmt: skip
    list_filter = (
        "state",
        "frequency",
        "horizon_hours",
        "headline",
        "counts_as_evidence",
        "is_shadow",
        "is_hit_80",
        ("model", ModelFilter),
        "cutoff_at",
    )
    search_fields = ("coin__coingecko_id", "coin__symbol", "coin__name", "row_hash")
    list_select_related = ("coin", "model")
    actions = ("score_now",)
    paginator = EstimatedPaginator
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        long = ("coin__sparkline_7d", "model__metrics", "model__reference", "model__artefacts")
        return super().get_queryset(request).defer(*long)

    @admin.action(description="Score all due forecasts now", permissions=["view"])
    def score_now(self, request: HttpRequest, queryset: QuerySet[Prediction]) -> None:
        tasks.score_due_forecasts.delay()
        messages.success(request, "A scoring of all due forecasts is queued.")


@admin.register(ForecastRefusal)
class ForecastRefusalAdmin(ReadOnlyAdmin):
    list_display = ("coin", "frequency", "reason", "checked_at")
    list_filter = ("frequency",)
    search_fields = ("coin__coingecko_id", "coin__name", "reason")
    list_select_related = ("coin",)


@admin.register(ModelEvent)
class ModelEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "model", "kind", "by", "reason")
    list_filter = ("kind",)
    search_fields = ("model__version", "reason")
    list_select_related = ("model", "by")


@admin.register(ModelAlarm)
class ModelAlarmAdmin(ReadOnlyAdmin):
    list_display = ("raised_at", "model", "kind", "horizon", "message", "stops_headline", "resolved_at")
    list_filter = ("kind", "stops_headline")
    search_fields = ("model__version", "message")
    list_select_related = ("model",)


@admin.register(BacktestRun)
class BacktestRunAdmin(ReadOnlyAdmin):
    list_display = ("queued_at", "model", "start_on", "end_on", "state", "done", "total", "finished_at", "problem")
    list_filter = ("state",)
    search_fields = ("model__version", "problem")
    list_select_related = ("model",)
