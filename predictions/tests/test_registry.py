"""The registry: the starter serves first, a promotion is one step, a damaged artefact never serves."""

import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from predictions import champion, record, registry, training
from predictions.forecasting import drift
from predictions.forecasting.artifact import ArtifactError
from predictions.frequency import Frequency
from predictions.models import TrainedModel
from predictions.tests.conftest import copy_of


@pytest.fixture
def candidate(serving: TrainedModel, tmp_path: Path) -> TrainedModel:
    return copy_of(serving, tmp_path, "candidate")


@pytest.fixture
def second(serving: TrainedModel, tmp_path: Path) -> TrainedModel:
    return copy_of(serving, tmp_path, "second")


def events(model: TrainedModel) -> list[tuple[str, str]]:
    return list(model.events.order_by("pk").values_list("kind", "reason"))


def test_it_lets_the_starter_model_serve_on_a_new_site(serving: TrainedModel) -> None:
    assert (serving.state, serving.origin) == ("serving", "starter")
    assert registry.install_starter_model() is None
    assert TrainedModel.objects.count() == 1


@pytest.fixture
def released(tmp_path: Path, settings: Settings) -> Path:
    """The folder that the starter model is shipped in, for a test to ship another one."""
    folder = tmp_path / "released"
    shutil.copytree(settings.STARTER_MODEL_DIR, folder)
    settings.STARTER_MODEL_DIR = folder
    return folder


def ship_another(released: Path) -> None:
    manifest = json.loads((released / "manifest.json").read_text())
    manifest["extra"]["source"] = "other prices"
    (released / "manifest.json").write_text(json.dumps(manifest))


def test_the_starter_of_a_new_release_takes_the_place_of_the_one_before(released: Path, serving: TrainedModel) -> None:
    ship_another(released)
    with pytest.raises(ArtifactError):
        champion.serving_forecaster()  # its files are gone
    another = registry.install_starter_model()
    assert another is not None
    assert champion.serving_forecaster().model == another
    serving.refresh_from_db()
    assert serving.state == "retired"
    assert registry.install_starter_model() is None


def test_a_new_release_leaves_a_sites_own_champion_alone(
    released: Path, candidate: TrainedModel, serving: TrainedModel
) -> None:
    registry.promote(model=candidate, reason="Better on held-out days.")
    ship_another(released)
    assert registry.install_starter_model() is None
    assert TrainedModel.objects.serving() == candidate


def test_a_damaged_starter_of_a_new_release_does_not_keep_the_last_good_model_from_serving(
    released: Path, serving: TrainedModel
) -> None:
    (released / "manifest.json").write_text("{")
    assert registry.install_starter_model() is None
    assert TrainedModel.objects.serving() == serving
    TrainedModel.objects.update(state="retired")
    with pytest.raises(ArtifactError):
        registry.install_starter_model()


@pytest.mark.parametrize("frequency", list(Frequency))
@pytest.mark.django_db
def test_a_starter_knows_how_its_inputs_were_spread_in_training(frequency: Frequency) -> None:
    model = registry.install_starter_model(frequency)
    assert model is not None
    assert set(model.reference["features"]) == set(drift.WATCHED)
    assert model.reference["last"][:10] == str(model.cutoff_on)
    assert "reference" not in model.metrics


def test_it_promotes_in_one_step_and_keeps_the_reason(candidate: TrainedModel, serving: TrainedModel) -> None:
    registry.promote(model=candidate, reason="Better on held-out days.")
    serving.refresh_from_db()
    assert (TrainedModel.objects.serving(), serving.state) == (candidate, "retired")
    assert candidate.reason == "Better on held-out days."
    assert events(candidate) == [("promoted", "Better on held-out days.")]
    assert (serving.reason, events(serving)[-1]) == (
        "candidate took its place.", ("retired", "Better on held-out days."),
    )  # fmt: skip


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
    assert training.is_no_worse({"validation": {"rows": rows}}) is expected


