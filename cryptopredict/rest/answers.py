"""Public answers worked out once for all who ask: until the data change, and by one process at a time.

An answer lies in the cache in two parts, a small head and its body, so that a client that has the body costs the
head only; a process remembers the bodies that it gave out last. An answer is fresh while the version of the data is the
one that it was made from, for `fresh_seconds` at most, and only until one of its `is_stale` would turn. While one
process makes it anew, the others give out the one before.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.core.cache import caches
from django.utils import timezone

from cryptopredict.rest import shared

ALIAS = "answers"
VERSION_KEY = "version"
MEMORY_BYTES = 4 * 1024 * 1024
KEPT_SECONDS = 120  # how old an answer may at most be that is given out while the next one is made
LOCK_SECONDS = 10  # after this a process that died no longer keeps the others from making an answer
WAIT_SECONDS = 5.0  # after this whoever has nothing to give out makes the answer itself
POLL_SECONDS = 0.01
logger = logging.getLogger(__name__)


@dataclass
class Clock:
    """One reading of the time for a whole answer; remembers when the first thing it said of the time turns untrue."""

    now: datetime = field(default_factory=timezone.now)
    true_until: datetime | None = None

    def is_past(self, moment: datetime) -> bool:
        if self.now > moment:
            return True
        if self.true_until is None or moment < self.true_until:
            self.true_until = moment
        return False


class Head(NamedTuple):
    """What an answer is known by; times in seconds since 1970."""

    version: str
    etag: str
    fresh_until: float
    true_until: float

    def is_fresh(self, version: str, now: float) -> bool:
        return self.version == version and now < min(self.fresh_until, self.true_until)


class Answer(NamedTuple):
    """An answer's ETag, its bytes, and for how many seconds what it says of its age stays true."""

    etag: str
    content: bytes
    true_seconds: float


Make = Callable[[Clock], bytes]


class Memory:
    """The answers that this process gave out last, so that their bytes come over from the cache only once."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, tuple[Head, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, name: str, head: Head, content: bytes) -> None:
        with self._lock:
            self._drop(name)
            self._answers[name] = (head, content)
            self._bytes += len(content)
            while self._bytes > self.max_bytes:
                self._drop(next(iter(self._answers)))

    def get(self, name: str) -> tuple[Head, bytes] | None:
        with self._lock:
            if name in self._answers:
                self._answers.move_to_end(name)
            return self._answers.get(name)

    def _drop(self, name: str) -> None:
        if found := self._answers.pop(name, None):
            self._bytes -= len(found[1])


MEMORY = Memory(MEMORY_BYTES)


def remembered(name: str, version: Any) -> Answer | None:
    """This process' own answer of this name, while it is fresh by the version that the cache holds now."""
    found = MEMORY.get(name)
    if found is None or not found[0].is_fresh(version, now := time.time()):
        return None
    head, content = found
    return Answer(head.etag, content, head.true_until - now)


def is_remembered(name: str) -> bool:
    """Whether it is worth asking the cache for the version."""
    return MEMORY.get(name) is not None


def shared_answer(name: str, make: Make, *, fresh_seconds: int, held_etags: Collection[str] = ()) -> Answer:
    """The answer of this name, made by `make` if nobody has made it from the present data.

    `held_etags` are those that the client has: `content` may be empty when the answer's is among them. What `make`
    raises goes on to the caller. While the cache is down, every caller makes its own.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        version, head = _look(name)
        if found := _fresh(name, version, head, held_etags):
            return found
        if version is None:
            return _store(name, make, fresh_seconds, None)
        if _claim(name):
            return _make(name, make, fresh_seconds, held_etags)
        if head is not None and time.time() < head.true_until and (found := _with_body(name, head, held_etags)):
            return found
        if time.monotonic() > deadline:
            logger.warning("%s is made once more: whoever makes it is slow.", name)
            return _store(name, make, fresh_seconds, version)
        time.sleep(POLL_SECONDS)


def announce_change() -> None:
    """Makes every shared answer out of date; call it once the change can be read."""
    try:
        caches[ALIAS].set(VERSION_KEY, secrets.token_hex(8), None)
    except shared.CACHE_ERRORS as error:  # then answers are at most `fresh_seconds` behind
        logger.warning("A change of the data was not announced, the cache does not answer: %s", error)


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _look(name: str) -> tuple[str | None, Head | None]:
    """The version of the data and the head of what is kept; no version while the cache is down."""
    cache = caches[ALIAS]
    try:
        found: dict[str, Any] = cache.get_many([VERSION_KEY, f"{name}:head"])
        version = found.get(VERSION_KEY)
        if version is None:
            shared.claim(VERSION_KEY, secrets.token_hex(8), keep_seconds=None, alias=ALIAS)
            version = cache.get(VERSION_KEY)
    except shared.CACHE_ERRORS as error:
        logger.warning("%s is worked out anew, the cache does not answer: %s", name, error)
        return None, None
    return version, found.get(f"{name}:head")


def _fresh(name: str, version: str | None, head: Head | None, held_etags: Collection[str]) -> Answer | None:
    if head is None or version is None or not head.is_fresh(version, time.time()):
        return None
    return _with_body(name, head, held_etags)


def _with_body(name: str, head: Head, held_etags: Collection[str]) -> Answer | None:
    true_seconds = head.true_until - time.time()
    if head.etag in held_etags:
        return Answer(head.etag, b"", true_seconds)
    if (found := MEMORY.get(name)) and found[0].etag == head.etag:
        MEMORY.keep(name, head, found[1])
        return Answer(head.etag, found[1], true_seconds)
    try:
        body = caches[ALIAS].get(f"{name}:body")
    except shared.CACHE_ERRORS:
        return None
    if body is None or body[0] != head.etag:  # dropped, or another one was stored since the head was read
        return None
    MEMORY.keep(name, head, body[1])
    return Answer(head.etag, body[1], true_seconds)


def _claim(name: str) -> bool:
    try:
        return shared.claim(f"{name}:lock", 1, keep_seconds=LOCK_SECONDS)
    except shared.CACHE_ERRORS:
        return True


def _make(name: str, make: Make, fresh_seconds: int, held_etags: Collection[str]) -> Answer:
    """Makes the answer as the one that does, unless another one has done so just before."""
    try:
        version, head = _look(name)
        if found := _fresh(name, version, head, held_etags):
            return found
        return _store(name, make, fresh_seconds, version)
    finally:
        try:
            caches["default"].delete(f"{name}:lock")
        except shared.CACHE_ERRORS as error:
            logger.warning("The turn at %s stays taken for a moment: %s", name, error)


def _store(name: str, make: Make, fresh_seconds: int, version: str | None) -> Answer:
    """`version` was read before the data are: a change in between leaves an answer that is out of date at once."""
    clock = Clock()
    content = make(clock)
    now = time.time()
    true_until = clock.true_until.timestamp() if clock.true_until else now + KEPT_SECONDS
    etag = etag_of(content)
    if version is not None:
        cache = caches[ALIAS]
        head = Head(version, etag, now + fresh_seconds, true_until)
        try:
            cache.set(f"{name}:body", (etag, content), KEPT_SECONDS)
            cache.set(f"{name}:head", head, KEPT_SECONDS)
            MEMORY.keep(name, head, content)
        except shared.CACHE_ERRORS as error:
            logger.warning("%s is not kept, the cache does not answer: %s", name, error)
    return Answer(etag, content, true_until - now)
