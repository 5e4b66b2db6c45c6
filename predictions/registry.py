"""The registry of trained models: install, train, promote, retire; one of them serves."""

import functools
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from predictions.forecasting import artifact
from predictions.forecasting.backtest import EWMA_N, FHS, LSTM, run_backtest, summary_json
from predictions.forecasting.labels import Label
from predictions.forecasting.series import Panel
from predictions.forecasting.serving import Forecaster, load
from predictions.forecasting.training import Trained, save, train
from predictions.history import TRAINING_DAYS, read_panel
from predictions.models import TrainedModel

HOLDOUT_DAYS = 120  # 90 dates whose 30-day target has settled
VALIDATED = (LSTM, FHS, EWMA_N)

Progress = Callable[[int, int], None]


class NoModel(Exception):
    """No model serves."""


class PromotionRefused(Exception):
    """The model cannot be promoted."""


@functools.lru_cache(maxsize=2)
def open_forecaster(folder: str, manifest_sha256: str) -> Forecaster:
    """The forecaster of a registered model, checked against its hashes; ArtifactError when it is damaged."""
    return load(Path(folder), expected_sha256=manifest_sha256)


def serving_forecaster() -> tuple[TrainedModel, Forecaster]:
    """The serving model and its opened artefact. Raises NoModel, ArtifactError."""
    model = TrainedModel.objects.serving()
    if model is None:
        raise NoModel("No model serves yet.")
    return model, open_forecaster(model.folder, model.manifest_sha256)


def install_starter_model() -> TrainedModel | None:
    """Registers the model that ships with the product and lets it serve, if none serves. Idempotent.

    Raises ArtifactError when its files are damaged.
    """
    if TrainedModel.objects.serving() is not None:
        return None
    folder = settings.STARTER_MODEL_DIR
    forecaster = load(folder)
    manifest = forecaster.manifest
    version = f"starter-{manifest['cutoff']}-{forecaster.sha256[:8]}"
    model, _ = TrainedModel.objects.get_or_create(
        version=version,
        defaults={
            "state": TrainedModel.State.CANDIDATE,
            "origin": TrainedModel.Origin.STARTER,
            "trained_at": timezone.now(),
            "cutoff_on": date.fromisoformat(manifest["cutoff"]),
            "folder": str(folder),
            "manifest_sha256": forecaster.sha256,
            "dataset_sha256": manifest["dataset_sha256"],
            "coins": manifest["metrics"]["coins"],
            "rows": manifest["training_rows"],
            "metrics": manifest["extra"],
        },
    )
    return promote(model=model, reason="The starter model serves until this site has trained its own.")


def promote(*, model: TrainedModel, reason: str) -> TrainedModel:
    """Lets a model serve and retires the one before it, in one step. The artefact is checked first.

    Raises PromotionRefused, ArtifactError; then the model before goes on serving.
    """
    if not reason.strip():
        raise PromotionRefused("A promotion needs a reason.")
    if model.state not in {TrainedModel.State.CANDIDATE, TrainedModel.State.RETIRED}:
        raise PromotionRefused(f"A model that is {model.get_state_display().lower()} cannot be promoted.")
    load(Path(model.folder), expected_sha256=model.manifest_sha256)
    with transaction.atomic():
        list(TrainedModel.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        TrainedModel.objects.filter(state=TrainedModel.State.SERVING).update(state=TrainedModel.State.RETIRED)
        model.state, model.promoted_at, model.reason = (
            TrainedModel.State.SERVING,
            timezone.now(),
            reason[:300],
        )
        model.save(update_fields=["state", "promoted_at", "reason"])
    return model


def train_model(*, cutoff_on: date | None = None, seed: int = 7) -> TrainedModel:
    """Trains on this site's own history and validates on a held-out block of it.

    Training starts from the serving model's weights. The candidate serves at once only if the starter serves
    and its validation is not worse than FHS at any horizon; otherwise a person decides. Imports
    TensorFlow: run it in a worker. Raises NoHistory, NotEnoughData; the registry then says why.
    """
    now = timezone.now()
    cutoff_on = cutoff_on or now.date()
    model = TrainedModel.objects.create(
        version=f"lstm-daily-{cutoff_on:%Y%m%d}-{now:%H%M%S%f}"[:60],
        state=TrainedModel.State.TRAINING,
        origin=TrainedModel.Origin.OWN,
        cutoff_on=cutoff_on,
        total=3,
    )
    try:
        _fit(model, cutoff_on, seed)
    except BaseException as error:
        model.state, model.problem = TrainedModel.State.FAILED, str(error) or type(error).__name__
        model.save(update_fields=["state", "problem"])
        raise
    serving = TrainedModel.objects.serving()
    if serving is None or (serving.origin == TrainedModel.Origin.STARTER and is_no_worse(model.metrics)):
        promote(model=model, reason="Validated on held-out days of this site's own history: not worse than FHS.")
    return model


def _fit(model: TrainedModel, cutoff_on: date, seed: int) -> None:
    panel = read_panel(cutoff_on=cutoff_on, days=TRAINING_DAYS)
    initial = _weights_to_start_from()
    _advance(model, 1)
    validation = validate(panel, seed=seed, initial=initial)
    _advance(model, 2)
    trained = train(panel, cutoff=panel.last_date, seed=seed, initial=initial)
    folder = settings.MODELS_DIR / model.version
    model.metrics = {"validation": validation, "training": trained.metrics}
    model.manifest_sha256 = save(trained, folder, extra={"validation": validation})
    model.folder, model.dataset_sha256 = str(folder), trained.dataset_sha256
    model.cutoff_on, model.trained_at = trained.cutoff, timezone.now()
    model.coins, model.rows = trained.metrics["coins"], trained.metrics["rows"]
    model.state, model.done = TrainedModel.State.CANDIDATE, 3
    model.save()


def _advance(model: TrainedModel, done: int) -> None:
    model.done = done
    model.save(update_fields=["done"])


def _weights_to_start_from() -> Path | None:
    serving = TrainedModel.objects.serving()
    if serving is not None:
        artifact.read_artifact(Path(serving.folder), expected_sha256=serving.manifest_sha256)
        return Path(serving.folder)
    return None


def validate(panel: Panel, *, seed: int, initial: Path | None = None) -> dict[str, Any]:
    """Fits on all but the last 120 days and scores those: figures by horizon against both naive baselines.

    The weights to start from must not have seen the held-out days, so `initial` is used only if its own
    training ended before them.
    """
    end = panel.last_date
    start = end - timedelta(days=HOLDOUT_DAYS)
    if initial is not None and date.fromisoformat(artifact.read_artifact(initial).manifest["cutoff"]) > start:
        initial = None

    def fit(past: Panel, **options: Any) -> Trained:
        return train(past, initial=initial, **options)

    result = run_backtest(
        panel, start=start, end=end, refit_every_days=HOLDOUT_DAYS * 2, models=VALIDATED, seed=seed, fit=fit
    )
    return summary_json(result)


def is_no_worse(metrics: dict[str, Any]) -> bool:
    """Whether no horizon's validation says that the LSTM is worse than FHS."""
    rows = metrics.get("validation", {}).get("rows", [])
    labels = [row["against"][FHS]["label"] for row in rows if row["model"] == LSTM]
    return bool(labels) and Label.WORSE_THAN_BASELINE not in labels
