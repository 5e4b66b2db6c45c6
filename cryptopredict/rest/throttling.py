"""How often one client may call, and how the answer tells it."""

import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import ResponseHeaders
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from cryptopredict.rest import shared
from cryptopredict.rest.errors import unavailable

if TYPE_CHECKING:  # rest_framework.views itself imports this module
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

PERIOD_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
COUNTED = "_counted_anonymously"  # a request's attribute: what its call left, when that was counted before its view
ADDRESS_TRIES_FACTOR = 3  # sign-ins from one address to any accounts, as a multiple of those to one account


def remote_address(request: HttpRequest | Request) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Who asks: REMOTE_ADDR, or what the first of TRUSTED_PROXIES saw."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    proxies = settings.TRUSTED_PROXIES
    if proxies and len(forwarded) >= proxies:
        address = forwarded[-proxies]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def client_address(request: HttpRequest | Request) -> str:
    """The name that a client's calls are counted under; an IPv6 client counts by its /64."""
    parsed = remote_address(request)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or "unknown")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a rate in the window that runs now."""

    limit: int
    remaining: int
    reset_seconds: int
    is_allowed: bool


def read_rate(scope: str) -> tuple[int, int]:
    """The calls and the seconds of a rate such as `120/min`."""
    rate = str(api_settings.DEFAULT_THROTTLE_RATES[scope])
    number, _, period = rate.partition("/")
    try:
        return int(number), PERIOD_SECONDS[period.strip()[0]]
    except (ValueError, KeyError, IndexError):
        raise ImproperlyConfigured(f"The rate of {scope} must look like 120/min, not {rate!r}.") from None


@dataclass(frozen=True, slots=True)
class Window:
    """The running window of a rate, and the counter of one client's calls in it."""

    key: str
    keep_seconds: int
    limit: int
    reset_seconds: int

    def allowance(self, number: int) -> Allowance:
        """What the client's call with this number leaves."""
        return Allowance(self.limit, max(0, self.limit - number), self.reset_seconds, number <= self.limit)


def window_of(scope: str, who: str, *, now: float, factor: int = 1) -> Window:
    calls, window_seconds = read_rate(scope)
    window, elapsed = divmod(now, window_seconds)
    reset_seconds = max(1, int(window_seconds - elapsed + 0.999))
    return Window(f"rate:{scope}:{who}:{int(window)}", window_seconds + 5, calls * factor, reset_seconds)


def use(scope: str, who: str, *, now: float, factor: int = 1) -> Allowance:
    """Counts one call of `who` in the running window; exact among processes."""
    window = window_of(scope, who, now=now, factor=factor)
    return window.allowance(shared.count(window.key, keep_seconds=window.keep_seconds))


class WindowThrottle(BaseThrottle):
    """Allows so many calls in a window, writes the RateLimit headers; allows all while the cache is down."""

    scope: ClassVar[str]
    timer: Callable[[], float] = staticmethod(time.time)
    allowance: Allowance | None = None

    def who(self, request: Request) -> str | None:
        """Whose calls are counted together; None when this throttle does not concern the request."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: "APIView") -> bool:
        who = self.who(request)
        if who is None:
            return True
        try:
            self.allowance = self.count(request, who)
        except shared.CACHE_ERRORS as error:
            logger.warning("Calls are not counted, the cache does not answer: %s", error)
            return True
        write_headers(view.headers, self.allowance)
        return self.allowance.is_allowed

    def count(self, request: Request, who: str) -> Allowance:
        return use(self.scope, who, now=self.timer())

    def wait(self) -> float | None:
        return self.allowance.reset_seconds if self.allowance else None


def write_headers(headers: dict[str, str] | ResponseHeaders, allowance: Allowance) -> None:
    """Shows the tightest of the limits that apply."""
    if "RateLimit-Remaining" in headers and int(headers["RateLimit-Remaining"]) <= allowance.remaining:
        return
    headers["RateLimit-Limit"] = str(allowance.limit)
    headers["RateLimit-Remaining"] = str(allowance.remaining)
    headers["RateLimit-Reset"] = str(allowance.reset_seconds)


class AnonymousThrottle(WindowThrottle):
    """Counts the calls without a user by address."""

    scope = "anonymous"

    def who(self, request: Request) -> str | None:
        return None if request.user.is_authenticated else client_address(request)

    def count(self, request: Request, who: str) -> Allowance:
        """The call may have been counted already, by `count_anonymous`."""
        counted: Allowance | None = getattr(request._request, COUNTED, None)
        return counted or super().count(request, who)


def count_anonymous(request: HttpRequest, *, alias: str, name: str) -> tuple[Allowance, Any]:
    """Counts a call without a user before its view does, in the trip that reads a value of another cache.

    Raises one of `shared.CACHE_ERRORS` when the cache is down; nothing is counted then.
    """
    window = window_of(AnonymousThrottle.scope, client_address(request), now=AnonymousThrottle.timer())
    number, value = shared.count_and_read(window.key, keep_seconds=window.keep_seconds, alias=alias, name=name)
    allowance = window.allowance(number)
    setattr(request, COUNTED, allowance)
    return allowance, value


class UserThrottle(WindowThrottle):
    """Counts a user's calls, wherever they come from."""

    scope = "user"

    def who(self, request: Request) -> str | None:
        return str(request.user.pk) if request.user.is_authenticated else None


class SignInThrottle(WindowThrottle):
    """Counts registrations and password changes by address, strictly; refuses all while the cache is down."""

    scope = "sign-in"

    def allow_request(self, request: Request, view: "APIView") -> bool:
        try:
            self.allowance = count_registration(request, now=self.timer())
        except shared.CACHE_ERRORS as error:
            logger.error("Registrations are refused, the cache does not answer: %s", error)
            raise unavailable() from error
        write_headers(view.headers, self.allowance)
        return self.allowance.is_allowed


def count_registration(request: HttpRequest | Request, *, now: float | None = None) -> Allowance:
    """Counts one registration or password change of an address, for pages and API alike.

    Raises one of `shared.CACHE_ERRORS` when the cache is down: the caller must refuse then.
    """
    moment = time.time() if now is None else now
    return use("sign-in", f"registration:{client_address(request)}", now=moment)


def use_sign_in(
    request: HttpRequest | Request, account: str, *, is_known: bool = False, now: float | None = None
) -> Allowance:
    """Counts one try to sign in, for pages, admin and API alike; to be called before a password is hashed.

    Tries are counted by address alone, by address and account together, and by account from all places that it
    was never used from; a place that is known to the account is not shut out by what others try elsewhere.
    Raises one of `shared.CACHE_ERRORS` when the cache is down: the caller must refuse then.
    """
    moment = time.time() if now is None else now
    address, name = client_address(request), digest(account)
    found = [use("sign-in", address, now=moment, factor=ADDRESS_TRIES_FACTOR)]
    if found[-1].is_allowed:
        found.append(use("sign-in", f"{address}:{name}", now=moment))
    if found[-1].is_allowed and not is_known:
        found.append(use("account", name, now=moment))
    return min(found, key=lambda allowance: (allowance.is_allowed, allowance.remaining))


def use_mail(recipient: str) -> Allowance:
    """Counts one mail that anybody can make the site send to this address."""
    return use("mail", digest(recipient), now=time.time())


def digest(name: str) -> str:
    """A short name of an account for the cache, which then knows no addresses."""
    return sha256(name.strip().lower().encode()).hexdigest()[:32]
