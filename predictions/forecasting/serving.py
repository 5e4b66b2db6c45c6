"""Serving: open a checked forecaster and forecast all coins in one ONNX Runtime call, without TensorFlow."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting import baselines
from predictions.forecasting.artifact import Artifact, ArtifactError, read_artifact
from predictions.forecasting.baselines import Scale
from predictions.forecasting.features import Features, build_features, feature_names, step_names
from predictions.forecasting.recipe import Recipe
from predictions.forecasting.residuals import JointResiduals, joint_residuals
from predictions.forecasting.series import NO_PRICE, Floats, Panel, eligibility
from predictions.forecasting.windows import Rows, WindowReader

MODEL_NAME = "lstm"
BATCH_ROWS = 4096


@dataclass(frozen=True)
class CoinForecast:
    """One coin's forecast at `cutoff`, as log-returns from `base_price` (USD at the cutoff: 00:00 UTC of a date).

    `log_quantiles` (H, Q) are the model's, `baselines` those of "fhs" and "ewma_n"; `inputs_hash` is the
    SHA-256 of the exact window, features and scales that produced them.
    """

    coin: str
    cutoff: date
    base_price: float
    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    log_quantiles: Floats
    baselines: dict[str, Floats]
    inputs_hash: str

    def price_quantiles(self, name: str = MODEL_NAME) -> Floats:
        """Quantiles (H, Q) in USD of "lstm", "fhs" or "ewma_n"; KeyError for another name."""
        log_quantiles = self.log_quantiles if name == MODEL_NAME else self.baselines[name]
        return self.base_price * np.exp(log_quantiles)


class BandNetwork:
    """A band network as an ONNX graph: windows and features in, quantiles of y/(sigma·√h) out."""

    def __init__(self, onnx: bytes, recipe: Recipe, *, threads: int = 1) -> None:
        """ArtifactError unless ONNX Runtime opens the graph and a probe gives finite, rising quantiles."""
        import onnxruntime  # 40 MB: only where a model is opened

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._recipe = recipe
        try:
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            self._inputs = {node.name for node in self._session.get_inputs()}
            steps = np.zeros((2, recipe.window, len(step_names(recipe))), np.float32)
            last = np.zeros((2, len(feature_names(recipe))), np.float32)
            last[1] = 1  # with every flag set
            probe = self.run(steps, last)
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise ArtifactError(f"the ONNX graph cannot be run: {error}") from error
        if probe.shape != (2, len(recipe.horizons), len(recipe.levels)):
            raise ArtifactError(f"the ONNX graph answers with the shape {probe.shape}")
        if not np.isfinite(probe).all() or (np.diff(probe, axis=2) < 0).any():
            raise ArtifactError("the ONNX graph answers with quantiles that are not finite and rising")

    def run(self, steps: NDArray[np.float32], last: NDArray[np.float32]) -> Floats:
        """Quantiles (B, H, Q) of y/(sigma·√h) from windows (B, W, S) and features (B, F), in one call."""
        feed = {name: array for name, array in (("steps", steps), ("last", last)) if name in self._inputs}
        return np.asarray(self._session.run(None, feed)[0], dtype=float)

    def log_quantiles(self, features: Features, rows: Rows, scale: Scale) -> Floats:
        """Log-return quantiles (R, H, Q) for rows of a panel's features, in batches of 4,096."""
        reader = WindowReader(features, self._recipe.window)
        widths = scale.widths(features.sigma[rows.days, rows.coins], features.phases[rows.days], self._recipe.horizons)
        result = np.empty((len(rows), len(self._recipe.horizons), len(self._recipe.levels)))
        for first in range(0, len(rows), BATCH_ROWS):
            part = slice(first, first + BATCH_ROWS)
            batch = Rows(rows.days[part], rows.coins[part])
            standardised = self.run(reader.read(batch), features.last[batch.days, batch.coins])
            result[part] = widths[part, :, None] * standardised
        return result


