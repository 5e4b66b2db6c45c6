"""The sliding window: never more than N calls in any 60 seconds, and none during a hold."""

from __future__ import annotations

import random

import pytest

from markets.coingecko.errors import RateLimited
from markets.coingecko.limiter import SlidingWindow
from markets.coingecko.retry import Patience

from .conftest import FakeClock, Store


def window(store: Store, clock: FakeClock, limit: int = 5) -> SlidingWindow:
    return SlidingWindow(store.open(), calls_per_window=limit, clock=clock, sleep=clock.sleep)


def patience(clock: FakeClock, wait: float = 1000.0) -> Patience:
    return Patience(deadline_seconds=30.0, max_wait_seconds=wait, clock=clock)


def call(limiter: SlidingWindow, clock: FakeClock, wait: float = 1000.0) -> None:
    limiter.finish(limiter.acquire(patience(clock, wait)))


def test_it_never_lets_more_than_the_limit_arrive_in_any_window(store: Store, clock: FakeClock) -> None:
    dice = random.Random(7)
    limiters = [window(store, clock) for _ in range(3)]
    arrivals = []
    for _ in range(60):
        limiter = dice.choice(limiters)
        call_id = limiter.acquire(patience(clock))
        clock.at += dice.choice([0.0, 0.1, 3.0])
        arrivals.append(clock.at)
        clock.at += dice.choice([0.0, 0.2, 5.0])
        limiter.finish(call_id)
        clock.at += dice.choice([0.0, 0.0, 10.0])
    for first, sixth in zip(arrivals, arrivals[5:], strict=False):
        assert sixth - first > 60.0


def test_it_uses_the_whole_limit_at_once(store: Store, clock: FakeClock) -> None:
    first, second = window(store, clock), window(store, clock)
    for limiter in (first, second, first, second, first):
        call(limiter, clock)
    assert clock.naps == []
    assert second.usage() == (5, 0.0)


def test_it_waits_until_the_oldest_call_has_left_the_window(store: Store, clock: FakeClock) -> None:
    limiter, started_at = window(store, clock, limit=2), clock.at
    call(limiter, clock)
    clock.at += 20
    call(limiter, clock)
    call(limiter, clock)
    assert 60.0 < clock.at - started_at < 60.1


def test_it_refuses_when_the_wait_is_longer_than_the_patience(store: Store, clock: FakeClock) -> None:
    limiter = window(store, clock, limit=1)
    call(limiter, clock)
    clock.at += 15
    with pytest.raises(RateLimited) as caught:
        call(limiter, clock, wait=44.0)
    assert caught.value.retry_after_seconds == pytest.approx(45.0)
    assert caught.value.status is None
    assert clock.naps == []
    call(limiter, clock, wait=45.1)


def test_it_counts_a_call_from_its_end(store: Store, clock: FakeClock) -> None:
    limiter = window(store, clock, limit=1)
    call_id = limiter.acquire(patience(clock))
    clock.at += 25
    limiter.finish(call_id)
    clock.at += 59
    with pytest.raises(RateLimited):
        call(limiter, clock, wait=0.5)


def test_it_counts_a_call_whose_process_died(store: Store, clock: FakeClock) -> None:
    window(store, clock, limit=1).acquire(patience(clock))
    with pytest.raises(RateLimited):
        call(window(store, clock, limit=1), clock, wait=59.0)
    clock.at += 60.1
    call(window(store, clock, limit=1), clock, wait=0.0)


def test_it_holds_every_process_back(store: Store, clock: FakeClock) -> None:
    first, second = window(store, clock), window(store, clock)
    first.hold_until(clock.at + 53)
    first.hold_until(clock.at + 10)
    assert second.usage() == (0, 53.0)
    until = clock.at + 53
    call(second, clock)
    assert until <= clock.at < until + 0.1


def test_it_holds_for_a_window_after_the_store_was_lost(store: Store, clock: FakeClock) -> None:
    witness, other = window(store, clock, limit=2), window(store, clock, limit=2)
    call(witness, clock)
    clock.at += 30
    call(other, clock)
    store.wipe()
    with pytest.raises(RateLimited):
        call(witness, clock, wait=59.0)
    clock.at += 60.1
    call(witness, clock, wait=0.0)


def test_it_starts_at_once_where_there_never_was_a_store(store: Store, clock: FakeClock) -> None:
    call(window(store, clock), clock, wait=0.0)


def test_it_recovers_from_a_clock_that_is_set_back(store: Store, clock: FakeClock) -> None:
    limiter = window(store, clock, limit=1)
    call(limiter, clock)
    clock.at -= 3600
    with pytest.raises(RateLimited):
        call(limiter, clock, wait=59.0)
    call(limiter, clock, wait=61.0)


def test_it_forgets_no_call_when_a_process_reads_the_clock_early(store: Store, clock: FakeClock) -> None:
    limiter, late = window(store, clock, limit=1), FakeClock(clock.at - 5)
    call(limiter, clock)
    assert window(store, late, limit=1).usage() == (1, 0.0)
    clock.at += 59
    with pytest.raises(RateLimited):
        call(limiter, clock, wait=0.5)


def test_it_refuses_a_limit_of_none(store: Store, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        window(store, clock, limit=0)
