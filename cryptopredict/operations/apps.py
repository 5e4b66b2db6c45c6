"""The operations app: how the running site is watched and steered."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OperationsConfig(AppConfig):
    name = "cryptopredict.operations"
    label = "operations"

    def ready(self) -> None:
        from cryptopredict.operations import checks, roles, signals  # noqa: F401  (register themselves)
        from cryptopredict.rest import staff

        staff.install("cryptopredict.operations.api.staff.ApiServices")
        post_migrate.connect(roles.grant_permissions, dispatch_uid="operations.roles")
