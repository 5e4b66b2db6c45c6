"""One request under faults of the network and of the server, on loopback."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler

import pytest

from markets.coingecko.errors import BadAnswer, CoinGeckoError, NotFound, RateLimited, UpstreamUnavailable
from markets.coingecko.transport import Transport

from .conftest import FakeClock, Reply, ScriptedServer, reply


def transport(url: str, *, key: str = "", timeout: float = 2.0, max_bytes: int = 20_000_000) -> Transport:
    return Transport(
        base_url=url,
        api_key=key,
        user_agent="CryptoPredict/test",
        timeout_seconds=timeout,
        clock=FakeClock(),
        max_answer_bytes=max_bytes,
    )


def drip(server: ScriptedServer, first: bytes) -> Reply:
    """Send ``first`` and then a byte every 20 ms, for three seconds."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(first)
        for _ in range(150):
            if server.closing.wait(0.02):
                return
            handler.wfile.write(b"1")

    return send


def test_it_sends_the_user_agent_and_the_demo_key_in_a_header_only(server: ScriptedServer) -> None:
    server.replies = [reply({"a": 1})]
    assert transport(server.url, key="CG-secret").get("/ping", {"q": "x y"}, deadline_seconds=5) == {"a": 1}
    (request,) = server.requests
    assert request.path == "/api/v3/ping?q=x+y"
    assert request.headers["user-agent"] == "CryptoPredict/test"
    assert request.headers["x-cg-demo-api-key"] == "CG-secret"
    assert "x-cg-pro-api-key" not in request.headers


def test_it_sends_no_key_header_without_a_key(server: ScriptedServer) -> None:
    server.replies = [reply([])]
    transport(server.url).get("/ping", {}, deadline_seconds=5)
    assert not [name for name in server.requests[0].headers if name.startswith("x-cg")]


def test_it_chooses_the_pro_header_by_the_host() -> None:
    headers = transport("https://pro-api.coingecko.com/api/v3", key="CG-secret")._headers
    assert headers["x-cg-pro-api-key"] == "CG-secret"
    assert "x-cg-demo-api-key" not in headers


def test_it_never_tells_the_key_in_an_error() -> None:
    with pytest.raises(UpstreamUnavailable) as caught:
        transport("http://127.0.0.1:1/api", key="CG-secret").get("/ping", {"q": "private"}, deadline_seconds=2)
    assert "CG-secret" not in str(caught.value)
    assert "private" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"<html>welcome</html>", "text/html", "web page"),
        (b" <!doctype html>", "application/json", "web page"),
        (b'[{"id": "bit', "application/json", "broken JSON"),
        (b"", "application/json", "broken JSON"),
        (b"[" * 200_000, "application/json", "broken JSON"),
        (b'{"a": "\xff"}', "application/json", "broken JSON"),
        (b"[" + b"9" * 5000 + b"]", "application/json", "broken JSON"),
    ],
)
def test_it_refuses_a_200_that_holds_no_json(
    server: ScriptedServer, body: bytes, content_type: str, words: str
) -> None:
    server.replies = [reply(body, content_type=content_type)]
    with pytest.raises(BadAnswer, match=words) as caught:
        transport(server.url).get("/ping", {}, deadline_seconds=5)
    assert caught.value.is_retryable


def test_it_raises_what_the_status_stands_for(server: ScriptedServer) -> None:
    server.replies = [
        reply({"error": "coin not found"}, 404),
        reply(b"Throttled", 429, "text/plain", {"Retry-After": "7"}),
        reply(b"<html></html>", 502, "text/html"),
        reply(b"", 301, headers={"Location": "/elsewhere"}),
    ]
    caught: list[CoinGeckoError] = []
    for _ in range(4):
        with pytest.raises(CoinGeckoError) as one:
            transport(server.url).get("/coins/x", {}, deadline_seconds=5)
        caught.append(one.value)
    assert [type(error) for error in caught] == [NotFound, RateLimited, UpstreamUnavailable, BadAnswer]
    assert isinstance(caught[1], RateLimited)
    assert caught[1].retry_after_seconds == 7
    assert len(server.requests) == 4, "a redirect is not followed"


def test_it_gives_up_on_a_server_that_never_answers(server: ScriptedServer) -> None:
    def stay_silent(handler: BaseHTTPRequestHandler) -> None:
        server.closing.wait(10)

    server.replies = [stay_silent]
    started_at = time.monotonic()
    with pytest.raises(UpstreamUnavailable, match="ReadTimeout"):
        transport(server.url, timeout=0.2).get("/ping", {}, deadline_seconds=5)
    assert time.monotonic() - started_at < 2


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["body", "chunk", "header", "endless"],
)
def test_it_cuts_off_an_answer_that_drips(server: ScriptedServer, first: bytes) -> None:
    server.replies = [drip(server, first)]
    started_at = time.monotonic()
    with pytest.raises(UpstreamUnavailable, match="deadline"):
        transport(server.url).get("/ping", {}, deadline_seconds=0.3)
    assert 0.25 < time.monotonic() - started_at < 2


def test_it_can_ask_again_after_an_answer_was_cut_off(server: ScriptedServer) -> None:
    server.replies = [drip(server, b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"), reply({"a": 1})]
    subject = transport(server.url)
    with pytest.raises(UpstreamUnavailable):
        subject.get("/ping", {}, deadline_seconds=0.2)
    assert subject.get("/ping", {}, deadline_seconds=5) == {"a": 1}


def test_it_refuses_an_answer_that_is_too_large(server: ScriptedServer) -> None:
    def undeclared(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"1" * 3000)

    server.replies = [reply(b"1" * 3000), undeclared, reply(b"1" * 2000)]
    subject = transport(server.url, max_bytes=2000)
    for _ in range(2):
        with pytest.raises(BadAnswer, match="larger than 2,000 bytes") as caught:
            subject.get("/coins/list", {}, deadline_seconds=5)
        assert not caught.value.is_retryable
    assert subject.get("/coins/list", {}, deadline_seconds=5) == int("1" * 2000)


def test_it_reports_a_body_that_ends_too_soon(server: ScriptedServer) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"a": 1')

    server.replies = [cut]
    with pytest.raises(UpstreamUnavailable, match="failed"):
        transport(server.url).get("/ping", {}, deadline_seconds=5)


def test_it_does_not_try_again_by_itself(server: ScriptedServer) -> None:
    server.replies = [reply({}, 503, headers={"Retry-After": "0"})]
    with pytest.raises(UpstreamUnavailable):
        transport(server.url).get("/ping", {}, deadline_seconds=5)
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://", "http://u:p@x/api", "http://x/?key=1"])
def test_it_refuses_an_address_it_cannot_ask(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        transport(url)
