"""Issues forecasts: reads what was known at the cutoff, forecasts all coins at once and freezes the result."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from markets.models import Cryptocurrency
from predictions import ledger
from predictions.alarms import why_not_the_headline
from predictions.artefacts import open_forecaster
from predictions.champion import serving_forecaster
from predictions.forecasting.artifact import ArtifactError
from predictions.forecasting.calibration import MAX_HORIZON_DAYS, SettledBands, multipliers, stretch
from predictions.forecasting.labels import Evidence
from predictions.forecasting.quantiles import BAND_80
from predictions.forecasting.series import Panel
from predictions.forecasting.serving import CoinForecast, Forecaster
from predictions.history import midnight, read_panel
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.monitoring import watch_champion
from predictions.record import cached, evidence_by_horizon, evidence_of_model, headline_for

# A forecast written later than this after its cutoff is shown, but is no evidence: the day had begun to be known.
EVIDENCE_GRACE = timedelta(hours=3)
CALIBRATION_DAYS = 400


@dataclass(frozen=True)
class Issue:
    """What one issue did; `shadows` counts the forecasts of challengers."""

    cutoff_on: date
    model: str
    coins: int
    forecasts: int
    refused: dict[str, str]
    shadows: int = 0


@dataclass(frozen=True)
class Terms:
    """What holds for all coins at one horizon: whose quantiles are published, how far they are stretched."""

    headline: str
    multiplier_80: float
    multiplier_95: float
    label: str


@dataclass(frozen=True)
class Round:
    """One model's turn at one cutoff."""

    model: TrainedModel
    now: datetime
    cutoff_on: date
    coins: dict[str, Cryptocurrency] = field(repr=False)
    is_shadow: bool = False

    def done(self) -> set[str]:
        """The coins that this model has forecast at this cutoff."""
        rows = Prediction.objects.filter(model=self.model, cutoff_at=midnight(self.cutoff_on))
        return set(rows.values_list("coin__coingecko_id", flat=True))


def issue_forecasts(*, now: datetime | None = None) -> Issue:
    """Freezes today's forecasts of every tracked coin that has none yet by the champion, then its challengers'.

    The cutoff is 00:00 UTC of the newest day that most coins have. Idempotent. Raises NoModel, NoHistory,
    ArtifactError.
    """
    now = now or timezone.now()
    serving = serving_forecaster()
    panel = read_panel(cutoff_on=now.date())
    coins = {coin.coingecko_id: coin for coin in Cryptocurrency.objects.tracked().listed()}
    turn = Round(serving.model, now, panel.last_date, coins)
    watch_champion(now=now, panel=panel)
    made, refused = _forecast_missing(turn, serving.forecaster, panel)
    written = freeze(made, turn)
    note_refusals(refused, coins, now)
    shadows = _issue_shadows(panel, coins, now)
    return Issue(panel.last_date, serving.model.version, len(made), written, refused, shadows)


def _forecast_missing(turn: Round, forecaster: Forecaster, panel: Panel) -> tuple[list[CoinForecast], dict[str, str]]:
    asked = sorted(set(turn.coins) - turn.done())
    answers = forecaster.forecast(panel, cutoff=turn.cutoff_on, coins=asked) if asked else {}
    refused = {coin: answer for coin, answer in answers.items() if isinstance(answer, str)}
    return [answer for answer in answers.values() if isinstance(answer, CoinForecast)], refused


def _issue_shadows(panel: Panel, coins: dict[str, Cryptocurrency], now: datetime) -> int:
    """A challenger with damaged files is passed over: it must not keep the champion from its work."""
    written = 0
    for model in TrainedModel.objects.shadows():
        try:
            forecaster = open_forecaster(model.folder, model.manifest_sha256)
        except ArtifactError:
            continue
        turn = Round(model, now, panel.last_date, coins, is_shadow=True)
        written += freeze(_forecast_missing(turn, forecaster, panel)[0], turn)
    return written


def freeze(made: list[CoinForecast], turn: Round) -> int:
    """Appends the forecasts of one turn that are not there yet; returns how many rows that were."""
    if not made:
        return 0
    terms = terms_by_horizon(turn, made[0].horizons)
    with transaction.atomic():
        _take_the_ledger()
        done = turn.done()
        rows = [
            freeze_horizon(forecast, i, terms[horizon], turn)
            for forecast in made
            if forecast.coin not in done
            for i, horizon in enumerate(forecast.horizons)
        ]
        return len(ledger.append(predictions=rows))


