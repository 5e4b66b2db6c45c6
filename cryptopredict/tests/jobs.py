"""Jobs for tests of the workers: each leaves a line in a file, so that a test can see how often it ran."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Task, shared_task


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
