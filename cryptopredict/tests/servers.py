"""Real PostgreSQL and Redis servers for tests, started on free loopback ports and ended again.

``python -m cryptopredict.tests.servers COMMAND...`` runs a command with DATABASE_URL and REDIS_URL set, and
starts a server of its own for whichever of the two is not given.
"""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

START_TIMEOUT_SECONDS = 30
LOOPBACK = "127.0.0.1"


class ServerMissing(RuntimeError):
    """A server program that a test needs is not installed; the message says how to get it."""


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody listens on, drawn from below those that the system hands out to outgoing connections.

    Drawn at random: test processes that run side by side would be told the same one, a moment before it is taken.
    """
    for _ in range(100):
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port was found")


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str, log: Path) -> None:
    """Returns when the server answers; raises RuntimeError with its log when it ended or took too long."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def accepts_connections(port: int, host: str = LOOPBACK) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class RedisServer:
    """A Redis on a port of its own, which a test may kill and start again with what it had kept.

    `fsync` is how often it makes sure of its file: "everysec" is what docker-compose.yml runs.
    """

    def __init__(self, folder: Path, host: str = LOOPBACK, fsync: str = "always") -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise ServerMissing("This test needs Redis: apt-get install redis-server, or set REDIS_URL.")
        self.program, self.folder, self.host, self.port = found, folder, host, free_port(host)
        self.url = f"redis://{host}:{self.port}"
        self.fsync = fsync
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self.folder / "redis.log"
        options = ["--port", str(self.port), "--bind", self.host, "--dir", str(self.folder), "--save", ""]
        options += ["--protected-mode", "yes" if self.host == LOOPBACK else "no"]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [self.program, *options, "--appendonly", "yes", "--appendfsync", self.fsync],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(lambda: accepts_connections(self.port, self.host), self.process, "Redis", log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """From now on it accepts connections and never answers."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None:
            self.thaw()
            end(self.process)


class PostgresServer:
    """A PostgreSQL cluster in a temporary folder, run by an ordinary account (it refuses to run as root).

    Whoever reaches its address is let in: loopback, or a network that only a test's own namespaces are on.
    """

    def __init__(self, folder: Path, host: str = LOOPBACK) -> None:
        installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
        programs = sorted(installed, key=lambda path: path.parts[4].zfill(4))  # the newest version last
        on_path = shutil.which("initdb")
        if not programs and on_path is None:
            raise ServerMissing("This test needs PostgreSQL: apt-get install postgresql or set DATABASE_URL.")
        self.bin = (programs[-1] if programs else Path(str(on_path))).parent
        self.folder, self.host, self.port = folder, host, free_port(host)
        self.account = self._ordinary_account()
        self.url = f"postgres://cryptopredict@{host}:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def _ordinary_account() -> str | None:
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def create(self) -> None:
        if self.account is not None:
            shutil.chown(self.folder, self.account)
        options = ["-U", "cryptopredict", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            [str(self.bin / "initdb"), "-D", str(self.folder / "data"), *options],
            user=self.account,
            cwd=self.folder,
            capture_output=True,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.decode(errors='replace')[-2000:]}")
        if self.host != LOOPBACK:
            with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")

    def start(self) -> None:
        log = self.folder / "postgres.log"
        options = [
            f"-D{self.folder / 'data'}",
            f"-cport={self.port}",
            f"-clisten_addresses={self.host}",
            "-cfsync=off",
            "-cmax_connections=60",
            f"-cunix_socket_directories={self.folder}",
        ]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), *options],
                user=self.account,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(self._answers, self.process, "PostgreSQL", log)

    def _answers(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(self.url).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop_at_once(self) -> None:
        """PostgreSQL's immediate mode: every session is cut off, and the next start recovers from the log."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                end(self.process)


@contextmanager
def running_redis(host: str = LOOPBACK, *, fsync: str = "always") -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="cryptopredict-redis-") as folder:
        server = RedisServer(Path(folder), host, fsync)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def running_postgres(host: str = LOOPBACK) -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="cryptopredict-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), host)
        server.create()
        try:
            server.start()
            yield server
        finally:
            server.stop()


def main(command: list[str]) -> int:
    environment = dict(os.environ)
    with ExitStack() as stack:
        try:
            if not environment.get("DATABASE_URL"):
                environment["DATABASE_URL"] = stack.enter_context(running_postgres()).url
            if not environment.get("REDIS_URL"):
                environment["REDIS_URL"] = stack.enter_context(running_redis()).url
        except ServerMissing as problem:
            print(problem, file=sys.stderr)
            return 1
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
