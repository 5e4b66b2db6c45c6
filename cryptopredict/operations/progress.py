"""How far runs of jobs are: what the sync or the training behind each one counts."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models.fields.json import KT

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
    found.update(_trainings([run.task_id for run in runs if run.name == TRAINING]))
    return found


def _syncs(task_ids: list[str]) -> dict[str, Progress]:
    # A job that was delivered twice made two; the newer one counts.
    syncs = SyncRun.objects.filter(task_id__in=task_ids).order_by("started_at", "pk")
    return {
        sync.task_id: Progress(sync.done, sync.total, sync.calls, sync.rows_written, sync.problem, sync.pk)
        for sync in syncs
    }


def _trainings(task_ids: list[str]) -> dict[str, Progress]:
    if not task_ids:
        return {}
    models = TrainedModel.objects.filter(metrics__task_id__in=task_ids).annotate(job=KT("metrics__task_id"))
    rows = models.values_list("job", "done", "total", "problem")
    return {task_id: Progress(done, total, problem=problem) for task_id, done, total, problem in rows}
