"""A small market with a year of daily prices, and the shipped model serving."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from markets.ingest import Slot, write_rows
from markets.models import Cryptocurrency, Interval
from predictions import artefacts, desk, registry
from predictions.models import TrainedModel

NOW = datetime(2026, 3, 10, 0, 20, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0, minute=0)
DAYS = 200
DAY = timedelta(days=1)


def write_days(coin: Cryptocurrency, prices: list[float], *, last_close_at: datetime) -> None:
    """Daily slots whose closes are the given prices, the last one closing at the given midnight."""
    first = last_close_at - len(prices) * DAY
    slots = []
    opening = prices[0]
    for i, close in enumerate(prices):
        low, high = min(opening, close), max(opening, close)
        slots.append((coin.pk, Interval.DAY, Slot(first + i * DAY, opening, high, low, close, None, None, 1)))
        opening = close
    write_rows(rows=slots)


@pytest.fixture
def coins(db: None) -> list[Cryptocurrency]:
    """Six volatile coins with 200 closed days up to NOW's midnight, and one with 40."""
    random = np.random.default_rng(11)
    made = []
    for i in range(7):
        coin = Cryptocurrency.objects.create(
            coingecko_id="bitcoin" if i == 0 else f"coin-{i}",
            symbol=f"c{i}",
            name=f"Coin {i}",
            is_tracked=True,
            market_cap_rank=i + 1,
            price_usd=100.0,
            price_at=NOW,
        )
        days = DAYS if i < 6 else 40
        prices = 100 * np.exp(np.cumsum(0.03 * random.standard_t(4, days)))
        write_days(coin, prices.tolist(), last_close_at=MIDNIGHT)
        made.append(coin)
    return made


@pytest.fixture
def long_history(coins: list[Cryptocurrency]) -> list[Cryptocurrency]:
    """The same coins with 500 closed days up to NOW's midnight: enough to train on and to hold 120 days out."""
    random = np.random.default_rng(23)
    for coin in coins:
        prices = 100 * np.exp(np.cumsum(0.03 * random.standard_t(4, 500)))
        write_days(coin, prices.tolist(), last_close_at=MIDNIGHT)
    return coins


@pytest.fixture
def serving(db: None) -> TrainedModel:
    """The starter model, serving; the made-up prices of these tests are not compared with those it learnt from."""
    model = registry.install_starter_model()
    assert model is not None
    model.reference = {}
    model.save()
    return model


def copy_of(model: TrainedModel, tmp_path: Path, version: str) -> TrainedModel:
    """Another usable model, a candidate: a copy of a model's files."""
    folder = tmp_path / version
    shutil.copytree(model.folder, folder)
    return TrainedModel.objects.create(
        version=version,
        state=TrainedModel.State.CANDIDATE,
        origin=TrainedModel.Origin.OWN,
        cutoff_on=model.cutoff_on,
        folder=str(folder),
        manifest_sha256=model.manifest_sha256,
        metrics=model.metrics,
    )


@pytest.fixture(autouse=True)
def _cold_process() -> Iterator[None]:
    """No test sees what another one opened or forecast."""
    yield
    artefacts.open_forecaster.cache_clear()
    desk.desk.clear()
