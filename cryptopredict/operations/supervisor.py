"""Starts the programs of one installation together, starts again what dies, and ends all of them together."""

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOG_BYTES = 5_000_000
TAIL_LINES = 15


@dataclass
class Program:
    """One program: what to run, how long it may take to end, and what became of it."""

    name: str
    command: Sequence[str]
    grace_seconds: float = 5.0
    environment: Mapping[str, str] = field(default_factory=dict)  # of its own, beside what all of them get
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0  # of the monotonic clock, as is start_again_at
    start_again_at: float = 0.0
    quick_ends: int = 0
    tail: list[str] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class GaveUp(RuntimeError):
    """A program ended again and again right after its start; the message holds the end of its log."""


class Supervisor:
    """Programs that belong together, each with its output in a log file of its own.

    `tick` is to be called about every second by the thread that made the supervisor: the kernel ends the programs
    when that thread is gone, however that happens.
    """

    QUICK_SECONDS = 10.0
    MAX_QUICK_ENDS = 4

    def __init__(self, *, environment: Mapping[str, str], log_folder: Path, say: Callable[[str], None] = print) -> None:
        self.environment, self.log_folder, self.say = dict(environment), log_folder, say
        self.programs: list[Program] = []
        log_folder.mkdir(parents=True, exist_ok=True)

    def start(self, program: Program) -> None:
        self.programs.append(program)
        self._launch(program)

    def tick(self) -> None:
        """Starts again what ended; raises GaveUp when that is of no use."""
        now = time.monotonic()
        for program in self.programs:
            if program.process is not None and program.process.poll() is not None:
                self._on_end(program, program.process.returncode, now)
            if program.process is None and now >= program.start_again_at:
                self._launch(program)

    def stop(self) -> None:
        """Ends every program: politely, then firmly, then for good. A job cut short returns to its queue."""
        began_at = time.monotonic()
        sent: dict[str, signal.Signals] = {}
        while running := [program for program in self.programs if program.is_running]:
            for program in running:
                number = self._ending_signal(time.monotonic() - began_at, program)
                if sent.get(program.name) != number:
                    sent[program.name] = number
                    self._signal(program, number)
            time.sleep(0.05)

    @staticmethod
    def _ending_signal(seconds: float, program: Program) -> signal.Signals:
        if seconds < program.grace_seconds:
            return signal.SIGTERM
        return signal.SIGQUIT if seconds < 2 * program.grace_seconds else signal.SIGKILL

    def _on_end(self, program: Program, code: int, now: float) -> None:
        self._kill_group(program)
        program.process = None
        is_quick = now - program.started_at < self.QUICK_SECONDS
        program.quick_ends = program.quick_ends + 1 if is_quick else 0
        if program.quick_ends >= self.MAX_QUICK_ENDS:
            raise GaveUp(f"{program.name} does not start:\n" + "\n".join(program.tail))
        pause = min(2.0**program.quick_ends, 30.0)
        program.start_again_at = now + pause
        ending = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        self.say(f"{program.name} {ending}; it starts again in {pause:.0f} s (log: {self._log_path(program)})")

    def _launch(self, program: Program) -> None:
        program.started_at = time.monotonic()
        program.process = subprocess.Popen(
            program.command,
            env={**self.environment, **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to pass on, in good order
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        threading.Thread(target=self._keep_log, args=(program, program.process), daemon=True).start()

    def _keep_log(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        handler = RotatingFileHandler(self._log_path(program), maxBytes=LOG_BYTES, backupCount=1)
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            handler.emit(logging.makeLogRecord({"msg": line}))
            program.tail = [*program.tail[-TAIL_LINES:], line]
        handler.close()

    def _log_path(self, program: Program) -> Path:
        return self.log_folder / f"{program.name}.log"

    def _signal(self, program: Program, number: signal.Signals) -> None:
        if number == signal.SIGKILL:
            self._kill_group(program)
        elif program.process is not None:
            program.process.send_signal(number)

    @staticmethod
    def _kill_group(program: Program) -> None:
        """Kills a program with its children: each program leads a group of its own."""
        if program.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.process.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Runs in the new process, before its program: the kernel ends it when its parent is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
