"""The starter model: shipped, small, described, and what its own command makes of its own data."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from predictions.forecasting import starter as command
from predictions.forecasting.artifact import read_artifact
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.quantiles import HORIZONS
from predictions.forecasting.recipe import DAILY
from predictions.forecasting.series import Panel, dataset_hash

from .simulate import market

SHARED = Path(os.environ.get("CRYPTOPREDICT_SHARED", Path(__file__).resolve().parents[3] / ".." / "shared"))


def write_csv_folder(folder: Path, panel: Panel) -> None:
    folder.mkdir()
    for n, coin in enumerate(panel.coins):
        lines = [f"{d},{p!r}" for d, p in zip(panel.dates, panel.prices[:, n].tolist(), strict=True)]
        (folder / f"{coin}.csv").write_text("\n".join(["date,price", *lines, ""]))


def test_it_ships_well_under_a_megabyte(starter_folder: Path) -> None:
    assert sum(file.stat().st_size for file in starter_folder.iterdir()) < 200_000


def test_it_ships_the_recipe_of_this_version(starter_folder: Path) -> None:
    shipped = read_artifact(starter_folder)
    assert shipped.recipe == DAILY
    assert sum(array.size for array in shipped.weights.values()) == 1595 + 8 * len(shipped.recipe.horizons)


def test_it_ships_a_card_with_n_and_interval_for_every_horizon(starter_folder: Path) -> None:
    card = (starter_folder / "card.md").read_text()
    rows = [line.split("|") for line in card.splitlines() if "| lstm |" in line]
    assert [int(cells[1]) for cells in rows] == list(HORIZONS)
    assert all(int(cells[3]) > 300 and cells[5].count("[") == cells[6].count("[") == 1 for cells in rows)
    assert json.loads((starter_folder / "manifest.json").read_text())["dataset_sha256"] in card
    assert command.command_of("daily") in card


def test_it_refuses_to_write_over_another_model(tmp_path: Path, starter_folder: Path) -> None:
    with pytest.raises(SystemExit, match="not empty"):
        command.main(["--data", str(tmp_path), "--out", str(starter_folder)])


@pytest.mark.slow
def test_it_trains_and_describes_a_model_from_a_folder_of_prices(tmp_path: Path) -> None:
    panel = market(days=640, coins=12, seed=6)
    write_csv_folder(tmp_path / "prices", panel)
    options = ["--source", "a simulation", "--validate-from", str(panel.dates[-200])]
    command.main(["--data", str(tmp_path / "prices"), "--out", str(tmp_path / "made"), *options])
    made = read_artifact(tmp_path / "made")
    assert made.manifest["cutoff"] == str(panel.dates[-1])
    assert made.manifest["dataset_sha256"] == dataset_hash(panel)
    card = (tmp_path / "made" / "card.md").read_text()
    assert "- Source: a simulation." in card
    assert card.count("| lstm | 199 |") == 1
    assert len(made.manifest["extra"]["validation"]["rows"]) == 4 * len(HORIZONS)


@pytest.mark.shared
def test_it_was_made_from_the_shared_daily_prices(starter_folder: Path) -> None:
    panel = read_csv_folder(SHARED / "data" / "daily")
    manifest = read_artifact(starter_folder).manifest
    assert manifest["dataset_sha256"] == dataset_hash(panel)


@pytest.mark.shared
@pytest.mark.slow
def test_it_is_reproduced_by_training_again(starter_folder: Path) -> None:
    from predictions.forecasting.training import train

    panel = read_csv_folder(SHARED / "data" / "daily")
    again, shipped = train(panel, cutoff=panel.last_date), read_artifact(starter_folder)
    np.testing.assert_allclose(again.z, shipped.z, atol=1e-12)
    for name, array in shipped.weights.items():
        np.testing.assert_allclose(again.weights[name], array, atol=1e-3)
