"""R10: a holder frozen past its lease writes nothing once another took over; a slow tick is not overtaken."""

from pathlib import Path

import pytest

from cryptopredict.tests.faults.conftest import Figure, MakeSite
from cryptopredict.tests.faults.site import Site, frozen, slot
from cryptopredict.tests.processes import lines

LEASE_SECONDS = 2.0
IDLE_SECONDS = 3


@pytest.mark.parametrize("pause", ["before", "after"], ids=["before-its-transaction", "inside-its-transaction"])
def test_it_lets_a_frozen_holder_write_nothing_once_another_took_over(
    make_site: MakeSite, tmp_path: Path, pause: str, figure: Figure
) -> None:
    site = make_site(DATABASE_IDLE_SECONDS=str(IDLE_SECONDS))
    site.start_worker()
    site.start_worker()
    site.send("test.write_under_lease", str(tmp_path), "first", LEASE_SECONDS, pause)
    marker = tmp_path / ("started" if pause == "before" else "inside")
    site.wait("the first holds the lease", lambda: len(lines(marker)) == 1)
    pid = int(lines(tmp_path / "started")[0].split()[1])
    with frozen(pid):
        expired = "SELECT expires_at < now() FROM markets_lease WHERE name = 'test'"
        site.wait("its lease runs out", lambda: bool(site.one(expired)))
        site.send("test.write_under_lease", str(tmp_path), "second", LEASE_SECONDS, "none")
        seconds = site.wait("another takes over", lambda: lines(tmp_path / "done") == ["second"], 60)
    (tmp_path / "go").touch()
    site.wait("the first is refused", lambda: len(lines(tmp_path / "refused")) == 1)
    refusal = lines(tmp_path / "refused")[0].split()
    assert refusal[0] == "first"
    assert refusal[1] in {"before": ("LeaseLost",), "after": ("InterfaceError", "OperationalError")}[pause]
    assert site.ask("SELECT problem FROM markets_syncrun WHERE kind = 'quality'") == [("second",)]
    place = {"before": "before", "after": "inside"}[pause]
    figure(
        f"R10 holder frozen {place} its transaction: another took over in {seconds:.1f} s, it got {refusal[1]}, wrote 0"
    )


def test_it_never_overlaps_two_ticks_when_one_is_slower_than_its_period(
    site: Site, tmp_path: Path, figure: Figure
) -> None:  # fmt: skip
    site.start_worker()
    site.start_worker()
    site.wait_for_worker(tmp_path)
    assert site.wait_for_end(site.send("test.tick", slot(3).isoformat())) == "succeeded"
    site.sample.fault("drip", seconds=6, count=1)
    slow = site.send("test.tick", slot(2).isoformat())
    site.wait("the slow tick runs", lambda: site.runs()["running"] == 1)
    quick = [site.send("test.tick", slot(1).isoformat()) for _ in range(3)]
    for job in (slow, *quick):
        assert site.wait_for_end(job) == "succeeded"
    overlaps = site.one(
        "SELECT count(*) FROM markets_syncrun a JOIN markets_syncrun b ON a.id < b.id AND a.kind = b.kind "
        "AND a.started_at < b.finished_at AND b.started_at < a.finished_at WHERE a.kind = 'prices'"
    )
    assert overlaps == 0
    assert site.wait_for_end(site.send("test.tick", slot(1).isoformat())) == "succeeded"
    assert [tick.at for tick in site.ticks()] == [slot(3), slot(2), slot(1)]
    site.assert_whole()
    figure("R10 a tick of 6 s and three more that wanted to begin meanwhile: 0 overlapping runs, 3 whole slots")
