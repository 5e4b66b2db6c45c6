"""A client that costs as little as it can, so that what is measured is the server's time."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT_SECONDS = 30.0
RECEIVED_AT_ONCE = 262_144


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: status, head as it was sent, body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """The header's value; empty when there is none."""
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return ""


def request(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One kept-alive connection to a port of this computer; made anew when the server has closed it meanwhile."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def send(self, message: bytes) -> Answer:
        """The answer to a request. Raises OSError when the server does not give one."""
        if self._socket is not None:
            try:
                return self._exchange(self._socket, message)
            except (ConnectionResetError, BrokenPipeError, EOFError):
                self.close()  # it was idle for too long: nothing of the request was read
        self._socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return self._exchange(self._socket, message)
        except EOFError as error:
            raise ConnectionResetError("The server closed the connection without an answer.") from error

    def timed(self, message: bytes, status: int = 200) -> float:
        """The seconds that an answer took. Raises RuntimeError for another status than the expected one."""
        begun = time.perf_counter()
        answer = self.send(message)
        taken = time.perf_counter() - begun
        if answer.status != status:
            raise RuntimeError(f"{answer.status} instead of {status}: {answer.body[:300]!r}")
        return taken

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, connected: socket.socket, message: bytes) -> Answer:
        connected.sendall(message)
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += _some(connected)
        head = bytes(received[:end])
        status = int(head[9:12])
        length = _content_length(head, status)
        whole = end + 4 + length
        while len(received) < whole:
            received += _some(connected)
        answer = Answer(status, head, bytes(received[end + 4 : whole]))
        if answer.header("connection").lower() == "close":
            self.close()
        return answer


def _some(connected: socket.socket) -> bytes:
    data = connected.recv(RECEIVED_AT_ONCE)
    if not data:
        raise EOFError
    return data


def _content_length(head: bytes, status: int) -> int:
    if status in {204, 304}:
        return 0
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    raise RuntimeError("The answer does not tell its length.")
