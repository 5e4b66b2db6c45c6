"""Which jobs staff may start, and whether the arguments given for one are such as it takes."""

import inspect
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, get_args, get_type_hints

from celery import Task

from cryptopredict.celery import app
from cryptopredict.operations.models import TaskRun
from markets.coingecko.fields import Unsound, coin_id
from predictions.forecasting.frequency import FREQUENCIES

# A job is started by hand only if that does no harm, whenever and however often it is done.
RUNNABLE = frozenset(
    {
        "markets.backfill_cryptocurrency",
        "markets.check_data_quality",
        "markets.cleanup_old_data",
        "markets.discover_new_cryptocurrencies",
        "markets.repack_prices",
        "markets.sync_all_prices",
        "markets.sync_historical_data",
        "markets.sync_specific_cryptocurrency",
        "operations.tidy_task_runs",
        "predictions.issue_forecasts",
        "predictions.issue_hourly_forecasts",
        "predictions.run_backtest",
        "predictions.score_due_forecasts",
        "predictions.train_model",
    }
)
MAX_TEXT = 200
MAX_NUMBER = 2**31 - 1


class NotRunnable(LookupError):
    """There is no such job, or none that staff may start by hand."""


class BadArguments(ValueError):
    """Arguments that the job does not take; `faults` names each with what is wrong with it."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {text}" for name, text in faults.items()))
        self.faults = faults


def registered_tasks() -> dict[str, Task[Any, Any]]:
    """The site's own jobs by name."""
    app.loader.import_default_modules()
    return {name: app.tasks[name] for name in sorted(app.tasks) if not name.startswith("celery.")}


def runnable_task(name: str) -> Task[Any, Any]:
    """Raises NotRunnable."""
    task = registered_tasks().get(name)
    if task is None:
        raise NotRunnable(f"There is no job called {name!r:.150}.")
    if name not in RUNNABLE:
        raise NotRunnable(f"{name} is queued by other jobs only.")
    return task


def queue_of(name: str) -> str:
    """The queue that the routes send this job to."""
    return str(app.amqp.router.route({}, name)["queue"].name)


def parameters_of(task: Task[Any, Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(task.run).parameters)


def check_arguments(task: Task[Any, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name. Raises BadArguments that names every fault."""
    parameters, hints = parameters_of(task), get_type_hints(task.run)
    faults = {name: "There is no such argument." for name in arguments if name not in parameters}
    for name, parameter in parameters.items():
        if name in arguments:
            if fault := _fault(name, arguments[name], hints.get(name, str)):
                faults[name] = fault
        elif parameter.default is parameter.empty:
            faults[name] = "This argument is needed."
    if not faults and "start" in arguments and "end" in arguments and arguments["start"] > arguments["end"]:
        faults["start"] = "It must not lie after the end."
    if faults:
        raise BadArguments(faults)
    return dict(arguments)


def stored_arguments(task: Task[Any, Any], run: TaskRun) -> dict[str, Any]:
    """The arguments that a run was queued with, by name, however they were given; its defaults are left out."""
    args, kwargs = run.arguments.get("args", []), run.arguments.get("kwargs", {})
    given = {**dict(zip(parameters_of(task), args, strict=False)), **kwargs}
    parameters = parameters_of(task)
    return {name: value for name, value in given.items() if name in parameters and value != parameters[name].default}


def _fault(name: str, value: Any, hint: Any) -> str:
    """What is wrong with one value; empty when nothing is."""
    kinds = tuple(kind for kind in (get_args(hint) or (hint,)) if isinstance(kind, type))
    if type(value) not in kinds:  # exactly: True is no whole number here
        return f"A value of the kind {' or '.join(kind.__name__ for kind in kinds)} is expected."
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"At most {MAX_TEXT} characters are expected."
    if isinstance(value, int) and not 0 <= value <= MAX_NUMBER:
        return f"A whole number from 0 to {MAX_NUMBER} is expected."
    return CHECKS[name](value) if name in CHECKS and isinstance(value, str) else ""


def _coin_fault(value: str) -> str:
    try:
        coin_id(value)
    except Unsound:
        return "A CoinGecko id, such as bitcoin, is expected."
    return ""


def _date_fault(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        return "A date such as 2026-03-01 is expected."
    return ""


def _frequency_fault(value: str) -> str:
    return "" if value in FREQUENCIES else f"One of {', '.join(FREQUENCIES)} is expected."


CHECKS: dict[str, Callable[[str], str]] = {
    "coingecko_id": _coin_fault,
    "start": _date_fault,
    "end": _date_fault,
    "frequency": _frequency_fault,
}
