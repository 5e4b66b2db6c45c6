"""Spends a month's calls by rank: the biggest coins as often as possible, the rest less often, history last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .budget import ScheduledCalls, ScheduleDoesNotFit

DAY_SECONDS = 86_400
MONTH_SECONDS = 31 * DAY_SECONDS  # planned for the longest month, so that every month fits
PAGE_COINS = 250
# Every period divides a day, so that each coin has a price at 00:00 UTC: the close that forecasts are scored on.
PERIODS = (300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400)
RETRY_SHARE = 0.02  # of the month's calls: kept back for tries that fail
SLOT_SHARE = 0.8  # of the calls that the rate allows within one period; the rest is for history and staff


@dataclass(frozen=True)
class Tier:
    """Coins of neighbouring ranks whose prices are synced equally often; ``last_rank`` None: and all below."""

    name: str
    first_rank: int
    last_rank: int | None
    pages: int
    period_seconds: int

    @property
    def calls_per_month(self) -> float:
        return self.pages * MONTH_SECONDS / self.period_seconds


@dataclass(frozen=True)
class MonthPlan:
    """What a month's calls are spent on; ``history_calls`` is what is left for history (None: no limit)."""

    tiers: tuple[Tier, ...]
    jobs: tuple[ScheduledCalls, ...]
    calls_per_month: float
    history_calls: float | None
    arithmetic: str
    degrades: tuple[str, ...]

    def period_of_page(self, page: int) -> int:
        """Return the period in seconds of the page (0: the biggest 250 coins) of tracked coins."""
        for tier in self.tiers:
            if page < tier.pages:
                return tier.period_seconds
            page -= tier.pages
        return self.tiers[-1].period_seconds


def plan_month(
    *,
    pages: int,
    discovery: ScheduledCalls,
    calls_per_minute: int,
    monthly_credits: int | None,
    shortest_seconds: int = 300,
    retry_share: float = RETRY_SHARE,
) -> MonthPlan:
    """Give each page of 250 tracked coins the shortest period that the credits and the rate allow.

    The first page comes first; then the others become faster together, one step at a time, the higher ranks
    before the lower. What is left is for history. Raises ScheduleDoesNotFit, with the arithmetic, when not even
    one call a day for each page fits, or when a whole tick is longer than its period.
    """
    ladder = _ladder(shortest_seconds)
    affordable = _affordable(discovery, monthly_credits, retry_share)
    _check_rate(pages, calls_per_minute, ladder[0])
    steps = [len(ladder) - 1] * pages
    if _cost(steps, ladder) > affordable:
        raise ScheduleDoesNotFit(
            f"The schedule does not fit: {pages} pages of {PAGE_COINS} coins once a day are "
            f"{_cost(steps, ladder):,.0f} calls in 31 days, {discovery.name} {discovery.calls_per_month():,.0f}, but "
            f"the {monthly_credits:,} credits of a month leave {affordable:,.0f} calls for prices after "
            f"{retry_share:.0%} for failed tries. Track fewer coins."
        )
    _speed_up(steps, [0], ladder, affordable)
    _speed_up(steps, list(range(1, pages)), ladder, affordable)
    return _described([ladder[step] for step in steps], discovery, monthly_credits, affordable, retry_share)


def _ladder(shortest_seconds: int) -> list[int]:
    ladder = [period for period in PERIODS if period >= shortest_seconds]
    if not ladder:
        raise ScheduleDoesNotFit("Prices must be synced at least once a day.")
    return ladder


def _affordable(discovery: ScheduledCalls, monthly_credits: int | None, retry_share: float) -> float:
    if monthly_credits is None:
        return float("inf")
    return monthly_credits * (1 - retry_share) - discovery.calls_per_month()


def _check_rate(pages: int, calls_per_minute: int, shortest_seconds: int) -> None:
    """At midnight every page is due at once: that tick must be over before the next one begins."""
    fit = int(calls_per_minute * shortest_seconds / 60 * SLOT_SHARE)
    if pages > fit:
        raise ScheduleDoesNotFit(
            f"The schedule does not fit: a whole tick is {pages} calls, but {calls_per_minute} calls a minute allow "
            f"{fit} in {SLOT_SHARE:.0%} of {shortest_seconds} s. Track at most {fit * PAGE_COINS:,} coins, sync "
            "less often, or use a plan with a higher rate."
        )


def _cost(steps: Sequence[int], ladder: Sequence[int]) -> float:
    return sum(MONTH_SECONDS / ladder[step] for step in steps)


def _speed_up(steps: list[int], pages: Sequence[int], ladder: Sequence[int], affordable: float) -> None:
    """Step by step in the order of the pages, until the next step would cost too much."""
    spent = _cost(steps, ladder)
    for _ in ladder:
        for page in pages:
            if steps[page] == 0:
                continue
            more = MONTH_SECONDS / ladder[steps[page] - 1] - MONTH_SECONDS / ladder[steps[page]]
            if spent + more > affordable:
                return
            spent += more
            steps[page] -= 1


def _described(
    periods: Sequence[int],
    discovery: ScheduledCalls,
    monthly_credits: int | None,
    affordable: float,
    retry_share: float,
) -> MonthPlan:
    tiers = _tiers(periods)
    jobs = (*(ScheduledCalls(tier.name, tier.pages, tier.period_seconds) for tier in tiers), discovery)
    prices = sum(tier.calls_per_month for tier in tiers)
    history = None if monthly_credits is None else affordable - prices
    total = prices + discovery.calls_per_month()
    parts = [
        f"{job.name}: {job.calls_per_run} x {MONTH_SECONDS / job.period_seconds:,.0f} = {job.calls_per_month():,.0f}"
        for job in jobs
    ]
    arithmetic = f"{'; '.join(parts)}; together {total:,.0f} calls in 31 days"
    if monthly_credits is not None:
        arithmetic += (
            f" of {monthly_credits:,} credits; {retry_share:.0%} = {monthly_credits * retry_share:,.0f} kept for "
            f"failed tries; {history:,.0f} left for history"
        )
    order = ["history and the filling of gaps", *(tier.name for tier in reversed(tiers)), discovery.name]
    return MonthPlan(tiers, jobs, total, history, arithmetic, tuple(order))


def _tiers(periods: Sequence[int]) -> tuple[Tier, ...]:
    """Join neighbouring pages of one period; the first page stands alone, for it is asked for by rank."""
    starts = [page for page in range(len(periods)) if page < 2 or periods[page] != periods[page - 1]]
    ends = [*starts[1:], len(periods)]
    return tuple(
        _tier(start, None if end == len(periods) else end, end - start, periods[start])
        for start, end in zip(starts, ends, strict=True)
    )


def _tier(first_page: int, end_page: int | None, pages: int, period: int) -> Tier:
    first, last = first_page * PAGE_COINS + 1, None if end_page is None else end_page * PAGE_COINS
    if last:
        coins = f"coins of ranks {first} to {last}"
    else:
        coins = "all coins" if first == 1 else f"coins of ranks {first} and below"
    return Tier(f"prices of {coins} every {_words(period)}", first, last, pages, period)


def _words(seconds: int) -> str:
    if seconds % 3600:
        return f"{seconds // 60} minutes"
    hours = seconds // 3600
    return "hour" if hours == 1 else f"{hours} hours"
