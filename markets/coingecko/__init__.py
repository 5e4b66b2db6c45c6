"""A client of the CoinGecko v3 API that keeps to its limits over all processes; free of Django."""

from .budget import CallPlan, ScheduledCalls, ScheduleDoesNotFit, plan
from .client import CoinGeckoClient
from .state import DiskState, RedisState, SharedState

__all__ = [
    "CallPlan",
    "CoinGeckoClient",
    "DiskState",
    "RedisState",
    "ScheduleDoesNotFit",
    "ScheduledCalls",
    "SharedState",
    "plan",
]
