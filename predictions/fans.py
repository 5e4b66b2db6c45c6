"""A coin's newest forecast at all horizons, ready to be shown, or the reason why there is none."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from markets.models import Cryptocurrency, Interval, PriceData
from predictions.alarms import why_not_the_headline
from predictions.forecasting.labels import Evidence, Label
from predictions.forecasting.quantiles import BAND_80, BAND_95, LEVELS, MEDIAN
from predictions.frequency import Frequency
from predictions.models import ForecastRefusal, Prediction, TrainedModel
from predictions.record import FHS_NAME, evidence_by_horizon

HEADLINE_HORIZONS = (1, 7, 30)  # days
HEADLINES = {Frequency.DAY: HEADLINE_HORIZONS, Frequency.HOUR: (1, 6, 24)}

NOT_SHOWN = "The model has not shown that it does better than the baseline at this horizon."
BASELINE_REASONS = {Label.WORSE_THAN_BASELINE: "The model does worse than the baseline at this horizon."}

Band = tuple[float, float]


def stale_after(frequency: Frequency) -> timedelta:
    """How old the newest forecast may be: two of its intervals."""
    return 2 * frequency.length


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
    def horizon(self) -> int:
        """In days, or in hours of an hourly fan."""
        return self.prediction.horizon

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
    """The newest forecast of a coin at all horizons of a frequency, shortest first."""

    coin: Cryptocurrency
    frequency: Frequency
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
        return [one for one in self.horizons if one.horizon in HEADLINES[self.frequency]]

    def at(self, horizon: int) -> FanHorizon | None:
        """The fan at one horizon, or None."""
        return next((one for one in self.horizons if one.horizon == horizon), None)


def forecast_for(
    coin: Cryptocurrency, *, frequency: Frequency = Frequency.DAY, now: datetime | None = None
) -> Fan | NoForecast:
    """The coin's newest fan, or why there is none."""
    predictions = list(Prediction.objects.latest_fan(coin, frequency).with_model())
    if not predictions:
        return _why_none(coin, frequency)
    return fan_from(coin, predictions, now=now or timezone.now())


def fan_from(coin: Cryptocurrency, predictions: list[Prediction], *, now: datetime) -> Fan:
    """The fan that the rows of one issue make, given shortest horizon first."""
    model, frequency = predictions[0].model, Frequency(predictions[0].frequency)
    evidence, stopped = evidence_by_horizon(frequency), why_not_the_headline(model)
    return Fan(
        coin=coin,
        frequency=frequency,
        model=model,
        horizons=[FanHorizon(one, evidence[one.horizon], stopped) for one in predictions],
        is_stale=now - predictions[0].cutoff_at > stale_after(frequency),
    )


def bands_for(coins: list[Cryptocurrency], *, horizon_days: int) -> dict[int, Prediction]:
    """The newest daily forecast at one horizon of each coin, by the coin's primary key, in one query."""
    published = Prediction.objects.published().at_horizon(Frequency.DAY, horizon_days)
    newest = published.order_by("-cutoff_at").values("cutoff_at")[:1]
    rows = published.filter(coin__in=coins, cutoff_at=newest).order_by("sequence")
    return {row.coin_id: row for row in rows}


def _why_none(coin: Cryptocurrency, frequency: Frequency) -> NoForecast:
    refusal = ForecastRefusal.objects.filter(coin=coin, frequency=frequency).first()
    if refusal is not None:
        short = refusal.reason.startswith("not enough data")
        return NoForecast("not_enough_data" if short else "not_forecastable", refusal.reason)
    if not coin.is_tracked:
        return NoForecast("not_tracked", "This coin is listed, but its history is not collected here.")
    if not PriceData.objects.sound().filter(coin=coin, interval=Interval(frequency.value)).exists():
        return NoForecast("first_sync", "The first sync of this coin's history has not finished.")
    if TrainedModel.objects.serving(frequency) is None:
        return NoForecast("no_model", "No model serves yet.")
    rank = Cryptocurrency.objects.tracked().listed().filter(market_cap_rank__lt=coin.market_cap_rank or 0).count()
    if frequency is Frequency.HOUR and (coin.market_cap_rank is None or rank >= settings.HOURLY_COINS):
        return NoForecast(
            "on_demand",
            f"Hourly forecasts are issued for the {settings.HOURLY_COINS} largest coins; "
            "of any other one is made when the API is asked for it.",
        )
    return NoForecast("none_yet", "The first forecast has not been issued yet.")
