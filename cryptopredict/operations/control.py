"""Starts, calls off and repeats jobs for staff, each with its entry in the audit log."""

import logging
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from celery import Task
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from cryptopredict.celery import app
from cryptopredict.operations import audit
from cryptopredict.operations.arguments import check_arguments, queue_of, runnable_task, stored_arguments
from cryptopredict.operations.models import TaskRun
from markets.models import Lease, SyncRun

logger = logging.getLogger(__name__)

BROKER_ERRORS = (BrokerError, RedisError, OSError)
State = TaskRun.State
WAITING = (State.QUEUED, State.RETRIED)
ACTIVE = (*WAITING, State.RUNNING)
Person = AbstractBaseUser | AnonymousUser


class AlreadyActive(Exception):
    """The same job with the same arguments waits or runs already: it is `run`."""

    def __init__(self, run: TaskRun) -> None:
        super().__init__(f"{run.name} with these arguments is {run.get_state_display().lower()}: {run.task_id}.")
        self.run = run


class WrongState(Exception):
    """The run's state forbids this; the message says which it is."""


class BrokerDown(Exception):
    """The broker did not take the job; its run is marked as failed."""


def queue_task(
    *,
    name: str,
    arguments: Mapping[str, Any],
    by: Person,
    channel: audit.Channel,
    action: str = "task.run",
    target: str = "",
    reason: str = "",
) -> TaskRun:
    """Queues a job once: while the same one waits or runs, there is no second.

    Raises NotRunnable, BadArguments, AlreadyActive, and BrokerDown after the commit.
    """
    task = runnable_task(name)
    given = check_arguments(task, arguments)
    with transaction.atomic():
        _take_turn(name)
        if (active := find_active(task, given)) is not None:
            raise AlreadyActive(active)
        run = TaskRun.objects.create(
            task_id=str(uuid.uuid4()),
            name=name,
            arguments={"args": [], "kwargs": given} if given else {},
            queue=queue_of(name),
            queued_by_id=by.pk,
        )
        detail = {"task_id": run.task_id, "arguments": given}
        audit.record(by, action, target or name, reason=reason, detail=detail, channel=channel)
        # A worker must not be faster than this transaction.
        transaction.on_commit(partial(_publish, task, given, run.task_id))
    return run


def find_active(task: Task[Any, Any], given: Mapping[str, Any]) -> TaskRun | None:
    """The run of this job that waits or runs with the same arguments, given or by default."""
    wanted = stored_arguments(task, TaskRun(arguments={"kwargs": dict(given)}))
    active = TaskRun.objects.filter(name=task.name, state__in=ACTIVE)
    return next((run for run in active if stored_arguments(task, run) == wanted), None)


def cancel_task(*, run: TaskRun, by: Person, channel: audit.Channel, reason: str = "") -> TaskRun:
    """Calls a job off: one that waits never runs, one that runs is asked to stop at its next step.

    Raises WrongState when it has ended.
    """
    with transaction.atomic():
        mine = TaskRun.objects.filter(pk=run.pk)
        # Two conditional updates: whichever state the worker left it in, exactly one of them finds it.
        was_waiting = mine.filter(state__in=WAITING).update(
            state=State.CANCELLED, is_cancel_requested=True, finished_at=timezone.now(),
            result="Called off before it ran.",
        )  # fmt: skip
        if not was_waiting:
            if not mine.filter(state=State.RUNNING).update(is_cancel_requested=True):
                raise WrongState("This run has ended; there is nothing to cancel.")
            SyncRun.objects.running().filter(task_id=run.task_id).update(is_cancel_requested=True)
        detail = {"task_id": run.task_id, "was": "waiting" if was_waiting else "running"}
        audit.record(by, "task.cancel", run.name, reason=reason, detail=detail, channel=channel)
        transaction.on_commit(partial(_revoke, run.task_id))
    run.refresh_from_db()
    return run


def retry_task(*, run: TaskRun, by: Person, channel: audit.Channel, reason: str = "") -> TaskRun:
    """Queues a job that has ended once more, under a new id. Raises WrongState, and what queue_task raises."""
    if run.state in ACTIVE:
        raise WrongState(f"This run is {run.get_state_display().lower()}; only one that has ended can be repeated.")
    arguments = stored_arguments(runnable_task(run.name), run)
    target = f"{run.name} {run.task_id}"
    return queue_task(
        name=run.name, arguments=arguments, by=by, channel=channel, action="task.retry", target=target, reason=reason
    )


def _take_turn(name: str) -> None:
    """Lets one transaction at a time decide about a job: the others wait here until it ends."""
    lease, _ = Lease.objects.get_or_create(name=f"queue {name}")
    Lease.objects.select_for_update().get(pk=lease.pk)


def _publish(task: Task[Any, Any], arguments: Mapping[str, Any], task_id: str) -> None:
    try:
        task.apply_async(kwargs=dict(arguments), task_id=task_id)
    except BROKER_ERRORS as error:
        logger.error("%s could not be queued: %s", task.name, error)
        TaskRun.objects.filter(task_id=task_id, state=State.QUEUED).update(
            state=State.FAILED, finished_at=timezone.now(), result="The broker did not take it."
        )
        raise BrokerDown("The broker does not answer, so nothing was queued. Try again shortly.") from error


def _revoke(task_id: str) -> None:
    """Tells the workers too, where they can be reached; the run's row alone is enough to keep it from running."""
    if not settings.CELERY_WORKER_ENABLE_REMOTE_CONTROL:
        return
    try:
        app.control.revoke(task_id)
    except BROKER_ERRORS as error:
        logger.warning("the workers were not told that %s is called off: %s", task_id, error)
