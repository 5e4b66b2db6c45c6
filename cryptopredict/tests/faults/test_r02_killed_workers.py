"""R2: a whole worker killed in mid-task: the job runs again within its visibility time-out, with one effect."""

import time
from pathlib import Path

from cryptopredict.tests.faults.conftest import Figure
from cryptopredict.tests.faults.site import VISIBILITY_SECONDS, Site, slot
from cryptopredict.tests.processes import lines


def test_it_does_the_job_of_a_killed_worker_again_with_one_effect(site: Site, tmp_path: Path, figure: Figure) -> None:
    worker = site.start_worker()
    site.wait_for_worker(tmp_path)
    site.sample.fault("drip", seconds=8, count=1)
    job = site.send("test.tick", slot(1).isoformat())
    site.wait("the tick is in its middle", lambda: site.runs()["running"] == 1)
    worker.kill()
    worker.wait()
    killed_at = time.monotonic()
    site.start_worker()
    assert site.wait_for_end(job, VISIBILITY_SECONDS + 30) == "succeeded"
    seconds = time.monotonic() - killed_at
    assert seconds <= VISIBILITY_SECONDS + 20
    assert site.job(job)[1] == 2
    assert site.runs()["succeeded"] == 1
    assert site.runs()["running"] == 0, "what the dead worker left open is closed"
    assert [tick.at for tick in site.ticks()] == [slot(1)]
    site.assert_whole()
    figure(
        f"R2 worker killed in mid-tick: done again after {seconds:.1f} s "
        f"(limit {VISIBILITY_SECONDS + 20}), 2 deliveries, 1 effect"
    )


def test_it_leaves_out_a_job_that_succeeded_before_its_worker_could_say_so(
    site: Site, tmp_path: Path, figure: Figure
) -> None:  # fmt: skip
    site.start_worker()
    job = site.send("test.note", str(tmp_path), "once")
    assert site.wait_for_end(job) == "succeeded"
    site.send("test.note", str(tmp_path), "once", task_id=job)  # what the broker does with a job not acknowledged
    site.wait_for_worker(tmp_path)
    assert lines(tmp_path / "done").count("once") == 1
    figure("R2 a job delivered again after it had succeeded: left out, 1 effect")
