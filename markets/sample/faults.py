"""Faults that can be switched on while the server runs, and what each does to an answer."""

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from markets.sample import errors

REFUSALS = frozenset({"429", "500", "502", "503", "html"})
DELIVERIES = frozenset({"timeout", "drip", "truncated"})
CORRUPTIONS = frozenset({"missing_fields", "extra_fields", "nan", "negative", "absurd", "duplicate_rows", "stale_rows"})
KINDS = REFUSALS | DELIVERIES | CORRUPTIONS
DEFAULT_SECONDS = 30.0


class FaultError(ValueError):
    """A fault that cannot be set; the message says which field is wrong."""


@dataclass
class Fault:
    """One fault.

    It strikes requests whose path contains `path`, each with `probability`, at most `count` times (None:
    until it is removed). `retry_after` goes out as it is with a 429 (None: no such header); `seconds` is
    how long a timeout or a drip lasts.
    """

    kind: str
    path: str = ""
    count: int | None = None
    probability: float = 1.0
    retry_after: str | None = None
    seconds: float = DEFAULT_SECONDS
    hits: int = 0


class Faults:
    """The faults now set; of those that fit a request the one set first strikes."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, fields: Mapping[str, Any]) -> Fault:
        """Set a fault from its fields; FaultError, and nothing set, when one of them is wrong."""
        fault = _fault(fields)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return all faults, spent ones too, with how often each has struck."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def strike(self, path: str) -> Fault | None:
        """Return the fault that strikes a request for `path` and count the hit, None when it is spared."""
        with self._lock:
            for fault in self._faults:
                is_spent = fault.count is not None and fault.hits >= fault.count
                if not is_spent and fault.path in path and self._random.random() < fault.probability:
                    fault.hits += 1
                    return fault
        return None


def _fault(fields: Mapping[str, Any]) -> Fault:
    unknown = fields.keys() - {"kind", "path", "count", "probability", "retry_after", "seconds"}
    if unknown:
        raise FaultError(f"unknown field: {', '.join(sorted(unknown))}")
    kind = str(fields.get("kind", ""))
    if kind not in KINDS:
        raise FaultError(f"kind must be one of {', '.join(sorted(KINDS))}")
    path, count, retry_after = fields.get("path", ""), fields.get("count"), fields.get("retry_after")
    probability, seconds = fields.get("probability", 1.0), fields.get("seconds", DEFAULT_SECONDS)
    if not isinstance(path, str):
        raise FaultError("path must be a string")
    if count is not None and (not _is_number(count) or count != int(count) or count < 1):
        raise FaultError("count must be a whole number of 1 or more")
    if not _is_number(probability) or not 0.0 < probability <= 1.0:
        raise FaultError("probability must be above 0 and at most 1")
    if not _is_number(seconds) or not 0.0 <= seconds <= 3_600.0:
        raise FaultError("seconds must be from 0 to 3600")
    return Fault(
        kind=kind,
        path=path,
        count=None if count is None else int(count),
        probability=float(probability),
        retry_after=None if retry_after is None else str(retry_after),
        seconds=float(seconds),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def refuse(fault: Fault) -> errors.ApiError:
    """Return the answer of a fault that replaces the real one; a string body is sent as HTML."""
    match fault.kind:
        case "429":
            return errors.rate_limited(fault.retry_after)
        case "500":
            return errors.ApiError(500, {"status": 500, "error": "Internal Server Error"})
        case "html":
            return errors.ApiError(200, _page("Just a moment..."))
        case _:
            names = {"502": "Bad gateway", "503": "Service Temporarily Unavailable"}
            return errors.ApiError(int(fault.kind), _page(f"{fault.kind}: {names[fault.kind]}"))


def _page(title: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