def _take_the_ledger() -> None:
    """One writer at a time; a second one finds the first one's rows and leaves them."""
    list(TrainedModel.objects.select_for_update().filter(state=TrainedModel.State.SERVING).values_list("pk"))


def freeze_horizon(forecast: CoinForecast, i: int, terms: Terms, turn: Round) -> Prediction:
    """One unsaved ledger row: horizon `i` of a coin's forecast."""
    quantiles = (
        forecast.log_quantiles[i] if terms.headline == Prediction.Headline.MODEL else forecast.baselines["fhs"][i]
    )
    published = stretch(quantiles, terms.multiplier_80, terms.multiplier_95)
    cutoff_at = midnight(forecast.cutoff)

    def dollars(log_quantiles: np.ndarray) -> list[float]:
        return [float(price) for price in forecast.base_price * np.exp(log_quantiles)]

    return Prediction(
        coin=turn.coins[forecast.coin],
        model=turn.model,
        horizon_days=forecast.horizons[i],
        cutoff_at=cutoff_at,
        target_at=cutoff_at + timedelta(days=forecast.horizons[i]),
        issued_at=turn.now,
        base_price=forecast.base_price,
        headline=terms.headline,
        multiplier_80=terms.multiplier_80,
        multiplier_95=terms.multiplier_95,
        quantiles=dollars(published),
        model_quantiles=dollars(forecast.log_quantiles[i]),
        fhs_quantiles=dollars(forecast.baselines["fhs"][i]),
        ewma_quantiles=dollars(forecast.baselines["ewma_n"][i]),
        label=terms.label,
        counts_as_evidence=turn.now - cutoff_at <= EVIDENCE_GRACE,
        is_sample=settings.IS_SAMPLE_DATA,
        is_shadow=turn.is_shadow,
        inputs_sha256=forecast.inputs_hash,
    )


def terms_by_horizon(turn: Round, horizons: tuple[int, ...]) -> dict[int, Terms]:
    """Headline and calibration of every horizon; kept until another forecast is scored."""
    is_stopped = bool(why_not_the_headline(turn.model))
    today = turn.now.date()
    name = f"terms:{turn.model.pk}:{turn.is_shadow}:{is_stopped}:{today}"

    def make() -> dict[int, Terms]:
        if turn.is_shadow:
            settled, evidence = Prediction.objects.evidence_of(turn.model), evidence_of_model(turn.model.pk)
        else:
            settled, evidence = Prediction.objects.evidence(), evidence_by_horizon()
        return {h: _terms_of(h, evidence[h], turn.model, today, settled, is_stopped) for h in horizons}

    return cached(name, make)


def _terms_of(
    horizon_days: int,
    live: Evidence,
    model: TrainedModel,
    today: date,
    settled: QuerySet[Prediction],
    is_stopped: bool,
) -> Terms:
    headline = headline_for(horizon_days, live, model, is_stopped=is_stopped)
    bands = _settled_bands(horizon_days, headline, today, settled)
    eighty, ninety_five = multipliers(bands, horizon=horizon_days, today=today) if bands else (1.0, 1.0)
    return Terms(headline, eighty, ninety_five, live.label)


def _settled_bands(horizon_days: int, headline: str, today: date, settled: QuerySet[Prediction]) -> SettledBands | None:
    if horizon_days > MAX_HORIZON_DAYS:
        return None
    column = "model_quantiles" if headline == Prediction.Headline.MODEL else "fhs_quantiles"
    rows = list(
        settled.filter(
            horizon_days=horizon_days, target_at__gte=midnight(today) - timedelta(days=CALIBRATION_DAYS)
        ).values_list("cutoff_at", "base_price", column, "actual_price")
    )
    if not rows:
        return None
    base = np.array([row[1] for row in rows])
    quantiles = np.log(np.array([row[2] for row in rows]) / base[:, None])
    actual = np.log(np.array([row[3] for row in rows], dtype=float) / base)
    has_width = quantiles[:, BAND_80[1]] > quantiles[:, BAND_80[0]]
    dates = np.array([row[0].date() for row in rows], dtype="datetime64[D]")
    return SettledBands(dates[has_width], quantiles[has_width], actual[has_width])


def note_refusals(refused: dict[str, str], coins: dict[str, Cryptocurrency], now: datetime) -> None:
    """Keeps why each coin was left out, and forgets what no longer holds."""
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
