"""A small world for tests in fast-forward: the real client, the sample server, and one clock for both."""

from datetime import datetime, timedelta
from pathlib import Path

from markets import sync
from markets.coingecko.client import CoinGeckoClient
from markets.coingecko.state import DiskState
from markets.models import SyncRun
from markets.sample.market import HistoryMarket
from markets.sample.server import SampleServer
from markets.sample.simulated import simulated_market


class World:
    """One clock for the sample server, the client and the sync; a sleep moves it on."""

    def __init__(
        self,
        folder: Path,
        *,
        start: datetime,
        coins: int = 8,
        credits: int | None = None,
        rate: int = 10_000,
        market: HistoryMarket | None = None,
    ) -> None:
        self.now = start
        market = market or simulated_market(seed=7, coin_count=coins, today=start.date())
        self.server = SampleServer(market, clock=self.clock, calls_per_minute=rate, monthly_credits=credits)
        self.server.start()
        self.client = CoinGeckoClient(
            base_url=self.server.base_url,
            state=DiskState(folder / "state.sqlite3", clock=self.clock),
            calls_per_minute=rate,
            monthly_credits=credits,
            sleep=self.sleep,
            timeout_seconds=20,
        )

    def clock(self) -> float:
        return self.now.timestamp()

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def tick(self, at: datetime) -> SyncRun | None:
        """One tick at an instant of the world."""
        self.now = at
        return sync.sync_prices(client=self.client, now=at)

    def calls(self) -> int:
        """How many requests the server has seen."""
        return len(self.server.journal.listed())
