"""A model's files are checked before anything in them is interpreted; the last good model goes on serving."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client

from markets.models import Cryptocurrency
from predictions import artefacts, champion, desk, issuing, monitoring, registry
from predictions.forecasting.artifact import MAX_FILE_BYTES, ArtifactError
from predictions.models import ModelAlarm, Prediction, TrainedModel
from predictions.tests.conftest import NOW, copy_of

onnx: Any = pytest.importorskip("onnx")


@pytest.fixture
def candidate(serving: TrainedModel, tmp_path: Path) -> TrainedModel:
    return copy_of(serving, tmp_path, "candidate")


def forge(model: TrainedModel, name: str, content: bytes) -> None:
    """Puts a file into a model's folder and makes every hash fit, as somebody with access to all of it could."""
    folder = Path(model.folder)
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    raw = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(raw)
    TrainedModel.objects.filter(pk=model.pk).update(manifest_sha256=hashlib.sha256(raw).hexdigest())
    model.refresh_from_db()


def change_graph(model: TrainedModel, change: Callable[[Any], None]) -> None:
    graph = onnx.load_model_from_string((Path(model.folder) / "model.onnx").read_bytes())
    change(graph)
    forge(model, "model.onnx", graph.SerializeToString())


def wrong_hash(model: TrainedModel) -> None:
    file = Path(model.folder) / "z.json"
    file.write_text(file.read_text().replace("1", "2"))


def wrong_manifest(model: TrainedModel) -> None:
    file = Path(model.folder) / "manifest.json"
    file.write_text(file.read_text() + " ")


def missing(model: TrainedModel) -> None:
    (Path(model.folder) / "model.onnx").unlink()


def truncated(model: TrainedModel) -> None:
    file = Path(model.folder) / "model.onnx"
    file.write_bytes(file.read_bytes()[:5000])


def truncated_with_a_hash_that_fits(model: TrainedModel) -> None:
    forge(model, "model.onnx", (Path(model.folder) / "model.onnx").read_bytes()[:5000])


def nan_weights(model: TrainedModel) -> None:
    with np.load(Path(model.folder) / "weights.npz") as archive:
        weights = {name: archive[name] for name in archive.files}
    first = next(iter(weights))
    weights[first] = np.full_like(weights[first], np.nan)
    content = io.BytesIO()
    np.savez(content, **weights)
    forge(model, "weights.npz", content.getvalue())


def nan_in_the_graph(model: TrainedModel) -> None:
    def change(graph: Any) -> None:
        weights = next(one for one in graph.graph.initializer if one.name.startswith("R0"))
        array = onnx.numpy_helper.to_array(weights).copy()
        array[0, 0, 0] = np.nan
        weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))

    change_graph(model, change)


def custom_operator(model: TrainedModel) -> None:
    def change(graph: Any) -> None:
        node = next(one for one in graph.graph.node if one.op_type == "Exp")
        node.domain = "somebody.else"
        graph.opset_import.append(onnx.helper.make_opsetid("somebody.else", 1))

    change_graph(model, change)


def python_operator(model: TrainedModel) -> None:
    change_graph(model, lambda graph: setattr(graph.graph.node[0], "op_type", "PyOp"))


def function_in_the_graph(model: TrainedModel) -> None:
    change_graph(model, lambda graph: graph.functions.add(name="f", domain=""))


def graph_in_the_graph(model: TrainedModel) -> None:
    def change(graph: Any) -> None:
        attribute = graph.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH)
        attribute.g.name = "hidden"

    change_graph(model, change)


def weights_outside_the_file(model: TrainedModel) -> None:
    def change(graph: Any) -> None:
        weights = graph.graph.initializer[-1]
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="../../../etc/passwd")

    change_graph(model, change)


def lambda_layer(model: TrainedModel) -> None:
    """A Keras file whose Lambda layer would run code when it is opened: no such file is ever opened here."""
    content = io.BytesIO()
    layer = {"class_name": "Lambda", "config": {"function": ["gAAAAA==", None, None]}}
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
    forge(model, "model.keras", content.getvalue())


def zip_that_climbs(model: TrainedModel) -> None:
    content = io.BytesIO((Path(model.folder) / "weights.npz").read_bytes())
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("../climbed.npy", b"\x93NUMPY")
    forge(model, "weights.npz", content.getvalue())


def zip_that_swells(model: TrainedModel) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.npy", "w") as entry:
        for _ in range(65):
            entry.write(bytes(2**20))
    forge(model, "weights.npz", content.getvalue())


def symbolic_link(model: TrainedModel) -> None:
    file = Path(model.folder) / "model.onnx"
    elsewhere = file.rename(Path(model.folder).parent / "elsewhere.onnx")
    file.symlink_to(elsewhere)


