"""The month's credits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from markets.coingecko.budget import MonthlyBudget
from markets.coingecko.errors import BudgetExhausted

from .conftest import FakeClock, Store


def budget(store: Store, clock: FakeClock, credits: int | None = 3) -> MonthlyBudget:
    return MonthlyBudget(store.open(), monthly_credits=credits, clock=clock)


def test_it_counts_the_calls_of_all_processes(store: Store, clock: FakeClock) -> None:
    first, second = budget(store, clock), budget(store, clock)
    first.spend()
    second.spend()
    assert first.spent() == second.spent() == 2


def test_it_refuses_the_call_after_the_last_credit(store: Store, clock: FakeClock) -> None:
    clock.at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    subject = budget(store, clock)
    for _ in range(3):
        subject.spend()
    with pytest.raises(BudgetExhausted) as caught:
        subject.spend()
    assert caught.value.resets_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert subject.spent() == 3


def test_it_begins_anew_with_the_month_in_utc(store: Store, clock: FakeClock) -> None:
    clock.at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    subject = budget(store, clock, credits=1)
    subject.spend()
    clock.at += 1
    subject.spend()
    assert subject.spent() == 1


def test_it_gives_no_second_credits_when_the_clock_is_set_back(store: Store, clock: FakeClock) -> None:
    clock.at = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    subject = budget(store, clock, credits=1)
    subject.spend()
    clock.at -= 3600
    with pytest.raises(BudgetExhausted):
        subject.spend()


def test_it_gives_back_the_credit_of_a_call_not_sent(store: Store, clock: FakeClock) -> None:
    subject = budget(store, clock)
    subject.spend()
    subject.refund()
    subject.refund()
    assert subject.spent() == 0


def test_it_only_counts_without_a_limit(store: Store, clock: FakeClock) -> None:
    subject = budget(store, clock, credits=None)
    for _ in range(5):
        subject.spend()
    assert subject.spent() == 5


def test_it_remembers_what_was_spent_when_the_store_is_lost(store: Store, clock: FakeClock) -> None:
    subject = budget(store, clock)
    for _ in range(3):
        subject.spend()
    store.wipe()
    with pytest.raises(BudgetExhausted):
        subject.spend()
