"""Who may ask, and how often: User-Agent and key rules, the minute window and the credits of the month."""

import math
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime

from markets.sample import errors

WINDOW_SECONDS = 60.0
DEMO_HEADER, DEMO_PARAMETER = "x-cg-demo-api-key", "x_cg_demo_api_key"
PRO_HEADER, PRO_PARAMETER = "x-cg-pro-api-key", "x_cg_pro_api_key"


def check_identity(
    headers: Mapping[str, str], parameters: Mapping[str, str], *, api_key: str | None, now: float
) -> None:
    """Raise the ApiError of a request without User-Agent, with a Pro key or without the wanted key."""
    if not (headers.get("user-agent") or "").strip():
        raise errors.missing_user_agent()
    if headers.get(PRO_HEADER) or parameters.get(PRO_PARAMETER):
        raise errors.pro_key_on_demo_host(now)
    if api_key is None:
        return
    given = headers.get(DEMO_HEADER) or parameters.get(DEMO_PARAMETER)
    if not given:
        raise errors.key_missing(now)
    if given != api_key:
        raise errors.key_invalid()


class Allowance:
    """Counts requests in a sliding window of 60 seconds and successes in a calendar month (UTC).

    Every request that is not refused by the window counts in it, whatever its answer; only an answer of
    200 costs a credit. None means without limit.
    """

    def __init__(self, *, calls_per_minute: int | None, monthly_credits: int | None) -> None:
        self.calls_per_minute = calls_per_minute
        self.monthly_credits = monthly_credits
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()
        self._month = ""
        self._spent = 0

    def admit(self, now: float) -> None:
        """Count a request at `now`; ApiError 429 when the window is full or the month's credits are spent."""
        with self._lock:
            while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
                self._recent.popleft()
            if self.calls_per_minute is not None and len(self._recent) >= self.calls_per_minute:
                wait = self._recent[0] + WINDOW_SECONDS - now if self._recent else WINDOW_SECONDS
                raise errors.rate_limited(str(max(1, math.ceil(wait))))
            self._recent.append(now)
            if self.monthly_credits is not None and self._credits_spent(now) >= self.monthly_credits:
                raise errors.credits_spent()

    def charge(self, now: float) -> None:
        """Take one credit for an answer of 200."""
        with self._lock:
            self._spent = self._credits_spent(now) + 1

    def credits_spent(self, now: float) -> int:
        """Return the credits spent in the month of `now`."""
        with self._lock:
            return self._credits_spent(now)

    def _credits_spent(self, now: float) -> int:
        month = datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
        if month != self._month:
            self._month, self._spent = month, 0
        return self._spent
