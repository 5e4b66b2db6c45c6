"""Spoils the JSON of an answer in the ways that real answers have been seen spoilt."""

import copy
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

STALE_DAYS = 3
STALE_MILLISECONDS = STALE_DAYS * 86_400_000
CHART_COLUMNS = ("prices", "market_caps", "total_volumes")
PRICE_FIELDS = ("current_price", "market_cap", "total_volume")
DROPPED_FIELDS = ("current_price", "last_updated", "symbol")
ABSURD = float("inf")  # written as 1e400, which JSON allows and no double can hold


def corrupt(kind: str, payload: Any) -> Any:
    """Return a spoilt copy of `payload`: rows of a table, columns of a chart, or a map of prices."""
    spoilt = copy.deepcopy(payload)
    match kind:
        case "missing_fields":
            return _without_fields(spoilt)
        case "extra_fields":
            return _with_extra_fields(spoilt)
        case "duplicate_rows":
            return _with_duplicates(spoilt)
        case "stale_rows":
            return _staled(spoilt)
        case "nan":
            return _with_numbers(spoilt, lambda value: float("nan"))
        case "negative":
            return _with_numbers(spoilt, lambda value: -abs(value) - 1.0)
        case "absurd":
            return _with_numbers(spoilt, lambda value: ABSURD)
    raise ValueError(f"{kind} does not spoil a payload")


def _is_rows(payload: Any) -> bool:
    return isinstance(payload, list) and bool(payload) and isinstance(payload[0], dict)


def _is_chart(payload: Any) -> bool:
    return isinstance(payload, dict) and "prices" in payload


def _without_fields(payload: Any) -> Any:
    """Drop fields from every second row, the volumes of a chart, or the first field of each inner map."""
    if _is_rows(payload):
        for row in payload[::2]:
            for name in DROPPED_FIELDS:
                row.pop(name, None)
    elif _is_chart(payload):
        payload.pop("total_volumes", None)
    elif isinstance(payload, dict):
        for name, inner in list(payload.items()):
            if isinstance(inner, dict) and inner:
                inner.pop(next(iter(inner)))
            elif not isinstance(inner, dict | list):
                payload.pop(name)
    return payload


def _with_extra_fields(payload: Any) -> Any:
    extra = {"an_unannounced_field": {"nested": [1, None, "text"]}}
    if _is_rows(payload):
        return [{**row, **extra} for row in payload]
    return {**payload, **extra} if isinstance(payload, dict) else payload


def _with_duplicates(payload: Any) -> Any:
    """Repeat the first half of the rows, or of each column of a chart."""
    if isinstance(payload, list):
        return payload + copy.deepcopy(payload[: (len(payload) + 1) // 2])
    if _is_chart(payload):
        return {name: _with_duplicates(column) for name, column in payload.items()}
    return payload


def _staled(payload: Any) -> Any:
    """Move every stamp three days back."""
    if _is_rows(payload):
        for row in payload:
            if "last_updated" in row:
                moment = datetime.fromisoformat(row["last_updated"]) - timedelta(days=STALE_DAYS)
                row["last_updated"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    elif isinstance(payload, list):
        for point in payload:
            point[0] -= STALE_MILLISECONDS
    elif _is_chart(payload):
        for name in CHART_COLUMNS:
            _staled(payload[name])
    elif isinstance(payload, dict):
        for inner in payload.values():
            if isinstance(inner, dict) and "last_updated_at" in inner:
                inner["last_updated_at"] -= STALE_DAYS * 86_400
    return payload


def _with_numbers(payload: Any, spoil: Callable[[float], float]) -> Any:
    """Replace the numbers of every second row or point, and every number of a map of prices."""
    if _is_rows(payload):
        for row in payload[::2]:
            for name in PRICE_FIELDS:
                if isinstance(row.get(name), int | float):
                    row[name] = spoil(row[name])
    elif isinstance(payload, list):
        for point in payload[::2]:
            point[1:] = [spoil(value) if isinstance(value, int | float) else value for value in point[1:]]
    elif _is_chart(payload):
        for name in CHART_COLUMNS:
            _with_numbers(payload[name], spoil)
    elif isinstance(payload, dict):
        for name, inner in payload.items():
            if isinstance(inner, dict):
                _with_numbers(inner, spoil)
            elif isinstance(inner, int | float) and not isinstance(inner, bool):
                payload[name] = spoil(inner)
    return payload
