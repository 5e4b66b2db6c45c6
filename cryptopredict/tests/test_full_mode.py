"""The full mode without containers: the same processes on a real PostgreSQL and a real Redis."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import requests

from cryptopredict.tests.processes import Installation, lines, wait_for
from cryptopredict.tests.servers import free_port, running_postgres, running_redis

pytestmark = [pytest.mark.slow, pytest.mark.faults]
VISIBILITY_SECONDS = 6


@pytest.fixture
def full(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Installation]:
    """The product on PostgreSQL and Redis, migrated; a job whose worker vanished comes back after seconds."""
    made = Installation(
        tmp_path,
        MARKET="live",
        DATABASE_URL=postgres_url,
        REDIS_URL=redis_url,
        REDIS_VISIBILITY_SECONDS=str(VISIBILITY_SECONDS),
    )
    made.migrate()
    yield made
    made.stop()


def states(url: str) -> dict[str, tuple[str, int]]:
    """State and deliveries of each job by its name."""
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, state, deliveries FROM operations_taskrun ORDER BY id")
            return {name: (state, deliveries) for name, state, deliveries in cursor.fetchall()}
    finally:
        connection.close()


def test_it_does_a_job_again_whose_worker_was_killed(full: Installation, postgres_url: str, tmp_path: Path) -> None:
    full.queue("test.note", [[str(tmp_path), "job", 4]])
    worker = full.start_worker("-P", "prefork", "-c", "1")
    wait_for("it started", lambda: lines(tmp_path / "started") == ["job"], log=full.log)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    full.start_worker("-P", "prefork", "-c", "1")
    wait_for("it is done", lambda: lines(tmp_path / "done") == ["job"], VISIBILITY_SECONDS + 20 + 15, log=full.log)
    assert lines(tmp_path / "started") == ["job", "job"]
    wait_for("that is noted", lambda: states(postgres_url)["test.note"] == ("succeeded", 2))


def test_it_answers_a_ping_as_the_containers_health_check_sends_it(full: Installation) -> None:
    full.start_worker("-P", "prefork", "-c", "1", "-n", "worker@here")

    def answers() -> bool:
        command = ["-m", "celery", "-A", "cryptopredict", "inspect", "ping", "-d", "worker@here"]
        try:
            return "pong" in full.run(*command)
        except AssertionError:
            return False

    wait_for("the worker answers", answers, log=full.log)


def test_it_keeps_queued_jobs_when_redis_is_killed_and_started_again(tmp_path: Path, postgres_url: str) -> None:
    with running_redis() as redis:
        full = Installation(tmp_path, MARKET="live", DATABASE_URL=postgres_url, REDIS_URL=redis.url)
        try:
            full.migrate()
            full.queue("test.note", [[str(tmp_path), "kept"]])
            redis.kill()
            redis.start()
            full.start_worker("-P", "solo")
            wait_for("it is done", lambda: lines(tmp_path / "done") == ["kept"], log=full.log)
        finally:
            full.stop()


def test_it_serves_ready_over_gunicorn_and_says_when_postgresql_is_gone(full: Installation, tmp_path: Path) -> None:
    with running_postgres() as postgres:
        full.environment["DATABASE_URL"] = postgres.url
        full.migrate()
        port = free_port()
        full.start(
            *(sys.executable, "-m", "gunicorn", "cryptopredict.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--threads", "2", "--no-control-socket"),
        )
        url = f"http://127.0.0.1:{port}/api/v1/health/ready/"

        def status() -> int:
            try:
                return requests.get(url, timeout=10).status_code
            except requests.ConnectionError:
                return 0

        wait_for("it is ready", lambda: status() == 200, log=full.log)
        postgres.stop()
        assert status() == 503
        postgres.start()
        wait_for("it is ready again", lambda: status() == 200, 10, log=full.log)
