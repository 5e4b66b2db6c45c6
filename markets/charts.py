"""A coin's chart as a Plotly figure made of plain lists and dicts, and the table that shows the same data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone

from markets.amounts import compact_text
from markets.models import Cryptocurrency, Interval
from markets.series import CANDLES, RANGES, Candles, PriceSeries, candles, price_series

RANGE_NAMES = {"1d": "1D", "7d": "7D", "30d": "1M", "90d": "3M", "1y": "1Y", "all": "All"}
STYLES = {"line": "Line", "candles": "Candles"}
SCALES = {"linear": "Linear", "log": "Log"}
AHEADS = {"days": "Days", "hours": "Hours"}
# The ranges in which what lies so far ahead can be seen, the first of them the usual one.
RANGES_OF_AHEAD = {"days": ("90d", "7d", "30d", "1y", "all"), "hours": ("1d", "7d")}
CANDLE_OF_RANGE = {"1d": "1h", "7d": "4h", "30d": "4h", "90d": "1d", "1y": "1d", "all": "1w"}
MAX_POINTS = 400
CHART_DIGITS = 7
SPARKLINE_POINTS = 42

Figure = dict[str, Any]

CHOICES = {"range": RANGE_NAMES, "style": STYLES, "scale": SCALES, "ahead": AHEADS}


class BadChart(ValueError):
    """The address asks for a range, style or scale that does not exist; the text says which do."""


@dataclass(frozen=True)
class ChartView:
    """Which chart of a coin is shown: its range, line or candles, the price axis, and how far ahead it looks."""

    range: str = "90d"
    style: str = "line"
    scale: str = "linear"
    ahead: str = "days"

    @classmethod
    def from_address(cls, parameters: QueryDict) -> "ChartView":
        """Reads `range`, `style`, `scale` and `ahead`; raises BadChart."""
        chosen = {}
        for name, choices in CHOICES.items():
            value = parameters.get(name) or getattr(cls(), name)
            if value not in choices:
                raise BadChart(f"There is no {name} “{value[:40]}”. It is one of {', '.join(choices)}.")
            chosen[name] = value
        return cls(**chosen)

    def address(self, **changes: str) -> str:
        """The query string of this chart with some parts changed; what is default is left out."""
        parts = {name: getattr(self, name) for name in CHOICES} | changes
        default = ChartView()
        return "?" + urlencode({name: value for name, value in parts.items() if value != getattr(default, name)})

    def choices(self, name: str) -> list[tuple[str, str, bool]]:
        """(label, address, whether chosen) for each value of `range`, `style` or `scale`."""
        names = CHOICES[name]
        return [(label, self.address(**{name: value}), value == getattr(self, name)) for value, label in names.items()]

    @property
    def aheads(self) -> list[tuple[str, str, bool]]:
        """As `choices`; a range in which nothing of it could be seen gives way to the usual one."""
        found = []
        for value, label in AHEADS.items():
            ranges = RANGES_OF_AHEAD[value]
            chosen = self.range if value == self.ahead or self.range in ranges else ranges[0]
            found.append((label, self.address(ahead=value, range=chosen), value == self.ahead))
        return found

    @property
    def ranges(self) -> list[tuple[str, str, bool]]:
        return self.choices("range")

    @property
    def styles(self) -> list[tuple[str, str, bool]]:
        return self.choices("style")

    @property
    def scales(self) -> list[tuple[str, str, bool]]:
        return self.choices("scale")


@dataclass(frozen=True)
class CoinChart:
    """A figure, the rows it draws (at, open, high, low, close, volume), and what they are."""

    figure: Figure
    rows: list[tuple[datetime, float, float, float, float, float | None]]
    interval: str
    total_points: int
    is_downsampled: bool
    start_at: datetime | None

    @property
    def has_points(self) -> bool:
        return bool(self.rows)


def coin_chart(coin: Cryptocurrency, view: ChartView) -> CoinChart:
    """The chart that a view asks for; ranges end at the coin's newest price."""
    span = RANGES[view.range]
    newest = coin.price_at or timezone.now()
    start = newest - span if span else None
    drawn: Candles | PriceSeries
    if view.style == "candles":
        drawn = _candles(coin, view, start)
        price = _candle_trace(drawn)
        total, is_downsampled = len(drawn.at), False
        ends = drawn.at
    else:
        series = price_series(coin, start=start, end=None, max_points=MAX_POINTS)
        drawn = series
        total, is_downsampled = series.total_points, series.is_downsampled
        # A slot's close is the price at its end; the running slot ends now.
        ends = [min(at + Interval(drawn.interval).length, max(newest, at)) for at in drawn.at]
        price = _line_trace(series, ends)
    rows = list(zip(drawn.at, drawn.open, drawn.high, drawn.low, drawn.close, drawn.volume_24h, strict=True))
    return CoinChart(
        figure={"data": [price, _volume_trace(drawn, ends)], "layout": _layout(view, drawn.close)},
        rows=rows[::-1],
        interval=drawn.interval,
        total_points=total,
        is_downsampled=is_downsampled,
        start_at=drawn.at[0] if drawn.at else None,
    )


