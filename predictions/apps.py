"""The predictions app."""

from django.apps import AppConfig


class PredictionsConfig(AppConfig):
    name = "predictions"

    def ready(self) -> None:
        from cryptopredict.rest import changes
        from predictions.models import ForecastRefusal, ModelAlarm, Prediction, TrainedModel

        changes.watch(ForecastRefusal, ModelAlarm, Prediction, TrainedModel)
