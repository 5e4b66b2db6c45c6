"""Who is let in: User-Agent, keys, the minute window and the credits of a month, seen from outside."""

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from .conftest import Api, Clock

Serve = Callable[..., Api]


def statuses(api: Api, count: int, path: str = "/ping") -> list[int]:
    return [api.get(path).status_code for _ in range(count)]


@pytest.mark.parametrize("headers", [{}, {"User-Agent": ""}, {"User-Agent": "  "}])
def test_it_forbids_requests_without_a_user_agent(api: Api, headers: dict[str, str]) -> None:
    url = urlsplit(api.server.base_url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=5)
    connection.request("GET", url.path + "/ping", headers=headers)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    assert (response.status, body["status"]["error_code"]) == (403, 403)


def test_it_takes_any_demo_key_or_none_when_it_has_none_of_its_own(api: Api) -> None:
    assert api.get("/ping").status_code == 200
    assert api.get("/ping", x_cg_demo_api_key="CG-anything").status_code == 200


def test_it_asks_for_its_own_key_in_header_or_parameter(serve: Serve) -> None:
    api = serve(api_key="CG-right")
    missing, wrong = api.get("/ping"), api.get("/ping", x_cg_demo_api_key="CG-wrong")
    assert (missing.status_code, missing.json()["status"]["error_code"]) == (401, 10002)
    assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid API key"})
    assert api.get("/ping", x_cg_demo_api_key="CG-right").status_code == 200
    api.session.headers["X-CG-Demo-API-Key"] = "CG-right"
    assert api.get("/ping").status_code == 200


def test_it_sends_pro_keys_to_the_pro_host(api: Api) -> None:
    as_parameter = api.get("/ping", x_cg_pro_api_key="CG-pro")
    api.session.headers["x-cg-pro-api-key"] = "CG-pro"
    for response in (as_parameter, api.get("/ping")):
        assert (response.status_code, response.json()["error_code"]) == (400, 10010)
        assert "pro-api.coingecko.com" in response.json()["status"]["error_message"]


def test_it_limits_any_sixty_seconds_and_says_when_to_come_back(serve: Serve, clock: Clock) -> None:
    api = serve(calls_per_minute=3)
    assert api.get("/ping").status_code == 200
    clock.now += 20
    assert statuses(api, 3) == [200, 200, 429]
    refused = api.get("/ping")
    assert refused.headers["Retry-After"] == "40"
    assert refused.json()["status"]["error_code"] == 429
    clock.now += 39
    assert statuses(api, 1) == [429]
    clock.now += 1
    assert statuses(api, 2) == [200, 429]


def test_it_counts_failures_in_the_window(serve: Serve) -> None:
    api = serve(calls_per_minute=2)
    assert statuses(api, 1, "/coins/no-such-coin") + statuses(api, 2) == [404, 200, 429]


def test_it_does_not_count_what_it_refused(serve: Serve, clock: Clock) -> None:
    api = serve(calls_per_minute=1)
    for _ in range(5):
        assert statuses(api, 2) == [200, 429]
        clock.now += 60


def test_it_spends_credits_on_successes_only(serve: Serve, clock: Clock) -> None:
    api = serve(monthly_credits=2)
    assert statuses(api, 1, "/coins/no-such-coin") == [404]
    assert api.server.allowance.credits_spent(clock.now) == 0
    assert statuses(api, 3) == [200, 200, 429]
    assert "Retry-After" not in api.get("/ping").headers
    clock.now += 14 * 86_400  # from 18 March to 1 April
    assert statuses(api, 1) == [200]


def test_it_keeps_the_window_under_many_threads(serve: Serve) -> None:
    api = serve(calls_per_minute=10)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: api.get("/ping").status_code, range(40)))
    assert sorted(found) == [200] * 10 + [429] * 30
