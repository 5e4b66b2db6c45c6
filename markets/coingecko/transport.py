"""One HTTP GET with bounds on everything: connecting, each read, the whole answer, and its size."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .errors import BadAnswer, CoinGeckoError, UpstreamUnavailable, error_from_answer

MAX_ANSWER_BYTES = 20_000_000
PRO_HOST = "pro-api.coingecko.com"
_CHUNK_BYTES = 65_536


class Transport:
    """Sends requests to one base URL; knows nothing of limits and retries.

    The key travels in the one header that its host expects, never in a URL. Redirects are not followed, so it
    cannot be carried to another host.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        user_agent: str,
        timeout_seconds: float,
        clock: Callable[[], float],
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname or address.query or address.username:
            raise ValueError("base_url must be an http or https address without a query or a user name.")
        if not user_agent.strip():
            raise ValueError("user_agent must not be empty: CoinGecko answers 403 without one.")
        self._base_url = base_url.rstrip("/")
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if api_key:
            header = "x-cg-pro-api-key" if address.hostname.lower() == PRO_HOST else "x-cg-demo-api-key"
            self._headers[header] = api_key
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._max_answer_bytes = max_answer_bytes
        self._session: requests.Session | None = None
        self._session_owner = 0

    def get(self, path: str, params: Mapping[str, str], *, deadline_seconds: float) -> Any:
        """Return the JSON document at ``path``, read whole within ``deadline_seconds``.

        Numbers out of range come back as infinities and NaN as nan, for the parsers to reject field by field.
        Raises the CoinGeckoError that the failure stands for.
        """
        if deadline_seconds <= 0:
            raise UpstreamUnavailable("The time for this call was over before it was sent.")
        started_at = time.monotonic()
        try:
            with _Watch(deadline_seconds) as watch:
                response = self._own_session().get(
                    self._base_url + path,
                    params=dict(params),
                    timeout=min(self._timeout_seconds, deadline_seconds),
                    stream=True,
                    allow_redirects=False,
                )
                with response:
                    body = b"".join(self._read(response))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # Only the kind: the text of these errors repeats the address.
            seconds = time.monotonic() - started_at
            cause = "was cut off at its deadline" if watch.is_cut else f"failed ({type(error).__name__})"
            raise UpstreamUnavailable(f"The call to CoinGecko {cause} after {seconds:.1f} s.") from None
        if watch.is_cut:
            raise UpstreamUnavailable("The answer of CoinGecko was cut off at its deadline.")
        if response.status_code != 200:
            raise error_from_answer(response.status_code, body, response.headers, now=self._clock())
        return _decode(body, response.headers.get("content-type", ""))

    def _read(self, response: requests.Response) -> Iterator[bytes]:
        declared = response.headers.get("content-length", "")
        size = int(declared) if declared.isascii() and declared.isdigit() else 0
        if size > self._max_answer_bytes:
            raise _too_large(self._max_answer_bytes, response.status_code)
        size = 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._max_answer_bytes:
                raise _too_large(self._max_answer_bytes, response.status_code)
            yield chunk

    def _own_session(self) -> requests.Session:
        # Sockets must not be shared over a fork.
        if self._session is None or self._session_owner != os.getpid():
            session = requests.Session()
            session.headers.update(self._headers)
            session.mount("http://", _WatchedAdapter(max_retries=0))
            session.mount("https://", _WatchedAdapter(max_retries=0))
            self._session, self._session_owner = session, os.getpid()
        return self._session


def _too_large(limit: int, status: int) -> CoinGeckoError:
    return BadAnswer(f"The answer is larger than {limit:,} bytes.", status=status)


def _decode(body: bytes, content_type: str) -> Any:
    if "html" in content_type.lower() or body.lstrip()[:1] == b"<":
        raise BadAnswer("CoinGecko answered with a web page instead of JSON.", status=200, is_retryable=True)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # perhaps but one NaN or 1e400 in it, which costs a row and not the answer
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(
            f"CoinGecko answered with broken JSON of {len(body):,} bytes ({type(error).__name__}).",
            status=200,
            is_retryable=True,
        ) from None


_current = threading.local()


class _Watch:
    """Shuts the socket of the request under way when its time is over.

    A read time-out starts anew with each byte, so a server that drips bytes would hold a worker for hours.
    """

    def __init__(self, seconds: float) -> None:
        self.is_cut = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(seconds, 0.0), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        _current.watch = self
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        with self._lock:
            # The connection may serve another request from now on.
            self._socket = None
        _current.watch = None

    def attach(self, connected: socket.socket) -> None:
        with self._lock:
            self._socket = connected
            if self.is_cut:
                _shut(connected)

    def _cut(self) -> None:
        with self._lock:
            self.is_cut = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(connected: socket.socket) -> None:
    try:
        # The plain socket's method: SSLSocket's own would pull the TLS layer from under the reading thread.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:
        # Already closed by the other side.
        return


def _attach(connected: Any) -> None:
    watch: _Watch | None = getattr(_current, "watch", None)
    if watch is not None and connected is not None:
        watch.attach(connected)


class _WatchedConnection(HTTPConnection):
    def getresponse(self) -> Any:
        _attach(self.sock)
        return super().getresponse()


class _WatchedTLSConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        _attach(self.sock)
        return super().getresponse()


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLSConnection


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTLSPool}

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTLSPool}
        return manager
