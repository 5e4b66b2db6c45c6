"""P5: readers while an expired day of five-minute prices is dropped."""

import gc
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from bench.load import running
from bench.market import BEGIN, LARGE, build, use
from bench.measuring import RUNS, Result, at_most, percentile, seconds_of
from markets import sync
from markets.models import Cryptocurrency
from markets.series import read_slots

READERS = 2
PAUSE_SECONDS = 0.02  # of a reader between two charts: the machine is not saturated, as a site's is not
WARM_READS = 5
QUIET_SECONDS = 12.0  # about as long as a clean-up
WEEK = timedelta(days=7)


def run() -> Iterator[Result]:
    build(LARGE)
    quiet: list[float] = []
    busy: list[float] = []
    for number in range(RUNS):
        before = BEGIN + timedelta(days=number + 1)
        quiet.append(_readers_p99(lambda: time.sleep(QUIET_SECONDS)))
        busy.append(_readers_p99(_clean_up_to(before)))
    use(None)
    mine, reference = (statistics.median(each) * 1000 for each in (busy, quiet))
    yield at_most(1.5, id="P5", what="readers' p99 during clean-up", ours=mine, reference=reference, unit="ms")


def _clean_up_to(before: datetime) -> Callable[[], None]:
    """The clean-up in a process of its own, as in a worker; it is up and waits before the readers begin."""
    code = f"import django; django.setup(); from bench.p5_cleanup import drop_day; drop_day({before.isoformat()!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def clean_up() -> None:
        output, _ = process.communicate("go\n", timeout=600)
        if output.split() != [str(LARGE.coins * 288)]:
            raise RuntimeError(f"The clean-up did not drop one whole day: {output}")

    assert process.stdout is not None
    first = process.stdout.readline()
    if first != "ready\n":
        raise RuntimeError(f"The clean-up did not start: {first}")
    return clean_up


def drop_day(before: str) -> None:
    """What the other process does: waits for a word, cleans up, and tells how many prices went."""
    use(LARGE)
    print("ready", flush=True)
    sys.stdin.readline()
    run = sync.cleanup(now=datetime.fromisoformat(before) + timedelta(days=settings.KEEP_5M_DAYS))
    print(run.rows_written, flush=True)


def _readers_p99(meanwhile: Callable[[], None]) -> float:
    """The 99th percentile of the seconds of a week's chart, read by some threads while something else runs.

    Each has its connection by then, as a site's threads have, and what this process holds of other benchmarks is left
    to itself: a connection, or one look of the garbage collector at all of that, takes eight times as long as a chart,
    and one in a hundred of them would be the percentile.
    """
    gc.collect()
    gc.freeze()
    coins = list(Cryptocurrency.objects.order_by("pk"))
    stop = threading.Event()
    seconds: list[float] = []
    ready = threading.Barrier(READERS + 1)

    def read() -> None:
        use(LARGE)
        chance = random.Random(threading.get_ident())

        def chart() -> float:
            return seconds_of(lambda: read_slots(chance.choice(coins), "5m", LARGE.end - WEEK, LARGE.end))

        for _ in range(WARM_READS):
            chart()
        ready.wait()
        while not stop.is_set():
            seconds.append(chart())
            time.sleep(PAUSE_SECONDS)
        connection.close()

    with running([read] * READERS, stop):
        ready.wait()
        meanwhile()
    gc.unfreeze()
    return percentile(seconds, 0.99)
