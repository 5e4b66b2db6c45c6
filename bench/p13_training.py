"""P13: training, against the same network by `model.fit(batch_size=32)` on the same windows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.forecasting import closes
from bench.measuring import Result, at_least, at_most, interleaved, seconds_of
from predictions.forecasting.features import STEP_FEATURES, build_features
from predictions.forecasting.recipe import DAILY
from predictions.forecasting.training import fit_baseline
from predictions.forecasting.windows import WindowReader

COINS, DAYS, HELD_OUT = 60, 700, 120
RUNS = 5
WINDOWS = 12_800
SEED = 7
PEER_BATCH = 32
RECIPE = replace(DAILY, epochs=RUNS + 1)

Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def run() -> Iterator[Result]:
    learned, held_out, z = windows()
    ours, peer = Ours(learned, z), Peer(learned, z)
    mine, theirs = interleaved(lambda: seconds_of(ours.epoch), lambda: seconds_of(peer.epoch), runs=RUNS)
    rates = [WINDOWS / seconds for seconds in (mine, theirs)]
    yield at_least(
        2.5, id="P13", what="training", ours=rates[0], reference=rates[1], unit="windows/s", runs=RUNS
    )  # fmt: skip
    losses = [loss_of(model, held_out) for model in (ours.model, peer.model)]
    yield at_most(
        1.0005, id="P13-loss", what="its validation loss", ours=losses[0], reference=losses[1], unit="", runs=1
    )  # fmt: skip


def windows() -> tuple[Arrays, Arrays, NDArray[np.float64]]:
    """Windows to learn from, those of the last days, whose targets have settled, and the pooled quantiles."""
    panel = closes(COINS, DAYS)
    features = build_features(panel, RECIPE)
    past = build_features(panel.until(panel.dates[-HELD_OUT].astype(object)), RECIPE)
    training, scale, _ = fit_baseline(past, RECIPE)
    everything, _, _ = fit_baseline(features, RECIPE)
    reader = WindowReader(features, RECIPE.window)

    def cut(part: Any, chosen: NDArray[np.int64]) -> Arrays:
        rows = part.rows.take(chosen)
        target = np.clip(part.standardised[chosen], -RECIPE.target_clip, RECIPE.target_clip).astype(np.float32)
        weights = part.weights[chosen].astype(np.float32)
        return reader.read(rows), features.last[rows.days, rows.coins], target, weights

    chosen = np.random.default_rng(SEED).choice(len(training.rows), WINDOWS, replace=False)
    late = np.flatnonzero(everything.rows.days >= DAYS - HELD_OUT)
    return cut(training, chosen), cut(everything, late), scale.z


def _network(z: NDArray[np.float64], learned: Arrays) -> Any:
    from predictions.forecasting import network

    network.seed_everything(SEED)
    return network.build_network(RECIPE, z, step_features=len(STEP_FEATURES), features=learned[1].shape[1])


class Ours:
    """The product's own steps of 512 windows."""

    def __init__(self, learned: Arrays, z: NDArray[np.float64]) -> None:
        from predictions.forecasting.network import Trainer

        self.model = _network(z, learned)
        self._learned = learned
        self._trainer = Trainer(self.model, RECIPE, epoch_steps=-(-WINDOWS // RECIPE.batch_size))
        self._random = np.random.default_rng(SEED)

    def epoch(self) -> None:
        order = self._random.permutation(WINDOWS)
        for first in range(0, WINDOWS, RECIPE.batch_size):
            part = order[first : first + RECIPE.batch_size]
            steps, last, target, weight = (array[part] for array in self._learned)
            self._trainer.step((steps, last, target, weight))


class Peer:
    """What one writes first: the same network, loss, optimiser and epochs, compiled, in batches of 32."""

    def __init__(self, learned: Arrays, z: NDArray[np.float64]) -> None:
        import keras

        self.model = _network(z, learned)
        steps = WINDOWS // PEER_BATCH
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, decay_steps=RECIPE.epochs * steps - steps // 2, warmup_target=RECIPE.learning_rate,
            warmup_steps=steps // 2,
        )  # fmt: skip
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=RECIPE.weight_decay, clipnorm=RECIPE.gradient_clip_norm
        )
        self.model.compile(optimizer=optimizer, loss=_loss)
        steps_in, last, target, weight = learned
        self._inputs, self._targets = [steps_in, last], np.concatenate([target, weight[:, None]], axis=1)

    def epoch(self) -> None:
        self.model.fit(self._inputs, self._targets, batch_size=PEER_BATCH, epochs=1, verbose=0)


def _loss(target: Any, quantiles: Any) -> Any:
    """The product's loss; the weight of a row rides behind its targets."""
    import tensorflow as tf

    from predictions.forecasting.network import masked_pinball

    levels = tf.constant(RECIPE.levels, dtype=tf.float32)
    return masked_pinball(target[:, :-1], quantiles, levels, target[:, -1])


def loss_of(model: Any, held_out: Arrays) -> float:
    """The mean pinball loss of the held-out windows."""
    steps, last, target, weight = held_out
    quantiles = model.predict([steps, last], batch_size=4_096, verbose=0)
    return float(_loss(np.concatenate([target, weight[:, None]], axis=1), quantiles))
