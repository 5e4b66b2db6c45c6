"""The loss curve of a training: what it notes, how far it says it is, and what a killed run leaves behind."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from predictions.curves import STAGES, LossCurve, epoch_ends
from predictions.models import TrainedModel

pytestmark = pytest.mark.django_db


def make_model(**columns: Any) -> TrainedModel:
    return TrainedModel.objects.create(version="lstm-1", state="training", origin="own", **columns)


def tell_all(note: Any, *, epochs: int, first: int = 0, per_epoch: int = 4) -> None:
    for place in range(first * per_epoch + 1, epochs * per_epoch + 1):
        note(place / (epochs * per_epoch), 1.0 / place)


def test_it_keeps_every_loss_and_counts_the_epochs_of_all_stages() -> None:
    model = make_model()
    lines: list[str] = []
    curve = LossCurve(model, epochs=2, tell=lines.append, clock=lambda: 0.0)
    for stage in STAGES:
        tell_all(curve.options(stage)["progress"], epochs=2)
    kept = TrainedModel.objects.get(pk=model.pk)
    assert (kept.done, kept.total) == (6, 6)
    assert [point[0] for point in kept.metrics["curve"]["final"]] == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert epoch_ends(kept.metrics["curve"]["final"]) == [(1, 0.25), (2, 0.125)]
    assert kept.metrics["resumed"] == []
    assert lines[-1] == "Final model: epoch 2 of 2, loss 0.1250"
    assert len(lines) == 6


def test_it_writes_twice_a_second_at_most_between_the_epochs(django_assert_num_queries: Any) -> None:
    curve = LossCurve(make_model(), epochs=2, clock=lambda: 0.0)
    note = curve.options("final")["progress"]
    with django_assert_num_queries(3):  # the first loss and two ends of epochs
        tell_all(note, epochs=2, per_epoch=50)


def test_it_goes_on_where_a_killed_run_had_kept_its_state() -> None:
    model = make_model()
    first = LossCurve(model, epochs=4, clock=lambda: 0.0)
    note = first.options("validation")["progress"]
    for place in range(1, 11):  # killed in the middle of the third epoch, whose state was not kept
        note(place / 16, 0.5)
    again = TrainedModel.objects.get(pk=model.pk)
    lines: list[str] = []
    curve = LossCurve(again, epochs=4, tell=lines.append)
    tell_all(curve.options("validation")["progress"], epochs=4, first=2)
    assert again.metrics["resumed"] == [{"stage": "validation", "epoch": 2}]
    assert lines[0] == "LSTM without the held-out days: goes on after epoch 2 of 4"
    assert [point[0] for point in again.metrics["curve"]["validation"]] == [place / 4 for place in range(1, 17)]


def test_it_does_not_take_one_batch_an_epoch_for_a_second_beginning() -> None:
    model = make_model()
    tell_all(LossCurve(model, epochs=4).options("final")["progress"], epochs=4, per_epoch=1)
    assert model.metrics["resumed"] == []


def test_it_keeps_state_beside_the_models_until_the_training_has_ended(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path
    curve = LossCurve(make_model(), epochs=4)
    folder = curve.options("final")["checkpoints"]
    assert folder == tmp_path / "checkpoints" / "lstm-1" / "final"
    folder.mkdir(parents=True)
    curve.forget_state()
    assert not (tmp_path / "checkpoints" / "lstm-1").exists()
