"""Fixtures for every test: real servers and a real browser, each saying how to get it when it is missing."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from cryptopredict.tests.servers import ServerMissing, running_postgres, running_redis

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from pytest_django import Settings

# A test that asks for one of these is of that kind, without saying so again.
MARK_OF_FIXTURE = {"postgres_url": "postgres", "redis_url": "redis", "browser": "browser"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in MARK_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """No test sees what another one cached or how often it signed in."""
    yield
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes a sentence with what was measured, for the report at the end."""
    return lambda text: request.node.user_properties.append(("figure", text))


@pytest.fixture
def shared_answers(settings: "Settings", tmp_path: Path) -> None:
    """Public answers are kept and shared, as on a real site: in a folder, or in Redis where REDIS_URL names one."""
    kept = {**settings.CACHES["default"], "KEY_PREFIX": "answers"}
    if not os.environ.get("REDIS_URL"):
        kept["LOCATION"] = str(tmp_path / "answers")
    settings.CACHES = {**settings.CACHES, "answers": kept}


@pytest.fixture(scope="session", autouse=True)
def _append_only_tables_yield_to_the_flush_after_a_test() -> Iterator[None]:
    """A test with real transactions empties every table at its end, which the ledger and the audit log would refuse."""
    from django.db import connection
    from django.test import TransactionTestCase

    from predictions import guards

    audit_log = import_module("cryptopredict.operations.migrations.0003_append_only_audit_log")
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def run(statements: Sequence[str]) -> None:
        if connection.vendor == "sqlite":  # PostgreSQL empties by TRUNCATE, for which the audit log has no trigger
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def unguarded_flush(case: TransactionTestCase) -> None:
        guards.remove(connection)
        run(audit_log.SQLITE_BACK)
        try:
            flush(case)
        finally:
            guards.install(connection)
            run(audit_log.SQLITE)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", unguarded_flush)
        yield


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a Redis: REDIS_URL, or that of a server started for these tests."""
    if os.environ.get("REDIS_URL"):
        yield os.environ["REDIS_URL"]
        return
    try:
        with running_redis() as server:
            yield server.url
    except ServerMissing as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of an empty PostgreSQL database, made for these tests and dropped at their end."""
    if os.environ.get("DATABASE_URL"):
        yield from _fresh_database(os.environ["DATABASE_URL"])
        return
    try:
        with running_postgres() as server:
            yield from _fresh_database(server.url)
    except ServerMissing as problem:
        pytest.fail(str(problem), pytrace=False)


def _fresh_database(server_url: str) -> Iterator[str]:
    import psycopg2

    name = f"cryptopredict_{secrets.token_hex(6)}"
    connection = psycopg2.connect(server_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        connection.close()


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A headless Chromium of the system's own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("This test needs a browser: apt-get install chromium.", pytrace=False)
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
    # Playwright's loop runs in this thread, and Django takes any running loop for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=flags)
        yield chromium
        chromium.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the tests of faults and attacks measured, and how much of the API was tried and by whom."""
    for kind, title in (("figure", "measured under faults and attacks"), ("contract", "the API's contract")):
        if texts := sorted(map(str, _noted(terminalreporter, kind)), key=_by_number):
            terminalreporter.section(title)
            for text in texts:
                terminalreporter.write_line(text)
    if cells := [int(str(number)) for number in _noted(terminalreporter, "cells")]:
        terminalreporter.section("access matrix")
        size = f"{len(cells)} operations × {max(cells)} personas = {sum(cells):,} cells"
        terminalreporter.write_line(size)


def _noted(terminalreporter: pytest.TerminalReporter, name: str) -> list[object]:
    """What the tests noted under a name."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    return [
        value
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for noted, value in report.user_properties
        if noted == name
    ]


def _by_number(text: str) -> tuple[int, str]:
    number = text.split(maxsplit=1)[0][1:]
    return (int(number) if number.isdigit() else 99, text)
