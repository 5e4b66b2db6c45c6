"""What this installation's schedule costs in calls, and how often each coin may be asked for."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import Q
from django_celery_beat.models import PeriodicTask

from markets.coingecko.budget import ScheduledCalls, ScheduleDoesNotFit
from markets.coingecko.planner import (
    DAY_SECONDS,
    MONTH_SECONDS,
    PAGE_COINS,
    PERIODS,
    RETRY_SHARE,
    MonthPlan,
    plan_month,
)
from markets.models import Cryptocurrency

PRICES_TASK = "markets.sync_all_prices"
DISCOVERY_TASK = "markets.discover_new_cryptocurrencies"


def current_plan(
    *,
    shortest_seconds: int | None = None,
    discovery_seconds: float = DAY_SECONDS,
    monthly_credits: int | None = None,
    retry_share: float = RETRY_SHARE,
) -> MonthPlan:
    """The plan for the coins that are tracked now; raises ScheduleDoesNotFit when there is none."""
    return plan_month(
        pages=price_pages(),
        discovery=ScheduledCalls("discovery", 1 + discovery_pages(), discovery_seconds),
        calls_per_minute=settings.COINGECKO_CALLS_PER_MINUTE,
        monthly_credits=monthly_credits or settings.COINGECKO_MONTHLY_CREDITS or None,
        shortest_seconds=shortest_seconds or price_period_seconds(),
        retry_share=retry_share,
    )


def plan_at(*, spent: int, now: datetime) -> MonthPlan:
    """The plan of a whole month; a slower one when this month's remaining credits no longer carry it."""
    plan = current_plan()
    credits_of_month = settings.COINGECKO_MONTHLY_CREDITS or None
    seconds = seconds_left(now)
    if credits_of_month is None or credits_of_month - spent >= plan.calls_per_month * seconds / MONTH_SECONDS:
        return plan
    pace = math.floor((credits_of_month - spent) * MONTH_SECONDS / seconds)
    if pace < 1:
        raise ScheduleDoesNotFit(f"The month's {credits_of_month:,} credits are used up: {spent:,} calls were made.")
    return current_plan(monthly_credits=pace, retry_share=0.0)


def price_pages() -> int:
    """How many calls a whole tick takes: one for the biggest coins by rank, then 250 of the others at a time."""
    below = Q(market_cap_rank__isnull=True) | Q(market_cap_rank__gt=PAGE_COINS)
    others = Cryptocurrency.objects.tracked().listed().filter(below).count()
    return 1 + math.ceil(others / PAGE_COINS)


def discovery_pages() -> int:
    """How many pages by rank hold the coins that may be tracked."""
    return max(1, math.ceil(settings.TRACKED_COINS / PAGE_COINS))


def price_period_seconds() -> int:
    """How often the schedule lets prices be synced at most; five minutes unless staff chose a longer period."""
    entry = PeriodicTask.objects.filter(task=PRICES_TASK, enabled=True).select_related("interval").first()
    if entry is None or entry.interval is None:
        return 300
    period = entry.interval.schedule.run_every.total_seconds()
    return max(300, int(period))


def check_periods(periods: Mapping[str, float]) -> None:
    """Raises ScheduleDoesNotFit, with the arithmetic, when jobs this often (task name → seconds) cost too much."""
    wanted = periods.get(PRICES_TASK)
    if wanted is not None and wanted < 300:
        calls = MONTH_SECONDS / wanted
        raise ScheduleDoesNotFit(
            f"Prices are kept in slots of five minutes, so syncing them every {wanted:,.0f} s would cost "
            f"{calls:,.0f} calls in 31 days and keep {MONTH_SECONDS / 300:,.0f} of them. The period must be 300 s or "
            "more."
        )
    plan = current_plan(
        shortest_seconds=int(wanted) if wanted else None,
        discovery_seconds=periods.get(DISCOVERY_TASK, MONTH_SECONDS),
    )
    promised = plan.tiers[0].period_seconds
    if wanted is not None and promised > _next_period(wanted):
        raise ScheduleDoesNotFit(
            f"The schedule does not fit: {plan.arithmetic}. The biggest coins could be synced every {promised:,} s "
            f"only, not every {wanted:,.0f} s."
        )


def _next_period(seconds: float) -> float:
    return next((period for period in PERIODS if period >= seconds), PERIODS[-1])


def history_allowance(*, spent: int, now: datetime, plan: MonthPlan) -> int | None:
    """How many calls history may make now without taking any from the prices of the month's rest; None: no limit.

    What is left of the credits, less what prices and discovery still cost until the month ends (UTC), less the
    share that is kept for failed tries.
    """
    credits_of_month = settings.COINGECKO_MONTHLY_CREDITS or None
    if credits_of_month is None:
        return None
    share = seconds_left(now) / MONTH_SECONDS
    still_due = plan.calls_per_month * share
    reserve = credits_of_month * RETRY_SHARE * share
    return max(0, math.floor(credits_of_month - spent - still_due - reserve))


def seconds_left(now: datetime) -> float:
    """The seconds until the next month begins in UTC."""
    now = now.astimezone(UTC)
    following = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return (following - now).total_seconds()
