"""The client, the loads and the comparisons that the benchmarks of the API rest on."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.http import Connection, request
from bench.load import Call, Taken, closed_load, open_load, send
from bench.measuring import Result, at_most, rates_of
from bench.p6_list import check_same
from bench.p8_load import none_of
from bench.p10_queries import growing, without_numbers

READ = Call("read", lambda number: request("GET", f"/{number}"))
Answering = Callable[[int], bytes]


def answer(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def server(answering: Answering) -> Iterator[int]:
    """A server that answers the requests of one connection after the other; b"" hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))
    numbers = iter(range(10**6))

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                made = answering(next(numbers))
                if not made:
                    return
                connection.sendall(made)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def test_the_client_writes_requests_and_reads_answers_as_http_has_them() -> None:
    sent = request("POST", "/a", b"{}", {"If-None-Match": '"x"'}).decode()
    assert sent.startswith("POST /a HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert 'If-None-Match: "x"\r\n' in sent
    assert sent.endswith("Content-Length: 2\r\n\r\n{}")
    answers = [answer(b"x" * 300_000, "200 OK", "ETag: abc"), b"HTTP/1.1 304 Not Modified\r\n\r\n"]
    with server(lambda number: answers[number]) as port:
        line = Connection(port)
        first, second = line.send(request("GET", "/")), line.send(request("GET", "/"))
    assert (first.status, len(first.body), first.header("etag")) == (200, 300_000, "abc")
    assert (second.status, second.body) == (304, b"")


def test_the_client_connects_anew_when_the_server_hung_up_meanwhile_and_gives_up_when_it_does_so_again() -> None:
    answers = [answer(b"1"), b"", answer(b"2"), b"", b""]
    with server(lambda number: answers[number]) as port:
        line = Connection(port)
        assert line.send(request("GET", "/")).body == b"1"
        assert line.send(request("GET", "/")).body == b"2"
        with pytest.raises(OSError, match="without an answer"):
            line.send(request("GET", "/"))


def test_a_timed_answer_must_have_the_status_that_is_measured() -> None:
    with server(lambda _: answer(b"busy", "503 Service Unavailable")) as port:
        line = Connection(port)
        assert line.timed(request("GET", "/"), 503) > 0
        with pytest.raises(RuntimeError, match="503 instead of 200"):
            line.timed(request("GET", "/"))
        assert "503" in send(line, READ, 0)


def test_an_open_load_times_calls_from_when_they_were_due_even_those_that_a_stall_kept_waiting() -> None:
    turn = threading.Lock()

    def stalling(number: int) -> bytes:
        with turn:  # one at a time, as a server that is saturated; the first takes long
            time.sleep(0.2 if number == 0 else 0)
            return answer()

    with server(stalling) as port:
        taken = open_load(port, [READ], rate=100, seconds=0.3)
    assert (taken.calls, taken.errors) == (30, [])
    late = [seconds for seconds in taken.seconds["read"] if seconds > 0.05]
    assert len(late) > 5  # not the one stalled call alone


def test_a_closed_load_counts_what_it_got_through_and_keeps_what_went_wrong() -> None:
    statuses = ["200 OK", "500 Oh"]
    write = Call("write", lambda _: request("POST", "/", b"{}"), frozenset({201}))
    with server(lambda number: answer(status=statuses[number % 2])) as port:
        taken = closed_load(port, [READ, write], clients=1, seconds=0.1)
    assert taken.calls == len(taken.seconds["read"]) + len(taken.seconds["write"]) > 1
    assert len(taken.errors) == len(taken.seconds["write"])  # each was answered by a 500
    assert taken.errors[0].startswith("500")


def test_it_takes_the_99th_percentile_of_each_kind() -> None:
    taken = Taken(seconds={"read": [float(number) for number in range(1, 101)], "write": [7.0]})
    assert (taken.p99("read"), taken.p99("write")) == (99.0, 7.0)


def test_rates_are_the_median_of_rounds_in_which_the_sides_take_turns() -> None:
    turns: list[str] = []

    def side(name: str, seconds: float) -> Callable[[], float]:
        def run() -> float:
            turns.append(name)
            return seconds

        return run

    assert rates_of([side("a", 0.5), side("b", 0.25)], rounds=3, each=2, warm_up=1) == [2.0, 4.0]
    assert "".join(turns) == "ab" + "abab" * 3


def page(**changes: object) -> bytes:
    rows = [{"id": str(number), "as_of": "2026-01-01T00:00:00Z", **changes} for number in range(100)]
    return json.dumps({"count": 5000, "results": rows}).encode()


def test_peers_must_answer_the_same_whatever_their_wording_of_times() -> None:
    check_same([page(), page(as_of="2026-01-01T00:00:00.000+00:00")])
    for other in (page(price=1.0), page(as_of="2026-01-01T00:00:01Z"), page().replace(b"5000", b"4999")):
        with pytest.raises(RuntimeError, match="not mean the same"):
            check_same([page(), other])
    with pytest.raises(RuntimeError, match="of 4999 coins"):
        check_same([page().replace(b"5000", b"4999")])


def test_no_endpoint_may_need_more_queries_with_more_rows_even_if_another_needs_fewer() -> None:
    few = {"a/": 2, "b/": 3}
    assert growing(few, {"a/": 2, "b/": 3}) == []
    assert growing(few, {"a/": 3, "b/": 2}) == ["a/"]
    assert without_numbers("portfolios/17/transactions/4/?page_size=250") == "portfolios/{id}/transactions/{id}/"


def test_one_failed_call_fails_the_load() -> None:
    passed: list[Result] = [none_of(count, id="P8-errors", what="") for count in (0, 1)]
    assert [result.passed for result in passed] == [True, False]
    assert at_most(1, id="P10", what="", ours=6, reference=6, unit="").passed
