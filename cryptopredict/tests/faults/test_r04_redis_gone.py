"""R4: Redis killed, restarted, flushed: work goes on soon, nothing committed is lost, the call limit holds."""

import time
from pathlib import Path

import pytest
import redis as redis_client

from cryptopredict.tests.faults.conftest import Figure, MakeSite
from cryptopredict.tests.faults.site import Site, most_in_window
from cryptopredict.tests.processes import lines
from cryptopredict.tests.servers import RedisServer

OUTAGE_SECONDS = 12
LIMIT = 10


def run_command(server: RedisServer, *command: str) -> None:
    with redis_client.Redis.from_url(server.url) as client:
        client.execute_command(*command)


def test_it_resumes_soon_after_redis_was_killed_restarted_and_flushed(
    site: Site, tmp_path: Path, figure: Figure
) -> None:
    workers = [site.start_worker(), site.start_worker()]
    beat = site.installation.start_beat()
    assert site.wait_for_end(site.send("markets.sync_all_prices")) == "succeeded"
    stored = site.one("SELECT count(*) FROM markets_pricedata")
    assert stored > 0
    kept = site.send("test.note", str(tmp_path), "long", 2.0)
    site.wait("it is under way", lambda: lines(tmp_path / "started") == ["long"])
    site.redis.kill()
    time.sleep(OUTAGE_SECONDS)  # the fault itself
    site.redis.start()
    back_at = time.monotonic()
    site.send("test.note", str(tmp_path), "after the restart")
    site.wait("work goes on", lambda: "after the restart" in lines(tmp_path / "done"))
    resumed = time.monotonic() - back_at
    assert resumed < 15
    assert site.wait_for_end(kept) == "succeeded"
    assert lines(tmp_path / "done").count("long") == 1, "it succeeded while Redis was away, and is not done again"
    took = {}
    for command in ("FLUSHALL", "SCRIPT FLUSH"):
        run_command(site.redis, *command.split())
        began_at = time.monotonic()
        site.send("test.retry_twice", str(tmp_path))  # a job that queues another one from inside a worker
        assert site.wait_for_end(site.send("test.note", str(tmp_path), command)) == "succeeded"
        took[command] = time.monotonic() - began_at
        assert took[command] < 15
    site.wait("jobs that workers queue arrive too", lambda: lines(tmp_path / "started").count("try 2") == 2)
    assert site.one("SELECT count(*) FROM markets_pricedata") >= stored
    assert all(process.poll() is None for process in (*workers, beat))
    figure(
        f"R4 Redis killed for {OUTAGE_SECONDS} s: work resumed {resumed:.1f} s after its return (limit 15); "
        + ", ".join(f"after {name} {seconds:.1f} s" for name, seconds in took.items())
    )


@pytest.mark.minute
def test_it_keeps_the_call_limit_although_redis_and_every_process_forgot(
    make_site: MakeSite, tmp_path: Path, figure: Figure
) -> None:
    site = make_site(COINGECKO_CALLS_PER_MINUTE=str(LIMIT))
    workers = [site.start_worker(), site.start_worker()]
    site.wait_for_worker(tmp_path)
    for _ in workers:
        site.send("test.hammer", str(tmp_path), 600)
    site.wait("calls are made", lambda: len(site.sample.times()) >= LIMIT - 4, 20)
    run_command(site.redis, "FLUSHALL")
    flushed_at = time.time()
    site.wait("they noticed", lambda: bool(redis_client.Redis.from_url(site.redis.url).exists("coingecko:limiter")))
    site.wait("they are held", lambda: time.time() - flushed_at > 4)
    before = site.sample.times()
    for worker in workers:
        worker.kill()
        worker.wait()
    site.redis.kill()
    for path in site.redis.folder.glob("appendonlydir/*"):
        path.unlink()
    site.redis.start()
    forgotten_at = time.time()
    site.start_worker(children=2)
    for _ in range(2):
        site.send("test.ask", str(tmp_path), LIMIT)
    site.wait("calls are made again", lambda: len(site.sample.times()) >= len(before) + LIMIT, 90)
    times = site.sample.times()
    most = most_in_window(times)
    first = min(at for at in times if at > forgotten_at) - forgotten_at
    assert most <= LIMIT
    figure(
        f"R4 limit {LIMIT} a minute: {len(before)} calls, FLUSHALL, then Redis and both processes replaced: "
        f"next call {first:.0f} s later, at most {most} in any 60 s"
    )
