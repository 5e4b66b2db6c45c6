"""The server as a process and as an object: start, stop, log, health and the command line."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from markets.sample.market import HistoryMarket
from markets.sample.server import SampleServer

from .conftest import NOW, Api, Clock

ROOT = Path(__file__).resolve().parents[3]


def test_it_tells_its_health(api: Api) -> None:
    response = api.session.get(f"{api.server.origin}/_sample/health", timeout=5)
    assert response.json() == {"status": "ok", "source": "simulated", "coins": 50}


def test_it_logs_every_api_request_with_time_path_and_status(serve: Callable[..., Api], clock: Clock) -> None:
    api = serve()
    api.get("/ping")
    clock.now += 5
    api.get("/coins/no-such-coin", x_cg_demo_api_key="CG-secret", localization="false")
    api.session.get(f"{api.server.origin}/_sample/health", timeout=5)
    url = f"{api.server.origin}/_sample/log"
    entries = api.session.get(url, timeout=5).json()["requests"]
    assert [(entry["at"], entry["path"], entry["status"]) for entry in entries] == [
        (NOW.timestamp(), "/ping", 200),
        (NOW.timestamp() + 5, "/coins/no-such-coin", 404),
    ]
    assert entries[1]["query"] == {"localization": "false"}
    later = api.session.get(url, params={"since": clock.now}, timeout=5).json()["requests"]
    assert [entry["path"] for entry in later] == ["/coins/no-such-coin"]
    assert api.session.get(url, params={"since": "noon"}, timeout=5).status_code == 400


def test_it_answers_only_gets_under_its_base_path(api: Api) -> None:
    assert api.session.post(f"{api.server.base_url}/ping", timeout=5).status_code == 404
    assert api.session.get(f"{api.server.origin}/ping", timeout=5).status_code == 404
    assert api.session.get(f"{api.server.origin}/_sample/nothing", timeout=5).status_code == 404


def test_it_listens_on_loopback_only(api: Api) -> None:
    assert api.server.base_url.startswith("http://127.0.0.1:")


def test_it_answers_nobody_after_the_stop_not_even_on_an_open_connection(market: HistoryMarket) -> None:
    server = SampleServer(market).start()
    api = Api(server)
    assert api.get("/ping").status_code == 200
    server.stop()
    with pytest.raises(requests.ConnectionError):
        api.get("/ping")


def test_it_closes_idle_connections_when_it_stops(market: HistoryMarket) -> None:
    server = SampleServer(market).start()
    url = urlsplit(server.base_url)
    with socket.create_connection((str(url.hostname), url.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v3/ping HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        server.stop()
        assert connection.recv(65_536) == b""


def test_it_lets_held_requests_go_when_it_stops(market: HistoryMarket) -> None:
    server = SampleServer(market).start()
    api = Api(server)
    api.fault(kind="timeout", seconds=600)
    outcome: list[type[Exception]] = []

    def ask() -> None:
        try:
            requests.get(server.base_url + "/ping", timeout=20)
        except requests.RequestException as error:
            outcome.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.journal.listed():
        time.sleep(0.005)
    server.stop()
    thread.join(timeout=5)
    assert outcome == [requests.ConnectionError]


def test_it_can_be_stopped_before_it_was_started(market: HistoryMarket) -> None:
    SampleServer(market).stop()


def test_it_answers_many_clients_at_once(serve: Callable[..., Api]) -> None:
    api = serve()
    api.fault(kind="timeout", seconds=600, path="/coins/list", count=1)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{api.server.base_url}/coins/list", timeout=0.05)
    assert api.get("/ping").status_code == 200  # the held request does not hold up the others


@pytest.fixture
def run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "markets.sample", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_within_two_seconds_prints_one_line_and_ends_at_once(
    run: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    began = time.monotonic()
    process = run("--port", "0", "--coins", "50", "--seed", "3")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Sample server: 50 simulated coins at http://127.0.0.1:")
    base_url = line.split()[-1]
    assert requests.get(f"{base_url}/coins/bitcoin", timeout=5).json()["id"] == "bitcoin"
    assert time.monotonic() - began < 2.0
    process.send_signal(number)
    output, errors = process.communicate(timeout=2)
    assert (process.returncode, output, errors) == (0, "", "")


def test_it_says_why_it_cannot_start(run: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        on_taken_port = run("--port", str(taken.getsockname()[1]))
        without_data = run("--source", "replay")
        empty = run("--source", "replay", "--data", str(tmp_path))
        wrong_count = run("--coins", "0")
        messages = [process.communicate(timeout=5)[1] for process in (on_taken_port, without_data, empty, wrong_count)]
    assert "Address already in use" in messages[0]
    assert "needs --data" in messages[1]
    assert "no CSV files" in messages[2]
    assert "must be 1 or more" in messages[3]
    assert [on_taken_port.returncode, without_data.returncode, empty.returncode, wrong_count.returncode] == [
        1,
        2,
        1,
        2,
    ]
