"""Small documents (limiter, breaker, budget) that all processes change in turn, on disk or in Redis."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import StateUnavailable

T = TypeVar("T")
Document = dict[str, Any]
Change = Callable[[Document], T]
"""Changes the document in place and returns a result; may run again, so it must touch nothing else."""
Merge = Callable[[Document, Document], None]
"""Brings what this process remembers (second) into the document born after the store lost it (first)."""
Recollect = Callable[[str], Document | None]
"""What is known elsewhere of a document that the store does not have and this process never saw; None: nothing."""

_BUSY_TIMEOUT_SECONDS = 5.0
_REDIS_TIMEOUT_SECONDS = 0.5
_KEPT_SECONDS = 40 * 86400
"""Longer than a month, the longest time over which anything is counted."""
_MAX_SWAPS = 500

_CREATE = "CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, body TEXT NOT NULL)"
_COMPARE_AND_SET = """
local current = redis.call('GET', KEYS[1])
if (current or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class SharedState(Protocol):
    """Named JSON documents shared by all processes; a change is atomic, and none is lost."""

    def now(self) -> float:
        """Return the time in seconds since the epoch that all sharers agree on."""

    def update(self, name: str, change: Change[T], *, merge: Merge, now: float) -> T:
        """Apply ``change`` to the document (at first only ``born`` and ``born_at``); return its result.

        If the store was emptied since, ``merge`` first restores what this process remembers.
        Raises StateUnavailable when the store does not answer; then nothing was changed.
        """


class _Memory:
    """What this process saw last: flushing the store must not turn an open breaker into a closed one."""

    def __init__(self, recollect: Recollect | None) -> None:
        self._seen: dict[str, str] = {}
        self._recollect = recollect

    def apply(self, name: str, raw: str | None, change: Change[T], merge: Merge, now: float) -> tuple[str, T]:
        document = _decode(name, raw) if raw else {"born": uuid.uuid4().hex, "born_at": now}
        seen = self._seen.get(name)
        if seen is not None:
            remembered = _decode(name, seen)
            if remembered["born"] != document["born"]:
                merge(document, remembered)
        elif not raw and self._recollect is not None:
            recollected = self._recollect(name)
            if recollected is not None:
                merge(document, recollected)
        result = change(document)
        return json.dumps(document, allow_nan=False), result

    def keep(self, name: str, raw: str) -> None:
        self._seen[name] = raw


def _decode(name: str, raw: str) -> Document:
    try:
        document = json.loads(raw)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "born" not in document:
        raise StateUnavailable(f"The shared document {name!r} holds something else than it should.")
    return document


class DiskState:
    """Shared by all processes of one host, in one SQLite file."""

    def __init__(
        self, path: str | Path, *, clock: Callable[[], float] = time.time, recollect: Recollect | None = None
    ) -> None:
        self._path = Path(path)
        self._clock = clock
        self._memory = _Memory(recollect)

    def now(self) -> float:
        return self._clock()

    def update(self, name: str, change: Change[T], *, merge: Merge, now: float) -> T:
        try:
            with self._transaction() as connection:
                row = connection.execute("SELECT body FROM documents WHERE name = ?", (name,)).fetchone()
                raw = row[0] if row else None
                changed, result = self._memory.apply(name, raw, change, merge, now)
                if changed != raw:
                    connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (name, changed))
        except (sqlite3.Error, OSError) as error:
            raise StateUnavailable(f"The shared state on disk cannot be used: {error}") from error
        self._memory.keep(name, changed)
        return result

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # A connection for each change: none is carried over a fork, and a replaced file is noticed.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None)
        try:
            _use_wal(connection)
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(_CREATE)
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            # SQLite does not wait for the lock when it changes the mode, and several processes start at once.
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)


class RedisState:
    """Shared by all processes of all hosts, in one Redis; its clock is the clock of all of them."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str = "coingecko:",
        clock: Callable[[], float] | None = None,
        recollect: Recollect | None = None,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._memory = _Memory(recollect)
        # A registered script loads itself again after a restart or SCRIPT FLUSH (NOSCRIPT).
        self._compare_and_set = client.register_script(_COMPARE_AND_SET)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "coingecko:",
        clock: Callable[[], float] | None = None,
        recollect: Recollect | None = None,
    ) -> RedisState:
        """Connect with short time-outs: a Redis that hangs must fail the call, not hold up the worker."""
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
            socket_timeout=_REDIS_TIMEOUT_SECONDS,
            # One more try, at once, for a connection that died with a restart.
            retry=Retry(NoBackoff(), 1),
        )
        return cls(client, prefix=prefix, clock=clock, recollect=recollect)

    def now(self) -> float:
        if self._clock is not None:
            return self._clock()
        try:
            seconds, microseconds = self._client.time()
        except (redis.RedisError, OSError) as error:
            raise _redis_failed(error) from error
        return float(seconds) + float(microseconds) / 1e6

    def update(self, name: str, change: Change[T], *, merge: Merge, now: float) -> T:
        try:
            for _ in range(_MAX_SWAPS):
                raw = self._read(name)
                changed, result = self._memory.apply(name, raw, change, merge, now)
                if changed == raw or self._swap(name, raw, changed):
                    self._memory.keep(name, changed)
                    return result
        except (redis.RedisError, OSError) as error:
            raise _redis_failed(error) from error
        raise StateUnavailable(f"The shared document {name!r} was changed by others {_MAX_SWAPS} times running.")

    def _read(self, name: str) -> str | None:
        raw: Any = self._client.get(self._prefix + name)
        return raw.decode() if isinstance(raw, bytes) else raw

    def _swap(self, name: str, raw: str | None, changed: str) -> bool:
        done = self._compare_and_set(keys=[self._prefix + name], args=[raw or "", changed, _KEPT_SECONDS])
        return bool(done)


def _redis_failed(error: Exception) -> StateUnavailable:
    return StateUnavailable(f"The shared state in Redis cannot be used ({type(error).__name__}).")
