"""The naive forecasters: EWMA-N and FHS."""

from dataclasses import dataclass

from predictions.forecasting import baselines
from predictions.forecasting.baselines import Scale
from predictions.forecasting.features import Features
from predictions.forecasting.forecasters.protocol import Past
from predictions.forecasting.recipe import Recipe
from predictions.forecasting.series import Floats
from predictions.forecasting.windows import Rows


@dataclass
class EwmaN:
    """Random walk with a normal band; there is nothing to fit."""

    name: str
    recipe: Recipe

    def fit(self, past: Past) -> "EwmaN":
        """Itself."""
        return self

    def forecast(self, features: Features, rows: Rows) -> Floats:
        """Log-return quantiles (R, H, Q)."""
        sigma = features.sigma_ewma[rows.days, rows.coins]
        return baselines.ewma_n(sigma, self.recipe.horizons, self.recipe.levels)


@dataclass
class Fhs:
    """Random walk with the pooled empirical shape of past moves, by hour of day on hourly prices."""

    name: str
    recipe: Recipe

    def fit(self, past: Past) -> "FittedFhs":
        """Pools the quantiles of what had settled."""
        return FittedFhs(self.recipe, past.scale(self.recipe))


@dataclass(frozen=True)
class FittedFhs:
    """FHS with its pooled quantiles."""

    recipe: Recipe
    scale: Scale

    def forecast(self, features: Features, rows: Rows) -> Floats:
        """Log-return quantiles (R, H, Q)."""
        sigma = features.sigma[rows.days, rows.coins]
        return self.scale.quantiles(sigma, features.phases[rows.days], self.recipe.horizons)
