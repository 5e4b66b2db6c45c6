"""A strict sliding window over all processes: never more than N calls in any 60 seconds."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from .errors import RateLimited
from .retry import Patience
from .state import Document, SharedState

WINDOW_SECONDS = 60.0
_NAME = "limiter"
_LONGEST_NAP_SECONDS = 5.0
_MARGIN_SECONDS = 0.001


class SlidingWindow:
    """Hands out at most ``calls_per_window`` calls in any window, and none before what ``hold_until`` set.

    A call counts from the moment it was granted until a window after it was *finished*: the server may have
    received it at any moment between the two, and it is the server's window that must not overflow.
    """

    def __init__(
        self,
        state: SharedState,
        *,
        calls_per_window: int,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        if calls_per_window < 1:
            raise ValueError("calls_per_window must be at least 1.")
        self._state = state
        self._limit = calls_per_window
        self._window_seconds = window_seconds
        self._clock = clock
        self._sleep = sleep

    def acquire(self, patience: Patience) -> str:
        """Wait for a free place and return the call's id, for ``finish``.

        Raises RateLimited if the wait would be longer than the patience left for waiting.
        """
        call_id = uuid.uuid4().hex[:12]
        while True:
            wait_seconds = self._try(call_id)
            if wait_seconds <= 0:
                return call_id
            if wait_seconds > patience.wait_left_seconds:
                raise RateLimited(
                    f"No call is free for {wait_seconds:.1f} s "
                    f"(at most {self._limit} in {self._window_seconds:.0f} s).",
                    retry_after_seconds=wait_seconds,
                )
            nap_seconds = min(wait_seconds + _MARGIN_SECONDS, _LONGEST_NAP_SECONDS)
            self._sleep(nap_seconds)
            patience.spend_waiting(nap_seconds)

    def finish(self, call_id: str) -> None:
        """Note that the call is over: its place is free one window from now."""
        now = self._clock()

        def stamp(document: Document) -> None:
            self._tidy(document, now)
            document["calls"][call_id] = now

        self._state.update(_NAME, stamp, merge=self._merge, now=now)

    def hold_until(self, at: float) -> None:
        """Let no process call before ``at`` (seconds since the epoch); a hold is never shortened."""
        now = self._clock()

        def hold(document: Document) -> None:
            self._tidy(document, now)
            document["not_before"] = max(document["not_before"], at)

        self._state.update(_NAME, hold, merge=self._merge, now=now)

    def usage(self) -> tuple[int, float]:
        """Return (calls in the window, seconds for which all are held back)."""
        now = self._clock()

        def look(document: Document) -> tuple[int, float]:
            self._tidy(document, now)
            return len(document["calls"]), max(document["not_before"] - now, 0.0)

        return self._state.update(_NAME, look, merge=self._merge, now=now)

    def _try(self, call_id: str) -> float:
        """Take a place and return 0, or return the seconds after which to try again."""
        now = self._clock()

        def take(document: Document) -> float:
            self._tidy(document, now)
            held_seconds = document["not_before"] - now
            if held_seconds > 0:
                return float(held_seconds)
            calls = document["calls"]
            if len(calls) < self._limit:
                calls[call_id] = now
                return 0.0
            leaving = sorted(calls.values())[len(calls) - self._limit]
            return max(float(leaving) + self._window_seconds - now, _MARGIN_SECONDS)

        return self._state.update(_NAME, take, merge=self._merge, now=now)

    def _tidy(self, document: Document, now: float) -> None:
        """Forget calls that left the window.

        Others may have stamped later than ``now``, which was read before this process got its turn. A stamp
        more than a window ahead means that the clock was set back; it counts as now, or it would never leave.
        """
        length = self._window_seconds
        calls = document.setdefault("calls", {})
        document["calls"] = {
            call_id: at if at <= now + length else now for call_id, at in calls.items() if at + length >= now
        }
        document.setdefault("not_before", 0.0)

    def _merge(self, document: Document, remembered: Document) -> None:
        """After a loss, others' latest calls are unknown: hold for one window from the loss."""
        document["calls"] = {**remembered.get("calls", {}), **document.get("calls", {})}
        document["not_before"] = max(
            document.get("not_before", 0.0),
            remembered.get("not_before", 0.0),
            document["born_at"] + self._window_seconds,
        )
