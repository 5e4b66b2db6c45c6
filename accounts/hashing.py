"""Passwords are hashed one at a time in a process and behind all its other work, however many people sign in at once.

A hash takes a tenth of a second of every core. It needs no lock of Python's, and so twenty of them at once would
share the cores with all other requests on equal terms, and take 2 GB of memory.
"""

import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.contrib.auth.hashers import Argon2PasswordHasher

from cryptopredict.rest.errors import ApiProblem

T = TypeVar("T")

NICENESS = 19  # added to the process' own; Argon2's own threads take it over from the one that starts them
MAX_WAITING = 16  # of a web process' 20 threads: the others go on serving everybody else
_waiting = threading.Semaphore(MAX_WAITING)


class TooBusy(ApiProblem):
    """As many passwords wait to be hashed as may; answered 503 by API and pages alike."""

    def __init__(self) -> None:
        message = "Too many people sign in just now. Try again in a moment."
        super().__init__("unavailable", message, status=503, headers={"Retry-After": "1"})


class PatientArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's Argon2 hasher with its parameters, whose work is done by the one thread that hashes."""

    def encode(self, password: str, salt: str) -> str:
        return aside(lambda: super(PatientArgon2PasswordHasher, self).encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        return aside(lambda: super(PatientArgon2PasswordHasher, self).verify(password, encoded))


def aside(work: Callable[[], T]) -> T:
    """What the work answers, once its turn has come. Raises TooBusy at once when too many wait already."""
    if not _waiting.acquire(blocking=False):
        raise TooBusy
    try:
        return hashing_thread(os.getpid()).submit(work).result()
    finally:
        _waiting.release()


@functools.cache
def hashing_thread(process_id: int) -> ThreadPoolExecutor:
    """The thread of a process; one that was forked makes its own."""
    return ThreadPoolExecutor(1, thread_name_prefix="hashing", initializer=step_back)


def step_back() -> None:
    """Lets this thread run behind the others, where each thread has a niceness of its own (Linux)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS))
