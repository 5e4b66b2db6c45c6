"""Fixtures of the fault tests: servers that a test may kill, a fresh database, and the figures it measured."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from cryptopredict.tests.faults.site import Sample, Site, make_installation
from cryptopredict.tests.processes import Installation
from cryptopredict.tests.servers import PostgresServer, RedisServer, ServerMissing, running_postgres, running_redis

Figure = Callable[[str], None]
MakeSite = Callable[..., Site]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for mark in ("slow", "faults", "postgres", "redis"):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresServer]:
    """A PostgreSQL for all tests that leave it standing, with a migrated database to copy."""
    try:
        with running_postgres() as server:
            migrate(server)
            yield server
    except ServerMissing as problem:
        pytest.fail(str(problem), pytrace=False)


def migrate(server: PostgresServer) -> None:
    execute(server, "CREATE DATABASE migrated")
    Installation(server.folder, MARKET="live", DATABASE_URL=url_of(server, "migrated")).migrate()


def execute(server: PostgresServer, sql: str) -> None:
    connection = psycopg2.connect(server.url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
    finally:
        connection.close()


def url_of(server: PostgresServer, name: str) -> str:
    return urlsplit(server.url)._replace(path=f"/{name}").geturl()


@contextmanager
def fresh_database(server: PostgresServer) -> Iterator[str]:
    name = f"faults_{secrets.token_hex(6)}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE migrated")
    yield url_of(server, name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    try:
        with running_redis() as server:
            yield server
    except ServerMissing as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Sample]:
    server = Sample(tmp_path / "sample.log")
    yield server
    server.stop()


@pytest.fixture
def make_site(
    tmp_path: Path, cluster: PostgresServer, redis: RedisServer, sample: Sample
) -> Iterator[MakeSite]:  # fmt: skip
    """Makes the full installation with settings of the test's own."""
    with ExitStack() as stack:

        def make(server: PostgresServer | None = None, **environment: str) -> Site:
            url = stack.enter_context(fresh_database(server or cluster))
            installation = make_installation(tmp_path, database_url=url, redis=redis, sample=sample, **environment)
            stack.callback(installation.stop)
            return Site(installation, url, redis, sample)

        yield make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may stop and start."""
    with running_postgres() as server:
        migrate(server)
        yield server
