"""Forecasts for any page that shows coins: bands in a list, a coin's fan, labels and evidence in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from markets.charts import ChartView, CoinChart
from markets.models import Cryptocurrency
from predictions import charts, words
from predictions.fans import Fan, NoForecast, bands_for, forecast_for
from predictions.forecasting.labels import Evidence
from predictions.forecasting.quantiles import BAND_80
from predictions.frequency import Frequency
from predictions.models import Prediction
from predictions.record import evidence_by_horizon

register = template.Library()

STRIP_LENGTH = 20
# What a coin's page is asked to show the future in.
AHEAD = {"days": Frequency.DAY, "hours": Frequency.HOUR}


@dataclass(frozen=True)
class Bands:
    """The newest forecasts of some coins at one horizon, by primary key, and that horizon's label."""

    by_coin: dict[int, Prediction]
    label: str


@dataclass(frozen=True)
class CoinForecast:
    """All that a coin's page shows of its forecasts."""

    frequency: Frequency
    figure: charts.Figure
    fan: Fan | None
    bars: list[tuple[Any, charts.BandBar]]
    reason: NoForecast | None
    past: list[Prediction]
    strip: list[Prediction]

    @property
    def noun(self) -> str:
        return self.frequency.noun

    @property
    def past_hits(self) -> int:
        return sum(one.is_hit_80 is True for one in self.past)

    @property
    def strip_hits(self) -> int:
        return sum(one.is_hit_80 is True for one in self.strip)

    @property
    def expected_hits(self) -> int:
        """How many of the strip an honest 80 % band holds."""
        return round(0.8 * len(self.strip))


@register.simple_tag
def bands_for_coins(coins: Sequence[Cryptocurrency], horizon_days: int) -> Bands:
    """The bands of a page of coins, in a fixed number of queries."""
    return Bands(
        by_coin=bands_for(list(coins), horizon_days=horizon_days),
        label=evidence_by_horizon()[horizon_days].label,
    )


@register.inclusion_tag("predictions/includes/band_cell.html")
def band_cell(bands: Bands, coin: Cryptocurrency) -> dict[str, Any]:
    """A coin's 80 % band with its label, or — without a forecast."""
    prediction = bands.by_coin.get(coin.pk)
    low, high = (prediction.quantiles[i] for i in BAND_80) if prediction else (None, None)
    return {"prediction": prediction, "low": low, "high": high, "label": bands.label}


@register.simple_tag
def coin_forecast(coin: Cryptocurrency, chart: CoinChart, view: ChartView) -> CoinForecast:
    """The coin's fan or why there is none, its figure with the fan in it, and how the last ones did."""
    frequency, range_name = AHEAD[view.ahead], view.range
    found = forecast_for(coin, frequency=frequency)
    fan = found if isinstance(found, Fan) else None
    start: datetime | None = chart.start_at
    past = []
    if chart.has_points:
        past = charts.past_forecasts(coin, frequency=frequency, range_name=range_name, start=start)
    strip = Prediction.objects.evidence().for_coin(coin).at_horizon(frequency, 1)
    return CoinForecast(
        frequency=frequency,
        figure=charts.with_forecasts(chart.figure, fan=fan, past=past, range_name=range_name),
        fan=fan,
        bars=list(zip(fan.headline_horizons, charts.band_bars(fan), strict=True)) if fan else [],
        reason=found if isinstance(found, NoForecast) else None,
        past=past,
        strip=list(strip.order_by("-target_at", "-sequence")[:STRIP_LENGTH])[::-1],
    )


@register.filter
def label_badge(label: str) -> SafeString:
    """A label as a badge."""
    found = words.label_words(label)
    return format_html('<span class="badge {}">{}</span>', found.css_class, found.text)


@register.filter
def evidence_sentence(evidence: Evidence) -> str:
    """What a label rests on."""
    return words.evidence_sentence(evidence)


@register.filter
def horizon_words(prediction: Prediction) -> str:
    """7 days, or 6 hours for a forecast from hourly prices."""
    return words.count(prediction.horizon, Frequency(prediction.frequency).noun)


@register.filter
def counted(number: int, noun: str) -> str:
    """7|counted:"day" is 7 days."""
    return words.count(number, noun)
