"""The record of every request to the API, so that a test can prove rates from the server's side."""

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT_ENTRIES = 100_000


@dataclass
class Entry:
    """One request: when it came (seconds since 1970), and what was answered (None while it is held open)."""

    at: float
    path: str
    query: dict[str, str]
    status: int | None = None
    fault: str | None = None


class Journal:
    """The latest requests in the order in which they came; keys are never kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)

    def open(self, at: float, path: str, query: dict[str, str]) -> Entry:
        """Record a request that has just come, and return its entry to be completed."""
        entry = Entry(at, path, {name: value for name, value in query.items() if not name.endswith("_api_key")})
        with self._lock:
            self._entries.append(entry)
        return entry

    def listed(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Return the entries from `since` (seconds since 1970) on."""
        with self._lock:
            return [asdict(entry) for entry in self._entries if entry.at >= since]
