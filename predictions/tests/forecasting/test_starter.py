"""The starter model: shipped, small, described, and what its own command makes of its own data."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from predictions.forecasting import starter as command
from predictions.forecasting.artifact import read_artifact
from predictions.forecasting.features import feature_names
from predictions.forecasting.folders import read_csv_folder
from predictions.forecasting.frequency import FREQUENCIES
from predictions.forecasting.leakage import run_checks, subject_of
from predictions.forecasting.quantiles import HORIZONS
from predictions.forecasting.recipe import RECIPES
from predictions.forecasting.series import Panel, dataset_hash
from predictions.forecasting.serving import CoinForecast, load

from .simulate import market

SHARED = Path(os.environ.get("CRYPTOPREDICT_SHARED", Path(__file__).resolve().parents[3] / ".." / "shared"))


def write_csv_folder(folder: Path, panel: Panel) -> None:
    folder.mkdir()
    for n, coin in enumerate(panel.coins):
        lines = [f"{d},{p!r}" for d, p in zip(panel.dates, panel.prices[:, n].tolist(), strict=True)]
        (folder / f"{coin}.csv").write_text("\n".join(["date,price", *lines, ""]))


@pytest.fixture(params=["daily", "hourly"])
def shipped_folder(request: pytest.FixtureRequest, starter_folder: Path) -> Path:
    return starter_folder.parent / request.param


def test_it_ships_well_under_a_megabyte(shipped_folder: Path) -> None:
    assert sum(file.stat().st_size for file in shipped_folder.iterdir()) < 200_000


def test_it_ships_the_recipe_of_this_version(shipped_folder: Path) -> None:
    shipped = read_artifact(shipped_folder)
    assert shipped.recipe == RECIPES[shipped_folder.name][0]
    assert shipped.manifest["features"] == list(feature_names(shipped.recipe))
    assert shipped.scale.season.shape[0] == shipped.recipe.steps.steps_per_day


def test_it_ships_a_card_with_n_and_interval_for_every_horizon(shipped_folder: Path) -> None:
    card = (shipped_folder / "card.md").read_text()
    rows = [line.split("|") for line in card.splitlines() if "| lstm |" in line]
    assert [int(cells[1]) for cells in rows] == list(RECIPES[shipped_folder.name][0].horizons)
    assert all(int(cells[3]) > 300 and cells[5].count("[") == cells[6].count("[") == 1 for cells in rows)
    assert json.loads((shipped_folder / "manifest.json").read_text())["dataset_sha256"] in card
    assert command.command_of(shipped_folder.name) in card


def test_it_serves_hours_as_it_serves_days(starter_folder: Path) -> None:
    forecaster = load(starter_folder.parent / "hourly")
    random = np.random.default_rng(1)
    moments = np.datetime64("2024-01-01", "h") + np.arange(1000)
    prices = 100 * np.exp(np.cumsum(0.005 * random.standard_t(5, (1000, 3)), axis=0))
    panel = Panel(moments, ["bitcoin", "a", "b"], prices)
    found = forecaster.forecast(panel, cutoff=panel.last_date)["a"]
    assert isinstance(found, CoinForecast)
    assert found.horizons == (1, 2, 4, 6, 8, 12, 18, 24)
    assert (np.diff(found.log_quantiles, axis=1) > 0).all()


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
def test_it_was_made_from_the_shared_prices(shipped_folder: Path) -> None:
    frequency = FREQUENCIES[shipped_folder.name]
    panel = read_csv_folder(SHARED / "data" / shipped_folder.name, frequency=frequency)
    manifest = read_artifact(shipped_folder).manifest
    assert manifest["dataset_sha256"] == dataset_hash(panel)


@pytest.mark.shared
@pytest.mark.slow
def test_it_is_reproduced_by_training_again(shipped_folder: Path) -> None:
    from predictions.forecasting.training import train

    shipped = read_artifact(shipped_folder)
    panel = read_csv_folder(SHARED / "data" / shipped_folder.name, frequency=shipped.recipe.steps)
    again = train(panel, cutoff=panel.last_date, recipe=shipped.recipe)
    np.testing.assert_allclose(again.z, shipped.z, atol=1e-12)
    for name, array in shipped.weights.items():
        np.testing.assert_allclose(again.weights[name], array, atol=1e-3)


@pytest.mark.shared
def test_it_finds_no_leak_on_the_shared_daily_prices(starter_folder: Path) -> None:
    panel = read_csv_folder(SHARED / "data" / "daily")
    recent = panel.dates >= np.datetime64("2022-06-01")
    coins = slice(0, 60)
    part = Panel(panel.dates[recent], panel.coins[coins], panel.prices[recent, coins])
    found = run_checks(subject_of(part, read_artifact(starter_folder)))
    assert {check.__name__: leak for check, leak in found if leak} == {}
