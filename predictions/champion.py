"""The model that serves in this process: the champion, or the last good one while the champion's files are damaged."""

from dataclasses import dataclass

from predictions.alarms import raise_alarm, resolve_alarms
from predictions.artefacts import open_forecaster
from predictions.forecasting.artifact import ArtifactError
from predictions.forecasting.serving import Forecaster
from predictions.frequency import Frequency
from predictions.models import ModelAlarm, TrainedModel
from predictions.registry import NoModel, former_champions


@dataclass(frozen=True)
class Serving:
    """A model and its opened session; `instead_of` is the champion whose files cannot be opened, if that is so."""

    model: TrainedModel
    forecaster: Forecaster
    instead_of: TrainedModel | None = None


def serving_forecaster(frequency: Frequency = Frequency.DAY) -> Serving:
    """The champion of a frequency, warm from the second call on; one row is read to see whether it has changed.

    While its files are damaged, the latest earlier champion with good ones serves, and an alarm says so. Raises
    NoModel, and ArtifactError when no model can be opened.
    """
    champion = TrainedModel.objects.serving(frequency)
    if champion is None:
        raise NoModel("No model serves yet.")
    try:
        return Serving(champion, open_forecaster(champion.folder, champion.manifest_sha256))
    except ArtifactError as error:
        return _last_good(champion, error)


def _last_good(champion: TrainedModel, error: ArtifactError) -> Serving:
    for earlier in former_champions(champion):
        try:
            forecaster = open_forecaster(earlier.folder, earlier.manifest_sha256)
        except ArtifactError:
            continue
        message = f"The files of {champion.version} are damaged ({error}): {earlier.version} serves in its place."
        raise_alarm(champion, ModelAlarm.Kind.ARTEFACT, message)
        return Serving(earlier, forecaster, instead_of=champion)
    raise_alarm(champion, ModelAlarm.Kind.ARTEFACT, f"The files of {champion.version} are damaged ({error}).")
    raise error


def check_champions_files(champion: TrainedModel) -> None:
    """Ends the alarm about the champion's files once they can be opened again."""
    try:
        open_forecaster(champion.folder, champion.manifest_sha256)
    except ArtifactError as error:
        _alarm_or_nothing(champion, error)
    else:
        resolve_alarms(champion, keep=set(), kinds={ModelAlarm.Kind.ARTEFACT})


def _alarm_or_nothing(champion: TrainedModel, error: ArtifactError) -> None:
    try:
        _last_good(champion, error)
    except ArtifactError:
        return
