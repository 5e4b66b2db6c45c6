"""Joint residuals: what all coins did on the same past dates, in units of each one's own scale.

A portfolio's band needs moves that happened together. Draw a date, take each coin's residual, turn its rank
among that coin's (or all) residuals into a level, and read that level from the coin's published quantiles: the
coins keep their bands and the dates keep their correlation (a Gaussian-free copula, as FHS is for one coin).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.baselines import Scale
from predictions.forecasting.features import Features
from predictions.forecasting.recipe import Recipe
from predictions.forecasting.series import Dates, Floats
from predictions.forecasting.windows import Rows, targets


@dataclass(frozen=True)
class JointResiduals:
    """Standardised residuals y/(sigma·√h·season) of one horizon: `values` (T, N) float32, NaN where unknown.

    `cutoffs` (T,) are the moments from which the moves started; all had ended by the forecast's own cutoff.
    """

    horizon: int
    cutoffs: Dates
    coins: list[str]
    values: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """A compressed npz: about 0.5 MB for 200 coins and four years of days."""
        data = io.BytesIO()
        np.savez_compressed(
            data,
            horizon=np.array(self.horizon),
            cutoffs=self.cutoffs.astype("datetime64[h]").astype(np.int64),
            unit=np.array(np.datetime_data(self.cutoffs.dtype)[0]),
            coins=np.array(self.coins),
            values=self.values,
        )
        return data.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "JointResiduals":
        """What `to_bytes` wrote; ValueError or KeyError for anything else."""
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            cutoffs = kept["cutoffs"].astype("datetime64[h]").astype(f"datetime64[{kept['unit']}]")
            return cls(int(kept["horizon"]), cutoffs, [str(coin) for coin in kept["coins"]], kept["values"])


def joint_residuals(
    features: Features, recipe: Recipe, scale: Scale, *, horizon: int, coins: Sequence[str]
) -> JointResiduals:
    """Residuals of the last `scale_years` of features that end at the cutoff; ValueError for an unknown horizon."""
    last = len(features.dates) - 1
    first = max(0, last + 1 - recipe.scale_steps)
    steps = np.arange(first, max(first, last - horizon + 1))
    columns = np.array([features.coins.index(coin) for coin in coins], dtype=np.int64)
    rows = Rows(np.repeat(steps, len(columns)), np.tile(columns, len(steps)))
    y = targets(features.prices, rows, (horizon,), cutoff_day=last)[:, 0]
    widths: Floats = scale.widths(features.sigma[rows.days, rows.coins], features.phases[rows.days], recipe.horizons)
    known = np.where(features.eligible[rows.days, rows.coins], y / widths[:, recipe.horizons.index(horizon)], np.nan)
    values = known.astype(np.float32).reshape(len(steps), len(columns))
    return JointResiduals(horizon, features.dates[steps], list(coins), values)
