"""R1: a worker's child killed at random moments of a tick: no half tick, no double row, the next tick whole."""

import random
import time
from pathlib import Path

from cryptopredict.tests.faults.conftest import Figure
from cryptopredict.tests.faults.site import Site, children_of, slot

KILLS = 20


def test_it_stores_whole_ticks_only_while_children_are_killed(site: Site, tmp_path: Path, figure: Figure) -> None:
    worker = site.start_worker()
    site.wait_for_worker(tmp_path)
    began_at = time.monotonic()
    assert site.wait_for_end(site.send("test.tick", slot(KILLS + 2).isoformat())) == "succeeded"
    usual_seconds = time.monotonic() - began_at
    chance = random.Random(1)
    jobs = []
    for number in range(KILLS, 0, -1):
        site.wait("a child is there", lambda: len(children_of(worker)) == 1)
        (child,) = children_of(worker)
        job = site.send("test.tick", slot(number).isoformat())
        jobs.append(job)
        time.sleep(chance.uniform(0, usual_seconds))  # the random moment
        if child.is_running():
            child.kill()
        site.assert_whole()
        assert site.wait_for_end(job) == "succeeded"
    site.assert_whole()
    whole = len(site.ticks())
    redelivered = sum(site.job(job)[1] > 1 for job in jobs)
    assert whole == KILLS + 1
    assert redelivered > 0, "no kill came in mid-task"
    assert worker.poll() is None
    assert site.runs()["succeeded"] == KILLS + 1
    assert site.runs()["running"] == 0
    figure(
        f"R1 {KILLS} children killed at random moments: {redelivered} jobs cut short and done again, "
        f"{whole} of {KILLS + 1} slots whole, 0 half, 0 double"
    )


def test_it_records_a_hole_and_fills_it_from_history(site: Site, tmp_path: Path, figure: Figure) -> None:
    site.start_worker()
    first, last = 6, 1
    assert site.wait_for_end(site.send("test.tick", slot(first + 1).isoformat())) == "succeeded"
    assert site.wait_for_end(site.send("markets.sync_historical_data"), 120) == "succeeded"
    # An hour later: each coin is asked for its history once an hour.
    site.ask("UPDATE markets_cryptocurrency SET history_synced_at = history_synced_at - interval '1 hour'")
    for number in (first, last):
        assert site.wait_for_end(site.send("test.tick", slot(number).isoformat())) == "succeeded"
    missing = "from django.utils import timezone; from markets.sync.history import missed_slots"
    holes = int(site.installation.evaluate(f"{missing}; print(len(missed_slots(now=timezone.now())))"))
    assert holes >= first - last - 1
    assert site.wait_for_end(site.send("markets.sync_historical_data"), 120) == "succeeded"
    filled = {tick.at for tick in site.ticks()}
    assert {slot(number) for number in range(first, last, -1)} <= filled
    figure(f"R1 a hole of {first - last - 1} slots was seen ({holes} missed) and filled from history")
