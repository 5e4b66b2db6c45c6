"""A circuit breaker with one memory and one probe at a time for all processes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .errors import BreakerOpen, CoinGeckoError, PlanProblem
from .state import Change, Document, SharedState

R = TypeVar("R")

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 900.0
PLAN_PAUSE_SECONDS = 3600.0
_NAME = "breaker"


@dataclass(frozen=True)
class Permit:
    """The right to make one call; ``probe_id`` is set for the single call that tries an open breaker."""

    probe_id: str | None = None


class Breaker:
    """Opens after five failures in a row, or at once for an hour when the key itself is refused.

    Once the pause is over a single process gets a probe, on a lease of ``probe_lease_seconds`` in case it
    dies. A probe that fails doubles the pause. What a call that is not the probe reports while the breaker is
    open changes nothing: it was sent before.
    """

    def __init__(self, state: SharedState, *, clock: Callable[[], float], probe_lease_seconds: float) -> None:
        self._state = state
        self._clock = clock
        self._probe_lease_seconds = probe_lease_seconds

    def admit(self) -> Permit:
        """Return a permit. Raises BreakerOpen during the pause and during another process's probe."""
        now = self._clock()
        probe_id = uuid.uuid4().hex[:12]

        def enter(document: Document) -> tuple[str | None, float]:
            _fill(document)
            if not document["is_open"]:
                return None, 0.0
            wait_until = max(document["open_until"], document["probe_until"])
            if now < wait_until:
                return None, wait_until - now
            document["probe_id"] = probe_id
            document["probe_until"] = now + self._probe_lease_seconds
            return probe_id, 0.0

        granted, wait_seconds = self._update(enter, now)
        if wait_seconds > 0:
            raise BreakerOpen(
                f"CoinGecko is not asked for another {wait_seconds:.0f} s, after repeated failures.",
                retry_after_seconds=wait_seconds,
            )
        return Permit(granted)

    def release(self, permit: Permit) -> None:
        """Give the permit back unused: nothing was learned about CoinGecko."""
        if permit.probe_id is None:
            return

        def free(document: Document) -> None:
            _fill(document)
            if document["probe_id"] == permit.probe_id:
                _end_probe(document)

        self._update(free, self._clock())

    def record_success(self, permit: Permit) -> None:
        """Note that CoinGecko answered sensibly (a refusal of this one request is sensible too)."""
        now = self._clock()

        def succeed(document: Document) -> None:
            _fill(document)
            if not _counts(document, permit):
                return
            document.update(is_open=False, failures=0, pause_seconds=FIRST_PAUSE_SECONDS, last_success_at=now)
            _end_probe(document)

        self._update(succeed, now)

    def record_failure(self, permit: Permit, error: CoinGeckoError) -> None:
        """Note a failure that speaks about CoinGecko or our key, not about one request."""
        now = self._clock()

        def fail(document: Document) -> None:
            _fill(document)
            document["last_error"] = {
                "at": now, "kind": type(error).__name__, "status": error.status, "message": error.message,
            }  # fmt: skip
            if not _counts(document, permit):
                return
            document["failures"] += 1
            if isinstance(error, PlanProblem):
                _open(document, now + PLAN_PAUSE_SECONDS)
            elif document["is_open"]:
                document["pause_seconds"] = min(document["pause_seconds"] * 2, LONGEST_PAUSE_SECONDS)
                _open(document, now + document["pause_seconds"])
            elif document["failures"] >= FAILURES_TO_OPEN:
                _open(document, now + document["pause_seconds"])

        self._update(fail, now)

    def reset(self) -> None:
        """Close the breaker by hand: the next call is made at once, and five new failures open it again."""

        def close(document: Document) -> None:
            _fill(document)
            document.update(is_open=False, failures=0, open_until=0.0, pause_seconds=FIRST_PAUSE_SECONDS)
            _end_probe(document)

        self._update(close, self._clock())

    def snapshot(self) -> Document:
        """Return ``state`` (closed, open, half_open), counters, and stamps in seconds since the epoch."""
        now = self._clock()

        def look(document: Document) -> Document:
            _fill(document)
            state = "closed"
            if document["is_open"]:
                state = "open" if now < document["open_until"] else "half_open"
            return {"state": state, **{name: document[name] for name in _defaults()}}

        return self._update(look, now)

    def _update(self, change: Change[R], now: float) -> R:
        return self._state.update(_NAME, change, merge=_merge, now=now)


def _defaults() -> Document:
    return {
        "is_open": False,
        "failures": 0,
        "open_until": 0.0,
        "pause_seconds": FIRST_PAUSE_SECONDS,
        "probe_id": None,
        "probe_until": 0.0,
        "last_success_at": None,
        "last_error": None,
    }


def _fill(document: Document) -> None:
    for name, value in _defaults().items():
        document.setdefault(name, value)


def _counts(document: Document, permit: Permit) -> bool:
    """Tell whether a call's outcome changes the state: any while closed, only the probe's while open."""
    is_probe = permit.probe_id is not None and permit.probe_id == document["probe_id"]
    return is_probe or not document["is_open"]


def _open(document: Document, until: float) -> None:
    document.update(is_open=True, open_until=until)
    _end_probe(document)


def _end_probe(document: Document) -> None:
    document.update(probe_id=None, probe_until=0.0)


def _merge(document: Document, remembered: Document) -> None:
    """After a loss, stay as open as the most worried of the processes remembers."""
    _fill(document)
    _fill(remembered)
    if (remembered["is_open"], remembered["open_until"]) > (document["is_open"], document["open_until"]):
        for name in ("is_open", "open_until", "pause_seconds", "probe_id", "probe_until"):
            document[name] = remembered[name]
    document["failures"] = max(document["failures"], remembered["failures"])
    document["last_success_at"] = document["last_success_at"] or remembered["last_success_at"]
    document["last_error"] = document["last_error"] or remembered["last_error"]
