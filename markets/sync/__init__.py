"""The jobs that bring the market in: prices, history, the list of coins, and the clearing out of old slots."""

from markets.sync.cleanup import cleanup
from markets.sync.coins import backfill_coin, discover_coins, sync_coin
from markets.sync.history import sync_history
from markets.sync.prices import sync_prices
from markets.sync.runs import Tally, recorded_run, single_run

__all__ = [
    "Tally",
    "backfill_coin",
    "cleanup",
    "discover_coins",
    "recorded_run",
    "single_run",
    "sync_coin",
    "sync_history",
    "sync_prices",
]
