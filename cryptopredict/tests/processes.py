"""Real processes of the product for tests: a data folder of their own, workers, and their orderly end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


def wait_for(what: str, ready: Callable[[], bool], timeout_seconds: float = 40, log: Path | None = None) -> None:
    """Returns as soon as it is so; fails, with the end of the log, when it does not come about."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > deadline:
            text = log.read_text(errors="replace")[-3000:] if log is not None and log.exists() else ""
            raise AssertionError(f"waited {timeout_seconds} s in vain: {what}\n{text}")
        time.sleep(0.1)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


class Installation:
    """One installation of the product in a folder of its own; `stop` ends every process it started."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        drop = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTEST_XDIST_WORKER")
        inherited = {name: value for name, value in os.environ.items() if name not in drop}
        self.environment = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "cryptopredict.settings",
            "MARKET": "sample",
            "VAR_DIR": str(folder / "var"),
            "PYTHONUNBUFFERED": "1",
            "CELERY_SKIP_CHECKS": "true",  # a worker needs no web pages
            **environment,
        }
        self.log = folder / "processes.log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.prefix: tuple[str, ...] = ()  # goes before each command that is started

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*self.prefix, *command],
                cwd=ROOT,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_worker(
        self, *options: str, queues: str = "ingest", **environment: str
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        command = ["celery", "-A", "cryptopredict", "worker", "-I", "cryptopredict.tests.jobs", "-Q", queues]
        return self.start(sys.executable, "-m", *command, "-l", "INFO", *options, **environment)

    def start_beat(self, **environment: str) -> subprocess.Popen[bytes]:
        command = ["celery", "-A", "cryptopredict", "beat", "-l", "INFO", "--pidfile", "", "--max-interval", "1"]
        return self.start(sys.executable, "-m", *command, **environment)

    def start_web(self, port: int, *options: str) -> subprocess.Popen[bytes]:
        address = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--no-control-socket"]
        address += ["--limit-request-line", "8190"]
        return self.start(sys.executable, "-m", "gunicorn", "cryptopredict.wsgi", *address, *options)

    def run(self, *command: str) -> str:
        """Runs a Python command to its end and returns what it printed."""
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def evaluate(self, code: str) -> str:
        """Runs Python code in a fresh process with Django set up."""
        return self.run("-c", f"import django; django.setup()\n{code}").strip()

    def migrate(self) -> None:
        self.run("manage.py", "migrate", "--skip-checks", "--verbosity", "0")

    def queue(self, name: str, arguments: Sequence[Sequence[Any]], **options: Any) -> None:
        """Queues one job for each list of arguments."""
        self.evaluate(
            "from cryptopredict.celery import app\n"
            f"for args in {list(map(list, arguments))!r}:\n"
            f"    app.send_task({name!r}, args=args, queue={options.pop('queue', 'ingest')!r}, **{options!r})"
        )

    def stop(self) -> None:
        """Kills what still runs, children included: what a process does at its orderly end is for tests to see."""
        for process in self.processes:
            family = descendants(process.pid)
            process.kill()
            process.wait()
            for member in family:
                if member.is_running():
                    member.kill()


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
