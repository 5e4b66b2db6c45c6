"""The band network in Keras: the only module that needs TensorFlow to be imported."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from predictions.forecasting.features import STEP_FEATURES, candle_names
from predictions.forecasting.quantiles import mirrored
from predictions.forecasting.recipe import Recipe

CANDLES = "candles"

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@keras.saving.register_keras_serializable(package="cryptopredict")
class PooledSpread(keras.layers.Layer):
    """z50 + (z - z50)·exp(s): pooled quantiles z (H, Q) spread about their median by a log-width s (B, H).

    Monotone for any s, and z itself at s = 0.
    """

    def __init__(self, z: list[list[float]], median: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.z = z
        self.median = median
        values = np.asarray(z, dtype=np.float32)
        self._centre = values[:, median : median + 1]
        self._spread = values - self._centre

    def call(self, log_width: Any) -> Any:
        """Quantiles (B, H, Q) of y/(sigma·√h)."""
        return self._centre + self._spread * keras.ops.exp(log_width)[:, :, None]

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return {**super().get_config(), "z": self.z, "median": self.median}


def build_network(recipe: Recipe, z: NDArray[np.float64], *, step_features: int, features: int) -> Any:
    """A Keras model of (steps (B, W, S), last (B, F)) giving quantiles (B, H, Q) of y/(sigma·√h).

    The log-widths of the recipe's towers are averaged; they see no candles. Rows whose flag says that their candles
    are known take the log-width of one tower more, which sees them. Zero heads make the model equal to z before
    training, or to z averaged with its mirror image if the recipe is symmetric.
    """
    steps = keras.Input((recipe.window, step_features), name="steps")
    last = keras.Input((features,), name="last")
    plain_steps, plain_last = steps, last
    if recipe.candle_decays:
        plain_steps = steps[:, :, : len(STEP_FEATURES)]
        plain_last = last[:, : features - len(candle_names(recipe))]
    widths = [_log_width(recipe, plain_steps, plain_last, name) for name in _towers(recipe)[: recipe.towers]]
    width = widths[0] if len(widths) == 1 else keras.layers.Average(name="mean_log_width")(widths)
    if recipe.candle_decays:
        width = keras.ops.where(last[:, -1:] > 0.5, _log_width(recipe, steps, last, CANDLES), width)
    shape = mirrored(z) if recipe.symmetric else z
    spread = PooledSpread(shape.tolist(), recipe.levels.index(0.5), name="quantiles")
    inputs = [steps, last] if recipe.lstm_units else [last]
    return keras.Model(inputs, spread(width), name="bands")


def _log_width(recipe: Recipe, steps: Any, last: Any, tower: str) -> Any:
    """One tower's log-width (B, H): its linear head, plus an LSTM's if the recipe has one."""
    horizons = len(recipe.horizons)
    linear = keras.layers.Dense(horizons, kernel_initializer="zeros", name=_of_tower("linear_head", tower))(last)
    if not recipe.lstm_units:
        return linear
    state = keras.layers.LSTM(recipe.lstm_units, name=_of_tower("lstm", tower))(steps)
    state = keras.layers.Dropout(recipe.dropout, name=_of_tower("dropout", tower))(state)
    head = keras.layers.Dense(
        horizons,
        kernel_initializer="zeros",
        kernel_regularizer=keras.regularizers.L2(recipe.lstm_head_l2),
        name=_of_tower("lstm_head", tower),
    )
    return keras.layers.Add(name=_of_tower("log_width", tower))([linear, head(state)])


def _towers(recipe: Recipe) -> list[str]:
    """What the layers of each tower are told apart by, that of the candles last."""
    plain = ["", *map(str, range(2, recipe.towers + 1))]
    return [*plain, CANDLES] if recipe.candle_decays else plain


def _of_tower(name: str, tower: str) -> str:
    """A layer's name; the first tower's are those of a network that has only one."""
    return f"{name}_{tower}" if tower else name


def by_tower(model: Any, recipe: Recipe) -> Any:
    """A model of the same layers that gives each tower's own quantiles (B, K, H, Q)."""
    name = "log_width" if recipe.lstm_units else "linear_head"
    widths = [model.get_layer(_of_tower(name, tower)).output for tower in _towers(recipe)]
    quantiles = [model.get_layer("quantiles")(width) for width in widths]
    return keras.Model(model.inputs, keras.ops.stack(quantiles, axis=1))


