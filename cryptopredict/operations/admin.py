"""Runs of jobs, signs of life and the audit log in the admin: to be read, never written by hand."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from cryptopredict.operations import schedule_admin  # noqa: F401  (registers the schedule)
from cryptopredict.operations.models import AuditEntry, Heartbeat, TaskRun


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows that the site writes; staff look at them."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TaskRun)
class TaskRunAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "queue", "queued_at", "started_at", "finished_at", "deliveries", "queued_by")
    list_filter = ("state", "name", "queue", "queued_at")
    list_select_related = ("queued_by",)
    search_fields = ("task_id", "name", "result")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "host", "pid", "version", "queues", "started_at", "at")
    list_filter = ("kind",)
    search_fields = ("name", "host")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "target", "reason", "channel")
    list_filter = ("channel", "action", "at")
    search_fields = ("actor", "action", "target", "reason")
    date_hierarchy = "at"