def _candles(coin: Cryptocurrency, view: ChartView, start: datetime | None) -> Candles:
    """The candles that suit the range; daily ones where the finer history does not reach."""
    interval = CANDLE_OF_RANGE[view.range]
    found = candles(coin, interval=interval, start=start, end=None)
    if CANDLES[interval][0] == Interval.HOUR and len(found.at) < 2:
        return candles(coin, interval="1d", start=start, end=None)
    return found


def _line_trace(drawn: PriceSeries, ends: Sequence[datetime]) -> dict[str, Any]:
    x, y = broken_line(ends, drawn.close, drawn.is_after_gap)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Price",
        "x": x,
        "y": y,
        "line": {"color": "var(--chart-price)", "width": 1.8},
    }


def _candle_trace(drawn: Candles) -> dict[str, Any]:
    return {
        "type": "candlestick",
        "name": "Price",
        "x": [stamp(at) for at in drawn.at],
        "open": rounded(drawn.open),
        "high": rounded(drawn.high),
        "low": rounded(drawn.low),
        "close": rounded(drawn.close),
        # Rising candles are hollow: the direction does not rest on colour alone.
        "increasing": {"line": {"color": "var(--up)", "width": 1.2}, "fillcolor": "var(--surface)"},
        "decreasing": {"line": {"color": "var(--down)", "width": 1.2}, "fillcolor": "var(--down)"},
    }


def _volume_trace(drawn: PriceSeries | Candles, ends: Sequence[datetime]) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": "24h volume",
        "x": [stamp(at) for at in ends],
        "y": rounded(drawn.volume_24h),
        "yaxis": "y2",
        "marker": {"color": "var(--chart-volume)"},
        "text": [compact_text(volume) for volume in drawn.volume_24h],
        "textposition": "none",
        "hovertemplate": "%{text}<extra>24h volume</extra>",
    }


def _layout(view: ChartView, closes: Sequence[float]) -> dict[str, Any]:
    return base_layout() | {
        "xaxis": {
            "type": "date",
            "rangeslider": {"visible": False},
            "showgrid": False,
            "anchor": "y2",
            "nticks": 7,
            "tickangle": 0,
        },
        "yaxis": {
            "type": view.scale,
            "side": "right",
            "domain": [0.2, 1],
            "tickprefix": "$",
            "exponentformat": "none",
            "hoverformat": price_format(closes),
        },
        "yaxis2": {
            "domain": [0, 0.14],
            "side": "right",
            "tickprefix": "$",
            "exponentformat": "B",
            "nticks": 3,
            "rangemode": "tozero",
        },
        "hovermode": "x unified",
        "bargap": 0.15,
    }


def base_layout() -> dict[str, Any]:
    """What all our figures share; colours are the site's custom properties, resolved by chart.js."""
    return {
        "margin": {"l": 8, "r": 64, "t": 8, "b": 32},
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "dragmode": False,
    }


def broken_line(
    ends: Sequence[datetime], closes: Sequence[float], is_after_gap: Sequence[bool]
) -> tuple[list[str], list[float | None]]:
    """A line's x and y with a point of no value wherever slots are missing, so that it ends and begins anew."""
    x: list[str] = []
    y: list[float | None] = []
    for end, close, is_new in zip(ends, rounded(closes), is_after_gap, strict=True):
        if is_new:
            x.append(x[-1])
            y.append(None)
        x.append(stamp(end))
        y.append(close)
    return x, y


def price_format(prices: Sequence[float]) -> str:
    """The d3 format for prices of this size; below one dollar four significant digits."""
    return ",.2f" if prices and max(prices) >= 1 else ",.4r"


def stamp(at: datetime) -> str:
    """A moment as Plotly reads it: UTC without a zone."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def rounded(values: Sequence[float | None]) -> list[float | None]:
    """Values to seven significant digits: more than a pixel shows, and half the bytes."""
    return [None if value is None else float(f"{value:.{CHART_DIGITS}g}") for value in values]


def sparkline_path(prices: Sequence[float | None]) -> str:
    """An SVG path through prices in a box of 100 by 30, thinned but for both ends; empty below two prices."""
    known = [price for price in prices if price is not None and math.isfinite(price)]
    if len(known) < 2:
        return ""
    count = min(len(known), SPARKLINE_POINTS)
    points = [known[round(i * (len(known) - 1) / (count - 1))] for i in range(count)]
    low, high = min(points), max(points)
    height = (high - low) or 1.0
    steps = [
        f"{i * 100 / (count - 1):.3g} {29 - 28 * (price - low) / height if high > low else 15:.3g}"
        for i, price in enumerate(points)
    ]
    return "M" + "L".join(steps)
