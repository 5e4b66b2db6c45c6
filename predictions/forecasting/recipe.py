"""The choices a forecaster is trained by, as one value that is stored beside its weights."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from predictions.forecasting.frequency import FREQUENCIES, Frequency
from predictions.forecasting.quantiles import HORIZONS, LEVELS


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run besides its data, its cutoff and its seed.

    Times are in steps of `frequency`. `decays` are the four λ of the variances, fastest first; the base
    variance is `base_share` of the second plus the rest of the third, and EWMA-N has its own `ewma_decay`.
    `range_steps` and `move_steps` are the spans of the range and move features, `breadth_decays` the λ of the
    market's mean move (none in recipes before them), `calendar` is the one-hot feature. `candle_decays` are the λ
    of the variance realised within the steps, the last one the slow mean that the others are held against; a recipe
    that has them has one tower more, for rows whose candles are known. `lstm_units=0` leaves the LSTM out: the linear
    baseline. `towers` networks, each with a loss of its own, are averaged inside one graph, so that a forecast depends
    less on the seed. `training_share` is the share of the windows that an epoch draws; `weight_by_sigma` weighs each
    row's loss by its scale, as CRPS of log-returns does;
    `scale_years` is how much history the pooled quantiles are taken from. A `symmetric` network leaves out their
    lean: which way a market went for years says nothing about where it goes.
    """

    name: str
    lstm_units: int
    towers: int = 1
    frequency: str = "daily"
    decays: tuple[float, ...] = (0.75, 0.94, 0.985, 0.995)
    base_share: float = 0.65
    ewma_decay: float = 0.94
    range_steps: tuple[int, ...] = ()
    move_steps: tuple[int, ...] = ()
    breadth_decays: tuple[float, ...] = ()
    candle_decays: tuple[float, ...] = ()
    calendar: str = "weekday"
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
    weight_by_sigma: bool = False
    scale_years: float = 4.0
    symmetric: bool = False
    horizons: tuple[int, ...] = HORIZONS
    levels: tuple[float, ...] = LEVELS

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Rebuild a recipe from `as_dict`; TypeError for unknown or missing names."""
        values = dict(values)
        for name in ("levels", "decays", "breadth_decays", "candle_decays"):
            values[name] = tuple(map(float, values.get(name, getattr(cls, name))))
        for name in ("horizons", "range_steps", "move_steps"):
            values[name] = tuple(map(int, values.get(name, getattr(cls, name))))
        return cls(**values)

    @property
    def steps(self) -> Frequency:
        """What a step is; KeyError for an unknown frequency."""
        return FREQUENCIES[self.frequency]

    @property
    def scale_steps(self) -> int:
        """How many steps of history the pooled quantiles are taken from."""
        return self.steps.days(self.scale_years * 365.25)


DAILY = Recipe(
    name="lstm-daily",
    lstm_units=16,
    towers=3,
    range_steps=(2, 3, 5, 10, 20),
    move_steps=(3, 7, 20),
    learning_rate=4e-3,
    weight_by_sigma=True,
    symmetric=True,
)
# Towers without an LSTM would start from the same zeros, see the same batches and end as one.
LINEAR = replace(DAILY, name="linear-daily", lstm_units=0, towers=1)
HOURLY = Recipe(
    name="lstm-hourly",
    lstm_units=32,
    frequency="hourly",
    decays=(0.9, 0.97, 0.995, 0.999),
    base_share=0.5,
    ewma_decay=0.97,
    breadth_decays=(0.0, 0.6, 0.9, 0.98),
    candle_decays=(0.0, 0.6, 0.9, 0.97, 0.995),
    calendar="hour_of_week",
    learning_rate=4e-3,
    lstm_head_l2=3e-4,
    training_share=1 / 6,
    window=72,
    horizons=(1, 2, 4, 6, 8, 12, 18, 24),
    symmetric=True,
)
HOURLY_LINEAR = replace(HOURLY, name="linear-hourly", lstm_units=0)
RECIPES = {"daily": (DAILY, LINEAR), "hourly": (HOURLY, HOURLY_LINEAR)}
