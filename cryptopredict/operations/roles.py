"""What each role of staff may do in the admin; kept so after every migration."""

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

# Which permissions each role has, by the label of the app they are about.
OPERATED = ("markets", "predictions", "operations", "django_celery_beat")
ROLES: dict[str, Q] = {
    "support": Q(content_type__app_label="accounts", codename="view_user"),
    "operator": Q(content_type__app_label__in=OPERATED),
    "administrator": Q(content_type__app_label__in=[*OPERATED, "accounts", "account", "portfolios"]),
}


def grant_permissions(app_config: AppConfig, using: str = "default", **kwargs: Any) -> None:
    """Gives the roles their permissions on one app's models, just after Django has created those permissions."""
    groups = {group.name: group for group in Group.objects.using(using).filter(name__in=ROLES)}
    for name, group in groups.items():
        wanted = Permission.objects.using(using).filter(ROLES[name], content_type__app_label=app_config.label)
        group.permissions.add(*missing(group, wanted))


def missing(group: Group, wanted: Any) -> Iterator[Permission]:
    held = set(group.permissions.values_list("pk", flat=True))
    return (permission for permission in wanted if permission.pk not in held)
