"""The CoinGecko client: retry( breaker( limiter( request ))), with limits shared by all processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from . import schemas
from .breaker import Breaker, Permit
from .budget import MonthlyBudget
from .errors import BadAnswer, BadParameter, CoinGeckoError, PlanProblem, RateLimited
from .fields import Unsound, coin_id
from .limiter import WINDOW_SECONDS, SlidingWindow
from .retry import Patience, RetryPolicy, call_with_retries
from .state import SharedState
from .transport import Transport

T = TypeVar("T")

DEFAULT_BASE_URL = "https://api.coingecko.com/api/v3"
DEFAULT_USER_AGENT = "CryptoPredict/1.0 (market data sync; python-requests)"
MAX_IDS = 250
MAX_PER_PAGE = 250
OHLC_DAYS = frozenset({1, 7, 14, 30, 90, 180, 365})


class CoinGeckoClient:
    """Asks CoinGecko, within its limits and without ever storing what is unsound.

    Every method may raise any CoinGeckoError. ``clock`` gives seconds since the epoch; by default it is the
    clock of ``state``, which all sharers agree on. A call takes at most ``max_wait_seconds`` in the queue and
    ``deadline_seconds`` at work, over all its tries.
    """

    def __init__(
        self,
        *,
        state: SharedState,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str = "",
        calls_per_minute: int = 5,
        monthly_credits: int | None = None,
        user_agent: str = DEFAULT_USER_AGENT,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        timeout_seconds: float = 10.0,
        deadline_seconds: float = 30.0,
        max_wait_seconds: float = 60.0,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        if not 0 < deadline_seconds <= WINDOW_SECONDS:
            # A call under way must not outlive its own place in the window.
            raise ValueError(f"deadline_seconds must be positive and at most {WINDOW_SECONDS:.0f}.")
        self._clock = clock or state.now
        self._sleep = sleep
        self._calls_per_minute = calls_per_minute
        self._monthly_credits = monthly_credits
        self._deadline_seconds = deadline_seconds
        self._max_wait_seconds = max_wait_seconds
        self._policy = retry_policy or RetryPolicy()
        self._limiter = SlidingWindow(state, calls_per_window=calls_per_minute, clock=self._clock, sleep=sleep)
        self._budget = MonthlyBudget(state, monthly_credits=monthly_credits, clock=self._clock)
        lease_seconds = max_wait_seconds + deadline_seconds + timeout_seconds
        self._breaker = Breaker(state, clock=self._clock, probe_lease_seconds=lease_seconds)
        self._transport = Transport(
            base_url=base_url,
            api_key=api_key,
            user_agent=user_agent,
            timeout_seconds=timeout_seconds,
            clock=self._clock,
        )

    def ping(self) -> str:
        """Return CoinGecko's greeting."""
        return self._ask("/ping", {}, _greeting)

    def coins_list(self) -> schemas.Answer[schemas.ListedCoin]:
        """Return all active coins (some 18,000); worth asking once a day."""
        return self._ask("/coins/list", {}, schemas.parse_coins_list)

    def coins_markets(
        self,
        *,
        vs_currency: str = "usd",
        ids: Sequence[str] | None = None,
        per_page: int = MAX_PER_PAGE,
        page: int = 1,
        sparkline: bool = True,
    ) -> schemas.Answer[schemas.MarketRow]:
        """Return one page of coins by capitalisation, or the coins ``ids`` (at most 250, unknown left out).

        Ranks move between two pages: a coin may come twice or not at all.
        """
        if not 1 <= per_page <= MAX_PER_PAGE or page < 1:
            raise BadParameter(f"per_page must be 1 to {MAX_PER_PAGE} and page at least 1.")
        params = {
            "vs_currency": vs_currency,
            "order": "market_cap_desc",
            "per_page": str(per_page),
            "page": str(page),
            "sparkline": "true" if sparkline else "false",
            "price_change_percentage": "1h,24h,7d",
            "precision": "full",
        }
        if ids is not None:
            params["ids"] = _joined(ids)
        return self._ask("/coins/markets", params, lambda body: schemas.parse_markets(body, now=self._now()))

    def coin(self, id: str) -> schemas.CoinDetail:
        """Return one coin with its description and links."""
        flags = ("localization", "tickers", "community_data", "developer_data")
        params = {"market_data": "true", **dict.fromkeys(flags, "false")}
        return self._ask(f"/coins/{_path_id(id)}", params, lambda body: schemas.parse_coin(body, now=self._now()))

    def market_chart(
        self, id: str, *, days: int, interval: Literal["daily", "hourly"] | None = None
    ) -> schemas.MarketChart:
        """Return the last ``days`` days in US dollars: 5-minute points of 1 day, hourly to 90, daily beyond.

        ``interval`` is dropped if the plan does not allow it: then the points are as fine as for None.
        """
        if days < 1:
            raise BadParameter("days must be at least 1.")
        path = f"/coins/{_path_id(id)}/market_chart"
        params = {"vs_currency": "usd", "days": str(days), "precision": "full"}
        if interval is not None:
            try:
                return self._chart(path, {**params, "interval": interval})
            except PlanProblem as error:
                if error.concerns_every_call:
                    raise
        return self._chart(path, params)

    def market_chart_range(self, id: str, *, start: datetime, end: datetime) -> schemas.MarketChart:
        """Return the points between two aware datetimes, in US dollars."""
        if start.tzinfo is None or end.tzinfo is None or start >= end:
            raise BadParameter("start and end must be aware datetimes, start before end.")
        params = {
            "vs_currency": "usd",
            "from": str(int(start.timestamp())),
            "to": str(int(end.timestamp())),
            "precision": "full",
        }
        return self._chart(f"/coins/{_path_id(id)}/market_chart/range", params)

    def ohlc(self, id: str, days: int) -> schemas.Answer[schemas.Candle]:
        """Return candles in US dollars: of 30 minutes for 1 day, 4 hours to 30 days, 4 days beyond."""
        if days not in OHLC_DAYS:
            raise BadParameter(f"days must be one of {', '.join(map(str, sorted(OHLC_DAYS)))}.")
        params = {"vs_currency": "usd", "days": str(days), "precision": "full"}
        path = f"/coins/{_path_id(id)}/ohlc"
        return self._ask(path, params, lambda body: schemas.parse_ohlc(body, now=self._now()))

    def simple_price(self, ids: Sequence[str]) -> schemas.Answer[schemas.SimplePrice]:
        """Return the US dollar prices of at most 250 coins; unknown ids are left out."""
        params = {
            "ids": _joined(ids),
            "vs_currencies": "usd",
            "include_market_cap": "true",
            "include_24hr_vol": "true",
            "include_24hr_change": "true",
            "include_last_updated_at": "true",
            "precision": "full",
        }
        return self._ask("/simple/price", params, lambda body: schemas.parse_simple_price(body, now=self._now()))

    def search(self, query: str) -> schemas.Answer[schemas.SearchHit]:
        """Return the coins whose name or symbol matches, best first."""
        if not query.strip():
            raise BadParameter("query must not be empty.")
        return self._ask("/search", {"query": query}, schemas.parse_search)

    def global_data(self) -> schemas.GlobalData:
        """Return figures of the whole market."""
        return self._ask("/global", {}, lambda body: schemas.parse_global(body, now=self._now()))

    def open_state(self) -> None:
        """Let the limiter's shared state come into being, if there is none. Raises StateUnavailable."""
        self._limiter.usage()

    def credits_spent(self) -> int:
        """Return the calls charged in the current UTC month. Raises StateUnavailable."""
        return self._budget.spent()

    def reset_breaker(self) -> None:
        """Close the breaker for all processes. Raises StateUnavailable."""
        self._breaker.reset()

    def status(self) -> dict[str, Any]:
        """Return the state of limiter, budget and breaker, ready for JSON. Raises StateUnavailable."""
        used, held_seconds = self._limiter.usage()
        breaker = self._breaker.snapshot()
        error = breaker["last_error"]
        return {
            "limiter": {
                "used": used,
                "limit": self._calls_per_minute,
                "held_seconds": round(held_seconds, 3),
            },
            "budget": {"spent": self._budget.spent(), "monthly_credits": self._monthly_credits},
            "breaker": {
                "state": breaker["state"],
                "failures": breaker["failures"],
                "open_until": _iso(breaker["open_until"]) if breaker["is_open"] else None,
            },
            "last_success_at": _iso(breaker["last_success_at"]),
            "last_error": None if error is None else {**error, "at": _iso(error["at"])},
        }

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _chart(self, path: str, params: Mapping[str, str]) -> schemas.MarketChart:
        return self._ask(path, params, lambda body: schemas.parse_market_chart(body, now=self._now()))

    def _ask(self, path: str, params: Mapping[str, str], parse: Callable[[Any], T]) -> T:
        patience = Patience(
            deadline_seconds=self._deadline_seconds,
            max_wait_seconds=self._max_wait_seconds,
            clock=self._clock,
        )
        return call_with_retries(
            lambda: self._try(path, params, parse, patience),
            policy=self._policy,
            patience=patience,
            sleep=self._sleep,
        )

    def _try(self, path: str, params: Mapping[str, str], parse: Callable[[Any], T], patience: Patience) -> T:
        """Make one try; in any case the breaker's permit is settled and the limiter's place stamped."""
        permit = self._breaker.admit()
        try:
            call_id = self._reserve(patience)
            try:
                body = self._transport.get(path, params, deadline_seconds=patience.work_left_seconds())
                answer = parse(body)
            except RateLimited as error:
                self._limiter.hold_until(self._clock() + error.retry_after_seconds)
                raise
            finally:
                self._limiter.finish(call_id)
        except CoinGeckoError as error:
            self._settle(permit, error)
            raise
        except BaseException:
            self._breaker.release(permit)
            raise
        self._breaker.record_success(permit)
        return answer

    def _reserve(self, patience: Patience) -> str:
        """Charge a credit and wait for a free place in the window."""
        self._budget.spend()
        try:
            return self._limiter.acquire(patience)
        except BaseException:
            self._budget.refund()
            raise

    def _settle(self, permit: Permit, error: CoinGeckoError) -> None:
        if error.is_upstream_failure or (isinstance(error, PlanProblem) and error.concerns_every_call):
            self._breaker.record_failure(permit, error)
        elif error.status is not None:
            self._breaker.record_success(permit)
        else:
            self._breaker.release(permit)


def _greeting(document: Any) -> str:
    greeting = document.get("gecko_says") if isinstance(document, dict) else None
    if not isinstance(greeting, str):
        raise BadAnswer("The ping was answered without a greeting.", status=200)
    return greeting


def _path_id(id: str) -> str:
    try:
        return quote(coin_id(id), safe="")
    except Unsound as reason:
        raise BadParameter(f"{id!r:.60} is {reason}.") from None


def _joined(ids: Sequence[str]) -> str:
    if not 1 <= len(ids) <= MAX_IDS:
        raise BadParameter(f"There must be 1 to {MAX_IDS} ids.")
    for id in ids:
        _path_id(id)
        if "," in id:
            raise BadParameter(f"{id!r:.60} is not a coin id.")
    return ",".join(ids)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
