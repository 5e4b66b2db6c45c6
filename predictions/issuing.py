"""Issues forecasts: reads what was known at the cutoff, forecasts all coins at once and freezes the result.

One path for days and hours; what differs between them is told by the frequency.
"""

from dataclasses import dataclass, field, replace
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
from predictions.forecasting.labels import Evidence, whole_days
from predictions.forecasting.quantiles import BAND_80
from predictions.forecasting.series import Panel
from predictions.forecasting.serving import CoinForecast, Forecaster
from predictions.frequency import Frequency, instant
from predictions.history import newest_panel
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.monitoring import watch_champion
from predictions.querysets import PredictionQuerySet
from predictions.record import cached, evidence_by_horizon, evidence_of_model, headline_for, kept_today

# A forecast written later than this after its cutoff is shown, but is no evidence: the day had begun to be known.
EVIDENCE_GRACE = {Frequency.DAY: timedelta(hours=3), Frequency.HOUR: timedelta(minutes=15)}
# How far back calibration looks. A date of hours brings 24 times the rows, so fewer dates say as much.
CALIBRATION_DAYS = {Frequency.DAY: 400, Frequency.HOUR: 60}


@dataclass(frozen=True)
class Issue:
    """What one issue did; `shadows` counts the forecasts of challengers."""

    cutoff_at: datetime
    model: str
    coins: int
    forecasts: int
    refused: dict[str, str]
    shadows: int = 0

    @property
    def cutoff_on(self) -> date:
        return self.cutoff_at.date()


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
    cutoff_at: datetime
    coins: dict[str, Cryptocurrency] = field(repr=False)
    is_shadow: bool = False

    @property
    def frequency(self) -> Frequency:
        return Frequency(self.model.frequency)

    def done(self) -> set[str]:
        """The coins that this model has forecast at this cutoff."""
        rows = Prediction.objects.filter(model=self.model, cutoff_at=self.cutoff_at)
        return set(rows.values_list("coin__coingecko_id", flat=True))

    def target_at(self, horizon: int) -> datetime:
        return self.cutoff_at + horizon * self.frequency.length


def issue_forecasts(*, frequency: Frequency = Frequency.DAY, now: datetime | None = None) -> Issue:
    """Freezes the newest forecasts of every coin that has none yet by the champion, then its challengers'.

    The cutoff is 00:00 UTC of the newest day, or the newest full hour, that most coins have. Of hours the largest
    coins are forecast, of days all. Idempotent. Raises NoModel, NoHistory, ArtifactError.
    """
    now = now or timezone.now()
    serving = serving_forecaster(frequency)
    panel = newest_panel(frequency=frequency, now=now)
    coins = {coin.coingecko_id: coin for coin in coins_to_forecast(frequency)}
    turn = Round(serving.model, now, instant(panel.last_date), coins)
    watch_champion(frequency=frequency, now=now, panel=panel)
    made, refused = _forecast_missing(turn, serving.forecaster, panel)
    written = freeze(made, turn)
    note_refusals(refused, turn)
    shadows = _issue_shadows(panel, turn)
    return Issue(turn.cutoff_at, serving.model.version, len(made), written, refused, shadows)


def coins_to_forecast(frequency: Frequency) -> QuerySet[Cryptocurrency]:
    """The coins that forecasts are issued for by themselves: of hours the largest few, for each makes 192 a day."""
    coins = Cryptocurrency.objects.tracked().listed()
    return coins if frequency is Frequency.DAY else coins[: settings.HOURLY_COINS]


def _forecast_missing(turn: Round, forecaster: Forecaster, panel: Panel) -> tuple[list[CoinForecast], dict[str, str]]:
    asked = sorted(set(turn.coins) - turn.done())
    answers = forecaster.forecast(panel, cutoff=panel.last_date, coins=asked) if asked else {}
    refused = {coin: answer for coin, answer in answers.items() if isinstance(answer, str)}
    return [answer for answer in answers.values() if isinstance(answer, CoinForecast)], refused


def _issue_shadows(panel: Panel, champions: Round) -> int:
    """A challenger with damaged files is passed over: it must not keep the champion from its work."""
    written = 0
    for model in TrainedModel.objects.shadows(champions.frequency):
        try:
            forecaster = open_forecaster(model.folder, model.manifest_sha256)
        except ArtifactError:
            continue
        turn = replace(champions, model=model, is_shadow=True)
        written += freeze(_forecast_missing(turn, forecaster, panel)[0], turn)
    return written


def freeze(made: list[CoinForecast], turn: Round) -> int:
    """Appends the forecasts of one turn that are not there yet; returns how many rows that were.

    A horizon whose target lies behind us already is left out: of what has happened there is no forecast.
    """
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
            if turn.target_at(horizon) > turn.now
        ]
        return len(ledger.append(predictions=rows))


def _take_the_ledger() -> None:
    """One writer at a time; a second one finds the first one's rows and leaves them."""
    champions = TrainedModel.objects.select_for_update().filter(state=TrainedModel.State.SERVING)
    list(champions.order_by("pk").values_list("pk"))


