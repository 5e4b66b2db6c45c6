"""The month's call credits, counted for all processes, and what a scheduled job asks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from .errors import BudgetExhausted
from .state import Document, SharedState

_NAME = "budget"
_LONGEST_MONTH_SECONDS = 31 * 86400


class MonthlyBudget:
    """Counts every try in the current UTC month; ``monthly_credits`` None counts without a limit.

    CoinGecko's documents disagree on whether failed calls cost a credit, so each try is charged.
    """

    def __init__(self, state: SharedState, *, monthly_credits: int | None, clock: Callable[[], float]) -> None:
        self._state = state
        self._credits = monthly_credits
        self._clock = clock

    def spend(self) -> None:
        """Charge one credit. Raises BudgetExhausted, and charges nothing, if none is left."""
        now = self._clock()

        def charge(document: Document) -> bool:
            _open_month(document, now)
            if self._credits is not None and document["spent"] >= self._credits:
                return False
            document["spent"] += 1
            return True

        if not self._state.update(_NAME, charge, merge=_merge, now=now):
            resets_at = _next_month(now)
            raise BudgetExhausted(
                f"The month's {self._credits:,} credits are used; new ones on {resets_at:%Y-%m-%d} UTC.",
                resets_at=resets_at,
            )

    def refund(self) -> None:
        """Give back the credit of a call that was never sent."""
        now = self._clock()

        def give_back(document: Document) -> None:
            _open_month(document, now)
            document["spent"] = max(document["spent"] - 1, 0)

        self._state.update(_NAME, give_back, merge=_merge, now=now)

    def spent(self) -> int:
        """Return the credits charged in the current UTC month."""
        now = self._clock()

        def look(document: Document) -> int:
            _open_month(document, now)
            return int(document["spent"])

        return self._state.update(_NAME, look, merge=_merge, now=now)


def _open_month(document: Document, now: float) -> None:
    month = f"{datetime.fromtimestamp(now, UTC):%Y-%m}"
    # Only forwards: a clock that is set back must not give the month's credits a second time.
    if month > document.get("month", ""):
        document["month"] = month
        document["spent"] = 0


def _next_month(now: float) -> datetime:
    today = datetime.fromtimestamp(now, UTC)
    return datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)


def _merge(document: Document, remembered: Document) -> None:
    mine = (remembered.get("month", ""), remembered.get("spent", 0))
    theirs = (document.get("month", ""), document.get("spent", 0))
    document["month"], document["spent"] = max(mine, theirs)


@dataclass(frozen=True)
class ScheduledCalls:
    """A job that makes ``calls_per_run`` calls every ``period_seconds``."""

    name: str
    calls_per_run: int
    period_seconds: float

    def calls_per_month(self) -> float:
        """Return the calls in a month of 31 days."""
        return self.calls_per_run * _LONGEST_MONTH_SECONDS / self.period_seconds


class ScheduleDoesNotFit(ValueError):
    """The schedule needs more calls than the rate or the credits allow; the message holds the arithmetic."""
