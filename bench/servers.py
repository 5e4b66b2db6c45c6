"""The product's and the peers' servers as real processes, on the benchmarks' database and a Redis of their own."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from cryptopredict.tests.processes import Installation, wait_for
from cryptopredict.tests.servers import accepts_connections, free_port, running_redis

# Counting calls is part of what is measured; being refused is not.
UNLIMITED = dict.fromkeys(
    ("API_RATE_ANONYMOUS", "API_RATE_USER", "API_RATE_SIGN_IN", "API_RATE_ACCOUNT"), "1000000000/min"
)
THREADS = "20"  # as in the Dockerfile


@contextmanager
def own_database(name: str) -> Iterator[None]:
    """DATABASE_URL names an empty database beside the benchmarks' own, which is dropped afterwards."""
    before = os.environ["DATABASE_URL"]
    admin = psycopg2.connect(before)
    admin.autocommit = True
    with closing(admin), admin.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {name}")
        os.environ["DATABASE_URL"] = urlsplit(before)._replace(path=f"/{name}").geturl()
        try:
            yield
        finally:
            os.environ["DATABASE_URL"] = before
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def installation(**environment: str) -> Iterator[Installation]:
    """An installation of the product in full mode, none of whose processes runs yet; all are ended afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="cryptopredict-bench-") as folder,
        running_redis(fsync="everysec") as server,
    ):
        urls = {"DATABASE_URL": os.environ["DATABASE_URL"], "REDIS_URL": server.url}
        made = Installation(Path(folder), **urls, DEBUG="0", **UNLIMITED, **environment)
        try:
            yield made
        finally:
            made.stop()


def start_ours(made: Installation, *, workers: int = 1, environment: Mapping[str, str] | None = None) -> int:
    """The product by gunicorn, as the Dockerfile has it; returns its port."""
    return _started(made, _gunicorn("cryptopredict.wsgi", workers), **(environment or {}))


def start_drf(made: Installation) -> int:
    """The peer in Django REST framework, by gunicorn with the same options."""
    return _started(
        made, _gunicorn("bench.peers.drf:application", 1), DJANGO_SETTINGS_MODULE="bench.peers.drf_settings"
    )


def start_fastapi(made: Installation) -> int:
    """The peer in FastAPI, by uvicorn with its fast loop and parser."""
    command = ["uvicorn", "bench.peers.fast:app", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    return _started(made, [*command, "--log-level", "warning", "--port"])


def _gunicorn(wsgi: str, workers: int) -> list[str]:
    options = ["--workers", str(workers), "--worker-class", "gthread", "--threads", THREADS, "--no-control-socket"]
    return ["gunicorn", wsgi, *options, "--keep-alive", "30", "--worker-tmp-dir", "/dev/shm", "--bind"]


def _started(made: Installation, command: list[str], **environment: str) -> int:
    port = free_port()
    address = f"127.0.0.1:{port}" if command[0] == "gunicorn" else str(port)
    made.start(sys.executable, "-m", *command, address, **environment)
    wait_for(f"{command[0]} answers", lambda: accepts_connections(port), log=made.log)
    return port
