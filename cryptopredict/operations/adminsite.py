"""The admin of this site: whatever staff do in it is written to the audit log, whoever wrote the page."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from cryptopredict.operations import audit

MAX_TARGETS = 50  # named in an entry's detail; the count stands beside them

Action = Callable[[Any, HttpRequest, QuerySet[Any]], Any]


class AuditedAdmin(admin.ModelAdmin[Any]):
    """Put before every registered ModelAdmin: its changes and its actions leave an entry each."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record_change(request, "admin.add", obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record_change(request, "admin.change", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            _record_change(request, "admin.delete", obj, [])
        return super().log_deletions(request, queryset)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        return {name: (audited(function, name), name, title) for name, (function, _, title) in actions.items()}


def audited(function: Action, name: str) -> Action:
    """The action in one transaction with its entry; deleting is left to `log_deletions`, after it was confirmed."""
    if name == "delete_selected":
        return function

    @wraps(function)
    def act(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        with transaction.atomic():
            targets = [str(pk) for pk in queryset.order_by("pk").values_list("pk", flat=True)]
            response = function(model_admin, request, queryset)
            audit.record(
                request.user,
                f"admin.{name}",
                f"{queryset.model._meta.label_lower} ({len(targets)} rows)",
                detail={"count": len(targets), "ids": targets[:MAX_TARGETS]},
                channel=audit.Channel.ADMIN,
            )
            return response

    return act


def _record_change(request: HttpRequest, action: str, obj: Model, message: Any) -> None:
    target = f"{obj._meta.label_lower} {obj.pk}: {obj}"
    detail = {"message": message} if message else {}
    audit.record(request.user, action, target, detail=detail, channel=audit.Channel.ADMIN)


class Site(admin.AdminSite):
    """Registers each ModelAdmin behind AuditedAdmin."""

    site_header = "CryptoPredict"
    site_title = "CryptoPredict admin"

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[admin.ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        base = admin_class or admin.ModelAdmin
        names = {"__module__": base.__module__, "__doc__": base.__doc__}
        audited_class = type(base.__name__, (AuditedAdmin, base), names)
        super().register(model_or_iterable, audited_class, **options)
