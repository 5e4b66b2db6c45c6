"""The ledger is append-only in the database itself, and anyone can check it with Python alone."""

import importlib.util
import io
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from markets.tests.api import API
from predictions import guards, ledger
from predictions.models import Prediction, TrainedModel
from predictions.scoring import score, void
from predictions.tests.ledger import make_coin, make_ledger, make_model, unguarded

SCRIPT = Path(settings.BASE_DIR) / "docs" / "verify_ledger.py"


@pytest.fixture
def stored(db: None) -> list[Prediction]:
    """Six forecasts: three scored, one void, two open."""
    made = make_ledger(make_coin(), make_model(), dates=6, scored=3)
    void(made[3], "No price was observed at the target time.")
    made[3].save()
    return made


def execute(statement: str, *parameters: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.mark.parametrize(
    "change",
    [
        "base_price = base_price * 1.01", "quantiles = model_quantiles", "fhs_quantiles = model_quantiles",
        "label = 'beats_baseline'", "headline = 'model'", "sequence = sequence + 100", "multiplier_80 = 1.1",
        "issued_at = cutoff_at", "is_shadow = NOT is_shadow", "row_hash = previous_hash", "hash_version = 1",
        "counts_as_evidence = NOT counts_as_evidence",
    ],
)  # fmt: skip
def test_it_refuses_to_change_what_was_frozen_even_to_raw_sql(stored: list[Prediction], change: str) -> None:
    before = Prediction.objects.values().get(sequence=5)
    with pytest.raises(IntegrityError, match="frozen forecast cannot change"):
        execute(f"UPDATE predictions_prediction SET {change} WHERE sequence = 5")
    assert Prediction.objects.values().get(sequence=5) == before


def test_it_guards_every_column_that_is_there() -> None:
    columns = {field.column for field in Prediction._meta.concrete_fields}
    assert columns == {*guards.FROZEN, *guards.OUTCOME}
    assert {*Prediction.FROZEN, "id"} == set(guards.FROZEN)
    assert Prediction.OUTCOME == guards.OUTCOME


def test_it_refuses_to_delete_a_forecast_even_to_raw_sql(stored: list[Prediction]) -> None:
    with pytest.raises(IntegrityError, match="cannot be deleted"):
        execute("DELETE FROM predictions_prediction WHERE sequence = 6")
    with pytest.raises(IntegrityError, match="cannot be deleted"), transaction.atomic():
        Prediction.objects.all().delete()
    assert Prediction.objects.count() == 6


def test_it_refuses_to_be_emptied_at_one_stroke(stored: list[Prediction]) -> None:
    connection.check_constraints()
    is_postgres = connection.vendor == "postgresql"
    with pytest.raises(IntegrityError, match="cannot be deleted"):
        execute("TRUNCATE predictions_prediction" if is_postgres else "DELETE FROM predictions_prediction")


@pytest.mark.parametrize("sequence", [1, 4])
@pytest.mark.parametrize(
    "change", ["actual_price = 1.0", "crps = 0.0", "is_hit_80 = TRUE", "state = 'open'", "void_reason = 'Because.'"]
)
def test_it_refuses_to_settle_a_forecast_twice(stored: list[Prediction], sequence: int, change: str) -> None:
    before = Prediction.objects.values().get(sequence=sequence)
    with pytest.raises(IntegrityError, match="cannot be settled again"):
        execute(f"UPDATE predictions_prediction SET {change} WHERE sequence = {sequence}")
    assert Prediction.objects.values().get(sequence=sequence) == before


def test_it_lets_an_open_forecast_be_settled_once(stored: list[Prediction]) -> None:
    score(stored[4], 101.0, stored[4].target_at)
    stored[4].save()
    assert Prediction.objects.get(sequence=5).actual_price == 101.0
    assert ledger.verify_chain().is_intact


def test_it_keeps_outcomes_out_of_open_forecasts(stored: list[Prediction]) -> None:
    with pytest.raises(IntegrityError, match="open_has_no_outcome"):
        execute("UPDATE predictions_prediction SET actual_price = 5 WHERE sequence = 6")


@pytest.mark.django_db(transaction=True)
def test_it_yields_to_the_flush_of_a_test_and_stands_again_after_it() -> None:
    make_ledger(make_coin(), make_model(), dates=2)
    call_command_flush_as_a_test_does()
    make_ledger(make_coin(), make_model(), dates=1)
    with pytest.raises(IntegrityError, match="cannot be deleted"):
        execute("DELETE FROM predictions_prediction")


def call_command_flush_as_a_test_does() -> None:
    from django.test import TransactionTestCase

    TransactionTestCase("__init__")._fixture_teardown()  # type: ignore[attr-defined]


# verify_ledger --------------------------------------------------------------------------------------


def test_it_finds_every_forecast_as_it_was(stored: list[Prediction], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_ledger")
    assert f"6 forecasts, all as they were frozen and scored; the last hash is {stored[-1].row_hash}" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"inputs_sha256": "b" * 63 + "c"}, "Forecast 2: its content does not match its hash"),
        ({"actual_price": 91.39311852712283}, "Forecast 2: its outcome does not match its hash"),
        ({"sequence": 99}, "Forecast 2: forecast 2 is missing"),
        ({"hash_version": 3}, "Forecast 2: its content does not match its hash"),
    ],
)
def test_its_command_names_the_first_row_with_one_byte_altered(
    stored: list[Prediction], change: dict[str, Any], problem: str
) -> None:
    with unguarded():
        Prediction.objects.filter(sequence__in=[2, 3]).filter(sequence=2).update(**change)
    with pytest.raises(CommandError, match=problem) as caught:
        call_command("verify_ledger")
    assert caught.value.returncode == 1


