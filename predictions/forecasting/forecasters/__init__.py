"""Everything that a back-test compares, each in a file of its own: fit on a past, forecast rows."""

from collections.abc import Mapping

from predictions.forecasting.forecasters.bands import Band
from predictions.forecasting.forecasters.naive import EwmaN, Fhs
from predictions.forecasting.forecasters.protocol import EWMA_N, FHS, LINEAR_HEAD, LSTM, Model
from predictions.forecasting.recipe import RECIPES


def standard_models(frequency: str) -> Mapping[str, Model]:
    """The forecasters of a frequency by name, in the order in which they are fitted."""
    lstm, linear = RECIPES[frequency]
    models: list[Model] = [Band(LSTM, lstm), Band(LINEAR_HEAD, linear), EwmaN(EWMA_N, lstm), Fhs(FHS, lstm)]
    return {model.name: model for model in models}
