"""Jobs for tests of the workers: each leaves a line in a file, so that a test can see how often it ran."""

import ctypes
import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from celery import Task, shared_task
from celery.utils.log import get_task_logger
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from markets.coingecko.errors import CoinGeckoError
from markets.lease import AlreadyRunning, LeaseLost, single_flight
from markets.models import SyncRun
from markets.sync import sync_prices
from markets.upstream import build_client

logger = get_task_logger(__name__)


@shared_task(name="test.note")
def note(folder: str, name: str, seconds: float = 0.0) -> None:
    """Notes its start, takes its time, and notes its end."""
    _append(Path(folder) / "started", name)
    time.sleep(seconds)
    _append(Path(folder) / "done", name)


@shared_task(name="test.kill_worker")
def kill_worker(folder: str) -> None:
    """Ends its own process as a segmentation fault would."""
    _append(Path(folder) / "started", "kill")
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="test.fail")
def fail() -> None:
    raise ValueError("as it should")


@shared_task(name="test.retry_twice", bind=True, max_retries=2)
def retry_twice(self: "Task[Any, Any]", folder: str) -> None:
    """Succeeds at its third try."""
    _append(Path(folder) / "started", f"try {self.request.retries}")
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


@shared_task(name="test.die")
def die(folder: str, how: str) -> None:
    """Ends its own process: by a segmentation fault, by leaving it, or as the kernel does when memory runs out."""
    _append(Path(folder) / "started", how)
    match how:
        case "segmentation fault":
            ctypes.string_at(0)
        case "exit":
            os._exit(1)
        case "quiet exit":
            os._exit(0)
        case "out of memory":
            os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="test.tick", bind=True)
def tick(self: "Task[Any, Any]", at: str) -> None:
    """One tick of prices for the slot of a given time, as the schedule's own job makes it for the present one."""
    try:
        sync_prices(client=build_client(), now=datetime.fromisoformat(at), task_id=str(self.request.id))
    except (CoinGeckoError, AlreadyRunning, LeaseLost) as error:
        logger.warning("no tick: %s", error)


@shared_task(name="test.ask")
def ask(folder: str, times: int) -> None:
    """Asks upstream so many times in a row, as one recorded run."""
    client = build_client()
    run = SyncRun.objects.create(kind=SyncRun.Kind.DISCOVER)
    for _ in range(times):
        try:
            client.ping()
            run.calls += 1
        except CoinGeckoError as error:
            _append(Path(folder) / "refused", f"{type(error).__name__} {error.status}")
    run.state, run.finished_at = SyncRun.State.SUCCEEDED, timezone.now()
    run.save()
    _append(Path(folder) / "done", f"asked {times}")


@shared_task(name="test.write_under_lease", bind=True)
def write_under_lease(self: "Task[Any, Any]", folder: str, name: str, seconds: float, pause: str) -> None:
    """Writes one row under a lease; waits for the file `go` either before it confirms its turn or after."""
    try:
        with single_flight("test", holder=str(self.request.id), seconds=seconds) as turn:
            _append(Path(folder) / "started", f"{name} {os.getpid()}")
            if pause == "before":
                _wait_for(Path(folder) / "go")
            with transaction.atomic():
                turn.confirm()
                SyncRun.objects.create(kind=SyncRun.Kind.QUALITY, problem=name)
                if pause == "after":
                    _append(Path(folder) / "inside", name)
                    _wait_for(Path(folder) / "go")
    except (LeaseLost, AlreadyRunning, DatabaseError, InterfaceError) as error:
        _append(Path(folder) / "refused", f"{name} {type(error).__name__}")
    else:
        _append(Path(folder) / "done", name)


def _wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise TimeoutError(f"{path.name} did not come")


@shared_task(name="test.hammer")
def hammer(folder: str, seconds: float) -> None:
    """Asks upstream again and again for so long, whatever the answers."""
    client = build_client()
    run = SyncRun.objects.create(kind=SyncRun.Kind.DISCOVER)
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        try:
            client.ping()
            run.calls += 1
        except CoinGeckoError as error:
            _append(Path(folder) / "refused", f"{type(error).__name__} {error.status}")
        time.sleep(0.1)
    run.state, run.finished_at = SyncRun.State.SUCCEEDED, timezone.now()
    run.save()
    _append(Path(folder) / "done", "hammered")
