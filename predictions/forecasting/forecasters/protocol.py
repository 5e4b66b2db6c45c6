"""What a forecaster is: something that fits on a past and then gives quantiles for rows of a panel.

Another forecaster is one file with a class of this shape, passed to `run_backtest(extra_models=[...])`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from predictions.forecasting.baselines import Scale
from predictions.forecasting.features import Features, build_features
from predictions.forecasting.recipe import Recipe
from predictions.forecasting.series import Floats, Panel
from predictions.forecasting.training import Trained, fit_baseline
from predictions.forecasting.windows import Rows

LSTM, LINEAR_HEAD, EWMA_N, FHS, PUBLISHED = "lstm", "linear", "ewma_n", "fhs", "published"

Fit = Callable[..., Trained]


@dataclass(frozen=True)
class Past:
    """What one fit may see: a `panel` that ends at the `cutoff`.

    Training runs and pooled quantiles are done once and shared by the forecasters of the same fit.
    """

    panel: Panel
    cutoff: date
    seed: int
    fit: Fit
    _trained: dict[str, Trained] = field(default_factory=dict)
    _scales: dict[str, Scale] = field(default_factory=dict)

    def trained(self, recipe: Recipe) -> Trained:
        """The network of a recipe. Imports TensorFlow; NotEnoughData when this past is too short."""
        if recipe.name not in self._trained:
            self._trained[recipe.name] = self.fit(self.panel, cutoff=self.cutoff, recipe=recipe, seed=self.seed)
        return self._trained[recipe.name]

    def scale(self, recipe: Recipe) -> Scale:
        """The pooled quantiles and the hour of day: those of a network that was trained here, else fitted now."""
        for trained in self._trained.values():
            return trained.scale
        if recipe.name not in self._scales:
            self._scales[recipe.name] = fit_baseline(build_features(self.panel, recipe), recipe)[1]
        return self._scales[recipe.name]


class Fitted(Protocol):
    """A forecaster after its fit."""

    def forecast(self, features: Features, rows: Rows) -> Floats:
        """Log-return quantiles (R, H, Q) of rows; row r may use nothing after `rows.days[r]`."""
        ...


class Model(Protocol):
    """A forecaster before its fit; `name` stands in the CSV and in the summaries."""

    name: str

    def fit(self, past: Past) -> Fitted:
        """Learn from a past and nothing else."""
        ...
