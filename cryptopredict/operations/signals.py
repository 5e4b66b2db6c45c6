"""Listens to Celery: writes each run of a job into the database and ties pool children to their parent."""

import ctypes
import logging
import signal
import sys
from typing import Any

from celery import signals
from django.db import DatabaseError, InterfaceError
from django.db.models.signals import post_save
from django.dispatch import receiver

from cryptopredict.operations import heartbeats, runs
from cryptopredict.operations.broker import job_not_queued
from cryptopredict.operations.jobs import Quarantined
from cryptopredict.operations.models import TaskRun
from markets.lease import drop_lost_connection
from markets.models import SyncRun

logger = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
DATABASE_ERRORS = (DatabaseError, InterfaceError)


@signals.before_task_publish.connect
def on_publish(headers: dict[str, Any], body: Any, routing_key: str = "", **_: Any) -> None:
    args, kwargs = body[0], body[1]
    try:
        drop_lost_connection()  # beat lives long; its connection may have died since
        runs.record_queued(headers["id"], headers["task"], args, kwargs, routing_key)
    except DATABASE_ERRORS:
        logger.exception("%s is queued, but that could not be noted", headers["task"])


@job_not_queued.connect
def on_not_queued(task_id: str, reason: str, **_: Any) -> None:
    try:
        runs.record_end(task_id, TaskRun.State.FAILED, result=reason)
    except DATABASE_ERRORS:
        logger.exception("%s is not queued, but that could not be noted", task_id)


@signals.task_success.connect
def on_success(sender: Any, result: Any, **_: Any) -> None:
    _note_end(sender, TaskRun.State.SUCCEEDED, result="" if result is None else str(result))


@signals.task_failure.connect
def on_failure(sender: Any, task_id: str, exception: BaseException, einfo: Any, **_: Any) -> None:
    text = f"{type(exception).__name__}: {exception}"
    state = TaskRun.State.QUARANTINED if isinstance(exception, Quarantined) else TaskRun.State.FAILED
    _note_end(sender, state, task_id=task_id, result=text, traceback=str(einfo or ""))


@signals.task_retry.connect
def on_retry(request: Any, reason: Any, **_: Any) -> None:
    try:
        runs.record_retry(request.id, str(reason))
    except DATABASE_ERRORS:
        logger.exception("%s will be retried, but that could not be noted", request.id)


@signals.task_revoked.connect
def on_revoked(sender: Any, request: Any, expired: bool, **_: Any) -> None:
    if expired:
        text = "It waited too long for a worker and was dropped."
        _note_end(sender, TaskRun.State.FAILED, task_id=request.id, result=text)
    else:
        _note_end(sender, TaskRun.State.CANCELLED, task_id=request.id, result="It was called off.")


@signals.worker_process_init.connect
def on_pool_child(**_: Any) -> None:
    """A child whose worker was killed must not go on with a job that another worker is given again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


signals.worker_ready.connect(heartbeats.start_pulse)
signals.worker_shutdown.connect(heartbeats.stop_pulse)


@receiver(post_save, sender=SyncRun)
def on_sync_run(instance: SyncRun, created: bool, **_: Any) -> None:
    """A run that its job begins after it was asked to stop is asked too."""
    if created and instance.task_id:
        asked = TaskRun.objects.filter(task_id=instance.task_id, is_cancel_requested=True)
        if asked.exists():
            SyncRun.objects.running().filter(pk=instance.pk).update(is_cancel_requested=True)


def _note_end(sender: Any, state: TaskRun.State, *, task_id: str = "", **texts: str) -> None:
    try:
        runs.record_end(task_id or sender.request.id, state, **texts)
    except DATABASE_ERRORS:
        logger.exception("%s is %s, but that could not be noted", sender.name, state)
