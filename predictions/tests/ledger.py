"""A small ledger for tests: made through the same functions that write the real one."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

from django.db import connection
from django.utils import timezone

from markets.models import Cryptocurrency
from predictions import guards
from predictions.forecasting.quantiles import LEVELS
from predictions.ledger import append
from predictions.models import Prediction, TrainedModel
from predictions.scoring import score

FIRST_CUTOFF = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@contextmanager
def unguarded() -> Iterator[None]:
    """Lets a test tamper with the ledger, as someone who owns the database could."""
    guards.remove(connection)
    yield
    guards.install(connection)


def make_coin(coingecko_id: str = "bitcoin") -> Cryptocurrency:
    return Cryptocurrency.objects.create(
        coingecko_id=coingecko_id, symbol=coingecko_id[:3], name=coingecko_id.title(), is_tracked=True
    )


def make_model(version: str = "lstm-1", state: str = "serving", **columns: object) -> TrainedModel:
    values = {
        "origin": "starter", "folder": "/somewhere", "manifest_sha256": "a" * 64, "cutoff_on": FIRST_CUTOFF.date(),
        **columns,
    }  # fmt: skip
    return TrainedModel.objects.create(version=version, state=state, **values)


def spread(base_price: float, daily: float, horizon_days: int) -> list[float]:
    """Normal quantiles around the base price."""
    sigma = daily * math.sqrt(horizon_days)
    return [base_price * math.exp(sigma * NormalDist().inv_cdf(level)) for level in LEVELS]


def forecast(
    coin: Cryptocurrency, model: TrainedModel, *, cutoff_at: datetime, horizon_days: int = 1, base_price: float = 100.0
) -> Prediction:
    """One forecast that is not stored yet."""
    return Prediction(
        coin=coin, model=model, horizon_days=horizon_days, cutoff_at=cutoff_at,
        target_at=cutoff_at + horizon_days * DAY, issued_at=cutoff_at + timedelta(minutes=20), base_price=base_price,
        headline="fhs", quantiles=spread(base_price, 0.04, horizon_days),
        model_quantiles=spread(base_price, 0.03, horizon_days), fhs_quantiles=spread(base_price, 0.04, horizon_days),
        ewma_quantiles=spread(base_price, 0.05, horizon_days), label="too_early", counts_as_evidence=True,
        is_sample=True, inputs_sha256="b" * 64,
    )  # fmt: skip


def make_fan(coin: Cryptocurrency, model: TrainedModel, horizons: tuple[int, ...] = (1, 7, 30)) -> list[Prediction]:
    """A fan that was issued today."""
    cutoff_at = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - DAY
    return append(predictions=[forecast(coin, model, cutoff_at=cutoff_at, horizon_days=days) for days in horizons])


def make_ledger(
    coin: Cryptocurrency, model: TrainedModel, *, dates: int, scored: int = 0, horizon_days: int = 1
) -> list[Prediction]:
    """One forecast a day from FIRST_CUTOFF on, the first `scored` of them with an outcome."""
    stored = append(
        predictions=[
            forecast(coin, model, cutoff_at=FIRST_CUTOFF + day * DAY, horizon_days=horizon_days) for day in range(dates)
        ]
    )
    for place, prediction in enumerate(stored[:scored]):
        score(prediction, 100.0 * math.exp(0.03 * (place % 7 - 3)), prediction.target_at + timedelta(minutes=15))
        prediction.save()
    return stored
