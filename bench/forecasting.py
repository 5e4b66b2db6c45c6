"""What the benchmarks of forecasting work on: a simulated market's daily closes, and the shipped model serving."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from django.db import connection, transaction

from markets.ingest import Slot, write_rows
from markets.models import Cryptocurrency, Interval
from markets.sample.simulated import GENESIS, simulated_market
from predictions import guards, registry
from predictions.forecasting.artifact import Artifact, read_artifact
from predictions.forecasting.series import Panel
from predictions.models import TrainedModel

DAY = timedelta(days=1)
EPOCH = date(1970, 1, 1)
FIRST = date(2024, 1, 1)
TICK = 1_000  # coins written at once


@cache
def closes(coins: int, days: int) -> Panel:
    """Prices at 00:00 UTC of freely moving simulated coins from FIRST on; a coin beyond the market's own repeats one.

    A repeated one is scaled, so that no two are equal.
    """
    market = simulated_market(seed=7, coin_count=250, today=GENESIS + 2_500 * DAY)
    first = (FIRST - EPOCH).days
    series = [market.history(coin).daily(first, days).prices for coin in market.coins]
    free = [prices for prices in series if np.isfinite(prices).all() and np.abs(np.diff(np.log(prices))).mean() > 0.01]
    rows = [free[number % len(free)] * (1 + number // len(free)) for number in range(coins)]
    dates = np.datetime64(FIRST, "D") + np.arange(days)
    return Panel(dates, [f"forecast-{number:04d}" for number in range(coins)], np.stack(rows, axis=1))


def store(panel: Panel, *, begin_on: date = FIRST) -> list[Cryptocurrency]:
    """The panel's coins, tracked, with a daily slot for each price but the first, which opens the first slot.

    The first price is that of `begin_on`, whatever the panel says.
    """
    Cryptocurrency.objects.update(is_tracked=False)
    coins = Cryptocurrency.objects.bulk_create(
        Cryptocurrency(coingecko_id=name, symbol=f"f{n}", name=name, market_cap_rank=n + 1, is_tracked=True)
        for n, name in enumerate(panel.coins)
    )
    begin = datetime.combine(begin_on, datetime.min.time(), UTC)
    for start in range(0, len(coins), TICK):
        write_rows(
            rows=[
                (coin.pk, Interval.DAY, _slot(begin + day * DAY, *panel.prices[day : day + 2, column].tolist()))
                for column, coin in enumerate(coins[start : start + TICK], start=start)
                for day in range(len(panel.dates) - 1)
            ]
        )
    return coins


def _slot(at: datetime, opened: float, closed: float) -> Slot:
    return Slot(at, opened, max(opened, closed), min(opened, closed), closed, None, None, samples=1)


def serving() -> tuple[TrainedModel, Artifact]:
    """The shipped model as champion, and its files."""
    model = registry.install_starter_model() or TrainedModel.objects.serving()
    assert model is not None
    return model, read_artifact(Path(model.folder))


def clear() -> None:
    """Forgets prices and forecasts. The database lets nobody delete from the ledger: its guards are off meanwhile."""
    guards.remove(connection)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE predictions_prediction, markets_pricedata RESTART IDENTITY CASCADE")
    finally:
        guards.install(connection)
    Cryptocurrency.objects.filter(coingecko_id__startswith="forecast-").delete()
