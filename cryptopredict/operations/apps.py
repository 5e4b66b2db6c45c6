"""The operations app: how the running site is watched and steered."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "cryptopredict.operations"
    label = "operations"

    def ready(self) -> None:
        from cryptopredict.operations import signals  # noqa: F401  (connects its receivers)
        from cryptopredict.rest import staff

        staff.install("cryptopredict.operations.api.staff.ApiServices")
