"""The registry of trained models: candidate → shadow → champion → retired; one champion of each frequency."""

from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from predictions.artefacts import open_checked
from predictions.forecasting.artifact import MANIFEST, ArtifactError
from predictions.frequency import Frequency
from predictions.models import ModelEvent, TrainedModel

if TYPE_CHECKING:
    from accounts.models import User

MAX_SHADOWS = 2
SHADOW_DAYS = 150  # by then 90 one-day dates and 90 thirty-day ones have settled

State, Kind = TrainedModel.State, ModelEvent.Kind


class NoModel(Exception):
    """No model serves."""


class PromotionRefused(Exception):
    """The model cannot take the step; nothing was changed."""


class OvertakenPromotion(PromotionRefused):
    """Another model became the champion while this one was being checked."""


def install_starter_model(frequency: Frequency = Frequency.DAY) -> TrainedModel | None:
    """Registers the model of a frequency that ships with the product and lets it serve, if none serves. Idempotent.

    It also takes the place of the one that an earlier release shipped, whose files are gone. Raises ArtifactError
    when its files are damaged and none serves.
    """
    folder = settings.STARTER_MODEL_DIR if frequency is Frequency.DAY else settings.HOURLY_STARTER_MODEL_DIR
    serving = TrainedModel.objects.serving(frequency)
    if serving is not None and (serving.origin != TrainedModel.Origin.STARTER or ships(serving, folder)):
        return None
    try:
        forecaster = open_checked(folder)
    except ArtifactError:
        if serving is None:
            raise
        return None
    manifest, extra = forecaster.manifest, dict(forecaster.manifest["extra"])
    name = "starter" if frequency is Frequency.DAY else f"starter-{frequency.word}"
    version = f"{name}-{day_of(manifest['cutoff'])}-{forecaster.sha256[:8]}"
    model, is_new = TrainedModel.objects.get_or_create(
        version=version,
        defaults={
            "state": State.CANDIDATE,
            "origin": TrainedModel.Origin.STARTER,
            "frequency": frequency,
            "trained_at": timezone.now(),
            "folder": str(folder),
            "manifest_sha256": forecaster.sha256,
            "reference": extra.pop("reference"),
            "metrics": extra,
            **facts_of(manifest),
        },
    )
    if is_new:
        note(model, Kind.REGISTERED, "It ships with the product.")
    return promote(model=model, reason="The starter model serves until this site has trained its own.")


def ships(model: TrainedModel, folder: Path) -> bool:
    """Whether the model is the one in the folder, whatever state its files are in."""
    try:
        return model.manifest_sha256 == sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return True


def facts_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The columns of the registry that a manifest answers for."""
    metrics = manifest["metrics"]
    first = metrics.get("first_date")
    return {
        "window_start_on": day_of(first) if first else None,
        "cutoff_on": day_of(manifest["cutoff"]),
        "seed": manifest.get("seed"),
        "dataset_sha256": manifest["dataset_sha256"],
        "artefacts": manifest["files"],
        "coins": metrics["coins"],
        "rows": manifest["training_rows"],
    }


def day_of(moment: str) -> date:
    """The date of a manifest's moment, which is a date or, of hourly prices, a full hour."""
    return datetime.fromisoformat(moment).date()


def note(model: TrainedModel, kind: str, reason: str, by: "User | None" = None) -> None:
    """Writes a step into the model's history."""
    ModelEvent.objects.create(model=model, kind=kind, reason=reason.strip()[:300], by=by)


def promote(*, model: TrainedModel, reason: str, by: "User | None" = None) -> TrainedModel:
    """Makes a model the champion and retires the one before it, in one step; its files are checked first.

    Raises PromotionRefused, ArtifactError; then the champion before goes on serving. Of several promotions at once
    one wins, the others raise OvertakenPromotion.
    """
    _need_reason(reason)
    before = TrainedModel.objects.serving(model.frequency)
    if model.state not in {State.CANDIDATE, State.SHADOW, State.RETIRED}:
        raise PromotionRefused(f"A model that is {model.get_state_display().lower()} cannot be promoted.")
    _check_files(model, by)
    return _crown(model, instead_of=before, reason=reason, by=by, kinds=(Kind.PROMOTED, Kind.RETIRED))


