"""Starts the whole site on this computer with one command, and ends it with Ctrl-C: what `make run` calls."""

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from cryptopredict.operations.market_choice import BadChoice, choose_market, default_var_dir
from cryptopredict.operations.supervisor import GaveUp, Program, Supervisor

HOST = "127.0.0.1"
ANSWER_SECONDS = 60.0
# The threads of a web process share two of the C library's pools of memory: with eight for each core, what one
# large page left in the pool of one thread is of no use to the next page in another.
WEB_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}


class CannotStart(RuntimeError):
    """The site cannot be started; the message says why and what to do."""


class Stopped(Exception):
    """Ctrl-C, or SIGTERM from elsewhere."""


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cryptopredict.settings")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        port = read_port(os.environ.get("PORT", ""))
        with only_once(default_var_dir(os.environ)):
            return run(port)
    except (BadChoice, CannotStart, GaveUp) as problem:
        print(problem, file=sys.stderr)
        return 1
    except Stopped:
        return 0


def run(port: int) -> int:
    """Runs until told to stop; every process that it started is gone when it returns."""
    var_dir = default_var_dir(os.environ)
    note = choose_market(os.environ, var_dir)
    if note:
        say(note)
    sample_port = free_port() if os.environ["MARKET"] != "live" else None
    if sample_port is not None:
        os.environ["SAMPLE_SERVER_URL"] = f"http://{HOST}:{sample_port}/api/v3"
    os.environ["CELERY_SKIP_CHECKS"] = "true"  # workers and beat serve no pages, so they need not load them
    supervisor = Supervisor(environment=os.environ, log_folder=var_dir / os.environ["MARKET"] / "logs", say=say)
    try:
        if sample_port is not None:
            supervisor.start(sample_server(sample_port))
        address = prepare(port)
        for program in site_programs(port):
            supervisor.start(program)
        if sample_port is not None:
            wait_for_answer(supervisor, sample_port, "sample server")
        wait_for_answer(supervisor, port, "web")
        watch(supervisor, address)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        supervisor.stop()
        say("Every process has ended.")
    return 0


def prepare(port: int) -> str:
    """Brings database, static files, schedule and staff account up to date; returns the site's address."""
    import django

    django.setup()
    from django.core.management import call_command

    from cryptopredict.operations import first_start
    from cryptopredict.operations.scheduling import seed_schedule

    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    call_command("collectstatic", verbosity=0, interactive=False, skip_checks=True)
    seed_schedule()
    address = f"http://{HOST}:{port}/"
    say(f"CryptoPredict starts at {address} with {first_start.describe_market()}. Ctrl-C ends it.")
    account = first_start.create_staff_account()
    if account is not None:
        say(f"Staff account, shown only this once: {account[0]}  password: {account[1]}")
    return address


def watch(supervisor: Supervisor, address: str) -> None:
    """Keeps the programs running and tells how the first jobs go, until told to stop."""
    from django.db import OperationalError, connection

    from cryptopredict.operations.first_start import Progress, queue_first_jobs

    progress = Progress(address)
    if queue_first_jobs():
        say("The first prices, history and forecasts are on their way; the site answers meanwhile.")
    elif progress.is_done:
        say(f"CryptoPredict is complete: {address}")
    connection.close()
    while True:
        supervisor.tick()
        if not progress.is_done:
            try:
                for line in progress.news():
                    say(f"  {line}")
            except OperationalError:
                pass  # a busy database: the next look comes in a second
            finally:
                connection.close()
        time.sleep(1)


def sample_server(port: int) -> Program:
    command = [sys.executable, "-m", "markets.sample", "--port", str(port)]
    if os.environ["MARKET"] == "replay":
        command += ["--source", "replay", "--data", os.environ["DATA"]]
    return Program("sample-server", command, grace_seconds=2)


def site_programs(port: int) -> list[Program]:
    """Web, worker, trainer and beat; only the trainer's children ever load TensorFlow."""
    celery = [sys.executable, "-m", "celery", "-q", "-A", "cryptopredict"]
    # Behind the web: a tick or a forecast may take a second longer, a reader should not.
    worker = [
        "nice",
        "-n",
        "10",
        *celery,
        "worker",
        "-l",
        "INFO",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    gunicorn = [sys.executable, "-m", "gunicorn", "cryptopredict.wsgi", "--bind", f"{HOST}:{port}"]
    gunicorn += ["--limit-request-line", "8190"]
    return [
        Program(
            "web",
            [*gunicorn, "--workers", "1", "--worker-class", "gthread", "--threads", "20", "--no-control-socket"],
            grace_seconds=5,
            environment=WEB_ENVIRONMENT,
        ),
        Program("worker", [*worker, "-n", "worker@%h", "-Q", "ingest,forecasts", "-c", "2"]),
        # A child for each training: TensorFlow's memory goes with it.
        Program("trainer", [*worker, "-n", "trainer@%h", "-Q", "training", "-c", "1", "--max-tasks-per-child", "1"]),
        Program("beat", [*celery, "beat", "-l", "INFO", "--pidfile", ""], grace_seconds=2),
    ]


def wait_for_answer(supervisor: Supervisor, port: int, name: str) -> None:
    """Returns as soon as something listens there; raises CannotStart when nothing does in time."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        supervisor.tick()
        time.sleep(0.1)
    raise CannotStart(f"{name} did not answer within {ANSWER_SECONDS:.0f} s; its log is in {supervisor.log_folder}.")


def read_port(text: str) -> int:
    """The port to serve on, 8000 unless given; raises CannotStart when it is no free port."""
    try:
        port = int(text or "8000")
    except ValueError:
        raise CannotStart(f"PORT must be a number, not {text!r}.") from None
    if not 1 <= port <= 65_535:
        raise CannotStart(f"PORT must lie between 1 and 65535, not {port}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise CannotStart(f"Port {port} needs rights that you do not have: try PORT={port + 8000}.") from None
        except OSError:
            raise CannotStart(f"Port {port} is taken: choose another, as in make run PORT={port + 1}.") from None
    return port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def only_once(var_dir: Path) -> Iterator[None]:
    """Holds the data folder's lock; raises CannotStart when another start of the site holds it."""
    var_dir.mkdir(parents=True, exist_ok=True)
    with (var_dir / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"CryptoPredict runs already on the data in {var_dir}: end that one first, or give VAR_DIR."
            ) from None
        yield


def say(text: str) -> None:
    print(text, flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
