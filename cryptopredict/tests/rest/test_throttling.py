"""Limits are exact among processes, tell what is left, and cannot be dodged by a forged header."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.cache import cache, caches
from django.test import RequestFactory
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisDown
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.rest import shared, throttling
from cryptopredict.tests.rest.test_errors import error

NOW = 1_800_000_000.0  # the first second of a minute


@pytest.fixture(autouse=True)
def rates(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"anonymous": "3/min", "user": "5/min", "sign-in": "2/min", "account": "4/hour"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    set_clock(monkeypatch, NOW)


def set_clock(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(throttling.WindowThrottle, "timer", staticmethod(lambda: now))


def test_it_counts_down_and_then_refuses(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, NOW + 12.5)
    left = [client.get("/api/v1/ranges/") for _ in range(3)]
    assert [response["RateLimit-Remaining"] for response in left] == ["2", "1", "0"]
    assert {(response["RateLimit-Limit"], response["RateLimit-Reset"]) for response in left} == {("3", "48")}
    refused = client.get("/api/v1/ranges/")
    assert (refused.status_code, error(refused)["code"]) == (429, "throttled")
    assert refused["Retry-After"] == "48"
    assert refused["RateLimit-Remaining"] == "0"
    set_clock(monkeypatch, NOW + 60)
    assert client.get("/api/v1/ranges/").status_code == 200


def test_it_counts_users_apart_from_addresses(client: APIClient, user: User) -> None:
    for _ in range(4):
        client.get("/api/v1/ranges/")
    client.force_authenticate(user)
    statuses = [client.get("/api/v1/ranges/").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_it_believes_no_forwarded_header_without_a_proxy(client: APIClient) -> None:
    statuses = [
        client.get("/api/v1/ranges/", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
        for number in range(4)
    ]
    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "9.9.9.9", "127.0.0.1"),
        (1, "9.9.9.9", "9.9.9.9"),
        (1, "1.2.3.4, 9.9.9.9", "9.9.9.9"),
        (2, "1.2.3.4, 9.9.9.9, 10.0.0.1", "9.9.9.9"),
        (2, "9.9.9.9", "127.0.0.1"),
        (1, "", "unknown"),
        (1, "::ffff:9.9.9.9", "9.9.9.9"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "nonsense", "unknown"),
    ],
)
def test_it_knows_who_asks(settings: Settings, proxies: int, forwarded: str, expected: str) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    assert throttling.client_address(request) == expected


def test_it_goes_on_reading_but_refuses_sign_ins_while_the_cache_is_down(client: APIClient) -> None:
    with patch.object(shared, "count", side_effect=RedisDown("refused")):
        assert client.get("/api/v1/ranges/").status_code == 200
        refused = client.post("/api/v1/sign-ins/")
    assert (refused.status_code, error(refused)["code"]) == (503, "unavailable")


def test_it_limits_tries_to_one_account_and_from_one_address() -> None:
    request = RequestFactory().post("/")
    alice = [throttling.use_sign_in(request, "alice@example.com", now=NOW).is_allowed for _ in range(3)]
    assert alice == [True, True, False]
    assert not throttling.use_sign_in(request, " ALICE@example.com", now=NOW).is_allowed
    others = [throttling.use_sign_in(request, f"{name}@example.com", now=NOW).is_allowed for name in "bcd"]
    assert others == [True, True, False]  # six from one address in all


def test_it_lets_nobody_lock_a_victim_out_from_elsewhere() -> None:
    attacker = RequestFactory(REMOTE_ADDR="203.0.113.9").post("/")
    for _ in range(10):
        throttling.use_sign_in(attacker, "alice@example.com", now=NOW)
    assert throttling.use_sign_in(RequestFactory().post("/"), "alice@example.com", now=NOW).is_allowed


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "filebased.FileBasedCache"])
def test_it_counts_exactly_when_many_ask_at_once(settings: Settings, tmp_path: Path, backend: str) -> None:
    settings.CACHES = {
        "default": {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": str(tmp_path / "cache")}
    }
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: shared.count("key", keep_seconds=60), range(100)))
        claims = list(pool.map(lambda _: shared.claim("claim", 1, keep_seconds=60), range(50)))
    assert sorted(numbers) == list(range(1, 101))
    assert claims.count(True) == 1
    assert type(caches["default"]).__name__ == backend.partition(".")[2]
    cache.clear()
