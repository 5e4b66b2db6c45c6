"""A simulated market, a clock that tests move by hand, and servers that stop with the test."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from markets.sample.market import HistoryMarket
from markets.sample.server import SampleServer
from markets.sample.simulated import simulated_market

NOW = datetime(2026, 3, 18, 15, 42, 10, tzinfo=UTC)


class Clock:
    """Seconds since 1970 that stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


class Api:
    """Asks one server over HTTP, as a client would."""

    def __init__(self, server: SampleServer) -> None:
        self.server = server
        self.session = requests.Session()

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.session.get(self.server.base_url + path, params=parameters, timeout=5)

    def json(self, path: str, **parameters: Any) -> Any:
        response = self.get(path, **parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def fault(self, **fields: Any) -> requests.Response:
        return self.session.post(f"{self.server.origin}/_sample/faults", json=fields, timeout=5)


@pytest.fixture(scope="session")
def market() -> HistoryMarket:
    return simulated_market(seed=7, coin_count=50, today=NOW.date())


@pytest.fixture(scope="session")
def running(market: HistoryMarket) -> Iterator[tuple[SampleServer, Clock]]:
    clock = Clock()
    with SampleServer(market, clock=clock) as server:
        yield server, clock


@pytest.fixture
def clock(running: tuple[SampleServer, Clock]) -> Clock:
    running[1].now = NOW.timestamp()
    return running[1]


@pytest.fixture
def serve(market: HistoryMarket, clock: Clock) -> Iterator[Callable[..., Api]]:
    """Start servers of the simulated market, or of another, that are stopped after the test."""
    running: list[Api] = []

    def start(other: HistoryMarket | None = None, **options: Any) -> Api:
        api = Api(SampleServer(other or market, clock=clock, **options).start())
        running.append(api)
        return api

    yield start
    for api in running:
        api.session.close()
        api.server.stop()


@pytest.fixture
def api(running: tuple[SampleServer, Clock], clock: Clock) -> Iterator[Api]:
    """Ask the one server that all tests share, without faults and at the same hour for each of them."""
    api = Api(running[0])
    yield api
    api.session.close()
    api.server.faults.clear()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared recordings and data; tests that use it are marked `shared`."""
    default = Path(__file__).resolve().parents[3] / ".." / "shared"
    folder = Path(os.environ.get("CRYPTOPREDICT_SHARED", default)).resolve()
    assert folder.is_dir(), f"{folder} is not there: set CRYPTOPREDICT_SHARED or run with -m 'not shared'"
    return folder
