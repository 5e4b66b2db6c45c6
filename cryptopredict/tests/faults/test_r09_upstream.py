"""R9: everything that upstream can do wrong, over four processes; the sample server's own log is the witness."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from cryptopredict.tests.faults.conftest import Figure, MakeSite
from cryptopredict.tests.faults.site import Site, most_in_window, slot
from cryptopredict.tests.processes import lines

LIMIT = 20
PROCESSES = 4
FIRST_PAUSE_SECONDS = 30
# What was already on its way when another process heard of the refusal.
UNDER_WAY_SECONDS = 0.5
SPOILT = ("missing_fields", "extra_fields", "nan", "negative", "absurd", "duplicate_rows", "stale_rows")
REJECTING = {"missing_fields", "nan", "negative", "absurd", "duplicate_rows"}
BROKEN: dict[str, dict[str, Any]] = {
    "html": {},
    "truncated": {},
    "500": {},
    "502": {},
    "503": {},
    "429": {"retry_after": "1"},
    "timeout": {"seconds": 6},
    "drip": {"seconds": 40},
}


@pytest.mark.minute
def test_it_never_exceeds_the_limit_over_four_processes(make_site: MakeSite, tmp_path: Path, figure: Figure) -> None:
    site = make_site(COINGECKO_CALLS_PER_MINUTE=str(LIMIT))
    for _ in range(2):
        site.start_worker(children=PROCESSES // 2)
    site.wait_for_worker(tmp_path)
    for _ in range(PROCESSES):
        site.send("test.ask", str(tmp_path), LIMIT)
    site.wait("the second window is used too", lambda: len(site.sample.times()) >= LIMIT + LIMIT // 2, 100)
    times = site.sample.times()
    most = most_in_window(times)
    assert most <= LIMIT
    assert most >= LIMIT - 1, "the limit is used, not only kept"
    figure(f"R9 {len(times)} calls of {PROCESSES} processes: at most {most} in any 60 s (limit {LIMIT})")


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_it_keeps_silent_until_retry_after_in_all_processes(
    site: Site, tmp_path: Path, form: str, figure: Figure
) -> None:  # fmt: skip
    wait = 5
    for _ in range(2):
        site.start_worker(children=PROCESSES // 2)
    site.wait_for_worker(tmp_path)
    for _ in range(PROCESSES):
        site.send("test.hammer", str(tmp_path), 25)
    site.wait("all processes call", lambda: len(site.sample.times()) > 4 * PROCESSES)
    until = datetime.now(UTC) + timedelta(seconds=wait)
    site.sample.fault(
        "429", count=1, retry_after=str(wait) if form == "seconds" else format_datetime(until, usegmt=True)
    )
    site.wait("it was refused", lambda: any(request["status"] == 429 for request in site.sample.log()))
    refused_at = next(request["at"] for request in site.sample.log() if request["status"] == 429)
    may_call_at = refused_at + wait if form == "seconds" else float(int(until.timestamp()))
    site.wait("calls go on", lambda: site.sample.times()[-1] > may_call_at)
    early = [at for at in site.sample.times(refused_at + UNDER_WAY_SECONDS) if at < may_call_at]
    assert early == []
    first = min(at for at in site.sample.times() if at > refused_at + UNDER_WAY_SECONDS)
    figure(f"R9 429 with Retry-After as {form}: {wait} s asked for, next call of {PROCESSES} processes after "
           f"{first - refused_at:.1f} s")  # fmt: skip


@pytest.mark.minute
def test_it_opens_one_breaker_for_all_processes_and_sends_one_probe(
    site: Site, tmp_path: Path, figure: Figure
) -> None:  # fmt: skip
    for _ in range(2):
        site.start_worker(children=PROCESSES // 2)
    site.wait_for_worker(tmp_path)
    site.sample.fault("500", path="/ping")
    for _ in range(PROCESSES):
        site.send("test.hammer", str(tmp_path), 120)
    site.wait("the breaker is open", lambda: any("BreakerOpen" in line for line in lines(tmp_path / "refused")))
    time.sleep(UNDER_WAY_SECONDS)
    storm = site.sample.times()
    opened_at = storm[-1]
    # The breaker opens with the fifth failure; the other processes' calls may have been on their way by then.
    assert 5 <= len(storm) <= 5 + PROCESSES - 1
    site.sample.heal()
    site.sample.fault("drip", path="/ping", seconds=4, count=1)  # the probe is slow, so that a second one would show
    site.wait("a probe is sent", lambda: len(site.sample.times()) > len(storm), FIRST_PAUSE_SECONDS + 10)
    site.wait("calls go on", lambda: len(site.sample.times()) > len(storm) + PROCESSES, 60)
    times = site.sample.times()
    probe_at = times[len(storm)]
    assert probe_at - opened_at >= FIRST_PAUSE_SECONDS - 1
    assert times[len(storm) + 1] - probe_at >= 2.5, "nobody else asked during the probe"
    figure(
        f"R9 storm of 500s: breaker open after {len(storm)} calls of {PROCESSES} processes, silent for "
        f"{probe_at - opened_at:.0f} s, then 1 probe alone for {times[len(storm) + 1] - probe_at:.1f} s"
    )


def test_it_stores_nothing_unsound_and_counts_every_reject(site: Site, tmp_path: Path, figure: Figure) -> None:
    site.start_worker()
    number = len(SPOILT) + len(BROKEN) + 2
    assert site.wait_for_end(site.send("test.tick", slot(number).isoformat())) == "succeeded"
    rejects = {}
    for kind in SPOILT:
        number -= 1
        site.sample.heal()
        site.sample.fault(kind, path="/coins/markets")
        assert site.wait_for_end(site.send("test.tick", slot(number).isoformat())) == "succeeded"
        counted, kept = site.ask(
            "SELECT r.rows_rejected, (SELECT count(*) FROM markets_rejectedpoint p WHERE p.run_id = r.id) "
            "FROM markets_syncrun r WHERE kind = 'prices' ORDER BY id DESC LIMIT 1"
        )[0]
        assert counted == kept, kind
        assert (counted > 0) == (kind in REJECTING), f"{kind}: {counted} rejected"
        rejects[kind] = counted
    unsound = "SELECT count(*) FROM markets_{} WHERE NOT ({} > 0 AND {} < 1e12)"
    assert site.one(unsound.format("pricedata", "low", "high")) == 0
    assert site.one(unsound.format("cryptocurrency", "price_usd", "price_usd")) == 0
    figure("R9 spoilt answers: " + ", ".join(f"{kind} {count} rejected" for kind, count in rejects.items())
           + "; 0 unsound rows stored")  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_it_records_a_tick_that_upstream_did_not_answer_and_recovers(
    site: Site, tmp_path: Path, kind: str, figure: Figure
) -> None:
    site.start_worker()
    site.sample.fault(kind, path="/coins/markets", **BROKEN[kind])
    began_at = time.monotonic()
    assert site.wait_for_end(site.send("test.tick", slot(2).isoformat()), 90) == "succeeded"
    seconds = time.monotonic() - began_at
    state, problem = site.ask("SELECT state, problem FROM markets_syncrun ORDER BY id DESC LIMIT 1")[0]
    assert state == "failed"
    assert problem
    assert site.ticks() == []
    site.sample.heal()
    assert site.wait_for_end(site.send("test.tick", slot(1).isoformat()), 90) == "succeeded"
    assert [tick.at for tick in site.ticks()] == [slot(1)]
    site.assert_whole()
    figure(f"R9 {kind}: the tick failed after {seconds:.1f} s ({problem[:60]!r}), nothing stored; the next is whole")
