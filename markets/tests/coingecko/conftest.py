"""Fixtures: a fake clock, both kinds of shared state, a scripted server, the recordings."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from markets.coingecko.state import DiskState, RedisState, SharedState

SHARED = Path(os.environ.get("CRYPTOPREDICT_SHARED", Path(__file__).resolve().parents[3] / ".." / "shared")).resolve()


class FakeClock:
    """Seconds since the epoch that pass only when somebody sleeps."""

    def __init__(self, at: float = 1_790_000_000.0) -> None:
        self.at = at
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@dataclass
class Store:
    """One store: ``open`` gives the view of another process, ``wipe`` empties it behind everybody's back."""

    open: Callable[[], SharedState]
    wipe: Callable[[], None]


@pytest.fixture(params=["disk", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    if request.param == "disk":
        folder = tmp_path / "state"
        path = folder / "coingecko.sqlite3"
        yield Store(lambda: DiskState(path, clock=clock), lambda: shutil.rmtree(folder))
        return
    url = request.getfixturevalue("redis_url")
    prefix = f"test-{uuid.uuid4().hex}:"
    client = redis.Redis.from_url(url)

    def wipe() -> None:
        for key in client.scan_iter(prefix + "*"):
            client.delete(key)

    yield Store(lambda: RedisState.from_url(url, prefix=prefix, clock=clock), wipe)
    wipe()


@pytest.fixture
def disk_state(tmp_path: Path, clock: FakeClock) -> DiskState:
    return DiskState(tmp_path / "coingecko.sqlite3", clock=clock)


@dataclass(frozen=True)
class Request:
    """A request as the server received it."""

    at: float
    path: str
    headers: dict[str, str]


Reply = Callable[[BaseHTTPRequestHandler], None]


def reply(
    body: Any,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Reply:
    """Return a reply with a body (bytes as they are, all else as JSON)."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(raw)

    return send


@dataclass
class ScriptedServer:
    """A loopback server that plays ``replies`` in turn, the last one for ever, and logs every request."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(Request(time.time(), handler.path, {k.lower(): v for k, v in handler.headers.items()}))
        play = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        play(handler)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                scripted.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    scripted = ScriptedServer(f"http://127.0.0.1:{listening.server_port}/api/v3")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield scripted
    scripted.closing.set()
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def recorded() -> Callable[[str], Any]:
    """Read a recording; only for tests that are marked ``shared``."""

    def read(name: str) -> Any:
        path = SHARED / "coingecko" / name
        if not path.exists():
            pytest.fail(f"No shared recordings at {SHARED}: set CRYPTOPREDICT_SHARED or use -m 'not shared'.")
        text = path.read_text()
        return json.loads(text.split("\n", 3)[3] if name.endswith(".txt") else text)

    return read
