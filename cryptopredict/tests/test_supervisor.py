"""The supervisor, with real small programs."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cryptopredict.operations.supervisor import GaveUp, Program, Supervisor
from cryptopredict.tests.processes import wait_for

pytestmark = pytest.mark.slow
SLEEP = "import time; time.sleep(60)"
DEAF = (
    "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (15, 3)]; "
    "print('deaf', flush=True); time.sleep(60)"
)
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {SLEEP}"


def python(code: str, name: str = "program", **options: float) -> Program:
    return Program(name, [sys.executable, "-c", code], **options)  # type: ignore[arg-type]


class Site:
    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.supervisor = Supervisor(environment=os.environ, log_folder=folder, say=self.said.append)

    def tick_until(self, ready: Callable[[], bool]) -> None:
        def look() -> bool:
            self.supervisor.tick()
            return ready()

        wait_for("the programs are so", look, 20)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    for program in made.supervisor.programs:
        program.grace_seconds = 0
    made.supervisor.stop()


def test_it_starts_a_program_again_that_was_killed(site: Site) -> None:
    program = python(SLEEP)
    site.supervisor.start(program)
    assert program.process is not None
    first = program.process.pid
    program.process.kill()
    site.tick_until(lambda: program.process is not None and program.process.pid != first)
    assert "was killed by signal 9; it starts again" in site.said[0]


def test_it_gives_up_on_a_program_that_never_starts_and_shows_its_log(site: Site) -> None:
    site.supervisor.MAX_QUICK_ENDS = 2
    site.supervisor.start(python("print('no such setting'); raise SystemExit(3)", "web"))
    with pytest.raises(GaveUp, match=r"(?s)web does not start:.*no such setting"):
        site.tick_until(lambda: False)


def test_it_writes_what_a_program_prints_into_its_log(site: Site, tmp_path: Path) -> None:
    program = python("print('50 % done', flush=True); " + SLEEP, "worker")
    site.supervisor.start(program)
    wait_for("it printed", lambda: bool(program.tail), 10)
    log = tmp_path / "worker.log"
    site.supervisor.stop()
    wait_for("the line is there", lambda: log.exists() and "50 % done" in log.read_text(), 5)


def test_it_ends_a_program_that_ignores_polite_signals(site: Site) -> None:
    program = python(DEAF, grace_seconds=0.3)
    site.supervisor.start(program)
    wait_for("it is deaf", lambda: "deaf" in program.tail, 10)
    began = time.monotonic()
    site.supervisor.stop()
    assert not program.is_running
    assert time.monotonic() - began < 3


def test_it_ends_the_children_of_a_program_that_died(site: Site) -> None:
    program = python(PARENT)
    site.supervisor.start(program)
    assert program.process is not None
    parent = psutil.Process(program.process.pid)
    wait_for("it has a child", lambda: bool(parent.children()), 10)
    child = parent.children()[0]
    program.process.kill()
    program.process.wait()
    assert child.is_running()
    site.supervisor.tick()
    wait_for("its child is gone", lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_it_takes_its_programs_along_when_it_is_killed_itself(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from cryptopredict.operations.supervisor import Program, Supervisor\n"
        f"supervisor = Supervisor(environment=os.environ, log_folder=Path({str(tmp_path)!r}))\n"
        f"program = Program('child', [sys.executable, '-c', {SLEEP!r}])\n"
        "supervisor.start(program); print(program.process.pid, flush=True); time.sleep(60)"
    )
    process = psutil.Popen([sys.executable, "-c", code], stdout=-1)
    child = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    wait_for("the child is gone", lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5)
