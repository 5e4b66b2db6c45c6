"""What can go wrong when CoinGecko is asked, and how an answer that is not a 200 is classified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MAX_HOLD_SECONDS = 3600.0
"""No single answer may silence every worker for longer than this."""

_MAX_MESSAGE_CHARACTERS = 300
_KEY_CODES = frozenset({10002, 10010, 10011})
_REQUEST_CODES = frozenset({10005, 10012})
_REQUEST_PHRASES = ("exclusive to paid plan", "limited to pro api", "allowed time range", "interval=")
_RETRYABLE_4XX = frozenset({408, 425})


class CoinGeckoError(Exception):
    """Anything that kept a CoinGecko call from giving a usable answer.

    ::

        CoinGeckoError
        ├── UpstreamUnavailable   time-out, broken connection, 408, 425, 5xx: may pass, is retried
        ├── RateLimited           429, or no token of our own limiter within the allowed wait
        ├── BreakerOpen           not sent: the breaker is open in all processes
        ├── BudgetExhausted       not sent: the month's credits are used up
        ├── StateUnavailable      not sent: the shared limiter, breaker and budget cannot be reached
        ├── BadAnswer             HTML, truncated JSON, a wrong shape, too large, a redirect
        └── RequestRefused        the request itself was refused; sending it again changes nothing
            ├── PlanProblem       401, 403, and a key for the other host (10010, 10011)
            ├── NotFound          404
            └── BadParameter      400, 422, or refused here before it was sent

    ``status`` is the HTTP status (None if there was no answer), ``error_code`` CoinGecko's own number.
    """

    is_retryable = False
    is_upstream_failure = False
    """True if the breaker must count it."""

    def __init__(self, message: str, *, status: int | None = None, error_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.error_code = error_code


class UpstreamUnavailable(CoinGeckoError):
    """CoinGecko did not answer, or answered that it cannot serve anybody now."""

    is_retryable = True
    is_upstream_failure = True


class RateLimited(CoinGeckoError):
    """Too many calls: said by CoinGecko (``status`` 429) or by our own limiter (``status`` None)."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float,
        status: int | None = None,
        error_code: int | None = None,
    ) -> None:
        super().__init__(message, status=status, error_code=error_code)
        self.retry_after_seconds = retry_after_seconds
        # Our own limiter's refusal means that the caller's patience is already used up.
        self.is_retryable = status is not None
        self.is_upstream_failure = status is not None


class BreakerOpen(CoinGeckoError):
    """The call was not sent, because CoinGecko failed several times in a row."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BudgetExhausted(CoinGeckoError):
    """The call was not sent, because the month's credits are used up."""

    def __init__(self, message: str, *, resets_at: datetime) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class StateUnavailable(CoinGeckoError):
    """The call was not sent: without the shared state nobody can know whether it is allowed."""


class BadAnswer(CoinGeckoError):
    """An answer came and cannot be used."""

    is_upstream_failure = True

    def __init__(self, message: str, *, status: int | None = None, is_retryable: bool = False) -> None:
        super().__init__(message, status=status)
        # A wrong shape comes back the same, and each 200 costs a credit; a cut-off body may be whole then.
        self.is_retryable = is_retryable


class RequestRefused(CoinGeckoError):
    """CoinGecko understood the request and refuses it."""


class PlanProblem(RequestRefused):
    """The key or the plan does not allow the request."""

    @property
    def concerns_every_call(self) -> bool:
        """False if only this endpoint or range is beyond the plan; True if the key or address is refused."""
        if self.error_code in _KEY_CODES or self.status == 403:
            return True
        if self.error_code in _REQUEST_CODES:
            return False
        return not any(phrase in self.message.lower() for phrase in _REQUEST_PHRASES)


class NotFound(RequestRefused):
    """The coin or the path does not exist (any more)."""


class BadParameter(RequestRefused):
    """A parameter is missing or has a value that CoinGecko does not take."""


def error_from_answer(status: int, body: bytes, headers: Mapping[str, str], *, now: float) -> CoinGeckoError:
    """Return the error that an answer with a status other than 200 stands for.

    ``headers`` must find names in any case; ``now`` is in seconds since the epoch.
    """
    error_code, message = _read_body(body)
    message = message or f"CoinGecko answered with HTTP {status}."
    if status == 429:
        wait = retry_after_seconds(headers, now=now)
        return RateLimited(message, retry_after_seconds=wait, status=status, error_code=error_code)
    if status >= 500 or status in _RETRYABLE_4XX:
        return UpstreamUnavailable(message, status=status, error_code=error_code)
    if status < 400:
        return BadAnswer(f"CoinGecko answered with HTTP {status}, which is not expected here.", status=status)
    return _refusal_type(status, error_code)(message, status=status, error_code=error_code)


def retry_after_seconds(headers: Mapping[str, str], *, now: float) -> float:
    """Return how long to keep silent after a 429, in seconds: 0 to ``MAX_HOLD_SECONDS``.

    ``Retry-After`` (seconds or HTTP date) wins over ``x-ratelimit-reset``; else the next minute.
    """
    wait = _from_retry_after(headers, now)
    if wait is None:
        wait = _from_reset(headers.get("x-ratelimit-reset", ""), now)
    if wait is None:
        wait = 60.0 - now % 60.0
    return min(max(wait, 0.0), MAX_HOLD_SECONDS)


def _refusal_type(status: int, error_code: int | None) -> type[RequestRefused]:
    if status in (401, 403) or error_code in _KEY_CODES:
        return PlanProblem
    if status == 404:
        return NotFound
    if status in (400, 422):
        return BadParameter
    return RequestRefused


def _read_body(body: bytes) -> tuple[int | None, str]:
    """Return (error_code, message) from any of the four JSON shapes, or from short plain text."""
    text = body.decode("utf-8", errors="replace").strip()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        is_markup = text.startswith("<")
        return None, "" if is_markup else _shorten(text)
    code, message = _dig(document)
    return code, _shorten(message)


def _dig(node: Any) -> tuple[int | None, str]:
    """Look for ``error_code`` and a message at this level, then inside ``error`` and ``status``."""
    if isinstance(node, str):
        return None, node
    if not isinstance(node, dict):
        return None, ""
    raw_code = node.get("error_code")
    code = raw_code if isinstance(raw_code, int) and not isinstance(raw_code, bool) else None
    raw_message = node.get("error_message")
    message = raw_message if isinstance(raw_message, str) else ""
    for name in ("error", "status"):
        inner_code, inner_message = _dig(node.get(name))
        code = inner_code if code is None else code
        message = message or inner_message
    return code, message


def _shorten(text: str) -> str:
    return " ".join(text.split())[:_MAX_MESSAGE_CHARACTERS]


def _from_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    at = _http_date(value)
    if at is None:
        return None
    # Counted from the server's own clock when it tells it: ours may be off by more than the wait.
    sent_at = _http_date(headers.get("date", ""))
    return at - (now if sent_at is None else sent_at)


def _http_date(value: str) -> float | None:
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _from_reset(value: str, now: float) -> float | None:
    try:
        return datetime.strptime(value.strip(), "%Y-%m-%d %H:%M:%S %z").timestamp() - now
    except ValueError:
        return None
