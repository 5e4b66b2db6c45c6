"""What the server asks of a market, and the market made of coin histories that both sources build."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from markets.sample.history import CoinHistory


@dataclass(frozen=True)
class Coin:
    """The listing of one coin; supplies are in coins and None where unknown."""

    id: str
    symbol: str
    name: str
    total_supply: float | None = None
    max_supply: float | None = None
    categories: tuple[str, ...] = ()
    platforms: tuple[tuple[str, str], ...] = ()
    stale_seconds: int = 0  # how long ago the service last saw a trade


class Market(Protocol):
    """A set of coins with their pasts; `histories` holds active coins only."""

    source: str
    coins: Mapping[str, Coin]
    inactive_coins: Mapping[str, Coin]

    def history(self, coin_id: str) -> CoinHistory:
        """Return the past of an active coin; KeyError for any other id."""
        ...


class HistoryMarket:
    """A market whose coins' pasts are all in memory."""

    def __init__(self, source: str, listed: Iterable[tuple[Coin, CoinHistory]], inactive_coins: Iterable[Coin]) -> None:
        pairs = list(listed)
        self.source = source
        self.coins: Mapping[str, Coin] = {coin.id: coin for coin, _ in pairs}
        self.inactive_coins: Mapping[str, Coin] = {coin.id: coin for coin in inactive_coins}
        self._histories = {coin.id: history for coin, history in pairs}
        if not pairs:
            raise ValueError("a market needs at least one active coin")
        if len(self._histories) != len(pairs):
            raise ValueError("a market cannot list one coin id twice")

    def history(self, coin_id: str) -> CoinHistory:
        """Return the past of an active coin; KeyError for any other id."""
        return self._histories[coin_id]
