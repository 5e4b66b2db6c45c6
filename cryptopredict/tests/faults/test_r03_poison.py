"""R3: a job that always ends its worker is delivered three times, quarantined and shown; others go on."""

from pathlib import Path

from cryptopredict.tests.faults.conftest import Figure
from cryptopredict.tests.faults.site import Site
from cryptopredict.tests.processes import Installation, lines, wait_for

WAYS = ("segmentation fault", "exit", "quiet exit", "out of memory")


def assert_counted(folder: Path, how: str) -> int:
    deliveries = lines(folder / "started").count(how)
    assert 1 <= deliveries <= 3
    return deliveries


def test_it_quarantines_poison_of_every_kind_on_redis_while_other_queues_work(
    site: Site, tmp_path: Path, figure: Figure
) -> None:
    jobs = {how: site.send("test.die", str(tmp_path), how) for how in WAYS}
    site.start_worker(children=2)
    site.start_worker(queues="forecasts")
    others = [site.send("test.note", str(tmp_path), f"other {n}", queue="forecasts") for n in range(10)]
    same_queue = site.send("test.note", str(tmp_path), "behind the poison")
    seconds = site.wait("the other queue is worked off", lambda: all(site.job(j)[0] == "succeeded" for j in others))
    assert site.wait_for_end(same_queue) == "succeeded"
    for how, job in jobs.items():
        assert site.wait_for_end(job) == "quarantined", how
        assert "ended its worker 3 times" in site.job(job)[2]
    counts = [assert_counted(tmp_path, how) for how in WAYS]
    problems = site.installation.evaluate(
        "from cryptopredict.operations.health import JOBS; print(JOBS['quarantine']())"
    )
    assert "test.die" in problems
    figure(
        f"R3 poison on Redis: {', '.join(WAYS)} delivered {', '.join(map(str, counts))} times (limit 3), "
        f"then quarantined; 10 jobs of another queue done after {seconds:.1f} s"
    )


def test_it_quarantines_poison_of_every_kind_on_the_disk_broker(
    installation: Installation, tmp_path: Path, figure: Figure
) -> None:
    installation.queue("test.die", [[str(tmp_path), how] for how in WAYS])
    installation.queue("test.note", [[str(tmp_path), "other"]], queue="forecasts")
    installation.start_worker("-P", "prefork", "-c", "2")
    installation.start_worker("-P", "prefork", "-c", "1", "-n", "other@%h", queues="forecasts")
    wait_for("the other queue works", lambda: lines(tmp_path / "done") == ["other"], log=installation.log)
    wait_for("all are quarantined", lambda: quarantined(installation) == len(WAYS), 60, installation.log)
    counts = [assert_counted(tmp_path, how) for how in WAYS]
    figure(f"R3 poison on disk: {', '.join(WAYS)} delivered {', '.join(map(str, counts))} times (limit 3)")


def quarantined(installation: Installation) -> int:
    runs = "TaskRun.objects.filter(state='quarantined')"
    code = f"from cryptopredict.operations.models import TaskRun; print({runs}.count())"
    return int(installation.evaluate(code))


def test_it_quarantines_a_job_that_takes_its_whole_worker_with_it(
    site: Site, tmp_path: Path, figure: Figure
) -> None:  # fmt: skip
    job = site.send("test.die", str(tmp_path), "out of memory")
    for _ in range(3):
        site.installation.start_worker("-P", "solo", "-n", "solo@%h").wait(60)
    site.installation.start_worker("-P", "solo", "-n", "solo@%h")
    assert site.wait_for_end(job) == "quarantined"
    figure(f"R3 poison in a worker without children: delivered {assert_counted(tmp_path, 'out of memory')} times")
