"""Trains a challenger on this site's own history, validates it on held-out days, and lets it run in shadow."""

import hashlib
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from predictions import forecasting, registry
from predictions.curves import LossCurve, Tell
from predictions.forecasting import artifact
from predictions.forecasting.backtest import EWMA_N, FHS, LINEAR_HEAD, LSTM, run_backtest, summary_json
from predictions.forecasting.drift import reference_of
from predictions.forecasting.labels import Label
from predictions.forecasting.series import Panel
from predictions.forecasting.training import MIN_TRAINING_DATES, NotEnoughData, Trained, save, train
from predictions.frequency import Frequency
from predictions.history import NoHistory, training_panel
from predictions.models import BacktestRun, ModelEvent, TrainedModel

HOLDOUT_DAYS = 120  # 90 dates whose 30-day target has settled
# Of hours, every seventh is forecast: each hour of day comes round, and neighbours say nearly the same.
STEP_DAYS = {Frequency.DAY: 1.0, Frequency.HOUR: 7 / 24}
VALIDATED = (LSTM, FHS, EWMA_N, LINEAR_HEAD)
DEFAULT_SEED = 7


def train_model(
    *,
    frequency: Frequency = Frequency.DAY,
    cutoff_on: date | None = None,
    seed: int = DEFAULT_SEED,
    task_id: str = "",
    tell: Tell | None = None,
) -> TrainedModel:
    """Trains on this site's own history, daily or hourly, and validates on a held-out block of it.

    Training starts from the champion's weights. A candidate that is not worse than FHS at any horizon becomes the
    champion at once where only the starter serves, and runs in shadow otherwise: then a person decides. A job
    (`task_id`) that is run again because its worker was killed goes on with the model that it had begun. `tell` gets
    a line for each epoch. Imports TensorFlow: run it in a worker. Raises NoHistory, NotEnoughData; the registry then
    says why.
    """
    model = _left_behind(task_id) or _begin(frequency, cutoff_on, seed, task_id)
    curve = LossCurve(model, epochs=frequency.recipe.epochs, tell=tell)
    try:
        _fit(model, curve)
    except BaseException as error:
        model.state, model.problem = TrainedModel.State.FAILED, str(error) or type(error).__name__
        model.save(update_fields=["state", "problem"])
        raise
    finally:
        curve.forget_state()
    return place(model)


def _left_behind(task_id: str) -> TrainedModel | None:
    """The model that this job was training when its worker was killed."""
    if not task_id:
        return None
    return TrainedModel.objects.filter(state=TrainedModel.State.TRAINING, metrics__task_id=task_id).first()


def _begin(frequency: Frequency, cutoff_on: date | None, seed: int, task_id: str) -> TrainedModel:
    now = timezone.now()
    cutoff_on = cutoff_on or now.date()
    if frequency is Frequency.HOUR:
        _need_hours(cutoff_on)
    return TrainedModel.objects.create(
        version=f"lstm-{frequency.word}-{cutoff_on:%Y%m%d}-{now:%H%M%S%f}"[:60],
        state=TrainedModel.State.TRAINING,
        origin=TrainedModel.Origin.OWN,
        frequency=frequency,
        cutoff_on=cutoff_on,
        code_revision=code_revision(),
        seed=seed,
        metrics={"task_id": task_id},
    )


def _need_hours(cutoff_on: date) -> None:
    """Hourly history begins with 90 days and grows from there: until it is enough, no training is even begun."""
    needed = HOLDOUT_DAYS + MIN_TRAINING_DATES + Frequency.HOUR.steps.min_steps // 24
    panel = training_panel(frequency=Frequency.HOUR, cutoff_on=cutoff_on)
    days = len(panel.dates) // 24
    if days < needed:
        raise NotEnoughData(f"too little hourly history to train on: {days} of {needed} days")


def place(model: TrainedModel) -> TrainedModel:
    """What becomes of a fresh candidate, by its validation alone."""
    champion = TrainedModel.objects.serving(model.frequency)
    is_good = is_no_worse(model.metrics)
    if champion is None or (champion.origin == TrainedModel.Origin.STARTER and is_good):
        why = "Validated on held-out days of this site's own history: not worse than FHS."
        return registry.promote(model=model, reason=why)
    if is_good:
        return registry.shadow(model=model, reason="Validated on held-out days: not worse than FHS at any horizon.")
    model.reason = "It stays a candidate: on held-out days it was worse than FHS, or could not be judged."
    model.save(update_fields=["reason"])
    return model


