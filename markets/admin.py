"""Coins, prices and sync runs in the admin."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.utils import timezone

from markets import tasks
from markets.counting import EstimatedPaginator
from markets.models import Cryptocurrency, DataFault, PriceData, RejectedPoint, Restatement, SyncRun
from markets.quality.quarantine import NotPossible, release_quarantine, resolve_fault
from markets.services import track_coins, untrack_coins


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows that only jobs write; staff look at them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Cryptocurrency)
class CryptocurrencyAdmin(admin.ModelAdmin[Cryptocurrency]):
    list_display = (
        "market_cap_rank", "name", "symbol", "coingecko_id", "price_usd", "change_24h_percent", "price_at",
        "is_tracked", "is_listed", "history_synced_at", "history_problem",
    )  # fmt: skip
    list_display_links = ("name",)
    list_filter = ("is_tracked", "is_listed", "history_synced_at")
    search_fields = ("coingecko_id", "symbol", "name")
    list_per_page = 50
    actions = ("sync_now", "sync_all_now", "track", "untrack")
    fieldsets = (
        (None, {"fields": ("coingecko_id", "symbol", "name", "is_tracked", "is_listed")}),
        (
            "Latest",
            {"fields": ("market_cap_rank", "price_usd", "price_at", "market_cap_usd", "volume_24h_usd")},
        ),
        ("History", {"fields": ("history_synced_at", "history_problem")}),
    )
    readonly_fields = (
        "market_cap_rank", "price_usd", "price_at", "market_cap_usd", "volume_24h_usd", "is_listed",
        "history_synced_at", "history_problem",
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Cryptocurrency | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "coingecko_id") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Cryptocurrency | None = None) -> bool:
        return False  # untrack instead: history and forecasts stay

    @admin.action(description="Sync now: prices and history of the chosen coins", permissions=["change"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[Cryptocurrency]) -> None:
        for coingecko_id in queryset.values_list("coingecko_id", flat=True):
            tasks.sync_specific_cryptocurrency.delay(coingecko_id)
        messages.success(request, f"{queryset.count()} coins are queued for a sync.")

    @admin.action(description="Sync the prices of all tracked coins now", permissions=["change"])
    def sync_all_now(self, request: HttpRequest, queryset: QuerySet[Cryptocurrency]) -> None:
        tasks.sync_all_prices.delay()
        messages.success(request, "A price sync is queued.")

    @admin.action(description="Track the chosen coins", permissions=["change"])
    def track(self, request: HttpRequest, queryset: QuerySet[Cryptocurrency]) -> None:
        messages.success(request, f"{track_coins(coins=queryset)} coins are tracked now.")

    @admin.action(description="Stop tracking the chosen coins (their history stays)", permissions=["change"])
    def untrack(self, request: HttpRequest, queryset: QuerySet[Cryptocurrency]) -> None:
        messages.success(request, f"{untrack_coins(coins=queryset)} coins are no longer tracked.")


@admin.register(PriceData)
class PriceDataAdmin(ReadOnlyAdmin):
    list_display = (
        "coin",
        "interval",
        "at",
        "open",
        "high",
        "low",
        "close",
        "volume_24h",
        "market_cap",
        "samples",
        "is_quarantined",
    )
    list_filter = ("interval", "is_quarantined", "at")
    search_fields = ("coin__coingecko_id", "coin__symbol", "coin__name")
    list_select_related = ("coin",)
    # The last ones written come first: by their times, millions of rows would be sorted for each page.
    ordering = ("-pk",)
    paginator = EstimatedPaginator
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriceData]:
        return super().get_queryset(request).defer("coin__sparkline_7d")


class IsOpenFilter(admin.SimpleListFilter):
    """Faults that stand open, or that were resolved."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[DataFault]) -> QuerySet[DataFault]:
        if self.value() in {"open", "resolved"}:
            return queryset.filter(resolved_at__isnull=self.value() == "open")
        return queryset


class DecisionForm(ActionForm):
    """The reason that goes with a decision about faults."""

    reason = forms.CharField(required=False, max_length=200)


@admin.register(DataFault)
class DataFaultAdmin(ReadOnlyAdmin):
    list_display = (
        "coin", "interval", "kind", "start_at", "end_at", "slots", "detail", "found_at", "resolved_at", "resolution",
    )  # fmt: skip
    list_filter = (IsOpenFilter, "kind", "interval", "found_at")
    search_fields = ("coin__coingecko_id", "coin__symbol", "coin__name", "detail")
    list_select_related = ("coin",)
    list_per_page = 50
    show_full_result_count = False
    action_form = DecisionForm
    actions = ("release_from_quarantine", "mark_resolved")

    def has_delete_permission(self, request: HttpRequest, obj: DataFault | None = None) -> bool:
        return False  # a decision is kept: the hourly check asks for it

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "has_perm", lambda _: False)("markets.change_datafault"))

    @admin.action(description="Release from quarantine, for good", permissions=["decide"])
    def release_from_quarantine(self, request: HttpRequest, queryset: QuerySet[DataFault]) -> None:
        self.decide(request, queryset, release_quarantine, "released from quarantine")

    @admin.action(description="Mark as resolved, for good", permissions=["decide"])
    def mark_resolved(self, request: HttpRequest, queryset: QuerySet[DataFault]) -> None:
        self.decide(request, queryset, resolve_fault, "marked as resolved")

    def decide(
        self, request: HttpRequest, queryset: QuerySet[DataFault], service: Callable[..., object], words: str
    ) -> None:
        """Applies a service to each fault, and says what was not possible."""
        reason = request.POST.get("reason", "").strip()[:200]
        if not reason:
            messages.error(request, "Give a reason: it stays with the decision. Nothing was changed.")
            return
        done = 0
        for fault in queryset:
            try:
                service(fault=fault, reason=reason, by=str(request.user), now=timezone.now())
            except NotPossible as error:
                messages.warning(request, f"{fault}: {error}")
            else:
                done += 1
                self.log_change(request, fault, f"{words}: {reason}")
        if done:
            messages.success(request, f"{done} fault{pluralize(done)} {words}.")


@admin.register(Restatement)
class RestatementAdmin(ReadOnlyAdmin):
    list_display = ("coin", "interval", "at", "field", "old_value", "new_value", "stated_by", "seen_at")
    list_filter = ("interval", "field", "stated_by", "seen_at")
    search_fields = ("coin__coingecko_id", "coin__symbol", "coin__name")
    list_select_related = ("coin",)
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Restatement | None = None) -> bool:
        return False


class RejectedPointInline(admin.TabularInline[RejectedPoint, SyncRun]):
    model = RejectedPoint
    extra = 0
    can_delete = False
    fields = readonly_fields = ("coingecko_id", "reason", "value", "seen_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    list_display = (
        "kind", "state", "started_at", "duration", "done", "total", "calls", "rows_written", "rows_rejected", "problem",
    )  # fmt: skip
    list_filter = ("kind", "state", "started_at")
    search_fields = ("problem",)
    show_full_result_count = False
    inlines = (RejectedPointInline,)

    @admin.display(description="Duration")
    def duration(self, run: SyncRun) -> str:
        return f"{(run.finished_at - run.started_at).total_seconds():.1f} s" if run.finished_at else "—"


@admin.register(RejectedPoint)
class RejectedPointAdmin(ReadOnlyAdmin):
    list_display = ("seen_at", "coingecko_id", "reason", "value", "run")
    list_filter = ("reason", "seen_at")
    search_fields = ("coingecko_id", "reason")
    list_select_related = ("run",)
    show_full_result_count = False