def test_its_command_finds_a_forged_score_whose_hash_was_forged_too(stored: list[Prediction]) -> None:
    stored[1].crps = 0.001
    forged = ledger.outcome_hash(stored[1])
    with unguarded():
        Prediction.objects.filter(sequence=2).update(crps=0.001, outcome_hash=forged)
    assert ledger.verify_chain().is_intact
    with pytest.raises(CommandError, match="Forecast 2: its scores do not follow from its outcome"):
        call_command("verify_ledger")


# The script -----------------------------------------------------------------------------------------


@pytest.fixture
def export(stored: list[Prediction]) -> str:
    content: bytes = Client().get(f"{API}predictions/export/").getvalue()
    return content.decode()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_ledger", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_script(export: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "forecasts.csv"
    file.write_bytes(export.encode())
    # -I and -S: neither this project nor any installed package is within its reach.
    return subprocess.run([sys.executable, "-I", "-S", str(SCRIPT), str(file)], capture_output=True, text=True)


def test_its_script_recomputes_every_hash_and_score_from_an_export(
    stored: list[Prediction], export: str, tmp_path: Path
) -> None:
    done = run_script(export, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"6 forecasts, 3 of them scored, all as they were frozen; the last hash is {stored[-1].row_hash}.\n"
    )


def test_its_script_ends_with_1_and_names_the_row(stored: list[Prediction], export: str, tmp_path: Path) -> None:
    assert stored[1].actual_price is not None
    price = repr(stored[1].actual_price)
    done = run_script(export.replace(price, price[:-1] + str((int(price[-1]) + 1) % 10), 1), tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("The ledger is not as it was: forecast 2:")


def test_its_script_finds_one_altered_byte_wherever_it_is(export: str, script: ModuleType) -> None:
    draw = random.Random(7)
    assert script.verify(io.StringIO(export, newline=""))[0] == 6
    for place in [0, len(export) - 1, len(export) - 2, *draw.sample(range(len(export)), 300)]:
        replaced = draw.choice([c for c in '0123456789.-,abTrue\r\n"' if c != export[place]])
        altered = export[:place] + replaced + export[place + 1 :]
        with pytest.raises(script.Broken):
            script.verify(io.StringIO(altered, newline=""))


def test_its_script_finds_a_removed_and_a_swapped_row(export: str, script: ModuleType) -> None:
    lines = export.splitlines(keepends=True)
    for altered in (lines[:2] + lines[3:], [lines[0], lines[2], lines[1], *lines[3:]]):
        with pytest.raises(script.Broken, match="missing or out of its place"):
            script.verify(io.StringIO("".join(altered), newline=""))


def test_its_script_finds_a_score_that_does_not_follow_from_the_price(
    stored: list[Prediction], script: ModuleType
) -> None:
    stored[1].crps = 0.001
    forged = ledger.outcome_hash(stored[1])
    with unguarded():
        Prediction.objects.filter(sequence=2).update(crps=0.001, outcome_hash=forged)
    export = Client().get(f"{API}predictions/export/").getvalue().decode()
    with pytest.raises(script.Broken, match=r"forecast 2: crps is 0\.001, not"):
        script.verify(io.StringIO(export, newline=""))


# The migration --------------------------------------------------------------------------------------


@pytest.mark.second
@pytest.mark.django_db(transaction=True)
def test_it_keeps_a_chain_verifiable_over_the_migration_back_and_forth(migrate: Callable[[str], None]) -> None:
    made = make_ledger(make_coin(), make_model(), dates=4, scored=2)
    hashes = list(Prediction.objects.order_by("sequence").values_list("row_hash", "outcome_hash"))
    migrate("0001_initial")
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM predictions_prediction")
        assert cursor.fetchone() == (len(made),)
    migrate("0003_seal_and_guard")
    assert list(Prediction.objects.order_by("sequence").values_list("row_hash", "outcome_hash")) == hashes
    assert ledger.verify_chain().is_intact
    with pytest.raises(IntegrityError, match="frozen forecast"):
        execute("UPDATE predictions_prediction SET base_price = 1")


@pytest.mark.second
@pytest.mark.django_db(transaction=True)
def test_it_goes_on_with_a_chain_that_was_begun_under_the_first_version(migrate: Callable[[str], None]) -> None:
    made = make_ledger(make_coin(), make_model(), dates=1)
    with unguarded():
        made[0].hash_version = 1
        Prediction.objects.update(hash_version=1, row_hash=ledger.prediction_hash(made[0]))
    migrate("0001_initial")
    migrate("0003_seal_and_guard")
    make_ledger(make_coin("ethereum"), TrainedModel.objects.get(), dates=1)
    assert list(Prediction.objects.order_by("sequence").values_list("hash_version", "horizon_hours")) == [
        (1, 24), (2, 24),
    ]  # fmt: skip
    assert ledger.verify_chain().is_intact


@pytest.fixture
def migrate() -> Any:
    """Takes the app's migrations to a name, and back to the newest one at the end."""

    def go(name: str) -> None:
        executor = MigrationExecutor(connection)
        executor.migrate([("predictions", name)])

    yield go
    executor = MigrationExecutor(connection)
    executor.migrate([key for key in executor.loader.graph.leaf_nodes() if key[0] == "predictions"])
