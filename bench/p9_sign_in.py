"""P9: a sign-in against one bare verification of the password, and what others notice of twenty of them."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from django.contrib.auth.hashers import Argon2PasswordHasher

from bench.http import Connection, request
from bench.ledger import fill_ledger
from bench.load import running, together
from bench.measuring import RUNS, Result, at_most, interleaved, percentile, seconds_of
from bench.p6_list import fill_coins
from bench.people import PASSWORD, addresses, password_hash, sign_in
from bench.servers import installation, start_ours

AT_ONCE = 20
SIGN_IN_RUNS = 11
READERS = 2
PAUSE_SECONDS = 0.02  # of a reader between two requests: the site is used, not saturated
QUIET_SECONDS = 4.0
READS = [
    "/api/v1/cryptocurrencies/?page_size=50",
    "/api/v1/cryptocurrencies/bench-7/",
    "/api/v1/cryptocurrencies/movers/",
    "/api/v1/predictions/?page_size=20",
]


def run() -> Iterator[Result]:
    fill_coins()
    fill_ledger(5000)
    people = addresses(AT_ONCE)
    with installation() as made:
        port = start_ours(made, workers=2)
        yield _one_sign_in(Connection(port), people[0])
        quiet, busy = [], []
        for _ in range(RUNS):
            quiet.append(readers_p99(port, lambda: time.sleep(QUIET_SECONDS)))
            busy.append(readers_p99(port, lambda: sign_in_at_once(port, people)))
        ours, reference = (statistics.median(each) * 1000 for each in (busy, quiet))
    what = f"others' p99 during {AT_ONCE} sign-ins"
    yield at_most(2, id="P9-others", what=what, ours=ours, reference=reference, unit="ms")


def _one_sign_in(line: Connection, email: str) -> Result:
    hasher, encoded = Argon2PasswordHasher(), password_hash()

    def bare() -> float:
        return seconds_of(lambda: hasher.verify(PASSWORD, encoded))

    ours, reference = interleaved(lambda: line.timed(sign_in(email)), bare, runs=SIGN_IN_RUNS)
    return at_most(
        1.3, id="P9", what="sign-in", ours=ours * 1000, reference=reference * 1000, unit="ms", runs=SIGN_IN_RUNS
    )


def sign_in_at_once(port: int, people: list[str]) -> None:
    """All of them in the same moment, each on a connection of its own; all must be let in."""
    refused: list[str] = []
    everybody = threading.Barrier(len(people))

    def enter(email: str) -> None:
        line = Connection(port)
        everybody.wait()
        try:
            line.timed(sign_in(email))
        except (OSError, RuntimeError) as problem:
            refused.append(str(problem))
        finally:
            line.close()

    together([partial(enter, email) for email in people])
    if refused:
        raise RuntimeError(f"{len(refused)} of {len(people)} sign-ins failed: {refused[0]}")


def readers_p99(port: int, meanwhile: Callable[[], None]) -> float:
    """The 99th percentile of the seconds of reads by some clients while something else goes on."""
    stop = threading.Event()
    seconds: list[float] = []

    def read(number: int) -> None:
        line = Connection(port)
        for path in itertools.islice(itertools.cycle(READS), number, None):
            if stop.is_set():
                break
            seconds.append(line.timed(request("GET", path)))
            time.sleep(PAUSE_SECONDS)
        line.close()

    with running([partial(read, number) for number in range(READERS)], stop):
        meanwhile()
    return percentile(seconds, 0.99)
