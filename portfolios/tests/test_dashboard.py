"""The forecasts of watched and held coins on the dashboard."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from markets.models import Cryptocurrency
from portfolios import services
from portfolios.dashboard import due_today
from portfolios.models import Portfolio, Transaction
from portfolios.tests.conftest import page_client
from predictions.forecasting.quantiles import LEVELS
from predictions.models import Prediction, TrainedModel

QUANTILES = [50000.0 + 1000 * place for place in range(len(LEVELS))]


@pytest.fixture
def midnight() -> datetime:
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def forecast(db: None) -> Callable[..., Prediction]:
    """Freezes a forecast of a coin: at a cutoff, so many days ahead."""
    model = TrainedModel.objects.create(
        version="v1",
        state="serving",
        origin="own",
        cutoff_on=timezone.now().date(),
        folder="models/v1",
        manifest_sha256="0" * 64,
    )

    def freeze(coin: Cryptocurrency, cutoff_at: datetime, horizon_days: int, **more: Any) -> Prediction:
        sequence = Prediction.objects.count() + 1
        values: dict[str, Any] = {
            "sequence": sequence,
            "coin": coin,
            "model": model,
            "horizon_days": horizon_days,
            "cutoff_at": cutoff_at,
            "target_at": cutoff_at + timedelta(days=horizon_days),
            "issued_at": cutoff_at,
            "base_price": 50000.0,
            "headline": "model",
            "quantiles": QUANTILES,
            "model_quantiles": QUANTILES,
            "fhs_quantiles": QUANTILES,
            "ewma_quantiles": QUANTILES,
            "label": "too_early",
            "counts_as_evidence": True,
            "inputs_sha256": "0" * 64,
            "previous_hash": "0" * 64,
            "row_hash": f"{sequence:064d}",
        }
        return Prediction.objects.create(**{**values, **more})

    return freeze


def test_it_finds_what_is_due_today_of_the_given_coins_at_the_published_horizons(
    forecast: Callable[..., Prediction],
    midnight: datetime,
    bitcoin: Cryptocurrency,
    ether: Cryptocurrency,
) -> None:
    weekly = forecast(bitcoin, midnight - timedelta(days=7), 7)
    daily = forecast(bitcoin, midnight - timedelta(days=1), 1)
    late = forecast(bitcoin, midnight - timedelta(days=30) + timedelta(hours=23), 30)
    forecast(bitcoin, midnight - timedelta(days=7, hours=-1), 7, is_shadow=True)  # a challenger's
    forecast(bitcoin, midnight - timedelta(days=2), 1)  # yesterday
    forecast(bitcoin, midnight, 1)  # tomorrow
    forecast(bitcoin, midnight - timedelta(days=3), 3)  # not a published horizon
    forecast(ether, midnight - timedelta(days=1), 1)  # another coin
    due = due_today({bitcoin.pk})
    assert [one.prediction for one in due] == [daily, weekly, late]
    assert all(one.low < one.high for one in due)
    assert due_today(set()) == []


def test_it_shows_due_forecasts_of_watched_and_of_held_coins_with_band_label_and_outcome(
    forecast: Callable[..., Prediction],
    midnight: datetime,
    alice: User,
    bitcoin: Cryptocurrency,
    ether: Cryptocurrency,
    savings: Portfolio,
    book: Callable[..., Transaction],
) -> None:
    scores = dict.fromkeys(("crps", "crps_model", "crps_fhs", "crps_ewma", "interval_score_80"), 0.1)
    outcome = {"state": "scored", "actual_price": 1.0, "scored_at": timezone.now(), "is_hit_95": False}
    forecast(ether, midnight - timedelta(days=1), 1, **scores, **outcome, is_hit_80=False)
    forecast(bitcoin, midnight - timedelta(days=7), 7)
    pages = page_client(alice)
    assert "is due today" in pages.get(reverse("dashboard")).content.decode()
    services.watch_coin(user=alice, coin=ether)
    book("buy", "1", 1)
    html = pages.get(reverse("dashboard")).content.decode()
    assert "miss" in html
    assert "open" in html
    assert "too early to say" in html
    due = pages.get(reverse("dashboard")).context["dashboard"].due
    assert [one.prediction.coin for one in due] == [bitcoin, ether]


def test_it_shows_the_7_day_band_of_a_watched_coin(
    forecast: Callable[..., Prediction], midnight: datetime, alice: User, bitcoin: Cryptocurrency
) -> None:
    prediction = forecast(bitcoin, midnight, 7)
    services.watch_coin(user=alice, coin=bitcoin)
    html = page_client(alice).get(reverse("dashboard")).content.decode()
    assert reverse("forecast", args=[prediction.pk]) in html
    assert "7-day band (80%)" in html
