"""The markets app."""

from django.apps import AppConfig


class MarketsConfig(AppConfig):
    name = "markets"

    def ready(self) -> None:
        from cryptopredict.rest import changes
        from markets.models import Cryptocurrency, PriceData

        changes.watch(Cryptocurrency, PriceData)