def _fit(model: TrainedModel, curve: LossCurve) -> None:
    assert model.cutoff_on is not None
    frequency, seed = Frequency(model.frequency), DEFAULT_SEED if model.seed is None else model.seed
    panel = training_panel(frequency=frequency, cutoff_on=model.cutoff_on)
    initial = _weights_to_start_from(frequency)
    validation = validate(panel, seed=seed, initial=initial, curve=curve)
    options = curve.options("final")
    trained = train(panel, cutoff=panel.last_date, recipe=frequency.recipe, seed=seed, initial=initial, **options)
    folder = settings.MODELS_DIR / model.version
    shutil.rmtree(folder, ignore_errors=True)  # from a run of this very model that was killed right at its end
    model.metrics |= {"validation": validation, "training": trained.metrics}
    model.manifest_sha256 = save(trained, folder, extra={"validation": validation})
    model.folder = str(folder)
    manifest = artifact.read_artifact(folder, expected_sha256=model.manifest_sha256).manifest
    for name, value in registry.facts_of(manifest).items():
        setattr(model, name, value)
    model.reference = reference_of(panel)
    model.trained_at = timezone.now()
    model.state, model.done = TrainedModel.State.CANDIDATE, model.total
    model.save()
    registry.note(model, ModelEvent.Kind.REGISTERED, "Trained on this site's history.")


def _weights_to_start_from(frequency: Frequency) -> Path | None:
    """The champion's, if there is one whose files are good and that was built by the recipe of today.

    A damaged one, or one of an older recipe, must not stop its own replacement.
    """
    champion = TrainedModel.objects.serving(frequency)
    if champion is None:
        return None
    try:
        found = artifact.read_artifact(Path(champion.folder), expected_sha256=champion.manifest_sha256)
    except artifact.ArtifactError:
        return None
    return Path(champion.folder) if found.recipe == frequency.recipe else None


def validate(panel: Panel, *, seed: int, initial: Path | None = None, curve: LossCurve | None = None) -> dict[str, Any]:
    """Fits on all but the last 120 days and scores those: figures by horizon against every baseline.

    The weights to start from must not have seen the held-out days, so `initial` is used only if its own
    training ended before them.
    """
    end = _date_of(panel)
    return _walk(panel, end - timedelta(days=HOLDOUT_DAYS), end, seed=seed, initial=initial, curve=curve)


def _walk(
    panel: Panel,
    start: date,
    end: date,
    *,
    seed: int,
    initial: Path | None,
    progress: Any = None,
    curve: LossCurve | None = None,
) -> dict[str, Any]:
    frequency = Frequency.named(panel.frequency.name)
    if initial is not None:
        given = artifact.read_artifact(initial)
        if registry.day_of(given.manifest["cutoff"]) > start or given.recipe != frequency.recipe:
            initial = None

    def fit(past: Panel, **options: Any) -> Trained:
        # The linear head has no LSTM whose weights it could start from.
        has_lstm = options["recipe"].lstm_units > 0
        if curve is not None:
            options |= curve.options("validation" if has_lstm else "linear")
        return train(past, initial=initial if has_lstm else None, **options)

    result = run_backtest(
        panel,
        start=start,
        end=end,
        refit_every_days=HOLDOUT_DAYS * 2,
        models=VALIDATED,
        seed=seed,
        fit=fit,
        progress=progress,
        step_days=STEP_DAYS[frequency],
    )
    return summary_json(result)


def _date_of(panel: Panel) -> date:
    """The newest date of a panel of days or hours."""
    last = panel.last_date
    return last.date() if isinstance(last, datetime) else last


def backtest_model(run: BacktestRun) -> BacktestRun:
    """Walks a model's recipe and seed over the run's period and keeps the summary, or why there is none.

    Imports TensorFlow: run it in a worker. A run that ended before stays as it is.
    """
    if run.state in {BacktestRun.State.DONE, BacktestRun.State.FAILED}:
        return run

    def advance(done: int, total: int) -> None:
        run.state, run.done, run.total = BacktestRun.State.RUNNING, done, total
        run.save(update_fields=["state", "done", "total"])

    advance(0, 0)
    try:
        panel = training_panel(frequency=Frequency(run.model.frequency), cutoff_on=run.end_on)
        seed = DEFAULT_SEED if run.model.seed is None else run.model.seed
        run.summary = _walk(
            panel, run.start_on, _date_of(panel), seed=seed, initial=Path(run.model.folder), progress=advance
        )
        run.state = BacktestRun.State.DONE
    except (NoHistory, NotEnoughData, ValueError, artifact.ArtifactError) as error:
        run.state, run.problem = BacktestRun.State.FAILED, str(error)
    run.finished_at = timezone.now()
    run.save()
    return run


def is_no_worse(metrics: dict[str, Any]) -> bool:
    """Whether no horizon's validation says that the LSTM is worse than FHS."""
    rows = metrics.get("validation", {}).get("rows", [])
    labels = [row["against"][FHS]["label"] for row in rows if row["model"] == LSTM]
    return bool(labels) and Label.WORSE_THAN_BASELINE not in labels


def code_revision() -> str:
    """SHA-256 of the forecasting sources: equal code, equal revision, wherever the site runs."""
    digest = hashlib.sha256()
    for file in sorted(Path(forecasting.__path__[0]).glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
