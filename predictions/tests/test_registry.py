"""The registry: the starter serves first, a promotion is one step, a damaged artefact never serves."""

import shutil
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from predictions import record, registry
from predictions.forecasting.artifact import ArtifactError
from predictions.models import TrainedModel


@pytest.fixture
def candidate(serving: TrainedModel, tmp_path: Path) -> TrainedModel:
    """A second usable model: a copy of the starter's artefact."""
    folder = tmp_path / "candidate"
    shutil.copytree(serving.folder, folder)
    return TrainedModel.objects.create(
        version="candidate",
        state=TrainedModel.State.CANDIDATE,
        origin=TrainedModel.Origin.OWN,
        cutoff_on=serving.cutoff_on,
        folder=str(folder),
        manifest_sha256=serving.manifest_sha256,
    )


def test_it_lets_the_starter_model_serve_on_a_new_site(serving: TrainedModel) -> None:
    assert (serving.state, serving.origin) == ("serving", "starter")
    assert registry.install_starter_model() is None
    assert TrainedModel.objects.count() == 1


def test_it_promotes_in_one_step_and_keeps_the_reason(candidate: TrainedModel, serving: TrainedModel) -> None:
    registry.promote(model=candidate, reason="Better on held-out days.")
    serving.refresh_from_db()
    assert (TrainedModel.objects.serving(), serving.state) == (candidate, "retired")
    assert candidate.reason == "Better on held-out days."


def test_it_rolls_back_to_a_retired_model(candidate: TrainedModel, serving: TrainedModel) -> None:
    registry.promote(model=candidate, reason="Try.")
    serving.refresh_from_db()
    registry.promote(model=serving, reason="Back.")
    assert TrainedModel.objects.serving() == serving


@pytest.mark.parametrize("damage", ["missing", "truncated", "changed", "unlisted manifest"])
def test_it_refuses_a_damaged_artefact_and_the_last_good_one_goes_on_serving(
    candidate: TrainedModel, serving: TrainedModel, damage: str
) -> None:
    folder = Path(candidate.folder)
    if damage == "missing":
        (folder / "model.onnx").unlink()
    elif damage == "truncated":
        (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:100])
    elif damage == "changed":
        (folder / "z.json").write_text((folder / "z.json").read_text().replace("1", "2"))
    else:
        (folder / "manifest.json").write_text((folder / "manifest.json").read_text() + " ")
    with pytest.raises(ArtifactError):
        registry.promote(model=candidate, reason="Try.")
    assert TrainedModel.objects.serving() == serving


def test_it_promotes_nothing_without_a_reason(candidate: TrainedModel, serving: TrainedModel) -> None:
    with pytest.raises(registry.PromotionRefused, match="reason"):
        registry.promote(model=candidate, reason="  ")
    assert TrainedModel.objects.serving() == serving


@pytest.mark.parametrize("state", ["training", "failed", "serving"])
def test_it_promotes_no_model_that_is_not_ready(serving: TrainedModel, state: str) -> None:
    model = serving if state == "serving" else TrainedModel.objects.create(version="x", state=state, origin="own")
    with pytest.raises(registry.PromotionRefused):
        registry.promote(model=model, reason="Try.")


def test_it_lets_one_model_serve_and_the_database_sees_to_it(candidate: TrainedModel) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainedModel.objects.filter(pk=candidate.pk).update(state="serving")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["equals_baseline", "beats_baseline"], True),
        (["equals_baseline", "worse_than_baseline"], False),
        ([], False),
    ],
)
def test_it_lets_a_candidate_serve_by_itself_only_when_it_is_no_worse(labels: list[str], expected: bool) -> None:
    rows = [{"model": "lstm", "horizon": i, "against": {"fhs": {"label": x}}} for i, x in enumerate(labels)]
    assert registry.is_no_worse({"validation": {"rows": rows}}) is expected


def test_it_knows_what_the_starter_models_back_test_said(serving: TrainedModel) -> None:
    rows = [row for row in serving.metrics["validation"]["rows"] if row["model"] == "lstm"]
    one_day = rows[0]["against"]["fhs"]
    assert (one_day["label"], one_day["n_dates"] > 600) == ("beats_baseline", True)
    assert record.headline_for(1, record.evidence_by_horizon()[1], serving) == "model"
    assert record.headline_for(2, record.evidence_by_horizon()[2], serving) == "fhs"
