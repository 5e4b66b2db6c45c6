"""How the service writes numbers: significant digits or `precision`, and null for the unknown."""

import math
import re
from datetime import UTC, datetime

from markets.sample import errors

Number = float | int | None


def shown(value: float, digits: int = 6) -> Number:
    """Return `value` with `digits` significant digits, an int when whole, None when it is NaN."""
    if math.isnan(value):
        return None
    if value == 0.0:
        return 0
    rounded = round(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))))
    return int(rounded) if rounded == int(rounded) else rounded


def whole(value: float) -> int | None:
    """Return `value` as a whole number, None when it is NaN."""
    return None if math.isnan(value) else round(value)


def priced(value: float, precision: str | None) -> Number:
    """Return a price under the `precision` parameter; ApiError 400 when that is not `full` or 0 to 18."""
    if precision is None:
        return shown(value)
    check_precision(precision)
    if math.isnan(value):
        return None
    return value if precision == "full" else round(value, int(precision))


def check_precision(precision: str | None) -> None:
    """Raise ApiError 400 unless `precision` is absent, `full` or 0 to 18."""
    if precision not in (None, "full") and not re.fullmatch(r"\d|1[0-8]", precision):
        raise errors.plain(400, "invalid precision")


def change(now: float, before: float) -> float:
    """Return the percentage change, NaN when either price is unknown or the earlier one is 0."""
    return (now / before - 1.0) * 100.0 if before > 0.0 else math.nan


def iso(at: float) -> str:
    """Return an instant as the service writes it: UTC with milliseconds and `Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
