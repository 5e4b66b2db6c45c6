"""What the forecasting tests share: a simulated market and the forecaster that the project ships."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import pytest

from predictions.forecasting.series import Panel
from predictions.forecasting.serving import Forecaster, load

from .simulate import market

STARTER = Path(__file__).resolve().parents[2] / "starter" / "daily"


@pytest.fixture(scope="session")
def panel() -> Panel:
    return market()


@pytest.fixture(scope="session")
def starter_folder() -> Path:
    return STARTER


@pytest.fixture(scope="session")
def starter(starter_folder: Path) -> Forecaster:
    return load(starter_folder)


@pytest.fixture
def copied_starter(tmp_path: Path, starter_folder: Path) -> Path:
    return copytree(starter_folder, tmp_path / "copy")


@pytest.fixture
def rehash() -> Callable[[Path], None]:
    """Makes a folder's manifest agree with its files again, as someone who forges both would."""

    def update(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        for name in manifest["files"]:
            manifest["files"][name]["sha256"] = sha256((folder / name).read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return update