def test_it_knows_what_the_starter_models_back_test_said(serving: TrainedModel) -> None:
    rows = [row for row in serving.metrics["validation"]["rows"] if row["model"] == "lstm"]
    one_day = rows[0]["against"]["fhs"]
    assert (one_day["label"], one_day["n_dates"] > 600) == ("beats_baseline", True)
    assert record.headline_for(1, record.evidence_by_horizon()[1], serving) == "model"
    assert record.headline_for(2, record.evidence_by_horizon()[2], serving) == "fhs"


# Rolling back ---------------------------------------------------------------------------------------


def test_it_rolls_back_to_the_champion_before(candidate: TrainedModel, serving: TrainedModel) -> None:
    registry.promote(model=candidate, reason="Try.")
    assert registry.rollback(reason="It did worse.") == serving
    candidate.refresh_from_db()
    assert (TrainedModel.objects.serving(), candidate.state) == (serving, "retired")
    assert candidate.reason == "Rolled back: It did worse."
    assert events(candidate)[-1] == ("rolled_back", "It did worse.")
    assert events(serving)[-1] == ("restored", "It did worse.")


def test_it_does_not_roll_back_to_what_was_rolled_back(
    candidate: TrainedModel, second: TrainedModel, serving: TrainedModel
) -> None:
    registry.promote(model=candidate, reason="Try.")
    registry.rollback(reason="Worse.")
    registry.promote(model=second, reason="Try another.")
    assert registry.rollback(reason="Worse as well.") == serving


def test_it_rolls_back_past_a_champion_whose_files_are_gone(
    candidate: TrainedModel, second: TrainedModel, serving: TrainedModel
) -> None:
    registry.promote(model=candidate, reason="Try.")
    registry.promote(model=second, reason="Try another.")
    shutil.rmtree(candidate.folder)
    assert registry.rollback(reason="Worse.") == serving


def test_it_refuses_a_rollback_that_leads_nowhere(candidate: TrainedModel, serving: TrainedModel) -> None:
    with pytest.raises(registry.PromotionRefused, match="no champion before"):
        registry.rollback(reason="Worse.")
    with pytest.raises(registry.PromotionRefused, match="Only the champion"):
        registry.rollback(reason="Worse.", model=candidate)
    registry.promote(model=candidate, reason="Try.")
    with pytest.raises(registry.PromotionRefused, match="reason"):
        registry.rollback(reason=" ")
    assert TrainedModel.objects.serving() == candidate


# Several at once ------------------------------------------------------------------------------------


