"""What staff see under /ops/."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from cryptopredict.operations import board, control, heartbeats, sync_state
from cryptopredict.operations.arguments import RUNNABLE
from cryptopredict.operations.catalogue import describe_entry
from cryptopredict.operations.health import job_problems
from cryptopredict.operations.models import AuditEntry, TaskRun
from cryptopredict.operations.pages.access import find, read_filter, read_page, staff_only
from cryptopredict.operations.pages.forms import AuditFilter, CoinFilter, TaskFilter
from cryptopredict.operations.plans import find_plan
from cryptopredict.operations.progress import TRAINING, Progress, progress_of
from cryptopredict.operations.queues import BrokerUnavailable, read_queues
from cryptopredict.operations.scheduling import schedule_entries
from markets.models import Cryptocurrency, DataFault, SyncRun
from predictions.charts import loss_figure
from predictions.curves import STAGES, epoch_ends
from predictions.forecasting.backtest import FHS, LSTM
from predictions.frequency import Frequency
from predictions.models import TrainedModel
from predictions.monitoring import validation_rows

SYNCS_SHOWN = 8


@dataclass(frozen=True)
class RunRow:
    """A run as a list shows it."""

    run: TaskRun
    progress: Progress | None

    @property
    def can_cancel(self) -> bool:
        return self.run.state in control.ACTIVE and not self.run.is_cancel_requested

    @property
    def can_retry(self) -> bool:
        return self.run.state not in control.ACTIVE and self.run.name in RUNNABLE


def rows_of(runs: list[TaskRun]) -> list[RunRow]:
    progress = progress_of(runs)
    return [RunRow(run, progress.get(run.task_id)) for run in runs]


@require_safe
@staff_only
def overview(request: HttpRequest) -> HttpResponse:
    """The sync, the calls, the queues and the workers in one look."""
    status = sync_state.read_status()
    signs = heartbeats.signs_of_life()
    problems = [*job_problems(signs), *status["problems"]]
    queues: list[Any] = []
    try:
        queues = read_queues()
    except BrokerUnavailable as error:
        problems.append(str(error))
    context = {
        "section": "overview",
        "status": status,
        "problems": problems,
        "plan": find_plan(),
        "queues": queues,
        "processes": signs,
        "syncs": SyncRun.objects.all()[:SYNCS_SHOWN],
        "open_faults": DataFault.objects.unresolved().count(),
    }
    return render(request, "ops/overview.html", context)


@require_safe
@staff_only
def tasks(request: HttpRequest) -> HttpResponse:
    """The jobs that staff may start, and the runs that the address asks for."""
    form = read_filter(TaskFilter, request)
    wanted = {name: value for name, value in form.cleaned_data.items() if value}
    runs = TaskRun.objects.select_related("queued_by").defer("traceback").filter(**wanted)
    page = read_page(runs, request)
    now = timezone.now()
    active = set(TaskRun.objects.filter(state__in=control.ACTIVE).values_list("name", flat=True))
    entries = [
        {**describe_entry(entry, now), "is_active": entry.task in active, "is_runnable": entry.task in RUNNABLE}
        for entry in schedule_entries()
    ]
    rows = rows_of(list(page.object_list))
    context = {
        "section": "tasks",
        "form": form,
        "page": page,
        "rows": rows,
        "entries": entries,
        "is_moving": any(row.run.state in control.ACTIVE for row in rows),
    }
    return render(request, "ops/tasks.html", context)


@require_safe
@staff_only
def task(request: HttpRequest, task_id: str) -> HttpResponse:
    """One run: its state, progress, arguments, result and traceback."""
    run = find(TaskRun.objects.select_related("queued_by"), task_id=task_id)
    (row,) = rows_of([run])
    context = {"section": "tasks", "row": row, "run": run, "is_moving": run.state in control.ACTIVE}
    return render(request, "ops/task.html", context)


@require_safe
@staff_only
def training(request: HttpRequest, task_id: str) -> HttpResponse:
    """One training: its state, its loss curve as it grows, and in the end what it came to."""
    run = find(TaskRun.objects.filter(name=TRAINING).select_related("queued_by"), task_id=task_id)
    model = TrainedModel.objects.filter(metrics__task_id=task_id).first()
    known = model.metrics.get("curve", {}) if model else {}
    curve = {STAGES[name]: known[name] for name in STAGES if name in known}
    rows = validation_rows(model) if model else []
    context = {
        "section": "models",
        "run": run,
        "model": model,
        "is_moving": run.state in control.ACTIVE,
        "stages": [(name, epoch_ends(points)) for name, points in curve.items()],
        "resumed": [
            (STAGES[one["stage"]], one["epoch"]) for one in (model.metrics.get("resumed", []) if model else [])
        ],
        "figure": loss_figure(curve),
        "noun": Frequency(model.frequency).noun if model else "",
        "validation": [(row["horizon"], row, row["against"][FHS]) for row in rows if row["model"] == LSTM],
    }
    return render(request, "ops/training.html", context)


@require_safe
@staff_only
def quality(request: HttpRequest) -> HttpResponse:
    """How complete the stored prices of each tracked coin are, and what is wrong with them."""
    now = timezone.now()
    page = read_page(board.coverage_board(now=now), request)
    faults = DataFault.objects.unresolved().select_related("coin")[:SYNCS_SHOWN]
    rows = [board.describe(coin, now) for coin in page.object_list]
    context = {"section": "quality", "page": page, "rows": rows, "windows": board.WINDOWS, "faults": faults}
    return render(request, "ops/quality.html", context)


@require_safe
@staff_only
def coins(request: HttpRequest) -> HttpResponse:
    """Every coin, with whether it is tracked and how often its price is asked for."""
    form = read_filter(CoinFilter, request)
    page = read_page(selected_coins(form.cleaned_data), request)
    tracked = Cryptocurrency.objects.tracked().count()
    context = {"section": "coins", "form": form, "page": page, "tracked": tracked}
    return render(request, "ops/coins.html", context)


def selected_coins(wanted: dict[str, str]) -> QuerySet[Cryptocurrency]:
    found = Cryptocurrency.objects.defer("sparkline_7d")
    if wanted["q"]:
        found = found.matching(wanted["q"])
    if wanted["tracked"]:
        found = found.filter(is_tracked=wanted["tracked"] == "yes")
    return found


@require_safe
@staff_only
def audit_log(request: HttpRequest) -> HttpResponse:
    """What staff did, newest first."""
    form = read_filter(AuditFilter, request)
    lookups = {"actor": "actor__icontains", "action": "action__icontains", "channel": "channel"}
    wanted = {lookups[name]: value for name, value in form.cleaned_data.items() if value}
    page = read_page(AuditEntry.objects.filter(**wanted), request)
    return render(request, "ops/audit.html", {"section": "audit", "form": form, "page": page})
