"""Reads query parameters; what the service refuses is refused here with its status and body."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from markets.sample import errors

Parameters = Mapping[str, str]

HISTORY_LIMIT_DAYS = 365
EPOCH = date(1970, 1, 1)


def required(parameters: Parameters, name: str) -> str:
    """Return a parameter; ApiError 422 when it is missing or empty."""
    value = parameters.get(name, "")
    if not value:
        raise errors.missing_parameter(name)
    return value


def listed(parameters: Parameters, name: str) -> list[str]:
    """Return the comma-separated values of a parameter, empty ones left out."""
    return [part.strip() for part in parameters.get(name, "").split(",") if part.strip()]


def flag(parameters: Parameters, name: str, default: bool) -> bool:
    """Return a true/false parameter; ApiError 400 for anything else."""
    value = parameters.get(name)
    if value is None:
        return default
    if value.lower() not in {"true", "false"}:
        raise errors.plain(400, f"invalid {name}")
    return value.lower() == "true"


def positive(parameters: Parameters, name: str, default: int) -> int:
    """Return a whole number of 1 or more; ApiError 400 for anything else."""
    value = parameters.get(name)
    if value is None:
        return default
    if not re.fullmatch(r"\d{1,9}", value) or int(value) < 1:
        raise errors.plain(400, f"invalid {name}")
    return int(value)


def days_back(parameters: Parameters, now: float) -> float:
    """Return the `days` of a chart; 401/10012 for `max` and for more than 365."""
    value = required(parameters, "days")
    if value == "max":
        raise errors.history_too_long(now)
    try:
        days = float(value)
    except ValueError:
        raise errors.plain(400, "invalid days parameter") from None
    if not math.isfinite(days) or days <= 0.0:
        raise errors.plain(400, "invalid days parameter")
    if days > HISTORY_LIMIT_DAYS:
        raise errors.history_too_long(now)
    return days


def instant(parameters: Parameters, name: str) -> float:
    """Return a UNIX time in seconds from a number or an ISO date-time (UTC unless it says otherwise)."""
    value = required(parameters, name)
    if re.fullmatch(r"-?\d{1,11}(\.\d+)?", value):
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise errors.plain(400, f"invalid {name} parameter") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def snapshot_day(parameters: Parameters, now: float) -> int:
    """Return the day number of `date` (dd-mm-yyyy or ISO); 401/10012 when it is more than 365 days back."""
    value = required(parameters, "date")
    match = re.fullmatch(r"(\d{2})-(\d{2})-(\d{4})", value)
    text = f"{match[3]}-{match[2]}-{match[1]}" if match else value
    try:
        day = (date.fromisoformat(text) - EPOCH).days
    except ValueError:
        raise errors.plain(400, "invalid date parameter") from None
    if now // 86_400 - day > HISTORY_LIMIT_DAYS:
        raise errors.history_too_long(now)
    return day
