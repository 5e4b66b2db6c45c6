"""The commands on a folder of prices: exact files, one sentence for bad input, no database."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from predictions.forecasting.artifact import read_artifact
from predictions.forecasting.series import Panel
from predictions.forecasting.training import Trained
from predictions.management.commands import backtest as command

from .simulate import market

pytestmark = pytest.mark.second  # each fits and forecasts whole back-tests

HEADER = "coin,cutoff,target,horizon,model,q025,q05,q10,q20,q30,q40,q50,q60,q70,q80,q90,q95,q975"
MODELS = {"lstm", "linear", "fhs", "ewma_n", "published"}
ROOT = Path(__file__).resolve().parents[3]


def write_folder(folder: Path, panel: Panel) -> Path:
    folder.mkdir()
    for n, coin in enumerate(panel.coins):
        prices = zip(panel.dates, panel.prices[:, n].tolist(), strict=True)
        lines = [f"{d},{'' if np.isnan(p) else repr(p)},," for d, p in prices]
        (folder / f"{coin}.csv").write_text("\n".join(["date,price,market_cap,volume", *lines, ""]))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("prices") / "daily", market())


@pytest.fixture
def shipped_fit(monkeypatch: pytest.MonkeyPatch, starter_folder: Path) -> None:
    """Stands in for training with the shipped weights."""
    original: Callable[..., Any] = command.run_backtest

    def fit(panel: Panel, *, cutoff: Any, recipe: Any, seed: int) -> Trained:
        shipped = read_artifact(starter_folder)
        return Trained(shipped.recipe, cutoff, seed, shipped.z, shipped.weights, shipped.onnx, "", {})

    monkeypatch.setattr(command, "run_backtest", lambda *args, **options: original(*args, **options, fit=fit))


def run(data: Path, out: Path, **changes: str) -> None:
    options = {"start": "2023-11-01", "end": "2023-12-10", "step": "1", "retrain": "100", "horizons": "1,7,30"}
    given = [f"--{name}={value}" for name, value in (options | changes).items() if value]
    call_command("backtest", f"--data={data}", f"--out={out}", *given, stdout=StringIO(), stderr=StringIO())


@pytest.mark.usefixtures("shipped_fit")
def test_it_writes_a_row_per_coin_cutoff_horizon_and_model(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "rows.csv", step="2")
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert file.readline().strip() == HEADER
        file.seek(0)
        rows = list(csv.DictReader(file))
    keys = {(r["coin"], r["cutoff"], r["horizon"], r["model"]) for r in rows}
    assert len(keys) == len(rows) == 6 * 20 * 3 * 5
    assert {r["model"] for r in rows} == MODELS
    first = rows[0]
    assert (first["cutoff"], first["target"], first["horizon"]) == ("2023-11-01", "2023-11-02", "1")
    levels = [float(first[name]) for name in HEADER.split(",")[5:]]
    assert levels == sorted(levels)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.csv", "rows.json"]


@pytest.mark.usefixtures("shipped_fit")
def test_it_writes_every_metric_beside_the_rows(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "rows.csv", horizons="1", start="2023-08-20")
    report = json.loads((tmp_path / "rows.json").read_text())
    row = next(r for r in report["rows"] if r["model"] == "lstm")
    assert {"crps", "coverage_80", "coverage_95", "interval_score_80", "n_dates", "coverage_80_interval"} <= set(row)
    for baseline in ("ewma_n", "fhs", "linear"):
        against = row["against"][baseline]
        assert {"skill", "interval", "label", "n_dates", "diebold_mariano", "interval_score_80_ratio"} <= set(against)
    assert {r["coin"] for r in report["by_coin"]} == {"bitcoin", *(f"coin-{n:02d}" for n in range(1, 6))}
    assert {r["regime"] for r in report["by_regime"]} <= {"calm", "normal", "wild"}
    assert report["weighting"] == "by date"


@pytest.mark.usefixtures("shipped_fit")
def test_it_forecasts_only_the_coins_of_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "coins.txt").write_text("coin-02\nbitcoin\n")
    run(data, tmp_path / "rows.csv", coins=str(tmp_path / "coins.txt"))
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert {row["coin"] for row in csv.DictReader(file)} == {"coin-02", "bitcoin"}


@pytest.mark.usefixtures("shipped_fit")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"start": "2023-13-01"}, "--start is a date as 2024-01-31, not '2023-13-01'."),
        ({"end": "soon"}, "--end is a date as 2024-01-31, not 'soon'."),
        ({"end": "2023-10-01"}, "--end 2023-10-01 is before --start 2023-11-01."),
        ({"horizons": "1,4"}, "Unknown horizons: [4]; daily ones are 1, 2, 3, 5, 7, 10, 14, 21, 30."),
        ({"horizons": "one"}, "--horizons are numbers as 1,7,30, not 'one'."),
        ({"step": "0"}, "--step is more than 0, not 0."),
        ({"retrain": "often"}, "--retrain is a whole number, not 'often'."),
        ({"frequency": "weekly"}, "--frequency is daily or hourly, not weekly."),
        ({"start": "2030-01-01", "end": "2030-02-01"}, "2030-01-01 to 2030-02-01 is not a period within .*"),
        ({"coins": "UNKNOWN"}, "There are no prices of dogwifhat, which .* names."),
        ({"coins": "nowhere.txt"}, "nowhere.txt cannot be read as a list of coins: .*"),
    ],
)
def test_it_says_in_a_sentence_what_is_wrong_and_writes_nothing(
    data: Path, tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    if changes.get("coins") == "UNKNOWN":
        (tmp_path / "coins.txt").write_text("dogwifhat\n")
        changes = {"coins": str(tmp_path / "coins.txt")}
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(CommandError, match=f"^{sentence.replace('[', '.').replace(']', '.')}$"):
        run(data, out / "rows.csv", **changes)
    assert list(out.iterdir()) == []


@pytest.mark.usefixtures("shipped_fit")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("date,price\n2024-01-01,ten\n", "broken.csv: line 2: could not convert string to float: 'ten'."),
        ("day,value\n2024-01-01,10\n", "broken.csv: needs the columns date and price."),
        (b"\xff\xfe\x00date", "broken.csv: .*"),
    ],
)
def test_it_names_the_file_that_it_cannot_read(data: Path, tmp_path: Path, content: str | bytes, sentence: str) -> None:
    folder = write_folder(tmp_path / "daily", market(days=300, coins=2))
    (folder / "broken.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CommandError, match=f"^{sentence}$"):
        run(folder, tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


@pytest.mark.usefixtures("shipped_fit")
def test_it_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No CSV files in"):
        run(tmp_path / "nowhere", tmp_path / "rows.csv")


def manage(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with a folder for files that does not exist yet."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"VAR_DIR": str(tmp_path / "var"), "SECRET_KEY": "x" * 50, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_it_needs_no_database_and_ends_with_status_one_on_bad_input(data: Path, tmp_path: Path) -> None:
    done = manage(tmp_path, "backtest", f"--data={data}", "--start=2023-13-01", f"--out={tmp_path / 'rows.csv'}")
    assert done.returncode == 1
    assert done.stderr.strip() == "CommandError: --start is a date as 2024-01-31, not '2023-13-01'."
    checked = manage(tmp_path, "check_leakage", f"--data={data}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "LEAK" not in checked.stdout
    assert not list(tmp_path.glob("**/*.sqlite3"))


@pytest.mark.slow
def test_it_trains_back_tests_and_writes_without_a_database(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    done = manage(
        tmp_path, "backtest", f"--data={data}", "--start=2023-12-01", "--end=2023-12-20", "--horizons=1,7,30",
        "--retrain=30", f"--out={out}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert out.read_text().count("\n") == 1 + 20 * 6 * 3 * 5
    assert not list(tmp_path.glob("**/*.sqlite3"))
