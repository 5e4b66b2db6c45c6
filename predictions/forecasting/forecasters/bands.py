"""The trained forecasters: the LSTM, and the linear head without it."""

from dataclasses import dataclass

from predictions.forecasting.baselines import Scale
from predictions.forecasting.features import Features
from predictions.forecasting.forecasters.protocol import Past
from predictions.forecasting.recipe import Recipe
from predictions.forecasting.series import Floats
from predictions.forecasting.serving import BandNetwork
from predictions.forecasting.windows import Rows


@dataclass
class Band:
    """A band network of a recipe, served through ONNX Runtime as the site serves it."""

    name: str
    recipe: Recipe

    def fit(self, past: Past) -> "FittedBand":
        """Trains the network."""
        trained = past.trained(self.recipe)
        return FittedBand(BandNetwork(trained.onnx, trained.recipe), trained.scale)


@dataclass(frozen=True)
class FittedBand:
    """A trained band network and its scale."""

    network: BandNetwork
    scale: Scale

    def forecast(self, features: Features, rows: Rows) -> Floats:
        """Log-return quantiles (R, H, Q)."""
        return self.network.log_quantiles(features, rows, self.scale)
