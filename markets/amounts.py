"""Amounts as text: prices that keep their significant digits, and large amounts made short."""

import math
from decimal import Decimal
from typing import Any

UNKNOWN = "—"
MINUS = "\u2212"
COMPACT = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))
SIGNIFICANT_DIGITS = 4
SCIENTIFIC_BELOW = 1e-12

Number = int | float | Decimal


def finite(value: Any) -> float | None:
    """A finite float, or None for what is unknown; TypeError for what is no number."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(f"{value!r} is not a number")
    number = float(value)
    return number if math.isfinite(number) else None


def signed(number: float, text: str) -> str:
    """The text with a minus sign before it when the number is negative."""
    return f"{MINUS}{text}" if number < 0 else text


def price_text(value: Number | None) -> str:
    """A price in US dollars; below one dollar it keeps four significant digits."""
    number = finite(value)
    if number is None:
        return UNKNOWN
    size = abs(number)
    if size >= 1 or size == 0:
        return signed(number, f"${size:,.2f}")
    if size < SCIENTIFIC_BELOW:
        return signed(number, f"${size:.{SIGNIFICANT_DIGITS - 1}e}")
    decimals = SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(size))
    return signed(number, f"${size:.{decimals}f}")


def compact_text(value: Number | None) -> str:
    """A large amount in US dollars with three significant digits: $1.23T."""
    number = finite(value)
    if number is None:
        return UNKNOWN
    size = abs(number)
    for i, (unit, letter) in enumerate(COMPACT):
        if size >= unit:
            scaled = size / unit
            decimals = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            if round(scaled, decimals) >= 1000 and i > 0:
                return signed(number, f"$1.00{COMPACT[i - 1][1]}")
            return signed(number, f"${scaled:,.{decimals}f}{letter}")
    return price_text(value)
