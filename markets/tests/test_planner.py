"""The month's plan: what the credits buy, in which order it degrades, and what is refused."""

import pytest

from markets.coingecko.budget import ScheduledCalls, ScheduleDoesNotFit
from markets.coingecko.planner import PERIODS, MonthPlan, plan_month

DISCOVERY = ScheduledCalls("discovery", 2, 86_400)


def plan(pages: int, credits: int | None = 10_000, rate: int = 30, shortest: int = 300) -> MonthPlan:
    return plan_month(
        pages=pages,
        discovery=DISCOVERY,
        calls_per_minute=rate,
        monthly_credits=credits,
        shortest_seconds=shortest,
    )


def test_it_syncs_the_biggest_coins_every_five_minutes_on_the_free_plan() -> None:
    made = plan(1)
    assert [(tier.first_rank, tier.last_rank, tier.period_seconds) for tier in made.tiers] == [(1, None, 300)]
    assert made.calls_per_month == 31 * 288 + 62
    assert made.history_calls == 9800 - 62 - 8928


def test_it_syncs_the_rest_less_often_and_the_higher_ranks_first() -> None:
    made = plan(4)
    periods = [made.period_of_page(page) for page in range(4)]
    assert periods[0] == 300
    assert periods == sorted(periods)
    assert made.calls_per_month <= 9800
    faster = [PERIODS[PERIODS.index(period) - 1] for period in periods[1:2]]
    assert made.calls_per_month + 31 * 86_400 / faster[0] - 31 * 86_400 / periods[1] > 9800


@pytest.mark.parametrize("credits", [400, 1_000, 3_000, 5_000, 10_000, 100_000, 500_000])
@pytest.mark.parametrize("pages", [1, 2, 7, 20])
def test_it_never_plans_more_than_the_credits(pages: int, credits: int) -> None:
    try:
        made = plan(pages, credits)
    except ScheduleDoesNotFit:
        assert 31 * pages + 62 > credits * 0.98
        return
    assert made.calls_per_month + (made.history_calls or 0) <= credits * 0.98 + 1e-6


def test_it_syncs_all_pages_at_the_shortest_period_without_a_monthly_limit() -> None:
    made = plan(20, None)
    assert {tier.period_seconds for tier in made.tiers} == {300}
    assert made.history_calls is None


def test_it_names_what_degrades_first() -> None:
    made = plan(4)
    assert made.degrades[0] == "history and the filling of gaps"
    assert "ranks 1 to 250" in made.degrades[-2]
    assert made.degrades[-1] == "discovery"


def test_it_tells_the_arithmetic() -> None:
    assert "1 x 8,928 = 8,928" in plan(1).arithmetic
    assert "together 8,990 calls in 31 days of 10,000 credits" in plan(1).arithmetic


def test_it_refuses_more_coins_than_one_call_a_day_can_serve() -> None:
    with pytest.raises(ScheduleDoesNotFit, match=r"40 pages .* 1,240 calls in 31 days"):
        plan(40, 1_000)


def test_it_refuses_a_tick_that_is_longer_than_its_period() -> None:
    with pytest.raises(ScheduleDoesNotFit, match=r"a whole tick is 21 calls, but 5 calls a minute allow 20"):
        plan(21, None, rate=5)


def test_it_has_a_tick_of_every_coin_at_midnight() -> None:
    assert all(86_400 % period == 0 for period in PERIODS)
