"""What a process remembers is what the view would answer, and takes nothing past a limit, a form or a change."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import caches
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisDown
from rest_framework.test import APIClient

from accounts.models import User
from cryptopredict.rest import answers, shared
from cryptopredict.rest.answers import Memory, announce_change
from cryptopredict.tests.rest.urls import Shared

PATH = "/api/v1/shared/"


@pytest.fixture(autouse=True)
def counted(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache"}
    settings.CACHES = {name: {**on_disk, "LOCATION": str(tmp_path / name)} for name in ("default", "answers")}
    monkeypatch.setattr(answers, "MEMORY", Memory(10_000))
    monkeypatch.setattr(Shared, "made", 0)
    monkeypatch.setattr(Shared, "reached", 0)


def headers_of(response: Any) -> dict[str, str]:
    return dict(response.headers)


def test_it_answers_without_the_view_what_the_view_has_answered(client: APIClient) -> None:
    first, second = client.get(PATH), client.get(PATH)
    assert (Shared.reached, Shared.made) == (1, 1)
    assert second.content == first.content == b'{"made":1,"days":7}'
    assert (first.headers.pop("RateLimit-Remaining")[1], second.headers.pop("RateLimit-Remaining")[1]) == ("119", "118")
    assert headers_of(second) == headers_of(first)


def test_who_has_the_answer_gets_the_same_304_from_memory_as_from_the_view(client: APIClient) -> None:
    etag = client.get(PATH)["ETag"]
    remembered = client.get(PATH, headers={"If-None-Match": etag})
    answers.MEMORY = Memory(10_000)
    from_view = client.get(PATH, headers={"If-None-Match": etag})
    assert Shared.reached == 2
    assert (remembered.status_code, remembered.content) == (from_view.status_code, from_view.content) == (304, b"")
    for response in (remembered, from_view):
        del response.headers["RateLimit-Remaining"]
    assert headers_of(remembered) == headers_of(from_view)


def test_a_change_of_the_data_is_seen_at_once(client: APIClient) -> None:
    client.get(PATH)
    announce_change()
    assert client.get(PATH).json()["made"] == 2
    assert client.get(PATH).json()["made"] == 2
    assert Shared.reached == 2


def test_every_call_is_counted_once_and_refused_past_the_limit(client: APIClient, settings: Settings) -> None:
    rates = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "anonymous": "4/hour"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    got = [client.get(PATH) for _ in range(2)]
    announce_change()  # counted before the view, which is reached all the same
    got += [client.get(PATH) for _ in range(4)]
    assert [response.status_code for response in got] == [200, 200, 200, 200, 429, 429]
    assert [response["RateLimit-Remaining"] for response in got] == ["3", "2", "1", "0", "0", "0"]
    assert Shared.made == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"Accept": "text/csv"}},
        {"headers": {"Authorization": "Bearer nonsense"}},
        {"QUERY_STRING": "days=7&days=7"},
        {"QUERY_STRING": "days=8"},
        {"QUERY_STRING": "unknown=1"},
        {"HTTP_HOST": "localhost"},
    ],
)
def test_all_else_goes_to_the_view(client: APIClient, asked: dict[str, Any], db: None) -> None:
    client.get(PATH)
    client.get(f"{PATH}?days=7")
    with patch.object(answers, "remembered", side_effect=AssertionError):
        client.get(PATH, **asked)


def test_a_known_user_is_counted_as_one(client: APIClient, user: User) -> None:
    from rest_framework_simplejwt.tokens import AccessToken

    client.get(PATH)
    response = client.get(PATH, headers={"Authorization": f"Bearer {AccessToken.for_user(user)}"})
    assert response["RateLimit-Limit"] != client.get(PATH)["RateLimit-Limit"]


def test_it_answers_while_the_cache_is_down(client: APIClient) -> None:
    client.get(PATH)
    with (
        patch.object(shared, "count", side_effect=RedisDown("refused")),
        patch.object(type(caches["answers"]), "get_many", side_effect=RedisDown("refused")),
    ):
        assert client.get(PATH).json()["made"] == 2


def test_it_counts_and_reads_in_redis_in_one_trip(settings: Settings, redis_url: str) -> None:
    backend = {"BACKEND": "cryptopredict.rest.redis_cache.FailFastRedisCache", "LOCATION": redis_url}
    settings.CACHES = {
        "default": {**backend, "KEY_PREFIX": "trips"},
        "answers": {**backend, "KEY_PREFIX": "trips-answers"},
    }
    for cache in (caches["default"], caches["answers"]):
        cache.clear()
    trip: dict[str, Any] = {"keep_seconds": 60, "alias": "answers", "name": "version"}
    assert shared.count_and_read("calls", **trip) == (1, None)
    caches["answers"].set("version", "abc", None)
    assert shared.count_and_read("calls", **trip) == (2, "abc")
    assert shared.count("calls", keep_seconds=60) == 3
    client = caches["default"]._cache.get_client("calls")  # type: ignore[attr-defined]
    with patch.object(type(client), "execute_command", autospec=True, side_effect=type(client).execute_command) as sent:
        shared.count_and_read("calls", **trip)
    assert sent.call_count == 1
    assert 0 < client.ttl(caches["default"].make_key("calls")) <= 60


def test_it_forgets_the_answers_that_were_asked_for_longest_ago() -> None:
    memory = Memory(max_bytes=10)
    head = answers.Head("v", "e", 0, 0)
    for name in "ab":
        memory.keep(name, head, b"1234")
    memory.get("a")
    memory.keep("c", head, b"1234")
    assert [name for name in "abc" if memory.get(name)] == ["a", "c"]
    memory.keep("d", head, b"12345678901")  # more than it may hold
    assert [name for name in "abcd" if memory.get(name)] == []
    memory.keep("e", head, b"1234567890")
    assert memory.get("e")