def rollback(*, reason: str, by: "User | None" = None, model: TrainedModel | None = None) -> TrainedModel:
    """Lets the champion before this one serve again, in one step; returns it.

    `model`, when given, must be the champion. Of the earlier champions the latest whose files are still good is
    taken. Raises PromotionRefused, ArtifactError; then nothing was changed.
    """
    _need_reason(reason)
    before = TrainedModel.objects.serving(model.frequency if model else Frequency.DAY)
    if before is None or (model is not None and model.pk != before.pk):
        raise PromotionRefused("Only the champion can be rolled back.")
    problem: ArtifactError | None = None
    for earlier in former_champions(before):
        try:
            _check_files(earlier, by)
        except ArtifactError as error:
            problem = error
            continue
        return _crown(earlier, instead_of=before, reason=reason, by=by, kinds=(Kind.RESTORED, Kind.ROLLED_BACK))
    raise problem or PromotionRefused("There is no champion before this one.")


def former_champions(champion: TrainedModel) -> list[TrainedModel]:
    """Retired models that were champions, the latest first; one that was rolled back comes after all others."""
    events = ModelEvent.objects.filter(kind__in=[Kind.PROMOTED, Kind.RESTORED, Kind.ROLLED_BACK])
    events = events.exclude(model=champion).filter(model__state=State.RETIRED, model__frequency=champion.frequency)
    latest: dict[int, ModelEvent] = {}
    for event in events.select_related("model"):
        latest.setdefault(event.model_id, event)
    order = sorted(latest.values(), key=lambda event: (event.kind == Kind.ROLLED_BACK, -event.at.timestamp()))
    return [event.model for event in order]


def shadow(*, model: TrainedModel, reason: str, by: "User | None" = None) -> TrainedModel:
    """Lets a candidate run beside the champion: its forecasts are frozen and scored, and never the headline.

    Two places: when both are taken, the younger challenger gives way, so that the older one comes to a judgement;
    one that has run for 150 days has had its time. Raises PromotionRefused, ArtifactError.
    """
    _need_reason(reason)
    if model.state not in {State.CANDIDATE, State.RETIRED}:
        raise PromotionRefused(f"A model that is {model.get_state_display().lower()} cannot run in shadow.")
    _check_files(model, by)
    now = timezone.now()
    with transaction.atomic():
        _lock()
        running = list(TrainedModel.objects.shadows(model.frequency))
        for old in [one for one in running if one.promoted_at and now - one.promoted_at > timedelta(days=SHADOW_DAYS)]:
            _retire(old, "It has had its time in shadow.", by)
            running.remove(old)
        if len(running) >= MAX_SHADOWS:
            _retire(running[-1], f"It gave its place in shadow to {model.version}.", by)
        _move(model, State.SHADOW, reason, promoted_at=now)
        note(model, Kind.SHADOWED, reason, by)
    return model


def retire(*, model: TrainedModel, reason: str, by: "User | None" = None) -> TrainedModel:
    """Ends a candidate's or a challenger's run. Raises PromotionRefused."""
    _need_reason(reason)
    if model.state not in {State.CANDIDATE, State.SHADOW}:
        raise PromotionRefused(f"A model that is {model.get_state_display().lower()} cannot be retired.")
    with transaction.atomic():
        _lock()
        _retire(model, reason, by)
    return model


def _crown(
    model: TrainedModel, *, instead_of: TrainedModel | None, reason: str, by: "User | None", kinds: tuple[str, str]
) -> TrainedModel:
    with transaction.atomic():
        _lock()
        champion = TrainedModel.objects.serving(model.frequency)
        found = TrainedModel.objects.get(pk=model.pk)
        if champion != instead_of or found.state != model.state:
            raise OvertakenPromotion("Another model became the champion meanwhile. Look again before you promote.")
        if champion is not None:
            is_rollback = kinds[1] == Kind.ROLLED_BACK
            why = f"Rolled back: {reason.strip()}" if is_rollback else f"{model.version} took its place."
            _move(champion, State.RETIRED, why)
            note(champion, kinds[1], reason, by)
        _move(model, State.SERVING, reason, promoted_at=timezone.now())
        note(model, kinds[0], reason, by)
    return model


def _lock() -> None:
    """One change of the registry at a time."""
    list(TrainedModel.objects.select_for_update().order_by("pk").values_list("pk", flat=True))


def _move(model: TrainedModel, state: str, reason: str, **columns: Any) -> None:
    values = {"state": state, "reason": reason.strip()[:300], **columns}
    for name, value in values.items():
        setattr(model, name, value)
    model.save(update_fields=list(values))


def _retire(model: TrainedModel, reason: str, by: "User | None") -> None:
    _move(model, State.RETIRED, reason)
    note(model, Kind.RETIRED, reason, by)


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise PromotionRefused("This step needs a reason.")


def _check_files(model: TrainedModel, by: "User | None") -> None:
    try:
        open_checked(Path(model.folder), expected_sha256=model.manifest_sha256)
    except ArtifactError as error:
        note(model, Kind.REFUSED, f"Its files are not good: {error}", by)
        raise
