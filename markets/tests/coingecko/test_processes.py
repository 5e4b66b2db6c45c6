"""Four real processes against one server: its own log must show what the limiter and the breaker promise."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from .conftest import ScriptedServer, reply
from .worker import LIMIT, WINDOW_SECONDS

pytestmark = pytest.mark.slow

PROCESSES = 4
REPOSITORY = Path(__file__).resolve().parents[3]


def run(task: str, address: str, url: str) -> None:
    command = [sys.executable, "-m", "markets.tests.coingecko.worker", task, address, url]
    workers = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(PROCESSES)]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * PROCESSES


@pytest.fixture(params=["disk", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path / "state.sqlite3")
    return f"{request.getfixturevalue('redis_url')}#processes-{uuid.uuid4().hex}:"


def test_it_never_exceeds_the_limit_over_four_processes(address: str, server: ScriptedServer) -> None:
    server.replies = [reply({})]
    run("call_within_the_window", address, server.url)
    times = sorted(request.at for request in server.requests)
    assert len(times) >= 2 * LIMIT, "the limit is used, not just kept"
    for first, beyond in zip(times, times[LIMIT:], strict=False):
        assert beyond - first > WINDOW_SECONDS


def test_it_asks_a_failing_server_five_times_in_all(address: str, server: ScriptedServer) -> None:
    server.replies = [reply({}, 500)]
    run("call_a_failing_server", address, server.url)
    # A process may have one more call under way when another one opens the breaker.
    assert 5 <= len(server.requests) < 5 + PROCESSES
