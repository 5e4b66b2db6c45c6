"""Four real processes against one server: its own log must show what the limiter and the breaker promise."""

from __future__ import annotations

import multiprocessing
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from markets.coingecko import CoinGeckoClient
from markets.coingecko.errors import CoinGeckoError
from markets.coingecko.limiter import SlidingWindow
from markets.coingecko.retry import Patience
from markets.coingecko.state import DiskState, RedisState, SharedState
from markets.coingecko.transport import Transport

from .conftest import ScriptedServer, reply

PROCESSES = 4
LIMIT = 6
WINDOW_SECONDS = 0.5
RUN_SECONDS = 2.0


def open_state(address: str) -> SharedState:
    url, _, prefix = address.partition("#")
    return RedisState.from_url(url, prefix=prefix) if prefix else DiskState(address)


def call_within_the_window(address: str, url: str) -> None:
    state = open_state(address)
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


def call_a_failing_server(address: str, url: str) -> None:
    client = CoinGeckoClient(
        base_url=url, state=open_state(address), calls_per_minute=1000, sleep=lambda _: None
    )
    for _ in range(10):
        try:
            client.ping()
        except CoinGeckoError:
            continue


def run(target: Any, *args: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=target, args=args) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0] * PROCESSES


@pytest.fixture(params=["disk", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path / "state.sqlite3")
    prefix = f"processes-{uuid.uuid4().hex}:"
    return f"{request.getfixturevalue('redis_url')}#{prefix}"


def test_it_never_exceeds_the_limit_over_four_processes(address: str, server: ScriptedServer) -> None:
    server.replies = [reply({})]
    run(call_within_the_window, address, server.url)
    times = sorted(request.at for request in server.requests)
    assert len(times) >= 2 * LIMIT, "and the limit is used, not just kept"
    for first, beyond in zip(times, times[LIMIT:], strict=False):
        assert beyond - first > WINDOW_SECONDS


def test_it_asks_a_failing_server_five_times_in_all(address: str, server: ScriptedServer) -> None:
    server.replies = [reply({}, 500)]
    run(call_a_failing_server, address, server.url)
    # A process may have one more call under way when another one opens the breaker.
    assert 5 <= len(server.requests) < 5 + PROCESSES
