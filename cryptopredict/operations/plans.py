"""What the schedule costs in calls to CoinGecko, as the planner of the market works it out."""

from dataclasses import dataclass

from markets import planning
from markets.coingecko.budget import ScheduleDoesNotFit


@dataclass(frozen=True, slots=True)
class Tier:
    """Coins of neighbouring ranks whose prices are asked for equally often."""

    name: str
    first_rank: int | None
    last_rank: int | None
    period_seconds: float
    calls_per_month: float


@dataclass(frozen=True, slots=True)
class Job:
    """What one scheduled job asks of CoinGecko."""

    name: str
    calls_per_run: int
    period_seconds: float
    calls_per_month: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole schedule's calls; `problem` says why it does not fit, when it does not."""

    arithmetic: str
    calls_per_month: float | None
    tiers: tuple[Tier, ...]
    jobs: tuple[Job, ...]
    degrades: tuple[str, ...]
    problem: str = ""


def find_plan() -> Plan:
    """The plan that is in force, in the shape that pages and the API show."""
    try:
        current = planning.current_plan()
    except ScheduleDoesNotFit as error:
        return Plan(str(error), None, (), (), (), problem=str(error))
    tiers = tuple(
        Tier(tier.name, tier.first_rank, tier.last_rank, tier.period_seconds, tier.calls_per_month)
        for tier in current.tiers
    )
    jobs = tuple(Job(job.name, job.calls_per_run, job.period_seconds, job.calls_per_month()) for job in current.jobs)
    return Plan(current.arithmetic, current.calls_per_month, tiers, jobs, current.degrades)
