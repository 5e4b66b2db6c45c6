"""R7: two beats at once, a beat or the workers away for an hour: each slot once, and no burst of stale ticks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptopredict.tests.faults.conftest import Figure
from cryptopredict.tests.faults.site import Site

PRICES = "markets.sync_all_prices"
PERIOD_SECONDS = 4


def ticks_queued(site: Site) -> int:
    return int(site.one("SELECT count(*) FROM operations_taskrun WHERE name = %s", PRICES))


def test_it_fills_each_slot_once_with_two_beats_that_were_away_for_an_hour(site: Site, figure: Figure) -> None:
    site.installation.run("manage.py", "seed_schedule")
    site.installation.evaluate(
        "from datetime import timedelta; from django.utils import timezone\n"
        "from django_celery_beat.models import PeriodicTask\n"
        f"PeriodicTask.objects.exclude(task='{PRICES}').update(enabled=False)\n"
        "PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(hours=1))\n"
        "from django_celery_beat.models import IntervalSchedule\n"
        f"IntervalSchedule.objects.update(every={PERIOD_SECONDS}, period='seconds')"
    )
    site.start_worker(children=2)
    beats = [site.installation.start_beat(), site.installation.start_beat()]
    began = datetime.now(UTC)
    site.wait("both beats queue ticks", lambda: site.log.read_text().count("Sending due task") >= 6)
    site.wait("a tick is stored", lambda: site.runs()["succeeded"] >= 1)
    seconds = (datetime.now(UTC) - began).total_seconds()
    queued = ticks_queued(site)
    assert queued <= 2 * (1 + seconds / PERIOD_SECONDS), "each beat queues what it missed once"
    boundaries = (datetime.now(UTC).timestamp() // 300) - (began.timestamp() // 300)
    assert site.runs()["succeeded"] <= 1 + boundaries
    assert len(site.ticks()) == site.runs()["succeeded"]
    site.assert_whole()
    assert all(beat.poll() is None for beat in beats)
    figure(
        f"R7 two beats, away for an hour: {queued} ticks queued in {seconds:.0f} s with a period of {PERIOD_SECONDS} s "
        f"({3600 // PERIOD_SECONDS} had been missed by each), {site.runs()['succeeded']} took effect, "
        f"{len(site.ticks())} slot filled"
    )


def test_it_drops_the_stale_ticks_of_an_hour_without_workers(site: Site, tmp_path: Path, figure: Figure) -> None:
    stale = datetime.now(UTC) - timedelta(seconds=1)
    old = [site.send(PRICES, expires=stale) for _ in range(12)]
    fresh = site.send(PRICES, expires=datetime.now(UTC) + timedelta(minutes=5))
    site.start_worker()
    assert site.wait_for_end(fresh) == "succeeded"
    site.wait_for_worker(tmp_path)
    calls = len([request for request in site.sample.log() if request["path"] == "/coins/markets"])
    assert site.runs()["succeeded"] == 1
    assert {site.job(job)[0] for job in old} == {""}, "none of them was begun"
    figure(f"R7 workers away for an hour: 12 stale ticks dropped, 1 fresh one made, {calls} calls")
