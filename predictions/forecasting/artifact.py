"""A trained forecaster on disk: a folder whose manifest carries the SHA-256 of every file in it."""

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.baselines import Scale
from predictions.forecasting.recipe import Recipe

FORMAT = 1
MANIFEST = "manifest.json"
MODEL, WEIGHTS, SCALE, CARD, SEASON = "model.onnx", "weights.npz", "z.json", "card.md", "season.json"
REQUIRED = frozenset({MODEL, WEIGHTS, SCALE})
OPTIONAL = frozenset({CARD, SEASON})
MAX_FILE_BYTES = 64 * 2**20
WEIGHT_NAME = re.compile(r"\w+(/\w+)*")


class ArtifactError(Exception):
    """A forecaster on disk is damaged, incomplete or not what its manifest says."""


@dataclass(frozen=True)
class Artifact:
    """A folder whose every file matched its manifest, read into memory.

    `weights` holds the trained arrays in the network's own order, `scale` the pooled quantiles and the hour
    of day.
    """

    manifest: dict[str, Any]
    recipe: Recipe
    onnx: bytes
    scale: Scale
    weights: dict[str, NDArray[np.float32]]
    sha256: str

    @property
    def z(self) -> NDArray[np.float64]:
        """The pooled quantiles (H, Q)."""
        return self.scale.z


def write_artifact(
    folder: Path,
    *,
    manifest: Mapping[str, Any],
    onnx: bytes,
    scale: Scale,
    weights: Mapping[str, NDArray[np.float32]],
    card: str | None = None,
) -> str:
    """Write the files and their manifest; returns the manifest's SHA-256 (hex).

    The folder appears whole or not at all. FileExistsError if `folder` already holds something.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    arrays = io.BytesIO()
    np.savez(arrays, **dict(weights))  # type: ignore[arg-type]  # the stub confuses names with allow_pickle
    files = {MODEL: onnx, WEIGHTS: arrays.getvalue(), SCALE: json.dumps(scale.z.tolist()).encode()}
    if len(scale.season) > 1:
        files[SEASON] = json.dumps(scale.season.tolist()).encode()
    if card is not None:
        files[CARD] = card.encode()
    listed = {name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in files.items()}
    text = json.dumps({"format": FORMAT, "files": listed, **manifest}, indent=1, sort_keys=True) + "\n"
    files[MANIFEST] = text.encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, data in files.items():
            (staging / name).write_bytes(data)
        staging.chmod(0o755)
        os.replace(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return _sha256(files[MANIFEST])


def read_artifact(folder: Path, *, expected_sha256: str | None = None) -> Artifact:
    """Read a forecaster, checking every hash before a file is interpreted; ArtifactError if anything is off.

    `expected_sha256` is the manifest's own hash, as `write_artifact` returned it.
    """
    folder = Path(folder)
    raw = _read_bytes(folder, MANIFEST)
    if expected_sha256 is not None and _sha256(raw) != expected_sha256:
        raise ArtifactError(f"{MANIFEST} is not the one that was registered")
    manifest = _parse_manifest(raw)
    files = {name: _read_listed(folder, name, entry) for name, entry in manifest["files"].items()}
    try:
        recipe = Recipe.from_dict(manifest["recipe"])
        z = np.asarray(json.loads(files[SCALE]), dtype=float)
        season = np.ones((1, len(z)))
        if SEASON in files:
            season = np.asarray(json.loads(files[SEASON]), dtype=float)
        phases = recipe.steps.steps_per_day
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"unreadable recipe, {SCALE} or {SEASON}: {error}") from error
    if z.shape != (len(recipe.horizons), len(recipe.levels)):
        raise ArtifactError(f"{SCALE} has the shape {z.shape}")
    if not np.isfinite(z).all() or (np.diff(z, axis=1) < 0).any():
        raise ArtifactError(f"{SCALE} holds quantiles that are not finite and rising")
    if season.shape != (phases, len(z)) or not np.isfinite(season).all() or (season <= 0).any():
        raise ArtifactError(f"{SEASON} does not hold {phases} positive rows")
    return Artifact(manifest, recipe, files[MODEL], Scale(z, season), _read_weights(files[WEIGHTS]), _sha256(raw))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_bytes(folder: Path, name: str) -> bytes:
    file = folder / name
    try:
        if file.is_symlink() or not file.is_file():
            raise ArtifactError(f"{name} is missing")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ArtifactError(f"{name} is larger than {MAX_FILE_BYTES} bytes")
        return file.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{name} cannot be read: {error}") from error


def _parse_manifest(raw: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
        names = set(manifest["files"])
        version = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{MANIFEST} is not readable: {error}") from error
    if version != FORMAT:
        raise ArtifactError(f"{MANIFEST} has the format {version!r}, not {FORMAT}")
    if not names >= REQUIRED or not names <= REQUIRED | OPTIONAL:
        raise ArtifactError(f"{MANIFEST} lists {sorted(names)}")
    return manifest


def _read_listed(folder: Path, name: str, entry: Any) -> bytes:
    data = _read_bytes(folder, name)
    if not isinstance(entry, dict) or _sha256(data) != entry.get("sha256"):
        raise ArtifactError(f"{name} does not match the SHA-256 in {MANIFEST}")
    return data


def _read_weights(data: bytes) -> dict[str, NDArray[np.float32]]:
    _check_archive(data)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged archive
        raise ArtifactError(f"{WEIGHTS} is not readable: {error}") from error
    for name, array in weights.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ArtifactError(f"{WEIGHTS}: {name} holds values that are not finite numbers")
    return weights


def _check_archive(data: bytes) -> None:
    """Looks at the names and sizes that an archive states before anything in it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise ArtifactError(f"{WEIGHTS} is not readable: {error}") from error
    for entry in entries:
        if not WEIGHT_NAME.fullmatch(entry.filename.removesuffix(".npy")):
            raise ArtifactError(f"{WEIGHTS} holds an entry called {entry.filename!r}")
    if sum(entry.file_size for entry in entries) > MAX_FILE_BYTES:
        raise ArtifactError(f"{WEIGHTS} unpacks to more than {MAX_FILE_BYTES} bytes")