def oversized(model: TrainedModel) -> None:
    os.truncate(Path(model.folder) / "model.onnx", MAX_FILE_BYTES + 1)


DAMAGES = (
    wrong_hash, wrong_manifest, missing, truncated, truncated_with_a_hash_that_fits, nan_weights, nan_in_the_graph,
    custom_operator, python_operator, function_in_the_graph, graph_in_the_graph, weights_outside_the_file,
    lambda_layer, zip_that_climbs, zip_that_swells, symbolic_link, oversized,
)  # fmt: skip
damaged = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


@damaged
def test_it_never_promotes_a_model_with_bad_files(
    candidate: TrainedModel,
    serving: TrainedModel,
    damage: Callable[[TrainedModel], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage(candidate)
    opened: list[object] = []
    monkeypatch.setattr(artefacts, "Forecaster", lambda found: opened.append(found))
    with pytest.raises(ArtifactError):
        registry.promote(model=candidate, reason="Try.")
    assert opened == [], "it was refused before anything was loaded"
    assert TrainedModel.objects.serving() == serving
    assert candidate.events.get(kind="refused").reason.startswith("Its files are not good")
    with pytest.raises(ArtifactError):
        registry.shadow(model=candidate, reason="Try.")
    assert not list(Path(candidate.folder).parent.rglob("climbed*"))


@damaged
def test_it_goes_on_with_the_last_good_model_when_the_champions_files_go_bad(
    candidate: TrainedModel,
    serving: TrainedModel,
    coins: list[Cryptocurrency],
    damage: Callable[[TrainedModel], None],
) -> None:
    registry.promote(model=candidate, reason="Try.")
    damage(candidate)
    found = champion.serving_forecaster()
    assert (found.model, found.instead_of) == (serving, candidate)
    issue = issuing.issue_forecasts(now=NOW)
    assert (issue.model, issue.coins) == (serving.version, 6)
    alarm = ModelAlarm.objects.unresolved().get(kind="artefact")
    assert alarm.model == candidate
    assert f"{serving.version} serves in its place" in alarm.message
    page = Client().get("/status/").content.decode()
    assert "The files of candidate are damaged" in page


def test_it_accepts_the_model_that_ships_with_the_product(serving: TrainedModel) -> None:
    assert artefacts.open_checked(Path(serving.folder)).sha256 == serving.manifest_sha256


def test_its_warm_process_does_not_look_at_the_files_again(
    candidate: TrainedModel, serving: TrainedModel, coins: list[Cryptocurrency]
) -> None:
    registry.promote(model=candidate, reason="Try.")
    before = champion.serving_forecaster()
    truncated(candidate)
    after = champion.serving_forecaster()
    assert after.forecaster is before.forecaster
    assert (after.model, after.instead_of) == (candidate, None)


def test_its_warm_process_changes_over_when_the_champion_changes(
    candidate: TrainedModel, serving: TrainedModel, coins: list[Cryptocurrency]
) -> None:
    forge(candidate, "card.md", b"Another model.")
    first, _ = desk.forecast_now(coin=coins[0], now=NOW)
    registry.promote(model=candidate, reason="Better.")
    second, is_new = desk.forecast_now(coin=coins[0], now=NOW)
    assert (first[0].model, second[0].model, is_new) == (serving, candidate, True)
    registry.rollback(reason="Worse.")
    third, is_new = desk.forecast_now(coin=coins[0], now=NOW)
    assert (third, is_new) == (first, False)


def test_it_says_so_when_no_model_at_all_can_be_opened(serving: TrainedModel, tmp_path: Path) -> None:
    shutil.copytree(serving.folder, tmp_path / "copy")
    TrainedModel.objects.update(folder=str(tmp_path / "copy"))
    serving.refresh_from_db()
    missing(serving)
    with pytest.raises(ArtifactError):
        champion.serving_forecaster()
    assert "are damaged" in ModelAlarm.objects.unresolved().get().message
    assert Prediction.objects.count() == 0


def test_it_ends_the_alarm_once_the_files_are_good_again(
    candidate: TrainedModel, serving: TrainedModel, coins: list[Cryptocurrency]
) -> None:
    registry.promote(model=candidate, reason="Try.")
    content = (Path(candidate.folder) / "model.onnx").read_bytes()
    missing(candidate)
    champion.serving_forecaster()
    assert monitoring.watch_champion(now=NOW) != []
    (Path(candidate.folder) / "model.onnx").write_bytes(content)
    assert monitoring.watch_champion(now=NOW) == []
    assert ModelAlarm.objects.get().resolved_at is not None
