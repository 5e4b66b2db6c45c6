"""A small market with 32 days of hourly prices, for tests of hourly forecasts."""

from datetime import UTC, datetime, timedelta

import numpy as np

from markets.ingest import Slot, write_rows
from markets.models import Cryptocurrency, Interval

CUTOFF = datetime(2026, 3, 10, 5, tzinfo=UTC)
NOW = CUTOFF + timedelta(minutes=7)
HOUR = timedelta(hours=1)
HOURS = 32 * 24


def write_hours(coin: Cryptocurrency, prices: list[float], *, last_close_at: datetime, samples: int = 12) -> None:
    """Hourly slots whose closes are the given prices, the last one closing at the given full hour.

    Their extremes lie up to a percent outside of both ends, by the hour.
    """
    first = last_close_at - len(prices) * HOUR
    rows = []
    for i, (opening, close) in enumerate(zip([prices[0], *prices[:-1]], prices, strict=True)):
        reach = 1 + 0.001 * (1 + i % 10)
        high, low = max(opening, close) * reach, min(opening, close) / reach
        rows.append((coin.pk, Interval.HOUR, Slot(first + i * HOUR, opening, high, low, close, None, None, samples)))
    write_rows(rows=rows)


def hourly_prices(seed: int, hours: int = HOURS) -> list[float]:
    random = np.random.default_rng(seed)
    prices: list[float] = (100 * np.exp(np.cumsum(0.006 * random.standard_t(4, hours)))).tolist()
    return prices


def make_coins(count: int, *, hours: int = HOURS, first: int = 0) -> list[Cryptocurrency]:
    """Volatile coins by rank, bitcoin first, with hours up to CUTOFF."""
    made = []
    for i in range(first, first + count):
        coin = Cryptocurrency.objects.create(
            coingecko_id="bitcoin" if i == 0 else f"coin-{i}",
            symbol=f"c{i}",
            name="Bitcoin" if i == 0 else f"Coin {i}",
            is_tracked=True,
            market_cap_rank=i + 1,
            price_usd=100.0,
            price_at=NOW,
        )
        write_hours(coin, hourly_prices(100 + i, hours), last_close_at=CUTOFF)
        made.append(coin)
    return made
