"""P14: what a web process takes, and whether the worker's memory stays flat while it forecasts day after day."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from statistics import median

import psutil
import requests
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction

from accounts.models import User
from accounts.tokens import issue_tokens
from bench.forecasting import DAY, clear, closes, serving, store
from bench.measuring import RUNS, Result
from cryptopredict.operations.run import site_programs
from cryptopredict.tests.servers import free_port
from predictions.issuing import issue_forecasts

COINS, HISTORY = 20, 200
ISSUES, WARM = 500, 50
TODAY = datetime.now(UTC).date()  # a forecast on demand refuses prices that are older
NOW = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(minutes=20)
STARTS_SECONDS, WEB_MIB, FLAT = 2.0, 150.0, 0.05
ROUNDS, CLIENTS = 10, 4
PATHS = (
    "/", "/track-record/", "/models/", "/method/", "/status/", "/sign-in/", "/api/v1/cryptocurrencies/",
    "/api/schema/", "/coins/forecast-0000/", "/api/v1/cryptocurrencies/forecast-0000/forecast/",
)  # fmt: skip
MIB = 2**20


def run() -> Iterator[Result]:
    store(closes(COINS, HISTORY + 1), begin_on=TODAY - HISTORY * DAY)
    serving()
    call_command("collectstatic", verbosity=0, interactive=False, skip_checks=True)
    issue_forecasts(now=NOW - DAY)
    early, late = _worker_memory()  # first, for the web processes will forecast the newest day
    start, pages, model = (median(column) for column in zip(*(_one_web_process() for _ in range(RUNS)), strict=True))
    yield Result(
        "P14-start", "a web process answers", start, STARTS_SECONDS, start / STARTS_SECONDS,
        f"≤ {STARTS_SECONDS:g} s", start <= STARTS_SECONDS, RUNS, "s",
    )  # fmt: skip
    for id, what, size in (
        ("P14-web", "its memory after pages and API", pages),
        ("P14-web-model", "and after it has made forecasts itself", model),
    ):
        yield Result(
            id, what, size, WEB_MIB, size / WEB_MIB, f"≤ {WEB_MIB:g} MiB, no TensorFlow", size <= WEB_MIB, RUNS, "MiB"
        )
    yield Result(
        "P14-worker", f"a worker's memory after {ISSUES} issues", late, early, late / early,
        f"± {FLAT:.0%}", abs(late / early - 1) <= FLAT, 1, "MiB",
    )  # fmt: skip
    clear()


def _one_web_process() -> tuple[float, float, float]:
    """Seconds from the start of the product's own web command to its first answer, MiB after reads and forecasts."""
    token = issue_tokens(User.objects.get_or_create(email="bench@example.org")[0]).access
    cache.clear()  # how often this computer has asked the process before
    port = free_port()
    (web,) = [program for program in site_programs(port) if program.name == "web"]
    begun = time.perf_counter()
    process = subprocess.Popen(web.command, env=os.environ | web.environment, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/api/v1/health/live/", until=begun + 60)
        started = time.perf_counter() - begun
        with ThreadPoolExecutor(CLIENTS) as clients:  # as many as it has threads: each may hold a page at once
            list(clients.map(lambda path: requests.get(address + path, timeout=60).raise_for_status(), PATHS * ROUNDS))
            (child,) = psutil.Process(process.pid).children()
            pages = child.memory_info().rss / MIB
            list(clients.map(lambda coin: _ask_for_forecast(address, token, coin), range(CLIENTS)))
        loaded = [region.path for region in child.memory_maps() if "tensorflow" in region.path]
        if loaded:
            raise RuntimeError(f"The web process has loaded {loaded[0]}.")
        return started, pages, child.memory_info().rss / MIB
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _ask_for_forecast(address: str, token: str, coin: int) -> None:
    """Has the process open the model and forecast every coin by itself."""
    answer = requests.post(
        f"{address}/api/v1/predictions/",
        json={"coin": f"forecast-{coin:04d}"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    if not answer.ok:
        raise RuntimeError(f"No forecast was made: {answer.text[:300]}")


def _wait_for(url: str, *, until: float) -> None:
    while time.perf_counter() < until:
        try:
            if requests.get(url, timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.01)
    raise RuntimeError(f"{url} did not answer.")


def _worker_memory() -> tuple[float, float]:
    """MiB of a process of its own after its first issues and after all of them."""
    code = "import django; django.setup(); from bench.p14_processes import issue_many; issue_many()"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    early, late = json.loads(done.stdout.splitlines()[-1])
    return float(early), float(late)


def issue_many() -> None:
    """What the other process does: issues the same day's forecasts again and again, each time taken back.

    So every round reads, forecasts, hashes and writes as much as the first, and what grows is the process alone.
    """
    sizes = []
    for _ in range(ISSUES):
        with transaction.atomic():
            done = issue_forecasts(now=NOW)
            transaction.set_rollback(True)
        if (done.coins, done.forecasts) != (COINS, COINS * 9):
            raise RuntimeError(f"{done.forecasts} forecasts of {done.coins} coins were issued.")
        sizes.append(psutil.Process().memory_info().rss / MIB)
    print(json.dumps([median(sizes[WARM : WARM + 20]), median(sizes[-20:])]))
