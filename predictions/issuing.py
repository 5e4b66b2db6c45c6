"""Issues forecasts: reads what was known at the cutoff, forecasts all coins at once and freezes the result."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from markets.models import Cryptocurrency
from predictions import ledger
from predictions.forecasting.calibration import SettledBands, multipliers, stretch
from predictions.forecasting.labels import Evidence
from predictions.forecasting.quantiles import BAND_80
from predictions.forecasting.serving import CoinForecast
from predictions.history import midnight, read_panel
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.record import evidence_by_horizon, headline_for
from predictions.registry import serving_forecaster

# A forecast written later than this after its cutoff is shown, but is no evidence: the day had begun to be known.
EVIDENCE_GRACE = timedelta(hours=3)
CALIBRATION_DAYS = 400


@dataclass(frozen=True)
class Issue:
    """What one issue did."""

    cutoff_on: date
    model: str
    coins: int
    forecasts: int
    refused: dict[str, str]


@dataclass(frozen=True)
class Terms:
    """What holds for all coins at one horizon: whose quantiles are published, how far they are stretched."""

    headline: str
    multiplier_80: float
    multiplier_95: float
    label: str


def issue_forecasts(*, now: datetime | None = None) -> Issue:
    """Freezes today's forecasts of every tracked coin that has none yet by the serving model. Idempotent.

    The cutoff is 00:00 UTC of the newest day that most coins have. Raises NoModel, NoHistory, ArtifactError.
    """
    now = now or timezone.now()
    model, forecaster = serving_forecaster()
    panel = read_panel(cutoff_on=now.date())
    cutoff_on = panel.last_date
    coins = {coin.coingecko_id: coin for coin in Cryptocurrency.objects.tracked().listed()}
    done = set(
        Prediction.objects.filter(model=model, cutoff_at=midnight(cutoff_on)).values_list(
            "coin__coingecko_id", flat=True
        )
    )
    asked = sorted(set(coins) - done)
    answers = forecaster.forecast(panel, cutoff=cutoff_on, coins=asked) if asked else {}
    refused = {coin: answer for coin, answer in answers.items() if isinstance(answer, str)}
    made = [answer for answer in answers.values() if isinstance(answer, CoinForecast)]
    written = _freeze(made, coins, model, now)
    _note_refusals(refused, coins, now)
    return Issue(cutoff_on, model.version, len(made), written, refused)


def _freeze(made: list[CoinForecast], coins: dict[str, Cryptocurrency], model: TrainedModel, now: datetime) -> int:
    if not made:
        return 0
    evidence = evidence_by_horizon()
    terms = {h: terms_of(h, evidence[h], model, now.date()) for h in made[0].horizons}
    with transaction.atomic():
        # One writer at a time; a second one finds the first one's rows and leaves them.
        TrainedModel.objects.select_for_update().get(pk=model.pk)
        cutoff_at = midnight(made[0].cutoff)
        done = set(
            Prediction.objects.filter(model=model, cutoff_at=cutoff_at).values_list("coin__coingecko_id", flat=True)
        )
        rows = [
            freeze_horizon(forecast, i, terms[horizon], coins[forecast.coin], model, now)
            for forecast in made
            if forecast.coin not in done
            for i, horizon in enumerate(forecast.horizons)
        ]
        return len(ledger.append(predictions=rows))


def freeze_horizon(
    forecast: CoinForecast, i: int, terms: Terms, coin: Cryptocurrency, model: TrainedModel, now: datetime
) -> Prediction:
    """One unsaved ledger row: horizon `i` of a coin's forecast."""
    quantiles = (
        forecast.log_quantiles[i] if terms.headline == Prediction.Headline.MODEL else forecast.baselines["fhs"][i]
    )
    published = stretch(quantiles, terms.multiplier_80, terms.multiplier_95)
    cutoff_at = midnight(forecast.cutoff)

    def dollars(log_quantiles: np.ndarray) -> list[float]:
        return [float(price) for price in forecast.base_price * np.exp(log_quantiles)]

    return Prediction(
        coin=coin,
        model=model,
        horizon_days=forecast.horizons[i],
        cutoff_at=cutoff_at,
        target_at=cutoff_at + timedelta(days=forecast.horizons[i]),
        issued_at=now,
        base_price=forecast.base_price,
        headline=terms.headline,
        multiplier_80=terms.multiplier_80,
        multiplier_95=terms.multiplier_95,
        quantiles=dollars(published),
        model_quantiles=dollars(forecast.log_quantiles[i]),
        fhs_quantiles=dollars(forecast.baselines["fhs"][i]),
        ewma_quantiles=dollars(forecast.baselines["ewma_n"][i]),
        label=terms.label,
        counts_as_evidence=now - cutoff_at <= EVIDENCE_GRACE,
        is_sample=settings.IS_SAMPLE_DATA,
        inputs_sha256=forecast.inputs_hash,
    )


def terms_of(horizon_days: int, live: Evidence, model: TrainedModel, today: date) -> Terms:
    """The headline and the calibration of one horizon, from what had settled by today."""
    headline = headline_for(horizon_days, live, model)
    settled = _settled_bands(horizon_days, headline, today)
    eighty, ninety_five = multipliers(settled, horizon=horizon_days, today=today) if settled else (1.0, 1.0)
    return Terms(headline, eighty, ninety_five, live.label)


def _settled_bands(horizon_days: int, headline: str, today: date) -> SettledBands | None:
    column = "model_quantiles" if headline == Prediction.Headline.MODEL else "fhs_quantiles"
    rows = list(
        Prediction.objects.evidence()
        .filter(horizon_days=horizon_days, target_at__gte=midnight(today) - timedelta(days=CALIBRATION_DAYS))
        .values_list("cutoff_at", "base_price", column, "actual_price")
    )
    if not rows:
        return None
    base = np.array([row[1] for row in rows])
    quantiles = np.log(np.array([row[2] for row in rows]) / base[:, None])
    actual = np.log(np.array([row[3] for row in rows], dtype=float) / base)
    has_width = quantiles[:, BAND_80[1]] > quantiles[:, BAND_80[0]]
    dates = np.array([row[0].date() for row in rows], dtype="datetime64[D]")
    return SettledBands(dates[has_width], quantiles[has_width], actual[has_width])


def _note_refusals(refused: dict[str, str], coins: dict[str, Cryptocurrency], now: datetime) -> None:
    with transaction.atomic():
        ForecastRefusal.objects.filter(coin__in=coins.values()).exclude(coin__coingecko_id__in=refused).delete()
        ForecastRefusal.objects.bulk_create(
            [
                ForecastRefusal(coin=coins[coin], reason=reason[:200], checked_at=now)
                for coin, reason in refused.items()
            ],
            update_conflicts=True,
            unique_fields=["coin"],
            update_fields=["reason", "checked_at"],
        )
