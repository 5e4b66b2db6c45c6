"""The operations app: how the running site is watched and steered."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "cryptopredict.operations"
    label = "operations"
