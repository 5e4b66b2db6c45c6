"""Counters and claims in the cache that stay exact when many processes use them, and values it may lose."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.files import locks
from redis.exceptions import RedisError

from cryptopredict.rest.redis_cache import FailFastRedisCache

CACHE_ERRORS = (OSError, RedisError)  # what a cache that cannot be reached raises
LOCK_FILES = 64
logger = logging.getLogger(__name__)


def count(key: str, *, keep_seconds: int) -> int:
    """Adds one to a counter that is forgotten `keep_seconds` after its first use; returns the new count."""
    cache = caches["default"]
    if isinstance(cache, FileBasedCache):
        with exclusive(cache, key):
            number = int(cache.get(key, 0)) + 1
            cache.set(key, number, keep_seconds)
            return number
    if isinstance(cache, FailFastRedisCache):
        return cache.count(key, keep_seconds)
    for _ in range(2):
        try:
            return int(cache.incr(key))  # first, for all calls of a window but one find their counter
        except ValueError:
            if cache.add(key, 1, keep_seconds):
                return 1
    return 1  # another one began it and it ran out again between the calls


def count_and_read(key: str, *, keep_seconds: int, alias: str, name: str) -> tuple[int, Any]:
    """`count`, and what the cache `alias` keeps under a name, or None; one round trip where both are in Redis."""
    cache, other = caches["default"], caches[alias]
    if isinstance(cache, FailFastRedisCache) and isinstance(other, FailFastRedisCache):
        return cache.count_and_read(key, keep_seconds, other.make_and_validate_key(name))
    return count(key, keep_seconds=keep_seconds), other.get(name)


def claim(key: str, value: Any, *, keep_seconds: int | None, alias: str = "default") -> bool:
    """Stores the value unless there is one; whether this caller was the first. None keeps it until it is replaced."""
    cache: BaseCache = caches[alias]
    if isinstance(cache, FileBasedCache):
        with exclusive(cache, key):
            return bool(cache.add(key, value, keep_seconds))
    return bool(cache.add(key, value, keep_seconds))


def recall(key: str) -> Any:
    """What was kept under the key, or None; also None while the cache is down: a page must do without it."""
    try:
        return caches["default"].get(key)
    except CACHE_ERRORS as error:
        logger.warning("%s is worked out anew, the cache does not answer: %s", key, error)
        return None


def keep(key: str, value: Any, *, keep_seconds: int) -> None:
    """Keeps a value that can be worked out again; without effect while the cache is down."""
    try:
        caches["default"].set(key, value, keep_seconds)
    except CACHE_ERRORS as error:
        logger.warning("%s is not kept, the cache does not answer: %s", key, error)


@contextmanager
def exclusive(cache: FileBasedCache, key: str) -> Iterator[None]:
    """Lets one thread of one process at a time touch a key: a file cache's add and incr are not atomic."""
    folder = Path(cache._dir)  # type: ignore[attr-defined]  # the stubs leave it out
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = int(hashlib.sha256(key.encode()).hexdigest(), 16) % LOCK_FILES
    with (folder / f"{place}.lock").open("ab") as file:  # closing the file releases the lock
        locks.lock(file, locks.LOCK_EX)
        yield
