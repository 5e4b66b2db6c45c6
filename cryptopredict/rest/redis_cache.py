"""Redis as Django's cache, failing at once while Redis does not answer, so that no request waits for it in vain."""

import threading
import time
from typing import Any

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.2
PAUSE_SECONDS = 2.0
COUNT_AND_READ = """
local number = redis.call('INCR', KEYS[1])
if number == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {number, KEYS[2] and redis.call('GET', KEYS[2]) or false}
"""


class Gate:
    """Shut for a while after a failure; then one caller tries while the others are still turned away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_shut = False
        self._next_try_at = 0.0

    def enter(self) -> None:
        """Raises redis.ConnectionError while it is another caller's turn to wait."""
        with self._lock:
            if not self._is_shut:
                return
            now = time.monotonic()
            if now < self._next_try_at:
                raise redis.ConnectionError("Redis did not answer a moment ago and is not asked again yet.")
            self._next_try_at = now + PAUSE_SECONDS

    def shut(self) -> None:
        with self._lock:
            self._is_shut = True
            self._next_try_at = time.monotonic() + PAUSE_SECONDS

    def open(self) -> None:
        self._is_shut = False


GATE = Gate()


class FailFastRedis(redis.Redis):
    """One process' view of Redis, with one gate for all its threads."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        GATE.enter()
        try:
            answer = super().execute_command(*args, **options)
        except (redis.ConnectionError, redis.TimeoutError):
            GATE.shut()
            raise
        GATE.open()
        return answer


class FailFastClient(RedisCacheClient):
    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(
            servers,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # One more try, at once, for a connection that died with a restart; none for a Redis that hangs.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            **options,
        )
        self._client = FailFastRedis
        self._made: dict[bool, redis.Redis] = {}

    def get_client(self, key: Any = None, *, write: bool = False) -> redis.Redis:
        """Made once: the base class makes one for every command, which takes longer than the command."""
        if write not in self._made:  # there is one server; of several, Django draws one for each read
            self._made[write] = super().get_client(key, write=write)
        return self._made[write]


class FailFastRedisCache(RedisCache):
    """Raises one of `rest.shared.CACHE_ERRORS` within half a second; what depends on it decides what that means."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = FailFastClient

    def count(self, key: str, keep_seconds: int) -> int:
        """Adds one to a counter that is forgotten `keep_seconds` after its first use; one round trip, atomic."""
        number, _ = self._count(keep_seconds, self.make_and_validate_key(key))
        return int(number)

    def count_and_read(self, key: str, keep_seconds: int, read_key: str) -> tuple[int, Any]:
        """`count`, and the value of a whole key of the same server, or None, in the same round trip."""
        number, value = self._count(keep_seconds, self.make_and_validate_key(key), read_key)
        return int(number), None if value is None else self._cache._serializer.loads(value)  # type: ignore[attr-defined]

    def _count(self, keep_seconds: int, *keys: str) -> list[Any]:
        client = self._cache.get_client(keys[0], write=True)
        found: list[Any] = client.eval(COUNT_AND_READ, len(keys), *keys, keep_seconds)
        return found
