"""Training on the site's own history: a real, small one, from the stored prices to a place in the registry."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from markets.models import Cryptocurrency
from predictions import artefacts, issuing, registry, tasks, training
from predictions.forecasting import drift, recipe
from predictions.frequency import Frequency
from predictions.models import BacktestRun, Prediction, TrainedModel
from predictions.tests import hours
from predictions.tests.conftest import MIDNIGHT, NOW

pytestmark = pytest.mark.slow


def test_it_trains_validates_and_places_a_challenger_that_then_forecasts(
    long_history: list[Cryptocurrency], serving: TrainedModel, settings: Settings, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    TrainedModel.objects.update(origin="own")  # over an own champion nothing is promoted by itself
    model = training.train_model(cutoff_on=MIDNIGHT.date(), seed=11)
    assert model.state == ("shadow" if training.is_no_worse(model.metrics) else "candidate")
    assert TrainedModel.objects.serving() == serving
    assert (model.seed, model.cutoff_on, model.code_revision) == (11, MIDNIGHT.date(), training.code_revision())
    assert model.window_start_on is not None
    assert model.window_start_on < MIDNIGHT.date() - timedelta(days=300)
    assert set(model.artefacts) == {"model.onnx", "weights.npz", "z.json"}
    assert set(model.reference["features"]) == set(drift.WATCHED)
    rows = model.metrics["validation"]["rows"]
    assert {row["model"] for row in rows} == {"lstm", "linear", "fhs", "ewma_n"}
    assert model.events.order_by("pk").first().kind == "registered"  # type: ignore[union-attr]
    artefacts.open_checked(Path(model.folder), expected_sha256=model.manifest_sha256)

    TrainedModel.objects.filter(pk=model.pk).update(state="shadow")
    assert issuing.issue_forecasts(now=NOW).shadows == issuing.issue_forecasts(now=NOW).forecasts + 7 * 9
    assert Prediction.objects.filter(model=model, is_shadow=True).count() == 7 * 9

    run = BacktestRun.objects.create(
        model=model, start_on=MIDNIGHT.date() - timedelta(days=100), end_on=MIDNIGHT.date()
    )
    tasks.run_backtest(run.pk)
    run.refresh_from_db()
    assert (run.state, run.problem, run.done) == ("done", "", run.total)
    assert run.summary["kind"] == "back-test, not evidence"


@pytest.mark.django_db
def test_it_trains_a_challenger_of_hours_that_then_forecasts_hours(
    serving: TrainedModel, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [replace(one, epochs=1, training_share=1 / 20) for one in recipe.RECIPES["hourly"]]
    monkeypatch.setitem(recipe.RECIPES, "hourly", tuple(short))
    settings.MODELS_DIR = tmp_path / "models"
    hours.make_coins(3, hours=245 * 24)
    starter = registry.install_starter_model(Frequency.HOUR)
    model = training.train_model(frequency=Frequency.HOUR, cutoff_on=hours.CUTOFF.date())
    assert (model.state, model.problem) in {("candidate", ""), ("serving", "")}
    assert (model.frequency, model.version.startswith("lstm-hourly-2026")) == ("1h", True)
    rows = model.metrics["validation"]["rows"]
    assert {row["horizon"] for row in rows} == set(Frequency.HOUR.horizons)
    assert {row["n_dates"] for row in rows if row["horizon"] == 1} <= {120, 121}
    assert set(model.reference["features"]) == set(drift.WATCHED)
    assert TrainedModel.objects.serving() == serving, "the daily champion stays"

    if model.state == "candidate":
        registry.shadow(model=model, reason="Let it earn evidence.")
        assert starter is not None
        assert TrainedModel.objects.serving(Frequency.HOUR) == starter
    issuing.issue_forecasts(frequency=Frequency.HOUR, now=hours.NOW)
    found = Prediction.objects.filter(model=model)
    assert set(found.values_list("horizon_hours", flat=True)) == set(Frequency.HOUR.horizons)


def test_it_keeps_why_a_training_failed(serving: TrainedModel, coins: list[Cryptocurrency]) -> None:
    tasks.train_model()
    model = TrainedModel.objects.get(origin="own")
    assert model.state == "failed"
    assert model.problem != ""