def test_it_lets_the_first_of_two_promotions_win(
    candidate: TrainedModel, second: TrainedModel, serving: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = registry._check_files

    def overtaken(model: TrainedModel, by: object) -> None:
        check(model, None)
        if model == candidate:  # while its files are being read, somebody promotes another model
            registry.promote(model=second, reason="Faster.")

    monkeypatch.setattr(registry, "_check_files", overtaken)
    with pytest.raises(registry.OvertakenPromotion):
        registry.promote(model=candidate, reason="Slower.")
    candidate.refresh_from_db()
    assert (TrainedModel.objects.serving(), candidate.state) == (second, "candidate")


@pytest.mark.django_db(transaction=True)
def test_it_lets_one_of_many_promotions_at_once_win(
    serving: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    challengers = [copy_of(serving, tmp_path, f"challenger-{i}") for i in range(4)]
    ready = threading.Barrier(len(challengers))
    check = registry._check_files
    outcomes: list[str] = []

    def together(model: TrainedModel, by: object) -> None:
        check(model, None)
        ready.wait(20)

    def promote(model: TrainedModel) -> None:
        try:
            registry.promote(model=model, reason="Now.")
            outcomes.append("won")
        except registry.OvertakenPromotion:
            outcomes.append("overtaken")
        finally:
            connection.close()

    monkeypatch.setattr(registry, "_check_files", together)
    threads = [threading.Thread(target=promote, args=[model]) for model in challengers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["overtaken"] * 3 + ["won"]
    assert TrainedModel.objects.filter(state="serving").count() == 1
    assert TrainedModel.objects.filter(state="candidate").count() == 3


# In shadow ------------------------------------------------------------------------------------------


def test_it_keeps_two_challengers_and_the_older_one_stays(serving: TrainedModel, tmp_path: Path) -> None:
    first, second, third = (copy_of(serving, tmp_path, f"challenger-{i}") for i in range(3))
    for model in (first, second, third):
        registry.shadow(model=model, reason="Not worse on held-out days.")
    assert list(TrainedModel.objects.shadows()) == [first, third]
    second.refresh_from_db()
    assert (second.state, events(second)[-1][1]) == ("retired", "It gave its place in shadow to challenger-2.")
    assert TrainedModel.objects.serving() == serving


def test_it_ends_the_run_of_a_challenger_that_has_had_its_time(serving: TrainedModel, tmp_path: Path) -> None:
    old, new = (copy_of(serving, tmp_path, name) for name in ("old", "new"))
    registry.shadow(model=old, reason="Try.")
    TrainedModel.objects.filter(pk=old.pk).update(promoted_at=timezone.now() - timedelta(days=151))
    registry.shadow(model=new, reason="Try.")
    assert list(TrainedModel.objects.shadows()) == [new]


def test_it_promotes_a_challenger_out_of_the_shadow(candidate: TrainedModel, serving: TrainedModel) -> None:
    registry.shadow(model=candidate, reason="Try.")
    registry.promote(model=candidate, reason="Better over 90 dates.")
    assert TrainedModel.objects.serving() == candidate


def test_it_retires_a_challenger_and_never_the_champion(candidate: TrainedModel, serving: TrainedModel) -> None:
    registry.shadow(model=candidate, reason="Try.")
    registry.retire(model=candidate, reason="No use.")
    assert (candidate.state, events(candidate)[-1]) == ("retired", ("retired", "No use."))
    with pytest.raises(registry.PromotionRefused, match="champion cannot be retired"):
        registry.retire(model=serving, reason="No use.")
    with pytest.raises(registry.PromotionRefused, match="champion cannot run in shadow"):
        registry.shadow(model=serving, reason="Odd.")


@pytest.mark.parametrize(
    ("champion", "label", "state"),
    [
        ("starter", "equals_baseline", "serving"),
        ("starter", "worse_than_baseline", "candidate"),
        ("own", "equals_baseline", "shadow"),
        ("own", "beats_baseline", "shadow"),
        ("own", "worse_than_baseline", "candidate"),
    ],
)
def test_it_places_a_fresh_model_by_its_validation_alone(
    candidate: TrainedModel, serving: TrainedModel, champion: str, label: str, state: str
) -> None:
    serving.origin = champion
    serving.save()
    candidate.metrics = {
        "validation": {"rows": [{"model": "lstm", "horizon": 1, "against": {"fhs": {"label": label}}}]}
    }
    assert training.place(candidate).state == state
    assert candidate.reason != ""


def test_it_registers_where_the_starter_model_came_from(serving: TrainedModel) -> None:
    assert serving.seed == 7
    assert serving.window_start_on is not None
    assert serving.cutoff_on is not None
    assert serving.window_start_on < serving.cutoff_on
    assert serving.artefacts["model.onnx"]["bytes"] > 1000
    assert len(training.code_revision()) == 64


def test_it_has_a_champion_of_its_own_for_each_frequency(candidate: TrainedModel, serving: TrainedModel) -> None:
    TrainedModel.objects.filter(pk=candidate.pk).update(frequency="1h")
    candidate.refresh_from_db()
    registry.promote(model=candidate, reason="The first hourly model.")
    assert (TrainedModel.objects.serving(), TrainedModel.objects.serving("1h")) == (serving, candidate)
    with pytest.raises(registry.PromotionRefused, match="no champion before"):
        registry.rollback(model=candidate, reason="Back.")