def freeze_horizon(forecast: CoinForecast, i: int, terms: Terms, turn: Round) -> Prediction:
    """One unsaved ledger row: horizon `i` of a coin's forecast."""
    quantiles = (
        forecast.log_quantiles[i] if terms.headline == Prediction.Headline.MODEL else forecast.baselines["fhs"][i]
    )
    published = stretch(quantiles, terms.multiplier_80, terms.multiplier_95)
    horizon = forecast.horizons[i]

    def dollars(log_quantiles: np.ndarray) -> list[float]:
        return [float(price) for price in forecast.base_price * np.exp(log_quantiles)]

    return Prediction(
        coin=turn.coins[forecast.coin],
        model=turn.model,
        frequency=turn.frequency,
        horizon_days=horizon if turn.frequency is Frequency.DAY else 0,
        horizon_hours=horizon * turn.frequency.hours,
        cutoff_at=turn.cutoff_at,
        target_at=turn.target_at(horizon),
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
        counts_as_evidence=turn.now - turn.cutoff_at <= EVIDENCE_GRACE[turn.frequency],
        is_sample=settings.IS_SAMPLE_DATA,
        is_shadow=turn.is_shadow,
        inputs_sha256=forecast.inputs_hash,
    )


def terms_by_horizon(turn: Round, horizons: tuple[int, ...]) -> dict[int, Terms]:
    """Headline and calibration of every horizon; kept until another forecast of the frequency is scored."""
    is_stopped = bool(why_not_the_headline(turn.model))
    name = f"terms:{turn.model.pk}:{turn.is_shadow}:{is_stopped}:{turn.now.date()}"

    def make() -> dict[int, Terms]:
        if turn.is_shadow:
            settled, evidence = Prediction.objects.evidence_of(turn.model), evidence_of_model(turn.model)
        else:
            settled, evidence = Prediction.objects.evidence(), evidence_by_horizon(turn.frequency)
        return {h: _terms_of(h, evidence[h], turn, settled, is_stopped) for h in horizons}

    return cached(name, make, turn.frequency)


def _terms_of(horizon: int, live: Evidence, turn: Round, settled: PredictionQuerySet, is_stopped: bool) -> Terms:
    headline = headline_for(horizon, live, turn.model, is_stopped=is_stopped)
    eighty, ninety_five = _multipliers(horizon, headline, turn, settled)
    return Terms(headline, eighty, ninety_five, live.label)


def _multipliers(horizon: int, headline: str, turn: Round, settled: PredictionQuerySet) -> tuple[float, float]:
    """How far both bands are stretched, by what had settled before today."""
    frequency, today = turn.frequency, turn.now.date()
    days = whole_days(horizon, frequency.steps)
    if days > MAX_HORIZON_DAYS:
        return 1.0, 1.0

    def make() -> tuple[float, float]:
        bands = _settled_bands(horizon, headline, turn, settled)
        return multipliers(bands, horizon=days, today=today) if bands else (1.0, 1.0)

    # Nothing that settles today counts before tomorrow, and of hours it is much to read: once a day will do.
    owner = turn.model.pk if turn.is_shadow else "published"
    name = f"multipliers:{owner}:{headline}:{horizon}"
    return make() if frequency is Frequency.DAY else kept_today(name, make, frequency, today)


def _settled_bands(horizon: int, headline: str, turn: Round, settled: PredictionQuerySet) -> SettledBands | None:
    column = "model_quantiles" if headline == Prediction.Headline.MODEL else "fhs_quantiles"
    since = instant(turn.now.date()) - timedelta(days=CALIBRATION_DAYS[turn.frequency])
    found = settled.at_horizon(turn.frequency, horizon).filter(cutoff_at__gte=since)
    rows = list(found.values_list("cutoff_at", "base_price", column, "actual_price"))
    if not rows:
        return None
    base = np.array([row[1] for row in rows])
    quantiles = np.log(np.array([row[2] for row in rows]) / base[:, None])
    actual = np.log(np.array([row[3] for row in rows], dtype=float) / base)
    has_width = quantiles[:, BAND_80[1]] > quantiles[:, BAND_80[0]]
    dates = np.array([row[0].date() for row in rows], dtype="datetime64[D]")
    return SettledBands(dates[has_width], quantiles[has_width], actual[has_width])


def note_refusals(refused: dict[str, str], turn: Round) -> None:
    """Keeps why each coin was left out, and forgets what no longer holds."""
    with transaction.atomic():
        known = ForecastRefusal.objects.filter(frequency=turn.frequency, coin__in=turn.coins.values())
        known.exclude(coin__coingecko_id__in=refused).delete()
        ForecastRefusal.objects.bulk_create(
            [
                ForecastRefusal(
                    coin=turn.coins[coin], frequency=turn.frequency, reason=reason[:200], checked_at=turn.now
                )
                for coin, reason in refused.items()
            ],
            update_conflicts=True,
            unique_fields=["coin", "frequency"],
            update_fields=["reason", "checked_at"],
        )
