"""The breaker: five failures open it for all, and one process at a time may probe."""

from __future__ import annotations

import pytest

from markets.coingecko.breaker import Breaker, Permit
from markets.coingecko.errors import BreakerOpen, PlanProblem, UpstreamUnavailable

from .conftest import FakeClock, Store

DOWN = UpstreamUnavailable("Bad gateway", status=502)


def breaker(store: Store, clock: FakeClock) -> Breaker:
    return Breaker(store.open(), clock=clock, probe_lease_seconds=100.0)


def fail(subject: Breaker, times: int) -> None:
    for _ in range(times):
        subject.record_failure(subject.admit(), DOWN)


def test_it_opens_for_every_process_after_five_failures_in_a_row(store: Store, clock: FakeClock) -> None:
    first, second = breaker(store, clock), breaker(store, clock)
    fail(first, 2)
    fail(second, 2)
    assert first.admit() == Permit()
    fail(first, 1)
    with pytest.raises(BreakerOpen) as caught:
        second.admit()
    assert caught.value.retry_after_seconds == 30.0
    assert second.snapshot()["state"] == "open"


def test_it_counts_only_failures_in_a_row(store: Store, clock: FakeClock) -> None:
    subject = breaker(store, clock)
    for _ in range(5):
        fail(subject, 4)
        subject.record_success(subject.admit())
    assert subject.snapshot()["state"] == "closed"


def test_it_lets_one_process_probe(store: Store, clock: FakeClock) -> None:
    first, second = breaker(store, clock), breaker(store, clock)
    fail(first, 5)
    clock.at += 30
    assert first.snapshot()["state"] == "half_open"
    probe = first.admit()
    for subject in (first, second):
        with pytest.raises(BreakerOpen):
            subject.admit()
    first.record_success(probe)
    assert second.admit() == Permit()
    assert second.snapshot()["state"] == "closed"
    assert second.snapshot()["failures"] == 0


def test_it_gives_the_probe_to_another_when_its_process_died(store: Store, clock: FakeClock) -> None:
    first, second = breaker(store, clock), breaker(store, clock)
    fail(first, 5)
    clock.at += 30
    lost = first.admit()
    clock.at += 99
    with pytest.raises(BreakerOpen):
        second.admit()
    clock.at += 1
    probe = second.admit()
    assert probe.probe_id not in (None, lost.probe_id)
    first.record_success(lost)
    assert second.snapshot()["state"] == "half_open", "a probe whose lease is over has no say"


def test_it_frees_a_probe_that_was_not_used(store: Store, clock: FakeClock) -> None:
    first, second = breaker(store, clock), breaker(store, clock)
    fail(first, 5)
    clock.at += 30
    first.release(first.admit())
    assert second.admit().probe_id is not None


def test_it_doubles_the_pause_with_each_failed_probe(store: Store, clock: FakeClock) -> None:
    subject = breaker(store, clock)
    fail(subject, 5)
    pauses = []
    for _ in range(7):
        clock.at = subject.snapshot()["open_until"]
        fail(subject, 1)
        pauses.append(subject.snapshot()["open_until"] - clock.at)
    assert pauses == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


def test_it_begins_with_a_short_pause_again_after_a_success(store: Store, clock: FakeClock) -> None:
    subject = breaker(store, clock)
    fail(subject, 5)
    clock.at += 30
    fail(subject, 1)
    clock.at += 60
    subject.record_success(subject.admit())
    fail(subject, 5)
    assert subject.snapshot()["open_until"] - clock.at == 30.0


def test_it_ignores_calls_that_were_sent_before_it_opened(store: Store, clock: FakeClock) -> None:
    subject = breaker(store, clock)
    early = subject.admit()
    fail(subject, 5)
    subject.record_success(early)
    subject.record_failure(early, DOWN)
    assert subject.snapshot()["state"] == "open"
    assert subject.snapshot()["open_until"] == clock.at + 30


def test_it_opens_at_once_and_for_an_hour_when_the_key_is_refused(store: Store, clock: FakeClock) -> None:
    subject = breaker(store, clock)
    subject.record_failure(subject.admit(), PlanProblem("invalid API key", status=401))
    with pytest.raises(BreakerOpen) as caught:
        subject.admit()
    assert caught.value.retry_after_seconds == 3600.0


def test_it_stays_open_when_the_store_is_lost(store: Store, clock: FakeClock) -> None:
    subject, newcomer = breaker(store, clock), breaker(store, clock)
    fail(subject, 5)
    store.wipe()
    assert newcomer.admit() == Permit()
    with pytest.raises(BreakerOpen):
        subject.admit()
    with pytest.raises(BreakerOpen):
        newcomer.admit()


def test_it_tells_the_last_success_and_the_last_error(store: Store, clock: FakeClock) -> None:
    subject = breaker(store, clock)
    subject.record_success(subject.admit())
    succeeded_at = clock.at
    clock.at += 5
    fail(subject, 1)
    seen = breaker(store, clock).snapshot()
    assert seen["last_success_at"] == succeeded_at
    assert seen["last_error"] == {
        "at": succeeded_at + 5,
        "kind": "UpstreamUnavailable",
        "status": 502,
        "message": "Bad gateway",
    }
