"""The questions asked of the registry and of the ledger."""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models

from predictions.frequency import Frequency

if TYPE_CHECKING:
    from markets.models import Cryptocurrency
    from predictions.models import ModelAlarm, Prediction, TrainedModel  # noqa: F401  (named in the bases below)


class TrainedModelQuerySet(models.QuerySet["TrainedModel"]):
    def serving(self, frequency: str = Frequency.DAY) -> "TrainedModel | None":
        """The one model of a frequency whose forecasts are published, if there is one."""
        return self.filter(state="serving", frequency=frequency).first()

    def usable(self) -> Self:
        return self.filter(state__in=["candidate", "shadow", "serving", "retired"])

    def shadows(self, frequency: str = Frequency.DAY) -> Self:
        """Challengers that run beside the champion of a frequency, the longest running first."""
        return self.filter(state="shadow", frequency=frequency).order_by("promoted_at", "pk")


class ModelAlarmQuerySet(models.QuerySet["ModelAlarm"]):
    def unresolved(self) -> Self:
        return self.filter(resolved_at__isnull=True)

    def stopping(self, model: "TrainedModel") -> Self:
        """Why a model is not the headline just now, whatever its record says."""
        return self.unresolved().filter(model=model, stops_headline=True)


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def for_coin(self, coin: "Cryptocurrency") -> Self:
        return self.filter(coin=coin)

    def open(self) -> Self:
        return self.filter(state="open")

    def scored(self) -> Self:
        return self.filter(state="scored")

    def due(self, now: datetime) -> Self:
        """Open forecasts whose day has come, oldest first."""
        return self.open().filter(target_at__lte=now).order_by("target_at", "sequence")

    def published(self) -> Self:
        """Forecasts of champions; a challenger's are in the ledger too, but nobody is shown them as the headline."""
        return self.filter(is_shadow=False)

    def evidence(self) -> Self:
        """Scored forecasts that were published in time; only these make the record."""
        return self.published().in_time()

    def in_time(self) -> Self:
        """Scored forecasts that were written in time, those of challengers among them."""
        return self.scored().filter(counts_as_evidence=True)

    def of(self, frequency: str) -> Self:
        """Forecasts from the prices of one frequency."""
        return self.filter(frequency=frequency)

    def at_horizon(self, frequency: str, horizon: int) -> Self:
        """Forecasts of one frequency at one horizon in its own unit."""
        return self.of(frequency).filter(horizon_hours=horizon * Frequency(frequency).hours)

    def with_model(self) -> Self:
        """With the model that made each, but without its long figures."""
        return self.select_related("model").defer("model__metrics", "model__reference")

    def evidence_of(self, model: "TrainedModel | int") -> Self:
        """One model's scored forecasts that were written in time, those of its time in shadow among them."""
        return self.in_time().filter(model=model)

    def latest_fan(self, coin: "Cryptocurrency", frequency: str = Frequency.DAY) -> Self:
        """The horizons of the coin's newest issue, by the newest model at that cutoff, shortest first."""
        newest = (
            self.published()
            .of(frequency)
            .filter(coin=coin)
            .order_by("-cutoff_at", "-sequence")
            .values("cutoff_at", "model_id")
            .first()
        )
        if newest is None:
            return self.none()
        return self.of(frequency).filter(coin=coin, **newest).order_by("horizon_hours")
