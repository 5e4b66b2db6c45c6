"""Damaged, forged and incomplete forecasters are refused before anything in them is used."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from predictions.forecasting.artifact import ArtifactError, read_artifact, write_artifact
from predictions.forecasting.serving import load

Rehash = Callable[[Path], None]


def edit_manifest(folder: Path, **changes: object) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("name", ["model.onnx", "weights.npz", "z.json", "card.md"])
def test_it_refuses_a_file_that_was_changed(copied_starter: Path, name: str) -> None:
    data = bytearray((copied_starter / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied_starter / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=f"{name} does not match"):
        load(copied_starter)


@pytest.mark.parametrize("name", ["model.onnx", "weights.npz", "z.json", "manifest.json"])
def test_it_refuses_a_truncated_file(copied_starter: Path, name: str) -> None:
    data = (copied_starter / name).read_bytes()
    (copied_starter / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match=name):
        load(copied_starter)


@pytest.mark.parametrize("name", ["model.onnx", "weights.npz", "z.json"])
def test_it_refuses_a_truncated_file_with_a_matching_hash(copied_starter: Path, rehash: Rehash, name: str) -> None:
    data = (copied_starter / name).read_bytes()
    (copied_starter / name).write_bytes(data[: len(data) // 2])
    rehash(copied_starter)
    with pytest.raises(ArtifactError):
        load(copied_starter)


@pytest.mark.parametrize("name", ["model.onnx", "weights.npz", "z.json", "manifest.json"])
def test_it_refuses_a_folder_with_a_file_missing(copied_starter: Path, name: str) -> None:
    (copied_starter / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        load(copied_starter)


def test_it_refuses_a_link_in_place_of_a_file(copied_starter: Path, starter_folder: Path) -> None:
    (copied_starter / "model.onnx").unlink()
    (copied_starter / "model.onnx").symlink_to(starter_folder / "model.onnx")
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        load(copied_starter)


def test_it_refuses_a_manifest_other_than_the_registered_one(copied_starter: Path) -> None:
    registered = read_artifact(copied_starter).sha256
    assert load(copied_starter, expected_sha256=registered).sha256 == registered
    edit_manifest(copied_starter, seed=8)
    with pytest.raises(ArtifactError, match="not the one that was registered"):
        load(copied_starter, expected_sha256=registered)


def test_it_refuses_nan_in_the_stored_weights(copied_starter: Path, rehash: Rehash) -> None:
    with np.load(copied_starter / "weights.npz") as archive:
        weights = {name: archive[name] for name in archive.files}
    weights["lstm_head/bias"][3] = np.nan
    np.savez(copied_starter / "weights.npz", **weights)
    rehash(copied_starter)
    with pytest.raises(ArtifactError, match="lstm_head/bias holds values that are not finite"):
        load(copied_starter)


def test_it_refuses_nan_in_the_onnx_graph(copied_starter: Path, rehash: Rehash) -> None:
    model = onnx.load(copied_starter / "model.onnx")
    weights = [tensor for tensor in model.graph.initializer if numpy_helper.to_array(tensor).dtype == np.float32]
    for tensor in weights:
        array = np.full_like(numpy_helper.to_array(tensor), np.nan)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, copied_starter / "model.onnx")
    rehash(copied_starter)
    with pytest.raises(ArtifactError, match="not finite and rising"):
        load(copied_starter)


def test_it_refuses_quantiles_that_do_not_rise(copied_starter: Path, rehash: Rehash) -> None:
    z = json.loads((copied_starter / "z.json").read_text())
    z[0].reverse()
    (copied_starter / "z.json").write_text(json.dumps(z))
    rehash(copied_starter)
    with pytest.raises(ArtifactError, match="not finite and rising"):
        load(copied_starter)


def test_it_refuses_pickled_weights(copied_starter: Path, rehash: Rehash) -> None:
    np.savez(copied_starter / "weights.npz", evil=np.array([{"a": 1}], dtype=object))
    rehash(copied_starter)
    with pytest.raises(ArtifactError, match=r"weights\.npz is not readable"):
        load(copied_starter)


def test_it_refuses_a_zip_whose_entries_climb_out(copied_starter: Path, rehash: Rehash) -> None:
    array = io.BytesIO()
    np.save(array, np.ones(3, np.float32))
    with ZipFile(copied_starter / "weights.npz", "a") as archive:
        archive.writestr("../evil.npy", array.getvalue())
    rehash(copied_starter)
    with pytest.raises(ArtifactError, match="evil"):
        load(copied_starter)
    assert not (copied_starter.parent / "evil.npy").exists()


@pytest.mark.parametrize("name", ["../manifest.json", "/etc/hostname", "model.keras"])
def test_it_refuses_a_manifest_that_lists_other_files(copied_starter: Path, name: str) -> None:
    files = json.loads((copied_starter / "manifest.json").read_text())["files"]
    edit_manifest(copied_starter, files=files | {name: {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(ArtifactError, match=r"manifest\.json lists"):
        load(copied_starter)


def test_it_refuses_another_format_recipe_or_feature_list(copied_starter: Path) -> None:
    features = json.loads((copied_starter / "manifest.json").read_text())["features"]
    for changes in ({"format": 2}, {"recipe": {"name": "x"}}, {"features": features[::-1]}):
        kept = (copied_starter / "manifest.json").read_bytes()
        edit_manifest(copied_starter, **changes)
        with pytest.raises(ArtifactError):
            load(copied_starter)
        (copied_starter / "manifest.json").write_bytes(kept)


def test_it_writes_a_folder_whole_and_never_over_another(tmp_path: Path, starter_folder: Path) -> None:
    source = read_artifact(starter_folder)
    listed = {key: value for key, value in source.manifest.items() if key not in {"files", "format"}}
    parts: dict[str, Any] = {
        "manifest": listed,
        "onnx": source.onnx,
        "scale": source.scale,
        "weights": source.weights,
    }
    digest = write_artifact(tmp_path / "new", **parts)
    again = read_artifact(tmp_path / "new", expected_sha256=digest)
    np.testing.assert_array_equal(again.z, source.z)
    assert {name: a.tobytes() for name, a in again.weights.items()} == {
        name: a.tobytes() for name, a in source.weights.items()
    }
    with pytest.raises(FileExistsError):
        write_artifact(tmp_path / "new", **parts)
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]


def test_it_leaves_nothing_behind_when_writing_fails(
    tmp_path: Path, starter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = read_artifact(starter_folder)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("predictions.forecasting.artifact.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_artifact(
            tmp_path / "new", manifest={"recipe": {}}, onnx=source.onnx, scale=source.scale, weights=source.weights
        )
    assert list(tmp_path.iterdir()) == []
