"""R11: a full disk, a statement that runs out of time: a clean failure, an alarm, and no loss after the repair."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import requests

from cryptopredict.tests.faults.conftest import Figure, MakeSite
from cryptopredict.tests.faults.site import Sample, Site, slot
from cryptopredict.tests.processes import Installation, wait_for
from cryptopredict.tests.servers import PostgresServer, free_port

STATEMENT_SECONDS = 2
NEEDS_ROOT = (
    "This test fills a small file system of its own: run it as root with the right to mount "
    "(docker run --cap-add SYS_ADMIN), or leave it out with -m 'not netns'."
)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory of this size."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.fail(NEEDS_ROOT, pytrace=False)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes every byte that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def alarm_of(site_url: str) -> str:
    return requests.get(f"{site_url}/status/", timeout=10).text


@pytest.mark.netns
def test_it_fails_cleanly_on_a_full_disk_of_postgresql_and_loses_nothing(
    own_postgres: PostgresServer, make_site: MakeSite, figure: Figure
) -> None:
    with tempfile.TemporaryDirectory(prefix="cryptopredict-disk-", ignore_cleanup_errors=True) as parent:
        Path(parent).chmod(0o755)
        with small_disk(Path(parent) / "disk", "4m") as disk:
            space = disk / "space"
            space.mkdir()
            subprocess.run(["chown", str(own_postgres.account), str(space)], check=True)
            site = make_site(own_postgres)
            try:
                check_full_disk(site, disk, space, figure)
            finally:
                site.installation.stop()
                site.ask("ALTER TABLE markets_pricedata SET TABLESPACE pg_default")
                site.ask("DROP TABLESPACE small")


def check_full_disk(site: Site, disk: Path, space: Path, figure: Figure) -> None:
    site.ask(f"CREATE TABLESPACE small LOCATION '{space}'")
    site.ask("ALTER TABLE markets_pricedata SET TABLESPACE small")
    site.installation.run("manage.py", "collectstatic", "--skip-checks", "--no-input", "--verbosity", "0")
    port = free_port()
    site.installation.start_web(port, "--workers", "1", "--threads", "2")
    site.start_worker()
    assert site.wait_for_end(site.send("test.tick", slot(30).isoformat())) == "succeeded"
    ballast = fill(disk)
    failed = failed_job = ""
    for number in range(29, 9, -1):  # the table's last page still has room for a few ticks
        failed_job = site.send("test.tick", slot(number).isoformat())
        if site.wait_for_end(failed_job) == "failed":
            failed = str(
                site.one("SELECT problem FROM markets_syncrun WHERE state = 'failed' ORDER BY id DESC LIMIT 1")
            )
            break
    assert "No space left on device" in failed
    site.assert_whole()
    stored = len(site.ticks())
    page = alarm_of(f"http://127.0.0.1:{port}")
    assert "badge-bad" in page
    assert site.job(failed_job)[0] == "failed"
    ballast.unlink()
    assert site.wait_for_end(site.send("test.tick", slot(2).isoformat())) == "succeeded"
    assert len(site.ticks()) == stored + 1
    site.assert_whole()
    figure(f"R11 PostgreSQL's disk full after {stored} ticks: {failed.splitlines()[0][:80]!r}, on the status page, "
           f"{stored} whole slots kept, the next tick after the repair is whole")  # fmt: skip


@pytest.mark.netns
def test_it_fails_cleanly_on_a_full_disk_of_sqlite_and_loses_nothing(
    tmp_path: Path, sample: Sample, figure: Figure
) -> None:  # fmt: skip
    with small_disk(tmp_path / "var", "24m") as disk:
        installation = Installation(tmp_path, MARKET="sample", SAMPLE_SERVER_URL=sample.base_url, TRACKED_COINS="20")
        try:
            installation.migrate()
            installation.start_worker("-P", "prefork", "-c", "1")
            installation.queue("test.tick", [[slot(5).isoformat()]])
            wait_for("a tick is stored", lambda: slots_of(installation) == 1, log=installation.log)
            ballast = fill(disk)
            tick = "from markets.sync import sync_prices; from markets.upstream import build_client"
            code = (
                f"{tick}\nfrom datetime import datetime\nfrom django.db import DatabaseError\n"
                "from markets.coingecko.errors import StateUnavailable\n"
                "try:\n"
                f"    sync_prices(client=build_client(), now=datetime.fromisoformat('{slot(4).isoformat()}'))\n"
                "except (DatabaseError, StateUnavailable) as error:\n"
                "    print(error)"
            )
            problem = installation.evaluate(code).splitlines()[-1]
            assert "disk" in problem
            ballast.unlink()
            assert slots_of(installation) == 1, "what was committed is there, and nothing of the tick that failed"
            installation.queue("test.tick", [[slot(3).isoformat()]])
            wait_for("a tick is stored again", lambda: slots_of(installation) == 2, log=installation.log)
            check = "from django.db import connection; c = connection.cursor(); c.execute('PRAGMA integrity_check')"
            assert installation.evaluate(f"{check}; print(c.fetchone()[0])") == "ok"
        finally:
            installation.stop()
    figure(f"R11 SQLite's disk full: {problem!r}, nothing lost, the next tick after the repair is whole")


def slots_of(installation: Installation) -> int:
    code = "from markets.models import PriceData; print(PriceData.objects.filter(interval='5m').values('at').distinct()"
    return int(installation.evaluate(f"{code}.count())"))


def test_it_fails_cleanly_when_a_statement_runs_out_of_time(make_site: MakeSite, figure: Figure) -> None:
    site = make_site(DATABASE_STATEMENT_SECONDS=str(STATEMENT_SECONDS))
    site.start_worker()
    assert site.wait_for_end(site.send("test.tick", slot(3).isoformat())) == "succeeded"
    blocker = psycopg2.connect(site.database_url)
    try:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE markets_pricedata IN EXCLUSIVE MODE")
            job = site.send("test.tick", slot(2).isoformat())
            assert site.wait_for_end(job) == "failed"
    finally:
        blocker.close()
    assert "statement timeout" in site.job(job)[2]
    assert site.runs()["failed"] == 1
    problem = site.one("SELECT problem FROM markets_syncrun WHERE state = 'failed'")
    assert site.wait_for_end(site.send("test.tick", slot(1).isoformat())) == "succeeded"
    assert [tick.at for tick in site.ticks()] == [slot(3), slot(1)]
    site.assert_whole()
    figure(f"R11 statement held up by a lock: failed after {STATEMENT_SECONDS} s ({problem.splitlines()[0]!r}), "
           f"nothing partial, the next tick is whole")  # fmt: skip
