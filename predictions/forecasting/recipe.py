"""The choices a forecaster is trained by, as one value that is stored beside its weights."""

from dataclasses import asdict, dataclass
from typing import Any

from predictions.forecasting.quantiles import HORIZONS, LEVELS


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run besides its data, its cutoff and its seed.

    `lstm_units=0` leaves the LSTM out: the linear baseline. `training_share` is the share of the windows that
    an epoch draws; `scale_years` is how much history the pooled quantiles are taken from.
    """

    name: str
    lstm_units: int
    window: int = 60
    dropout: float = 0.3
    lstm_head_l2: float = 3e-3
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    gradient_clip_norm: float = 1.0
    batch_size: int = 512
    epochs: int = 4
    training_share: float = 1 / 3
    target_clip: float = 12.0
    scale_years: float = 4.0
    horizons: tuple[int, ...] = HORIZONS
    levels: tuple[float, ...] = LEVELS

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Rebuild a recipe from `as_dict`; TypeError for unknown or missing names."""
        values = dict(values)
        values["horizons"] = tuple(int(h) for h in values["horizons"])
        values["levels"] = tuple(float(level) for level in values["levels"])
        return cls(**values)


DAILY = Recipe(name="lstm-daily", lstm_units=16)
LINEAR = Recipe(name="linear-daily", lstm_units=0)
