"""Training: fit the pooled quantiles, train the network on windows that ended in time, and export it."""

import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.artifact import Artifact, read_artifact, write_artifact
from predictions.forecasting.features import FEATURES, STEP_FEATURES, Features, build_features
from predictions.forecasting.quantiles import horizon_scale, pooled_quantiles
from predictions.forecasting.recipe import DAILY, Recipe
from predictions.forecasting.series import Floats, Panel, dataset_hash
from predictions.forecasting.windows import Rows, WindowReader, eligible_rows, targets

if TYPE_CHECKING:
    from predictions.forecasting.network import Batch

MIN_TRAINING_DATES = 90
MIN_TRAINING_ROWS = 1_000
DAYS_PER_YEAR = 365.25
LIBRARIES = ("numpy", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")

Progress = Callable[[int, int, float], None]


class NotEnoughData(Exception):
    """The history before the cutoff is too short to train on."""


@dataclass(frozen=True)
class Trained:
    """A trained forecaster in memory, free of TensorFlow: what `save` writes and serving opens."""

    recipe: Recipe
    cutoff: date
    seed: int
    z: Floats
    weights: dict[str, NDArray[np.float32]]
    onnx: bytes
    dataset_sha256: str
    metrics: dict[str, Any]
    started_from: str | None = None


@dataclass(frozen=True)
class TrainingSet:
    """Rows with at least one settled target, and y/(sigma·√h) (R, H) with NaN where the purge masks it."""

    rows: Rows
    standardised: Floats


def train(
    panel: Panel,
    *,
    cutoff: date,
    recipe: Recipe = DAILY,
    seed: int = 7,
    progress: Progress | None = None,
    initial: Path | None = None,
) -> Trained:
    """Train on what was known at 00:00 UTC of `cutoff` and return weights, pooled quantiles and ONNX graph.

    `progress(epoch, epochs, loss)` is called after every epoch. `initial` is the folder of a forecaster to
    start from: its weights, and its pooled quantiles for the share of `scale_years` that this history does
    not cover. NotEnoughData without 90 dates whose longest horizon has settled and 1,000 such rows;
    ArtifactError for a damaged `initial`, ValueError for one of another recipe. Imports TensorFlow; run it in
    a process of its own.
    """
    began = time.perf_counter()
    past = panel.until(cutoff)
    features = build_features(past)
    training = training_set(features, recipe)
    start = read_artifact(initial) if initial is not None else None
    z, scale_rows = fit_scale(training, recipe, last_day=len(past.dates) - 1, start=start)
    weights, onnx, losses = _fit_network(features, training, z, recipe, seed, progress, start)
    days = training.rows.days
    metrics = {
        "losses": losses,
        "rows": len(training.rows),
        "scale_rows": scale_rows,
        "dates": len(np.unique(days)),
        "coins": len(np.unique(training.rows.coins)),
        "first_date": str(past.dates[days[0]]),
        "last_date": str(past.dates[days[-1]]),
        "parameters": int(sum(array.size for array in weights.values())),
        "seconds": round(time.perf_counter() - began, 1),
        "peak_memory_mb": _peak_memory_mb(),
    }
    origin = start.sha256 if start is not None else None
    return Trained(recipe, cutoff, seed, z, weights, onnx, dataset_hash(past), metrics, origin)


def save(trained: Trained, folder: Path, *, extra: Mapping[str, Any] | None = None, card: str | None = None) -> str:
    """Write the forecaster to an empty or new `folder`, whole or not at all; returns its manifest's SHA-256.

    `extra` is JSON kept in the manifest, `card` the model card in Markdown.
    """
    manifest = {
        "recipe": trained.recipe.as_dict(),
        "features": list(FEATURES),
        "cutoff": trained.cutoff.isoformat(),
        "dataset_sha256": trained.dataset_sha256,
        "seed": trained.seed,
        "started_from": trained.started_from,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "training_rows": trained.metrics["rows"],
        "metrics": trained.metrics,
        "extra": dict(extra or {}),
    }
    return write_artifact(folder, manifest=manifest, onnx=trained.onnx, z=trained.z, weights=trained.weights, card=card)


def training_set(features: Features, recipe: Recipe) -> TrainingSet:
    """Every eligible row with a settled target; NotEnoughData if too few have all their targets settled."""
    last_day = len(features.dates) - 1
    rows = eligible_rows(features, window=recipe.window)
    y = targets(features.prices, rows, recipe.horizons, cutoff_day=last_day)
    settled = np.isfinite(y).any(axis=1).astype(bool)
    whole = np.isfinite(y[:, -1])
    dates = len(np.unique(rows.days[whole]))
    if dates < MIN_TRAINING_DATES or whole.sum() < MIN_TRAINING_ROWS:
        raise NotEnoughData(
            f"{dates} of {MIN_TRAINING_DATES} dates and {whole.sum()} of {MIN_TRAINING_ROWS} rows whose "
            f"{recipe.horizons[-1]}-day target has settled"
        )
    rows, y = rows.take(settled), y[settled]
    scale = horizon_scale(features.sigma[rows.days, rows.coins], recipe.horizons)
    return TrainingSet(rows, y / scale)


def fit_scale(
    training: TrainingSet, recipe: Recipe, *, last_day: int, start: Artifact | None = None
) -> tuple[Floats, int]:
    """Pooled quantiles z (H, Q) of the last `scale_years`, and how many rows they rest on.

    With a `start`, quantiles are averaged with its own by the share of those years that the rows cover.
    """
    days = round(recipe.scale_years * DAYS_PER_YEAR)
    recent = training.rows.days > last_day - days
    z = pooled_quantiles(training.standardised[recent], recipe.levels)
    if start is not None:
        own_share = min(1.0, len(np.unique(training.rows.days[recent])) / days)
        z = own_share * z + (1 - own_share) * start.z
    return z, int(recent.sum())


def _fit_network(
    features: Features,
    training: TrainingSet,
    z: Floats,
    recipe: Recipe,
    seed: int,
    progress: Progress | None,
    start: Artifact | None,
) -> tuple[dict[str, NDArray[np.float32]], bytes, list[float]]:
    # Imported here because TensorFlow takes seconds and 500 MB, which only a fit should cost.
    from predictions.forecasting import network

    network.seed_everything(seed)
    model = network.build_network(recipe, z, step_features=len(STEP_FEATURES), features=len(FEATURES))
    if start is not None:
        model.set_weights(_matching_weights(model, start, recipe))
    share = max(1, round(len(training.rows) * recipe.training_share))
    train_step = network.make_train_step(model, recipe, epoch_steps=-(-share // recipe.batch_size))
    reader = WindowReader(features, recipe.window)
    random = np.random.default_rng(seed)
    losses = []
    for epoch in range(1, recipe.epochs + 1):
        chosen = random.choice(len(training.rows), size=share, replace=False)
        batches = _batches(features, reader, training, chosen, recipe)
        losses.append(round(float(np.mean([train_step(batch) for batch in batches])), 6))
        if progress is not None:
            progress(epoch, recipe.epochs, losses[-1])
    weights = {variable.path: np.asarray(variable, dtype=np.float32) for variable in model.weights}
    return weights, network.export_onnx(model), losses


def _matching_weights(model: Any, start: Artifact, recipe: Recipe) -> list[NDArray[np.float32]]:
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    given = {name: array.shape for name, array in start.weights.items()}
    if shapes != given or start.recipe.horizons != recipe.horizons or start.recipe.levels != recipe.levels:
        raise ValueError("the forecaster to start from was built by another recipe")
    return [start.weights[variable.path] for variable in model.weights]


def _batches(
    features: Features,
    reader: WindowReader,
    training: TrainingSet,
    chosen: NDArray[np.int64],
    recipe: Recipe,
) -> Iterator["Batch"]:
    for first in range(0, len(chosen), recipe.batch_size):
        part = chosen[first : first + recipe.batch_size]
        rows = training.rows.take(part)
        target = np.clip(training.standardised[part], -recipe.target_clip, recipe.target_clip)
        yield reader.read(rows), features.last[rows.days, rows.coins], target.astype(np.float32)


def _peak_memory_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
