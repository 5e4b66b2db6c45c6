"""A client of the CoinGecko v3 API that keeps to its limits over all processes; free of Django."""

from .budget import ScheduledCalls, ScheduleDoesNotFit
from .client import CoinGeckoClient
from .state import DiskState, RedisState, SharedState

__all__ = [
    "CoinGeckoClient",
    "DiskState",
    "RedisState",
    "ScheduleDoesNotFit",
    "ScheduledCalls",
    "SharedState",
]
