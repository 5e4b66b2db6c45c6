"""Readers of single JSON fields: each returns a sound value or says why there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

T = TypeVar("T")

MAX_PRICE = 1e12
"""No coin costs a trillion dollars; a larger number is a fault of the source."""
PLAIN_LOW, PLAIN_HIGH = 1e-300, MAX_PRICE
"""A float between these is a sound number, amount, capitalisation and price, with no further question."""
FUTURE_TOLERANCE = timedelta(minutes=5)
FIRST_DAY = datetime(2009, 1, 3, tzinfo=UTC)
"""The first Bitcoin block; earlier stamps are a wrong unit or rubbish."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell one, a database cannot store it
_COIN_ID = re.compile(r"[^\s/?#%\\\x00-\x1f\x7f\ud800-\udfff]{1,200}")


@dataclass(frozen=True)
class Rejected:
    """One piece of an answer that was not taken: why, and which (such as ``bitcoin.total_volume``)."""

    reason: str
    what: str


@dataclass(frozen=True)
class Answer(Generic[T]):
    """The sound rows of an answer and what was rejected of it."""

    rows: tuple[T, ...]
    rejected: tuple[Rejected, ...]


class Unsound(ValueError):
    """A value that must not be taken; the message is the reason."""


def number(value: Any) -> float | None:
    """Return a finite float, or None for null. Raises Unsound for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unsound("not a number")
    try:
        as_float = float(value)
    except OverflowError:
        raise Unsound("not a finite number") from None
    if not math.isfinite(as_float):
        raise Unsound("not a finite number")
    return as_float


def amount(value: Any) -> float | None:
    """Return a number that is not negative, or None for null."""
    read = number(value)
    if read is not None and read < 0:
        raise Unsound("negative")
    return read


def capitalisation(value: Any) -> float | None:
    """Return a positive number; CoinGecko writes 0 for a capitalisation that it does not know."""
    return amount(value) or None


def price(value: Any) -> float | None:
    """Return a price in 0 < price ≤ ``MAX_PRICE``, or None for null."""
    read = amount(value)
    if read == 0:
        raise Unsound("zero price")
    if read is not None and read > MAX_PRICE:
        raise Unsound("absurd price")
    return read


def are_prices(values: list[Any]) -> bool:
    """Whether all of these are sound prices, found out without looking at them one by one in Python."""
    if not values or not set(map(type, values)) <= {float, int}:
        return False
    return min(values) > 0 and max(values) <= MAX_PRICE and math.isfinite(sum(values))  # the sum tells NaN


def required_price(value: Any) -> float:
    read = price(value)
    if read is None:
        raise Unsound("no price")
    return read


def rank(value: Any) -> int | None:
    """Return a whole number from 1, or None for null."""
    read = number(value)
    if read is None:
        return None
    if read < 1 or read != int(read):
        raise Unsound("not a rank")
    return int(read)


def count(value: Any) -> int | None:
    read = amount(value)
    return None if read is None else int(read)


def text(value: Any, *, longest: int = 300) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise Unsound("empty or not a text")
    if len(value) > longest or "\x00" in value:
        raise Unsound("too long or with a null character")
    if not value.isascii() and _LONE_SURROGATE.search(value):
        raise Unsound("half a character")
    return value.strip()


def coin_id(value: Any) -> str:
    """Return an id that can stand in a path."""
    if not isinstance(value, str) or not _COIN_ID.fullmatch(value) or value in (".", ".."):
        raise Unsound("not a coin id")
    return value


def address(value: Any) -> str:
    """Return an http(s) address, or "" for what is none: a coin without a picture is still a coin."""
    is_address = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= 500
    return value if is_address else ""


def iso_time(value: Any, *, now: datetime) -> datetime | None:
    """Return the UTC datetime of an ISO stamp, or None for null; stamps from the future are unsound."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unsound("not a time")
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not UTC:
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unsound("not a time") from None
    return _in_range(at, now)


def unix_time(value: Any, *, now: datetime, per_second: int = 1) -> datetime:
    """Return the UTC datetime of a count of seconds (or, with ``per_second=1000``, of milliseconds)."""
    read = number(value)
    if read is None:
        raise Unsound("not a time")
    try:
        at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=read * 1000 / per_second)
    except OverflowError:
        raise Unsound("not a time") from None
    return _in_range(at, now)


def _in_range(at: datetime, now: datetime) -> datetime:
    if at > now + FUTURE_TOLERANCE:
        raise Unsound("from the future")
    if at < FIRST_DAY:
        raise Unsound("before 2009")
    return at


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unsound("not an object")
    return value
