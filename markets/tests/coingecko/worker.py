"""One of the processes of test_processes: ``python -m markets.tests.coingecko.worker TASK STATE URL``."""

from __future__ import annotations

import sys
import time

from markets.coingecko import CoinGeckoClient, DiskState, RedisState, SharedState
from markets.coingecko.errors import CoinGeckoError
from markets.coingecko.limiter import SlidingWindow
from markets.coingecko.retry import Patience
from markets.coingecko.transport import Transport

LIMIT = 6
WINDOW_SECONDS = 0.5
RUN_SECONDS = 1.5


def open_state(address: str) -> SharedState:
    """Open a file, or a Redis given as ``url#prefix``."""
    url, _, prefix = address.partition("#")
    return RedisState.from_url(url, prefix=prefix) if prefix else DiskState(address)


def call_within_the_window(state: SharedState, url: str) -> None:
    limiter = SlidingWindow(
        state, calls_per_window=LIMIT, clock=state.now, sleep=time.sleep, window_seconds=WINDOW_SECONDS
    )
    transport = Transport(base_url=url, api_key="", user_agent="test", timeout_seconds=5.0, clock=state.now)
    ends_at = time.monotonic() + RUN_SECONDS
    while time.monotonic() < ends_at:
        patience = Patience(deadline_seconds=5.0, max_wait_seconds=60.0, clock=state.now)
        call_id = limiter.acquire(patience)
        transport.get("/ping", {}, deadline_seconds=5.0)
        limiter.finish(call_id)


def call_a_failing_server(state: SharedState, url: str) -> None:
    client = CoinGeckoClient(base_url=url, state=state, calls_per_minute=1000, sleep=lambda _: None)
    for _ in range(10):
        try:
            client.ping()
        except CoinGeckoError:
            continue


if __name__ == "__main__":
    tasks = {task.__name__: task for task in (call_within_the_window, call_a_failing_server)}
    tasks[sys.argv[1]](open_state(sys.argv[2]), sys.argv[3])
