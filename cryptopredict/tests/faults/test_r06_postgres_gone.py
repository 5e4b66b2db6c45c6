"""R6: PostgreSQL stopped at once and started again, sessions cut off in a loop: all goes on, nothing is partial."""

import time
from pathlib import Path

import psycopg2
import requests

from cryptopredict.tests.faults.conftest import Figure, MakeSite
from cryptopredict.tests.faults.site import Site, slot
from cryptopredict.tests.processes import lines
from cryptopredict.tests.servers import PostgresServer, free_port

HEALTHY_WITHIN_SECONDS = 5
CUTS = 25


def schedule_note(site: Site, folder: Path) -> None:
    site.installation.evaluate(
        "from django_celery_beat.models import IntervalSchedule, PeriodicTask\n"
        "every, _ = IntervalSchedule.objects.get_or_create(every=1, period='seconds')\n"
        f"PeriodicTask.objects.create(name='note', task='test.note', interval=every, args='[\"{folder}\", \"beat\"]')"
    )


def test_it_is_healthy_soon_after_postgresql_stopped_and_started(
    own_postgres: PostgresServer, make_site: MakeSite, tmp_path: Path, figure: Figure
) -> None:
    site = make_site(own_postgres)
    schedule_note(site, tmp_path)
    port = free_port()
    web = site.installation.start_web(port, "--workers", "1", "--threads", "2")
    worker = site.start_worker(children=2)
    beat = site.installation.start_beat()

    def status(path: str) -> int:
        try:
            return requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=10).status_code
        except requests.ConnectionError:
            return 0

    def beats() -> int:
        return lines(tmp_path / "done").count("beat")

    site.wait("the web is ready", lambda: status("health/ready/") == 200)
    site.wait("beat beats", lambda: beats() >= 2)
    own_postgres.stop_at_once()
    assert status("health/ready/") == 503
    assert status("cryptocurrencies/") == 503
    waiting = site.send("test.note", str(tmp_path), "queued without a database")
    site.wait("a worker took it up", lambda: f"test.note[{waiting}]" in site.log.read_text())
    own_postgres.start()
    web_seconds = site.wait("the web is ready again", lambda: status("health/ready/") == 200)
    assert status("cryptocurrencies/") == 200
    assert web_seconds < HEALTHY_WITHIN_SECONDS
    had = beats()
    beat_seconds = site.wait("beat and worker go on", lambda: beats() >= had + 2, 30)
    site.wait("the job waited for the database", lambda: "queued without a database" in lines(tmp_path / "done"), 30)
    assert all(process.poll() is None for process in (web, worker, beat))
    figure(
        f"R6 PostgreSQL stopped at once: web healthy {web_seconds:.1f} s after its return "
        f"(limit {HEALTHY_WITHIN_SECONDS}), beat and worker after {beat_seconds:.1f} s"
    )


def cut_all_sessions(server: PostgresServer, database_url: str) -> int:
    connection = psycopg2.connect(server.url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s",
                [database_url.rpartition("/")[2]],
            )
            row = cursor.fetchone()
            return int(row[0]) if row else 0
    finally:
        connection.close()


def test_it_stores_nothing_twice_or_by_half_while_sessions_are_cut_off(
    own_postgres: PostgresServer, make_site: MakeSite, tmp_path: Path, figure: Figure
) -> None:
    site = make_site(own_postgres)
    worker = site.start_worker()
    site.wait_for_worker(tmp_path)
    slots = [slot(number) for number in range(15, 0, -1)]
    for at in slots:
        site.send("test.tick", at.isoformat())
    cut = 0
    for _ in range(CUTS):
        cut += cut_all_sessions(own_postgres, site.database_url)
        time.sleep(0.1)  # the pace of the fault
    site.assert_whole()
    survived = len(site.ticks())

    def fill() -> bool:
        """Asks again for what is missing, as the schedule would."""
        filled = {tick.at for tick in site.ticks()}
        for at in set(slots) - filled:
            site.wait_for_end(site.send("test.tick", at.isoformat()))
        return filled == set(slots)

    site.wait("every slot is filled", fill, 60)
    site.assert_whole()
    assert worker.poll() is None
    figure(
        f"R6 {cut} sessions cut off in {CUTS} rounds during {len(slots)} ticks: {survived} stored at once, "
        "all after a second try, 0 double, 0 partial"
    )
