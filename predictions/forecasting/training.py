"""Training: fit the pooled quantiles, train the network on windows that ended in time, and export it."""

import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.artifact import Artifact, read_artifact, write_artifact
from predictions.forecasting.baselines import Scale
from predictions.forecasting.checkpoints import Checkpoints
from predictions.forecasting.features import Features, build_features, feature_names, step_names
from predictions.forecasting.quantiles import horizon_scale, pooled_quantiles
from predictions.forecasting.recipe import DAILY, Recipe
from predictions.forecasting.series import Floats, Panel, dataset_hash
from predictions.forecasting.windows import Rows, WindowReader, eligible_rows, targets

if TYPE_CHECKING:
    from predictions.forecasting.network import Batch

MIN_TRAINING_DATES = 90
MIN_TRAINING_ROWS = 1_000
LIBRARIES = ("numpy", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")

REPORTS_PER_EPOCH = 20

Progress = Callable[[float, float], None]


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
    season: Floats | None = None

    @property
    def scale(self) -> Scale:
        """The pooled quantiles with their hour of day."""
        return Scale(self.z, np.ones((1, len(self.z))) if self.season is None else self.season)


@dataclass(frozen=True)
class TrainingSet:
    """Rows with at least one settled target, and y/(sigma·√h) (R, H) with NaN where the purge masks it.

    `phases` (R,) are the hours of day in which the rows start, `weights` (R,) those of their losses, 1 on
    average.
    """

    rows: Rows
    standardised: Floats
    phases: NDArray[np.int64]
    weights: Floats

    def without_season(self, season: Floats) -> "TrainingSet":
        """The same rows with each target divided by the size of moves of its hour of day."""
        return replace(self, standardised=self.standardised / season[self.phases])


def train(
    panel: Panel,
    *,
    cutoff: date,
    recipe: Recipe = DAILY,
    seed: int = 7,
    progress: Progress | None = None,
    initial: Path | None = None,
    checkpoints: Path | None = None,
) -> Trained:
    """Train on what was known at 00:00 UTC of `cutoff` and return weights, pooled quantiles and ONNX graph.

    `progress(done, loss)` is called some 20 times an epoch, and at its end, with the share of all epochs that is
    done (0 to 1) and the epoch's mean loss so far. `initial` is the folder of a forecaster to start from: its
    weights, and its pooled quantiles for the share of `scale_years` that this history does not cover. `checkpoints`
    is a folder that keeps the state after each epoch: a run that was killed goes on from there and ends with the
    same weights, if data, recipe, seed and start are the same. NotEnoughData without 90 dates whose longest horizon
    has settled and 1,000 such rows; ArtifactError for a damaged `initial`, ValueError for one of
    another recipe. Imports TensorFlow; run it in a process of its own.
    """
    began = time.perf_counter()
    past = panel.until(cutoff)
    features = build_features(past, recipe)
    start = read_artifact(initial) if initial is not None else None
    training, scale, scale_rows = fit_baseline(features, recipe, start=start)
    origin = start.sha256 if start is not None else None
    data = dataset_hash(past)
    identity = {"recipe": recipe.as_dict(), "seed": seed, "data": data, "start": origin}
    fit = _Fit(features, training, scale, recipe, seed, start)
    weights, onnx, losses = fit.run(progress, Checkpoints(checkpoints, identity) if checkpoints else None)
    days = training.rows.days
    metrics = {
        "losses": losses,
        "rows": len(training.rows),
        "scale_rows": scale_rows,
        "dates": len(_dates(features, training.rows)),
        "coins": len(np.unique(training.rows.coins)),
        "first_date": str(past.dates[days[0]]),
        "last_date": str(past.dates[days[-1]]),
        "parameters": int(sum(array.size for array in weights.values())),
        "seconds": round(time.perf_counter() - began, 1),
        "peak_memory_mb": peak_memory_mb(),
    }
    return Trained(recipe, cutoff, seed, scale.z, weights, onnx, data, metrics, origin, scale.season)


def save(trained: Trained, folder: Path, *, extra: Mapping[str, Any] | None = None, card: str | None = None) -> str:
    """Write the forecaster to an empty or new `folder`, whole or not at all; returns its manifest's SHA-256.

    `extra` is JSON kept in the manifest, `card` the model card in Markdown.
    """
    manifest = {
        "recipe": trained.recipe.as_dict(),
        "features": list(feature_names(trained.recipe)),
        "cutoff": trained.cutoff.isoformat(),
        "dataset_sha256": trained.dataset_sha256,
        "seed": trained.seed,
        "started_from": trained.started_from,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "training_rows": trained.metrics["rows"],
        "metrics": trained.metrics,
        "extra": dict(extra or {}),
    }
    return write_artifact(
        folder, manifest=manifest, onnx=trained.onnx, scale=trained.scale, weights=trained.weights, card=card
    )


def training_set(features: Features, recipe: Recipe) -> TrainingSet:
    """Every eligible row with a settled target; NotEnoughData if too few have all their targets settled."""
    last_day = len(features.dates) - 1
    rows = eligible_rows(features, window=recipe.window)
    y = targets(features.prices, rows, recipe.horizons, cutoff_day=last_day)
    settled = np.isfinite(y).any(axis=1).astype(bool)
    whole = np.isfinite(y[:, -1])
    dates = len(_dates(features, rows.take(whole)))
    if dates < MIN_TRAINING_DATES or whole.sum() < MIN_TRAINING_ROWS:
        raise NotEnoughData(
            f"too little history to train on: {dates} of {MIN_TRAINING_DATES} dates and {whole.sum()} of "
            f"{MIN_TRAINING_ROWS} rows whose {recipe.horizons[-1]}-{recipe.steps.noun} target has settled"
        )
    rows, y = rows.take(settled), y[settled]
    sigma = features.sigma[rows.days, rows.coins]
    weights = sigma / sigma.mean() if recipe.weight_by_sigma else np.ones(len(rows))
    return TrainingSet(rows, y / horizon_scale(sigma, recipe.horizons), features.phases[rows.days], weights)


def _dates(features: Features, rows: Rows) -> NDArray[np.datetime64]:
    return np.unique(features.dates[rows.days].astype("datetime64[D]"))


def fit_baseline(
    features: Features, recipe: Recipe, *, start: Artifact | None = None
) -> tuple[TrainingSet, Scale, int]:
    """Training rows of these features, free of the hour of day; what FHS learns from them; and from how many.

    The features must end at the cutoff. NotEnoughData as `training_set`.
    """
    last_day = len(features.dates) - 1
    training = training_set(features, recipe)
    season = fit_season(training, recipe, last_day=last_day)
    training = training.without_season(season)
    z, rows = fit_scale(training, recipe, last_day=last_day, start=start)
    return training, Scale(z, season), rows


def fit_season(training: TrainingSet, recipe: Recipe, *, last_day: int) -> Floats:
    """The mean size of moves that start in each hour of day, against all hours' (P, H); ones of a daily recipe.

    From the rows that the pooled quantiles are taken from, sizes clipped at 12 sigma.
    """
    phases = recipe.steps.steps_per_day
    season = np.ones((phases, len(recipe.horizons)))
    if phases == 1:
        return season
    recent = training.rows.days > last_day - recipe.scale_steps
    sizes = np.minimum(np.abs(training.standardised[recent]), recipe.target_clip)
    overall = np.nanmean(sizes, axis=0)
    for phase in range(phases):
        own = sizes[training.phases[recent] == phase]
        if np.isfinite(own).any(axis=0).all():
            season[phase] = np.nanmean(own, axis=0) / overall
    return season


def fit_scale(
    training: TrainingSet, recipe: Recipe, *, last_day: int, start: Artifact | None = None
) -> tuple[Floats, int]:
    """Pooled quantiles z (H, Q) of the last `scale_years`, and how many rows they rest on.

    With a `start`, quantiles are averaged with its own by the share of those years that the rows cover.
    """
    recent = training.rows.days > last_day - recipe.scale_steps
    z = pooled_quantiles(training.standardised[recent], recipe.levels)
    if start is not None:
        own_share = min(1.0, len(np.unique(training.rows.days[recent])) / recipe.scale_steps)
        z = own_share * z + (1 - own_share) * start.z
    return z, int(recent.sum())


@dataclass(frozen=True)
class _Fit:
    """One run of the optimiser over the training rows."""

    features: Features
    training: TrainingSet
    scale: Scale
    recipe: Recipe
    seed: int
    start: Artifact | None

    def run(
        self, progress: Progress | None, checkpoints: Checkpoints | None
    ) -> tuple[dict[str, NDArray[np.float32]], bytes, list[float]]:
        """Weights by name, the ONNX graph and the mean loss of each epoch."""
        # Imported here because TensorFlow takes seconds and 500 MB, which only a fit should cost.
        from predictions.forecasting import network

        recipe = self.recipe
        network.seed_everything(self.seed)
        columns = self.features.last.shape[2]
        model = network.build_network(recipe, self.scale.z, step_features=len(step_names(recipe)), features=columns)
        if self.start is not None:
            model.set_weights(_matching_weights(model, self.start, recipe))
        share = max(1, round(len(self.training.rows) * recipe.training_share))
        batches = -(-share // recipe.batch_size)
        trainer = network.Trainer(model, recipe, epoch_steps=batches)
        reader = WindowReader(self.features, recipe.window)
        losses = checkpoints.resume(trainer.variables) if checkpoints is not None else []
        for epoch in range(len(losses), recipe.epochs):
            # A generator of each epoch's own: a resumed run draws what an uninterrupted one would have.
            random = np.random.default_rng([self.seed, epoch])
            chosen = random.choice(len(self.training.rows), size=share, replace=False)
            seen: list[float] = []
            for batch in self._batches(reader, chosen):
                seen.append(trainer.step(batch))
                is_due = len(seen) % max(1, batches // REPORTS_PER_EPOCH) == 0 or len(seen) == batches
                if progress is not None and is_due:
                    progress((epoch + len(seen) / batches) / recipe.epochs, float(np.mean(seen)))
            losses.append(round(float(np.mean(seen)), 6))
            if checkpoints is not None:
                checkpoints.keep(trainer.variables, losses)
        weights = {variable.path: np.asarray(variable, dtype=np.float32) for variable in model.weights}
        return weights, network.export_onnx(model), losses

    def _batches(self, reader: WindowReader, chosen: NDArray[np.int64]) -> Iterator["Batch"]:
        clip = self.recipe.target_clip
        for first in range(0, len(chosen), self.recipe.batch_size):
            part = chosen[first : first + self.recipe.batch_size]
            rows = self.training.rows.take(part)
            target = np.clip(self.training.standardised[part], -clip, clip)
            last = self.features.last[rows.days, rows.coins]
            yield reader.read(rows), last, target.astype(np.float32), self.training.weights[part].astype(np.float32)


def _matching_weights(model: Any, start: Artifact, recipe: Recipe) -> list[NDArray[np.float32]]:
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    given = {name: array.shape for name, array in start.weights.items()}
    same = (
        "symmetric",
        "horizons",
        "levels",
        "frequency",
        "range_steps",
        "move_steps",
        "breadth_decays",
        "candle_decays",
        "decays",
        "calendar",
    )
    if shapes != given or any(getattr(start.recipe, name) != getattr(recipe, name) for name in same):
        raise ValueError("the forecaster to start from was built by another recipe")
    return [start.weights[variable.path] for variable in model.weights]


def peak_memory_mb() -> int:
    """The most memory that this process has held so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
