"""Load on a server: as much as so many clients make, or arrivals at a steady rate whatever the server does."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.http import Connection
from bench.measuring import percentile

CLIENTS = 64  # of an open load: more than are ever busy unless the server falls behind


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of request of the mix: READ or WRITE, how it goes over the wire, the statuses that are right."""

    kind: str
    message: Callable[[int], bytes]
    statuses: frozenset[int] = frozenset({200})


@dataclass
class Taken:
    """What a load found: the seconds of every call by kind, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"read": [], "write": []})
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, call: Call, seconds: float, problem: str) -> None:
        with self.lock:
            if problem:
                self.errors.append(problem)
            self.seconds[call.kind].append(seconds)

    @property
    def calls(self) -> int:
        return sum(len(found) for found in self.seconds.values())

    def p99(self, kind: str) -> float:
        return percentile(self.seconds[kind], 0.99)


def closed_load(port: int, mix: Sequence[Call], *, clients: int, seconds: float) -> Taken:
    """Each client sends its next call as soon as it has its answer; calls per second are `calls / seconds`."""
    taken, numbers, end = Taken(), itertools.count(), time.perf_counter() + seconds

    def client() -> None:
        line = Connection(port)
        while (begun := time.perf_counter()) < end:
            number = next(numbers)
            call = mix[number % len(mix)]
            problem = send(line, call, number)
            taken.note(call, time.perf_counter() - begun, problem)
        line.close()

    together([client] * clients)
    return taken


def open_load(port: int, mix: Sequence[Call], *, rate: float, seconds: float) -> Taken:
    """Calls at a steady rate; each is timed from the moment it was due, so that a server that stalls is not spared.

    Gil Tene, "How NOT to Measure Latency": a client that waits for the late answer before it sends the next call
    leaves out just those calls that would have waited.
    """
    taken, begun = Taken(), time.perf_counter() + 0.1
    numbers = itertools.count()
    calls = int(rate * seconds)

    def client() -> None:
        line = Connection(port)
        while (number := next(numbers)) < calls:
            due = begun + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            call = mix[number % len(mix)]
            problem = send(line, call, number)
            taken.note(call, time.perf_counter() - due, problem)
        line.close()

    together([client] * CLIENTS)
    return taken


def send(line: Connection, call: Call, number: int) -> str:
    """What went wrong with a call; empty when nothing did."""
    try:
        answer = line.send(call.message(number))
    except OSError as error:
        line.close()
        return f"{type(error).__name__}: {error}"
    return "" if answer.status in call.statuses else f"{answer.status}: {answer.body[:200]!r}"


def together(works: Sequence[Callable[[], None]]) -> None:
    with running(works):
        pass


@contextmanager
def running(works: Sequence[Callable[[], None]], stop: threading.Event | None = None) -> Iterator[None]:
    """Each in a thread of its own beside the block, at whose end they are told to stop and waited for."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        if stop is not None:
            stop.set()
        for thread in threads:
            thread.join()
