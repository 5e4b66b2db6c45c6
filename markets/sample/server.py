"""The HTTP server: admission, faults and answers on loopback, and control endpoints under /_sample/."""

import html
import json
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import orjson

from markets.sample.admission import Allowance, check_identity
from markets.sample.corruption import corrupt
from markets.sample.endpoints import Endpoints
from markets.sample.errors import ApiError
from markets.sample.faults import CORRUPTIONS, REFUSALS, Fault, FaultError, Faults, refuse
from markets.sample.journal import Journal
from markets.sample.market import Market

HOST = "127.0.0.1"
BASE_PATH = "/api/v3"
CONTROL_PATH = "/_sample/"
LARGEST_CONTROL_BODY = 65_536
DRIP_PIECES = 20
POLL_SECONDS = 0.02  # how soon a stop is noticed
JSON_TYPE, HTML_TYPE = "application/json; charset=utf-8", "text/html; charset=UTF-8"


@dataclass(frozen=True)
class Reply:
    """What goes out on the wire; `fault` is one that concerns the delivery."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None


class SampleServer:
    """A CoinGecko-compatible server for one market, on `port` (0: any free one) of the loopback interface or `host`.

    Limits of None do not limit; without `api_key` any demo key, or none, is accepted. `clock` gives
    seconds since 1970 and decides what "now" is in answers, limits and the log.
    """

    def __init__(
        self,
        market: Market,
        *,
        host: str = HOST,
        port: int = 0,
        calls_per_minute: int | None = None,
        monthly_credits: int | None = None,
        api_key: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.market = market
        self.faults = Faults()
        self.journal = Journal()
        self.allowance = Allowance(calls_per_minute=calls_per_minute, monthly_credits=monthly_credits)
        self.stopping = threading.Event()
        self._api_key = api_key
        self._clock = clock
        self._listener = _Listener((host, port), self)
        self._endpoints = Endpoints(market, self._image_url)
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """The scheme, host and port."""
        host, port = self._listener.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def base_url(self) -> str:
        """The URL to give to a client in place of https://api.coingecko.com/api/v3."""
        return self.origin + BASE_PATH

    def start(self) -> Self:
        """Begin to answer, in a thread of its own."""
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": POLL_SECONDS},
            name="sample-server",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop at once: held requests are let go and open connections closed."""
        self.stopping.set()
        if self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
        self._listener.close_connections()
        self._listener.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, path: str, parameters: dict[str, str], headers: Mapping[str, str]) -> Reply:
        """Return the reply to a GET of `path` (base path cut off, header names in lower case); record it."""
        now = self._clock()
        entry = self.journal.open(now, path, parameters)
        fault: Fault | None = None
        try:
            self.allowance.admit(now)
            check_identity(headers, parameters, api_key=self._api_key, now=now)
            fault = self.faults.strike(path)
            entry.fault = fault.kind if fault else None
            if fault is not None and fault.kind == "timeout":
                self.stopping.wait(fault.seconds)
                return Reply(0, b"", fault=fault)
            if fault is not None and fault.kind in REFUSALS:
                raise refuse(fault)
            answer = self._endpoints.answer(path, parameters, now)
            self.allowance.charge(now)
        except ApiError as error:
            entry.status = error.status
            return _refusal(error)
        except Exception:
            entry.status = 500
            raise
        entry.status = 200
        headers_out = {"Cache-Control": "public, max-age=30", **answer.headers}
        return Reply(200, _encoded(answer.payload, fault), headers=headers_out, fault=fault)

    def control(self, method: str, name: str, parameters: Mapping[str, str], body: bytes) -> Reply:
        """Return the reply to a request under /_sample/: faults, log, health and coin pictures."""
        match method, name:
            case "GET", "health":
                return _json(200, {"status": "ok", "source": self.market.source, "coins": len(self.market.coins)})
            case "GET", "log":
                try:
                    since = float(parameters.get("since", "0"))
                except ValueError:
                    return _json(400, {"error": "since must be seconds since 1970"})
                return _json(200, {"requests": self.journal.listed(since)})
            case "GET", "faults":
                return _json(200, {"faults": self.faults.listed()})
            case "DELETE", "faults":
                self.faults.clear()
                return _json(200, {"faults": []})
            case "POST", "faults":
                return self._add_fault(body)
            case "GET", picture if picture.startswith("images/") and picture.endswith(".svg"):
                return Reply(200, _picture(picture[len("images/") : -len(".svg")]), "image/svg+xml")
            case _:
                return _json(404, {"error": "no such control endpoint"})

    def _add_fault(self, body: bytes) -> Reply:
        try:
            fields = json.loads(body)
            if not isinstance(fields, dict):
                raise FaultError("the body must be a JSON object")
            self.faults.add(fields)
        except (FaultError, ValueError) as error:
            return _json(400, {"error": str(error)})
        return _json(201, {"faults": self.faults.listed()})

    def _image_url(self, coin_id: str) -> str:
        return f"{self.origin}{CONTROL_PATH}images/{quote(coin_id, safe='')}.svg"


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sample: SampleServer) -> None:
        self.sample = sample
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def track(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def close_connections(self) -> None:
        """Close what keep-alive holds open, so that nobody is answered after the stop."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "CryptoPredictSample"
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.server.track(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.forget(self.connection)

    def do_GET(self) -> None:
        self._dispatch()

    def do_POST(self) -> None:
        self._dispatch()

    def do_DELETE(self) -> None:
        self._dispatch()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: /_sample/log is the log."""

    def _dispatch(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        parameters = dict(parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LARGEST_CONTROL_BODY))
        sample = self.server.sample
        try:
            if path.startswith(CONTROL_PATH):
                reply = sample.control(self.command, path[len(CONTROL_PATH) :], parameters, body)
            elif self.command == "GET" and path.startswith(BASE_PATH + "/"):
                reply = sample.answer(path[len(BASE_PATH) :].rstrip("/"), parameters, self._lower_headers())
            else:
                reply = _json(404, {"error": f"the API answers GET under {BASE_PATH}"})
        except Exception:
            traceback.print_exc()
            reply = _json(500, {"status": 500, "error": "Internal Server Error"})
        self._deliver(reply)

    def _lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _deliver(self, reply: Reply) -> None:
        kind = reply.fault.kind if reply.fault else None
        if kind == "timeout" or self.server.sample.stopping.is_set():
            self.close_connection = True
            return
        body = reply.body[: len(reply.body) // 2] if kind == "truncated" else reply.body
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.fault is not None and kind == "drip":
            self._drip(body, reply.fault.seconds)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes, seconds: float) -> None:
        size = max(1, -(-len(body) // DRIP_PIECES))
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            self.wfile.flush()
            if self.server.sample.stopping.wait(seconds / DRIP_PIECES):
                self.close_connection = True
                return


def _json(status: int, payload: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, orjson.dumps(payload), headers=headers or {})


def _refusal(error: ApiError) -> Reply:
    if isinstance(error.body, str):
        return Reply(error.status, error.body.encode(), HTML_TYPE, error.headers)
    return _json(error.status, error.body, error.headers)


def _encoded(payload: Any, fault: Fault | None) -> bytes:
    """Return the JSON text; one that a fault has spoilt may hold what no double can: NaN and 1e400."""
    if fault is None or fault.kind not in CORRUPTIONS:
        return orjson.dumps(payload)
    return json.dumps(corrupt(fault.kind, payload)).replace("Infinity", "1e400").encode()


def _picture(coin_id: str) -> bytes:
    """Return a plain badge with the first letters of an id, so that pages need no picture from elsewhere."""
    letters = html.escape(coin_id[:2].upper())
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        '<circle cx="16" cy="16" r="16" fill="#64748b"/>'
        '<text x="16" y="21" font-family="sans-serif" font-size="13" fill="#fff" text-anchor="middle">'
        f"{letters}</text></svg>"
    ).encode()
