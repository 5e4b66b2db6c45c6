"""The client as a whole, against a scripted server on loopback and a clock that only moves by sleeping."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from markets.coingecko import CoinGeckoClient, RedisState
from markets.coingecko.errors import (
    BadAnswer,
    BadParameter,
    BreakerOpen,
    BudgetExhausted,
    NotFound,
    PlanProblem,
    RateLimited,
    StateUnavailable,
    UpstreamUnavailable,
)
from markets.coingecko.state import DiskState

from .conftest import FakeClock, ScriptedServer, reply

PONG = {"gecko_says": "(V3) To the Moon!"}
LIMITED = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}
MakeClient = Callable[..., CoinGeckoClient]


@pytest.fixture
def make_client(server: ScriptedServer, disk_state: DiskState, clock: FakeClock) -> MakeClient:
    def make(**changes: Any) -> CoinGeckoClient:
        options: dict[str, Any] = {
            "base_url": server.url,
            "state": disk_state,
            "calls_per_minute": 30,
            "clock": clock,
            "sleep": clock.sleep,
        }
        return CoinGeckoClient(**{**options, **changes})

    return make


def query(server: ScriptedServer) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(server.requests[-1].path).query).items()}


def test_it_pings(server: ScriptedServer, make_client: MakeClient) -> None:
    server.replies = [reply(PONG)]
    assert make_client().ping() == "(V3) To the Moon!"


def test_it_asks_for_a_page_of_markets(server: ScriptedServer, make_client: MakeClient) -> None:
    server.replies = [reply([{"id": "alpha", "symbol": "a", "name": "Alpha", "image": "", "current_price": 1.5}])]
    answer = make_client().coins_markets(per_page=100, page=2)
    assert answer.rows[0].current_price == 1.5
    assert urlsplit(server.requests[0].path).path == "/api/v3/coins/markets"
    assert query(server) == {
        "vs_currency": "usd",
        "order": "market_cap_desc",
        "per_page": "100",
        "page": "2",
        "sparkline": "true",
        "price_change_percentage": "1h,24h,7d",
        "precision": "full",
    }
    make_client().coins_markets(ids=["alpha", "beta"], sparkline=False)
    assert query(server)["ids"] == "alpha,beta"
    assert query(server)["sparkline"] == "false"


def test_it_asks_each_endpoint_where_it_lives(
    server: ScriptedServer, make_client: MakeClient, clock: FakeClock
) -> None:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    client = make_client()
    calls: list[tuple[Callable[[], Any], Any, str, dict[str, str]]] = [
        (client.coins_list, [], "/coins/list", {}),
        (
            lambda: client.coin("alpha"),
            {"id": "alpha", "symbol": "a", "name": "Alpha"},
            "/coins/alpha",
            {"tickers": "false"},
        ),
        (
            lambda: client.market_chart("alpha", days=7),
            {"prices": []},
            "/coins/alpha/market_chart",
            {"days": "7"},
        ),
        (
            lambda: client.market_chart_range("alpha", start=start, end=start + timedelta(days=1)),
            {"prices": []},
            "/coins/alpha/market_chart/range",
            {"from": "1788220800", "to": "1788307200", "vs_currency": "usd"},
        ),
        (lambda: client.ohlc("alpha", 7), [], "/coins/alpha/ohlc", {"days": "7"}),
        (
            lambda: client.simple_price(["a", "b"]),
            {},
            "/simple/price",
            {"ids": "a,b", "vs_currencies": "usd"},
        ),
        (lambda: client.search("Big Coin"), {"coins": []}, "/search", {"query": "Big Coin"}),
        (client.global_data, {"data": {}}, "/global", {}),
    ]
    for call, body, path, params in calls:
        server.replies = [reply(body)]
        call()
        assert urlsplit(server.requests[-1].path).path == "/api/v3" + path
        assert params.items() <= query(server).items()


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.coin("../ping"),
        lambda client: client.coin(".."),
        lambda client: client.coin(""),
        lambda client: client.ohlc("alpha", 8),
        lambda client: client.market_chart("alpha", days=0),
        lambda client: client.coins_markets(per_page=251),
        lambda client: client.coins_markets(page=0),
        lambda client: client.coins_markets(ids=[]),
        lambda client: client.simple_price([f"coin-{index}" for index in range(251)]),
        lambda client: client.simple_price(["a,b"]),
        lambda client: client.search(" "),
        lambda client: client.market_chart_range("a", start=datetime(2026, 1, 1), end=datetime(2026, 1, 2)),
    ],
)
def test_it_refuses_a_bad_request_before_sending_it(
    server: ScriptedServer, make_client: MakeClient, call: Callable[[CoinGeckoClient], Any]
) -> None:
    client = make_client()
    with pytest.raises(BadParameter):
        call(client)
    assert server.requests == []
    assert client.status()["budget"]["spent"] == 0


def test_it_tries_again_after_a_failure_that_may_pass(
    server: ScriptedServer, make_client: MakeClient, clock: FakeClock
) -> None:
    server.replies = [reply({}, 500), reply(b"<html>", 200, "text/html"), reply(b'{"gecko', 200), reply(PONG)]
    client = make_client()
    client.ping()
    assert len(server.requests) == 4
    assert all(0 <= nap <= most for nap, most in zip(clock.naps, [1, 2, 4], strict=True))
    assert client.status()["limiter"]["used"] == 4, "each try takes a place"
    assert client.status()["budget"]["spent"] == 4, "and costs a credit"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"error": "coin not found"}, NotFound),
        (422, {"error": "Missing parameter"}, BadParameter),
        (
            401,
            {"status": {"error_code": 10005, "error_message": "limited to PRO API subscribers"}},
            PlanProblem,
        ),
    ],
)
def test_it_does_not_repeat_a_refused_request_nor_blame_the_upstream(
    server: ScriptedServer, make_client: MakeClient, status: int, body: Any, kind: type[Exception]
) -> None:
    server.replies = [reply(body, status)]
    client = make_client()
    for _ in range(6):
        with pytest.raises(kind):
            client.coin("alpha")
    assert len(server.requests) == 6
    assert client.status()["breaker"]["state"] == "closed"


def test_it_does_not_pay_twice_for_a_wrong_shape(server: ScriptedServer, make_client: MakeClient) -> None:
    server.replies = [reply({"unexpected": 1})]
    client = make_client()
    with pytest.raises(BadAnswer):
        client.coins_list()
    assert len(server.requests) == 1
    assert client.status()["breaker"]["failures"] == 1


def test_it_opens_the_breaker_after_five_failures_and_sends_nothing_more(
    server: ScriptedServer, make_client: MakeClient, clock: FakeClock
) -> None:
    server.replies = [reply({}, 503)]
    client, other = make_client(), make_client()
    with pytest.raises(UpstreamUnavailable):
        client.ping()
    with pytest.raises(BreakerOpen):
        other.ping()
    assert len(server.requests) == 5
    with pytest.raises(BreakerOpen):
        client.ping()
    assert len(server.requests) == 5
    assert client.status()["breaker"]["state"] == "open"
    assert client.status()["last_error"]["kind"] == "UpstreamUnavailable"

    clock.at += 31
    server.replies = [reply(PONG)]
    client.ping()
    assert client.status()["breaker"] == {"state": "closed", "failures": 0, "open_until": None}


def test_it_probes_an_open_breaker_once(server: ScriptedServer, make_client: MakeClient, clock: FakeClock) -> None:
    server.replies = [reply({}, 503)]
    client, other = make_client(), make_client()
    for _ in range(2):
        with pytest.raises((UpstreamUnavailable, BreakerOpen)):
            client.ping()
    clock.at += 31
    refused = []

    def meet(handler: BaseHTTPRequestHandler) -> None:
        with pytest.raises(BreakerOpen) as caught:
            other.ping()
        refused.append(caught.value)
        reply(PONG)(handler)

    server.replies = [meet]
    client.ping()
    assert len(refused) == 1
    assert len(server.requests) == 6


def test_it_waits_as_long_as_a_429_asks_and_makes_everybody_wait(
    server: ScriptedServer, make_client: MakeClient, clock: FakeClock
) -> None:
    server.replies = [reply(LIMITED, 429, headers={"Retry-After": "53"}), reply(PONG)]
    started_at = clock.at
    assert make_client().ping()
    assert 53 <= clock.at - started_at < 54

    server.replies = [reply(LIMITED, 429, headers={"Retry-After": "90"})]
    with pytest.raises(RateLimited) as caught:
        make_client().ping()
    assert caught.value.retry_after_seconds == pytest.approx(90)
    sent = len(server.requests)
    with pytest.raises(RateLimited):
        make_client().ping()
    assert len(server.requests) == sent
    assert make_client().status()["limiter"]["held_seconds"] == pytest.approx(90)


def test_it_keeps_to_the_minute_rate(server: ScriptedServer, make_client: MakeClient, clock: FakeClock) -> None:
    server.replies = [reply(PONG)]
    client, other = make_client(calls_per_minute=3), make_client(calls_per_minute=3, max_wait_seconds=59)
    for _ in range(3):
        client.ping()
    with pytest.raises(RateLimited):
        other.ping()
    assert client.status()["budget"]["spent"] == 3, "a call that was not sent costs nothing"
    assert client.status()["breaker"]["state"] == "closed"
    started_at = clock.at
    make_client(calls_per_minute=3, max_wait_seconds=61).ping()
    assert clock.at - started_at >= 60


def test_it_stops_when_the_budget_is_used_up(server: ScriptedServer, make_client: MakeClient) -> None:
    server.replies = [reply(PONG)]
    client = make_client(monthly_credits=2)
    client.ping()
    client.ping()
    with pytest.raises(BudgetExhausted, match="2 credits"):
        client.ping()
    assert len(server.requests) == 2


def test_it_stops_for_long_when_the_key_is_refused(server: ScriptedServer, make_client: MakeClient) -> None:
    server.replies = [reply({"status": {"error_code": 10002, "error_message": "API Key Missing."}}, 401)]
    client = make_client()
    with pytest.raises(PlanProblem):
        client.ping()
    with pytest.raises(BreakerOpen) as caught:
        client.ping()
    assert caught.value.retry_after_seconds == 3600
    assert len(server.requests) == 1


def test_it_drops_an_interval_that_the_plan_does_not_allow(server: ScriptedServer, make_client: MakeClient) -> None:
    refusal = {"error": "interval=daily is exclusive to paid plan subscribers"}
    server.replies = [reply(refusal, 401), reply({"prices": [[1788220800000, 5]]})]
    chart = make_client().market_chart("alpha", days=30, interval="daily")
    assert len(chart.points) == 1
    assert ["interval" in request.path for request in server.requests] == [True, False]


def test_it_gives_up_at_its_deadline(server: ScriptedServer, make_client: MakeClient, clock: FakeClock) -> None:
    def take_long(handler: BaseHTTPRequestHandler) -> None:
        clock.at += 16
        reply({}, 500)(handler)

    server.replies = [take_long]
    client = make_client(deadline_seconds=30)
    with pytest.raises(UpstreamUnavailable):
        client.ping()
    assert len(server.requests) == 2
    assert client.status()["budget"]["spent"] == 2, "no credit is spent on a try that cannot be made"


def test_it_frees_the_probe_when_something_unforeseen_happens(
    server: ScriptedServer, make_client: MakeClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies = [reply({}, 503)]
    client = make_client()
    for _ in range(2):
        with pytest.raises((UpstreamUnavailable, BreakerOpen)):
            client.ping()
    clock.at += 31
    with monkeypatch.context() as patch:
        patch.setattr("markets.coingecko.client._greeting", lambda body: 1 / 0)
        server.replies = [reply(PONG)]
        with pytest.raises(ZeroDivisionError):
            make_client().ping()
    make_client().ping()


def test_it_sends_nothing_without_the_shared_state(server: ScriptedServer, make_client: MakeClient) -> None:
    server.replies = [reply(PONG)]
    away = RedisState.from_url("redis://127.0.0.1:1/0")
    with pytest.raises(StateUnavailable):
        make_client(state=away).ping()
    assert server.requests == []


def test_it_tells_its_status_in_json(server: ScriptedServer, make_client: MakeClient, clock: FakeClock) -> None:
    server.replies = [reply(PONG)]
    client = make_client(monthly_credits=10_000, api_key="CG-secret")
    client.ping()
    status = client.status()
    assert json.loads(json.dumps(status)) == {
        "limiter": {"used": 1, "limit": 30, "held_seconds": 0.0},
        "budget": {"spent": 1, "monthly_credits": 10_000},
        "breaker": {"state": "closed", "failures": 0, "open_until": None},
        "last_success_at": datetime.fromtimestamp(clock.at, UTC).isoformat(),
        "last_error": None,
    }
    assert "CG-secret" not in json.dumps(status)


def test_it_refuses_a_deadline_longer_than_the_window(make_client: MakeClient) -> None:
    with pytest.raises(ValueError, match="deadline_seconds"):
        make_client(deadline_seconds=61)


def test_it_needs_no_django() -> None:
    code = "import sys, markets.coingecko; sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