def seed_everything(seed: int) -> None:
    """Start a run that repeats: a fresh Keras session, one seed for all generators, deterministic kernels."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


class Trainer:
    """AdamW on the mean pinball loss: half an epoch of warm-up, then a cosine to zero.

    Towers see the same batches and nothing of each other: each has a loss of its own, that of the candles over the
    rows that have them.
    """

    def __init__(self, model: Any, recipe: Recipe, *, epoch_steps: int) -> None:
        warm_up = max(1, epoch_steps // 2)
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=recipe.learning_rate,
            warmup_steps=warm_up,
            decay_steps=max(1, recipe.epochs * epoch_steps - warm_up),
        )
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=recipe.weight_decay, clipnorm=recipe.gradient_clip_norm
        )
        optimizer.build(model.trainable_variables)
        self.variables: list[Any] = [*model.variables, *optimizer.variables]
        towers = by_tower(model, recipe)
        levels = tf.constant(recipe.levels, dtype=tf.float32)
        self._step = _compile_step(towers, optimizer, levels, has_candles=bool(recipe.candle_decays))

    def step(self, batch: Batch) -> float:
        """One step on (steps, last, targets (B, H) with NaN where masked, weights (B,)).

        Returns the towers' mean loss before it; a row with candles counts by the tower that sees them.
        """
        return float(self._step(*(tf.constant(array) for array in batch)))


def _compile_step(towers: Any, optimizer: Any, levels: Any, *, has_candles: bool) -> Any:
    takes_steps = len(towers.inputs) > 1

    @tf.function(reduce_retracing=True)
    def step(steps: Any, last: Any, target: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            quantiles = towers([steps, last] if takes_steps else [last], training=True)
            own = tf.unstack(quantiles, axis=1)
            targets = [target] * len(own)
            if has_candles:
                known = last[:, -1:] > 0.5
                targets[-1] = tf.where(known, target, np.nan)
            losses = [
                masked_pinball(settled, found, levels, weight) for settled, found in zip(targets, own, strict=True)
            ]
            total = tf.add_n([*losses, *towers.losses])
        gradients = tape.gradient(total, towers.trainable_variables)
        optimizer.apply_gradients(zip(gradients, towers.trainable_variables, strict=True))
        if has_candles:
            served = [tf.where(known[:, :, None], own[-1], plain) for plain in own[:-1]]
            losses = [masked_pinball(target, found, levels, weight) for found in served]
        return tf.add_n(losses) / len(losses)

    return step


def masked_pinball(target: Any, quantiles: Any, levels: Any, weight: Any) -> Any:
    """Mean pinball loss of quantiles (B, H, Q) over the targets (B, H) that are not NaN, rows weighted (B,)."""
    known = tf.logical_not(tf.math.is_nan(target))
    error = tf.where(known, target, 0.0)[:, :, None] - quantiles
    loss = tf.reduce_mean(tf.maximum(levels * error, (levels - 1.0) * error), axis=2)
    count = tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32)), 1.0)
    return tf.reduce_sum(tf.where(known, loss, 0.0) * weight[:, None]) / count


def export_onnx(model: Any) -> bytes:
    """The model as an ONNX graph, z included; inputs keep the names `steps` and `last`."""
    model([tf.zeros((1, *shape.shape[1:])) for shape in model.inputs])
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # raised by Keras' own import of tf2onnx
        file = Path(folder) / "model.onnx"
        model.export(str(file), format="onnx", verbose=False)
        return file.read_bytes()
