"""The one layer of retries: exponential pauses with full jitter under a total deadline."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .errors import CoinGeckoError, RateLimited

T = TypeVar("T")


class Patience:
    """How long one call may still work (its deadline) and how long it may still queue for a free place."""

    def __init__(self, *, deadline_seconds: float, max_wait_seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._deadline_at = clock() + deadline_seconds
        self.wait_left_seconds = max_wait_seconds

    def work_left_seconds(self) -> float:
        """Return the seconds until the deadline; queueing moves the deadline back."""
        return self._deadline_at - self._clock()

    def spend_waiting(self, seconds: float) -> None:
        self.wait_left_seconds -= seconds
        self._deadline_at += seconds


@dataclass(frozen=True)
class RetryPolicy:
    """At most ``max_tries`` tries; the pause after try n is uniform in 0…min(base · 2ⁿ⁻¹, longest) seconds.

    Formula: "Exponential backoff and jitter" (full jitter), AWS Architecture Blog, 2015.
    """

    max_tries: int = 4
    base_seconds: float = 1.0
    longest_pause_seconds: float = 20.0

    def pause_seconds(self, tries_done: int, uniform: Callable[[float, float], float]) -> float:
        return uniform(0.0, min(self.base_seconds * 2 ** (tries_done - 1), self.longest_pause_seconds))


def call_with_retries(
    call: Callable[[], T],
    *,
    policy: RetryPolicy,
    patience: Patience,
    sleep: Callable[[float], None],
    uniform: Callable[[float, float], float] = random.uniform,
) -> T:
    """Return ``call()``; after a failure that may pass, try again. Raises the last failure at the end.

    A 429 is tried again without a pause here: the limiter itself holds every process back.
    """
    for tries_done in range(1, policy.max_tries + 1):
        try:
            return call()
        except CoinGeckoError as error:
            if not error.is_retryable or tries_done == policy.max_tries:
                raise
            pause = 0.0 if isinstance(error, RateLimited) else policy.pause_seconds(tries_done, uniform)
            if pause >= patience.work_left_seconds():
                raise
            if pause > 0:
                sleep(pause)
    raise AssertionError("unreachable: the last try returns or raises")
