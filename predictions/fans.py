"""A coin's newest forecast at all horizons, ready to be shown, or the reason why there is none."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from markets.models import Cryptocurrency, Interval, PriceData
from predictions.alarms import why_not_the_headline
from predictions.forecasting.labels import Evidence, Label
from predictions.forecasting.quantiles import BAND_80, BAND_95, LEVELS, MEDIAN
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.record import FHS_NAME, evidence_by_horizon

STALE_AFTER = timedelta(days=2)
HEADLINE_HORIZONS = (1, 7, 30)

NOT_SHOWN = "The model has not shown that it does better than the baseline at this horizon."
BASELINE_REASONS = {Label.WORSE_THAN_BASELINE: "The model does worse than the baseline at this horizon."}

Band = tuple[float, float]


@dataclass(frozen=True)
class NoForecast:
    """Why a coin has no forecast; `code` is stable, `reason` a sentence."""

    code: str
    reason: str


@dataclass(frozen=True)
class FanHorizon:
    """One horizon of a fan; prices in US dollars, `levels` the quantiles' levels."""

    prediction: Prediction
    evidence: Evidence
    stopped: str = ""

    @property
    def headline_reason(self) -> str:
        """Why the baseline's band is published instead of the model's; empty where the model's is."""
        if self.headline == Prediction.Headline.MODEL:
            return ""
        return self.stopped or BASELINE_REASONS.get(self.evidence.label, NOT_SHOWN)

    @property
    def horizon_days(self) -> int:
        return self.prediction.horizon_days

    @property
    def target_at(self) -> datetime:
        return self.prediction.target_at

    @property
    def levels(self) -> tuple[float, ...]:
        return LEVELS

    @property
    def quantiles(self) -> list[float]:
        return list(self.prediction.quantiles)

    @property
    def median(self) -> float:
        return self.quantiles[MEDIAN]

    @property
    def band_80(self) -> Band:
        return self.quantiles[BAND_80[0]], self.quantiles[BAND_80[1]]

    @property
    def band_95(self) -> Band:
        return self.quantiles[BAND_95[0]], self.quantiles[BAND_95[1]]

    @property
    def headline(self) -> str:
        return self.prediction.headline

    @property
    def headline_name(self) -> str:
        return self.prediction.get_headline_display()

    @property
    def model_quantiles(self) -> list[float]:
        return list(self.prediction.model_quantiles)

    @property
    def baseline_name(self) -> str:
        return FHS_NAME

    @property
    def baseline_quantiles(self) -> list[float]:
        return list(self.prediction.fhs_quantiles)

    @property
    def baseline_band_80(self) -> Band:
        return self.baseline_quantiles[BAND_80[0]], self.baseline_quantiles[BAND_80[1]]

    @property
    def ewma_quantiles(self) -> list[float]:
        return list(self.prediction.ewma_quantiles)

    @property
    def label(self) -> str:
        return self.evidence.label


@dataclass(frozen=True)
class Fan:
    """The newest forecast of a coin at all horizons, shortest first."""

    coin: Cryptocurrency
    model: TrainedModel
    horizons: list[FanHorizon]
    is_stale: bool

    @property
    def first(self) -> Prediction:
        return self.horizons[0].prediction

    @property
    def cutoff_at(self) -> datetime:
        return self.first.cutoff_at

    @property
    def issued_at(self) -> datetime:
        return self.first.issued_at

    @property
    def base_price(self) -> float:
        return self.first.base_price

    @property
    def is_sample(self) -> bool:
        return self.first.is_sample

    @property
    def counts_as_evidence(self) -> bool:
        return self.first.counts_as_evidence

    @property
    def headline_horizons(self) -> list[FanHorizon]:
        return [one for one in self.horizons if one.horizon_days in HEADLINE_HORIZONS]

    def at(self, horizon_days: int) -> FanHorizon | None:
        """The fan at one horizon, or None."""
        return next((one for one in self.horizons if one.horizon_days == horizon_days), None)


def forecast_for(coin: Cryptocurrency, *, now: datetime | None = None) -> Fan | NoForecast:
    """The coin's newest fan, or why there is none."""
    predictions = list(Prediction.objects.latest_fan(coin).with_model())
    if not predictions:
        return _why_none(coin)
    return fan_from(coin, predictions, now=now or timezone.now())


def fan_from(coin: Cryptocurrency, predictions: list[Prediction], *, now: datetime) -> Fan:
    """The fan that the rows of one issue make, given shortest horizon first."""
    model = predictions[0].model
    evidence, stopped = evidence_by_horizon(), why_not_the_headline(model)
    return Fan(
        coin=coin,
        model=model,
        horizons=[FanHorizon(one, evidence[one.horizon_days], stopped) for one in predictions],
        is_stale=now - predictions[0].cutoff_at > STALE_AFTER,
    )


def bands_for(coins: list[Cryptocurrency], *, horizon_days: int) -> dict[int, Prediction]:
    """The newest forecast at one horizon of each coin, by the coin's primary key, in one query."""
    published = Prediction.objects.published()
    newest = published.filter(horizon_days=horizon_days).order_by("-cutoff_at").values("cutoff_at")[:1]
    rows = published.filter(coin__in=coins, horizon_days=horizon_days, cutoff_at=newest).order_by("sequence")
    return {row.coin_id: row for row in rows}


def _why_none(coin: Cryptocurrency) -> NoForecast:
    refusal = ForecastRefusal.objects.filter(coin=coin).first()
    if refusal is not None:
        short = refusal.reason.startswith("not enough data")
        return NoForecast("not_enough_data" if short else "not_forecastable", refusal.reason)
    if not coin.is_tracked:
        return NoForecast("not_tracked", "This coin is listed, but its history is not collected here.")
    if not PriceData.objects.sound().filter(coin=coin, interval=Interval.DAY).exists():
        return NoForecast("first_sync", "The first sync of this coin's history has not finished.")
    if TrainedModel.objects.serving() is None:
        return NoForecast("no_model", "No model serves yet.")
    return NoForecast("none_yet", "The first forecast has not been issued yet.")