class Forecaster:
    """A trained forecaster that serves; open one with `load`."""

    def __init__(self, artifact: Artifact, *, threads: int = 1) -> None:
        if artifact.manifest.get("features") != list(feature_names(artifact.recipe)):
            raise ArtifactError("the forecaster was trained on other features than this version computes")
        self.recipe = artifact.recipe
        self.scale = artifact.scale
        self.z = artifact.z
        self.manifest: dict[str, Any] = artifact.manifest
        self.sha256 = artifact.sha256
        self.network = BandNetwork(artifact.onnx, artifact.recipe, threads=threads)

    def forecast(
        self, panel: Panel, *, cutoff: date, coins: Sequence[str] | None = None
    ) -> dict[str, CoinForecast | str]:
        """Forecast `coins` (all of the panel's by default) at `cutoff`: a date's 00:00 UTC, or a full hour.

        The panel must be of the recipe's frequency (ValueError). Prices after the cutoff are not looked at. A
        coin that cannot be forecast gets the reason instead.
        """
        asked = list(panel.coins if coins is None else coins)
        reasons = dict.fromkeys(set(asked) - set(panel.coins), NO_PRICE) | eligibility(panel, cutoff)
        able = [coin for coin in asked if coin not in reasons]
        result: dict[str, CoinForecast | str] = {coin: reasons[coin] for coin in asked if coin in reasons}
        if not able:
            return result
        features = build_features(panel.until(cutoff), self.recipe, newest=self.recipe.window)
        columns = np.array([panel.coins.index(coin) for coin in able])
        rows = Rows(np.full(len(able), len(features.dates) - 1), columns)
        result.update(zip(able, self._forecast_rows(features, rows, cutoff), strict=True))
        return {coin: result[coin] for coin in asked}

    def joint_residuals(
        self, panel: Panel, *, cutoff: date, horizon: int, coins: Sequence[str] | None = None
    ) -> JointResiduals:
        """What the coins did together over `horizon` steps in the last four years, in units of their own scales.

        From prices up to `cutoff` only; see `residuals`. ValueError for an unknown horizon or coin.
        """
        features = build_features(panel.until(cutoff), self.recipe)
        chosen = panel.coins if coins is None else coins
        return joint_residuals(features, self.recipe, self.scale, horizon=horizon, coins=chosen)

    def _forecast_rows(self, features: Features, rows: Rows, cutoff: date) -> list[CoinForecast]:
        horizons, levels = self.recipe.horizons, self.recipe.levels
        sigma = features.sigma[rows.days, rows.coins]
        sigma_ewma = features.sigma_ewma[rows.days, rows.coins]
        prices = features.prices[rows.days, rows.coins]
        model = self.network.log_quantiles(features, rows, self.scale)
        fhs = self.scale.quantiles(sigma, features.phases[rows.days], horizons)
        ewma_n = baselines.ewma_n(sigma_ewma, horizons, levels)
        hashes = inputs_hashes(features, rows, self.recipe)
        return [
            CoinForecast(
                coin=features.coins[column],
                cutoff=cutoff,
                base_price=float(prices[i]),
                horizons=horizons,
                levels=levels,
                log_quantiles=model[i],
                baselines={"fhs": fhs[i], "ewma_n": ewma_n[i]},
                inputs_hash=hashes[i],
            )
            for i, column in enumerate(rows.coins)
        ]


def load(folder: Path, *, expected_sha256: str | None = None, threads: int = 1) -> Forecaster:
    """Open the forecaster in `folder`, checking every hash first; ArtifactError if anything is off.

    `expected_sha256` is the manifest's own hash, as `save` returned it.
    """
    return Forecaster(read_artifact(folder, expected_sha256=expected_sha256), threads=threads)


def inputs_hashes(features: Features, rows: Rows, recipe: Recipe) -> list[str]:
    """SHA-256 (hex) of the exact window, features, price and scales of each row."""
    steps = WindowReader(features, recipe.window).read(rows)
    last = features.last[rows.days, rows.coins]
    scales = np.stack(
        [a[rows.days, rows.coins] for a in (features.prices, features.sigma, features.sigma_ewma)], axis=1
    )
    return [_inputs_hash(steps[i], last[i], scales[i]) for i in range(len(rows))]


def _inputs_hash(steps: NDArray[np.float32], last: NDArray[np.float32], scales: Floats) -> str:
    digest = hashlib.sha256(steps.astype("<f4").tobytes())
    digest.update(last.astype("<f4").tobytes())
    digest.update(scales.astype("<f8").tobytes())
    return digest.hexdigest()
