"""A full installation for fault tests: PostgreSQL, Redis, a sample server as upstream, and real processes."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests
from celery import Celery
from kombu import Connection
from kombu.utils.uuid import uuid

from cryptopredict.tests.processes import ROOT, Installation, descendants, lines, wait_for
from cryptopredict.tests.servers import LOOPBACK, PostgresServer, RedisServer, end, free_port

COINS = 20
VISIBILITY_SECONDS = 4
MESSAGES = Celery("witness", set_as_current=False)


class Sample:
    """The sample server as a process of its own; what it logged is the witness of what was asked."""

    def __init__(self, log: Path, host: str = LOOPBACK) -> None:
        port = free_port(host)
        self.origin = f"http://{host}:{port}"
        self.base_url = f"{self.origin}/api/v3"
        command = ["-m", "markets.sample", "--host", host, "--port", str(port), "--coins", str(COINS)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, stdout=output, stderr=output, start_new_session=True
            )
        wait_for("the sample server answers", self._answers, 20, log)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.origin}/_sample/health", timeout=2).ok
        except requests.ConnectionError:
            return False

    def fault(self, kind: str, **fields: Any) -> None:
        requests.post(f"{self.origin}/_sample/faults", json={"kind": kind, **fields}, timeout=5).raise_for_status()

    def heal(self) -> None:
        requests.delete(f"{self.origin}/_sample/faults", timeout=5).raise_for_status()

    def log(self, since: float = 0.0) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.origin}/_sample/log", params={"since": str(since)}, timeout=10)
        found: list[dict[str, Any]] = answer.json()["requests"]
        return found

    def times(self, since: float = 0.0) -> list[float]:
        return sorted(request["at"] for request in self.log(since))

    def stop(self) -> None:
        end(self.process)


def most_in_window(times: Sequence[float], seconds: float = 60.0) -> int:
    """The most calls that lie in any window of so many seconds."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass
class Tick:
    """What a slot of five minutes holds in the database: of how many coins, and how many rows."""

    at: datetime
    coins: int
    rows: int


class Site:
    """The installation, its servers, and what a witness asks of them without going through the product's code."""

    def __init__(self, installation: Installation, database_url: str, redis: RedisServer, sample: Sample) -> None:
        self.installation, self.database_url = installation, database_url
        self.redis, self.sample = redis, sample
        self.folder = installation.folder
        self.log = installation.log

    def send(
        self, name: str, *arguments: Any, queue: str = "ingest", task_id: str = "", expires: datetime | None = None
    ) -> str:
        """Queues a job from outside, with a connection of its own, and returns the job's id."""
        task_id = task_id or uuid()
        job = MESSAGES.amqp.as_task_v2(task_id, name, args=arguments, expires=expires)
        with Connection(self.redis.url) as connection:
            connection.Producer(serializer="json").publish(
                job.body, exchange="", routing_key=queue, headers=job.headers, **job.properties
            )
        return task_id

    def start_worker(
        self, *options: str, queues: str = "ingest", children: int = 1, **environment: str
    ) -> subprocess.Popen[bytes]:
        name = f"w{len(self.installation.processes)}@%h"
        mine = ["-P", "prefork", "-c", str(children), "-n", name, "--without-gossip", "--without-mingle"]
        return self.installation.start_worker(*mine, *options, queues=queues, **environment)

    # The database ---------------------------------------------------------------------------------

    def ask(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.database_url, connect_timeout=5)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, arguments)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def one(self, sql: str, *arguments: Any) -> Any:
        return self.ask(sql, *arguments)[0][0]

    def ticks(self) -> list[Tick]:
        rows = self.ask(
            "SELECT at, count(DISTINCT coin_id), count(*) FROM markets_pricedata WHERE interval = '5m' "
            "GROUP BY at ORDER BY at"
        )
        return [Tick(*row) for row in rows]

    def assert_whole(self) -> None:
        """No slot holds a coin twice, and none holds some coins of a tick without the others."""
        ticks = self.ticks()
        whole = max((tick.coins for tick in ticks), default=0)
        tracked = self.one("SELECT count(*) FROM markets_cryptocurrency WHERE is_tracked")
        assert whole == 0 or whole >= tracked - 2, "all but the sample market's stale and delisted coins"
        for tick in ticks:
            assert tick.rows == tick.coins, f"{tick.at} holds a coin twice"
            assert tick.coins == whole, f"{tick.at} holds {tick.coins} of {whole} coins"
        doubled = self.ask(
            "SELECT kind, slot_at FROM markets_syncrun WHERE state = 'succeeded' AND slot_at IS NOT NULL "
            "GROUP BY kind, slot_at HAVING count(*) > 1"
        )
        assert doubled == []

    def runs(self, kind: str = "prices") -> Counter[str]:
        """How many sync runs of this kind ended how."""
        rows = self.ask("SELECT state, count(*) FROM markets_syncrun WHERE kind = %s GROUP BY state", kind)
        return Counter({str(state): int(count) for state, count in rows})

    def job(self, task_id: str) -> tuple[str, int, str]:
        """State, deliveries and result of a job; empty before a worker took it up."""
        rows = self.ask("SELECT state, deliveries, result FROM operations_taskrun WHERE task_id = %s", task_id)
        return rows[0] if rows else ("", 0, "")

    # Events ---------------------------------------------------------------------------------------

    def wait(self, what: str, ready: Callable[[], bool], timeout_seconds: float = 40) -> float:
        """Waits until it is so and returns the seconds that took."""
        began_at = time.monotonic()
        wait_for(what, ready, timeout_seconds, self.log)
        return time.monotonic() - began_at

    def wait_for_worker(self, folder: Path) -> None:
        """Returns when a worker works: a job that only notes itself has been done."""
        name = uuid()
        self.send("test.note", str(folder), name)
        self.wait("a worker works", lambda: name in lines(folder / "done"))

    def wait_for_end(self, task_id: str, timeout_seconds: float = 60) -> str:
        ended = ("succeeded", "failed", "quarantined", "cancelled")
        self.wait(f"job {task_id} ends", lambda: self.job(task_id)[0] in ended, timeout_seconds)
        return self.job(task_id)[0]


def children_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The pool children of a worker."""
    return descendants(process.pid)


def slot(number: int) -> datetime:
    """The five-minute slot so many slots before the present one."""
    now = datetime.now(UTC)
    return now.replace(minute=now.minute - now.minute % 5, second=0, microsecond=0) - timedelta(minutes=5 * number)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that stands still until the block ends."""
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def is_root() -> bool:
    return os.geteuid() == 0


def make_installation(
    folder: Path, *, database_url: str, redis: RedisServer, sample: Sample, **environment: str
) -> Installation:
    settings = {
        "MARKET": "live",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis.url,
        "REDIS_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
        "COINGECKO_BASE_URL": sample.base_url,
        "COINGECKO_CALLS_PER_MINUTE": "600",
        "COINGECKO_MONTHLY_CREDITS": "0",
        "COINGECKO_TIMEOUT_SECONDS": "5",
        "TRACKED_COINS": str(COINS),
        "SECRET_KEY": "a-key-for-tests-that-is-long-enough-to-be-accepted-everywhere",
    }
    return Installation(folder, **{**settings, **environment})


__all__ = ["PostgresServer", "RedisServer", "Sample", "Site"]
