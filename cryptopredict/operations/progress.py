"""How far runs of jobs are: what the sync or the training behind each one counts."""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptopredict.operations.models import TaskRun
from markets.models import SyncRun
from predictions.models import TrainedModel

TRAINING = "predictions.train_model"


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps done of all steps, and what a sync counted besides."""

    done: int
    total: int
    calls: int | None = None
    rows_written: int | None = None
    problem: str = ""
    sync_run_id: int | None = None


def progress_of(runs: Iterable[TaskRun]) -> dict[str, Progress]:
    """The progress of each run by its task id, where there is any; two queries for any number of runs."""
    runs = list(runs)
    found = _syncs([run.task_id for run in runs])
    found.update(_trainings([run for run in runs if run.name == TRAINING and run.started_at]))
    return found


def _syncs(task_ids: list[str]) -> dict[str, Progress]:
    # A job that was delivered twice made two; the newer one counts.
    syncs = SyncRun.objects.filter(task_id__in=task_ids).order_by("started_at", "pk")
    return {
        sync.task_id: Progress(sync.done, sync.total, sync.calls, sync.rows_written, sync.problem, sync.pk)
        for sync in syncs
    }


def _trainings(runs: list[TaskRun]) -> dict[str, Progress]:
    """A model does not know its job: it is the one that was begun while the job ran."""
    if not runs:
        return {}
    first = min(run.started_at for run in runs if run.started_at)
    models = list(
        TrainedModel.objects.filter(created_at__gte=first)
        .order_by("created_at")
        .values_list("created_at", "done", "total", "problem")
    )
    found: dict[str, Progress] = {}
    for run in runs:
        for created_at, done, total, problem in models:
            begun = run.started_at is not None and created_at >= run.started_at
            if begun and (run.finished_at is None or created_at <= run.finished_at):
                found[run.task_id] = Progress(done, total, problem=problem)
    return found
