"""What both kinds of shared state promise: atomic changes, and a memory when the store is lost."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from pathlib import Path

import pytest
import redis

from markets.coingecko.errors import StateUnavailable
from markets.coingecko.state import DiskState, Document, RedisState, SharedState

from .conftest import Store


def add_one(document: Document) -> int:
    document["count"] = int(document.get("count", 0)) + 1
    return int(document["count"])


def look(document: Document) -> int:
    return int(document.get("count", 0))


def keep_largest(document: Document, remembered: Document) -> None:
    document["count"] = max(document.get("count", 0), remembered.get("count", 0))


def count_up(state: SharedState) -> int:
    return state.update("counter", add_one, merge=keep_largest, now=state.now())


def test_it_shows_one_process_what_another_changed(store: Store) -> None:
    first, second = store.open(), store.open()
    assert [count_up(first), count_up(second), count_up(first)] == [1, 2, 3]


def test_it_loses_no_change_of_concurrent_writers(store: Store) -> None:
    def work() -> None:
        state = store.open()
        for _ in range(25):
            count_up(state)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.open().update("counter", look, merge=keep_largest, now=0.0) == 100


def test_it_restores_what_it_remembers_after_the_store_was_emptied(store: Store) -> None:
    state = store.open()
    assert [count_up(state), count_up(state)] == [1, 2]
    store.wipe()
    assert count_up(state) == 3


def test_it_restores_what_it_remembers_into_what_a_newcomer_began(store: Store) -> None:
    witness, newcomer = store.open(), store.open()
    for _ in range(5):
        count_up(witness)
    store.wipe()
    assert count_up(newcomer) == 1
    assert count_up(witness) == 6
    assert count_up(newcomer) == 7


def test_it_changes_nothing_when_the_change_fails(store: Store) -> None:
    def fail(document: Document) -> None:
        document["count"] = 99
        raise KeyError("broken change")

    state = store.open()
    count_up(state)
    with pytest.raises(KeyError):
        state.update("counter", fail, merge=keep_largest, now=0.0)
    assert count_up(state) == 2


def test_it_loads_its_script_again_after_redis_forgot_it(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    state = RedisState(client, prefix=f"test-{uuid.uuid4().hex}:")
    assert count_up(state) == 1
    client.script_flush()
    assert count_up(state) == 2


def test_it_lets_every_redis_key_expire(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    prefix = f"test-{uuid.uuid4().hex}:"
    count_up(RedisState(client, prefix=prefix))
    assert 31 * 86400 < int(client.ttl(prefix + "counter")) <= 40 * 86400


def test_it_takes_the_time_from_redis(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    seconds, _ = client.time()
    assert 0 <= RedisState(client).now() - seconds < 5


def test_it_says_so_when_redis_is_away() -> None:
    state = RedisState.from_url("redis://127.0.0.1:1/0")
    with pytest.raises(StateUnavailable, match="Redis"):
        state.now()
    with pytest.raises(StateUnavailable, match="Redis"):
        state.update("counter", add_one, merge=keep_largest, now=0.0)


def test_it_gives_up_soon_on_a_redis_that_accepts_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        state = RedisState.from_url(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        started_at = time.monotonic()
        with pytest.raises(StateUnavailable, match="Redis"):
            state.now()
        assert time.monotonic() - started_at < 3


def test_it_says_so_when_the_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    path.write_bytes(b"not a database at all, but long enough to look like one" * 20)
    with pytest.raises(StateUnavailable, match="disk"):
        count_up(DiskState(path))


def test_it_refuses_a_key_that_holds_something_else(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    prefix = f"test-{uuid.uuid4().hex}:"
    client.set(prefix + "counter", "[1, 2]", ex=60)
    with pytest.raises(StateUnavailable, match="something else"):
        count_up(RedisState(client, prefix=prefix))
