"""What the schedule asks of CoinGecko in calls, held against the rate and the month's credits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings

from markets.coingecko.budget import CallPlan, ScheduledCalls, plan

# Calls that one run of each job makes.
CALLS_PER_RUN = {
    "markets.sync_all_prices": 1,
    "markets.sync_historical_data": 1,
    "markets.discover_new_cryptocurrencies": 1,
}
PERIODS = {
    "markets.sync_all_prices": 300.0,
    "markets.sync_historical_data": 3600.0,
    "markets.discover_new_cryptocurrencies": 86_400.0,
}


@dataclass(frozen=True)
class Tier:
    """Coins of neighbouring ranks whose prices are asked for equally often."""

    name: str
    first_rank: int
    last_rank: int
    period_seconds: float
    calls_per_month: float


@dataclass(frozen=True)
class MarketPlan:
    """What the schedule costs, and what gives way first when it must cost less."""

    arithmetic: str
    calls_per_month: float
    tiers: list[Tier] = field(default_factory=list)
    jobs: list[ScheduledCalls] = field(default_factory=list)
    degrades: list[str] = field(default_factory=list)


def check_periods(periods: Mapping[str, float]) -> None:
    """Raises ScheduleDoesNotFit, with the arithmetic, when jobs run so often need more calls than there are."""
    _plan(_jobs(periods))


def current_plan() -> MarketPlan:
    jobs = _jobs(PERIODS)
    made = _plan(jobs)
    prices = next(job for job in jobs if job.name == "markets.sync_all_prices")
    tier = Tier("all", 1, settings.TRACKED_COINS, prices.period_seconds, prices.calls_per_month())
    return MarketPlan(made.arithmetic, made.calls_per_month, [tier], jobs, ["history", "prices"])


def _jobs(periods: Mapping[str, float]) -> list[ScheduledCalls]:
    return [ScheduledCalls(name, calls, periods[name]) for name, calls in CALLS_PER_RUN.items() if periods.get(name)]


def _plan(jobs: list[ScheduledCalls]) -> CallPlan:
    return plan(
        jobs,
        calls_per_minute=settings.COINGECKO_CALLS_PER_MINUTE,
        monthly_credits=settings.COINGECKO_MONTHLY_CREDITS or None,
    )
