"""Forecast figures for Plotly, made of plain lists and dicts: fans, past bands, calibration, skill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markets.charts import Figure, base_layout, broken_line, price_format, rounded, stamp
from markets.models import Cryptocurrency, Interval, PriceData
from predictions.fans import Fan
from predictions.forecasting.quantiles import BAND_80, BAND_95, MEDIAN
from predictions.frequency import Frequency
from predictions.models import Prediction
from predictions.record import HorizonRecord, MonthRecord

# How far ahead a chart of each range looks, and which past forecasts it lays over what happened.
FAN_REACH = {
    Frequency.DAY: {"1d": 1, "7d": 7, "30d": 14, "90d": 30, "1y": 30, "all": 30},
    Frequency.HOUR: dict.fromkeys(("1d", "7d", "30d", "90d", "1y", "all"), 24),
}
PAST_HORIZON = {
    Frequency.DAY: {"1d": 1, "7d": 1, "30d": 1, "90d": 7, "1y": 7, "all": 30},
    Frequency.HOUR: {"1d": 1, "7d": 6, "30d": 24, "90d": 24, "1y": 24, "all": 24},
}
PAST_SHOWN = 60
SLOTS_BEFORE_CUTOFF = {Frequency.DAY: 45, Frequency.HOUR: 48}


@dataclass(frozen=True)
class BandBar:
    """One horizon's bands on a scale from 0 to 1000 that a fan's horizons share."""

    low_95: float
    width_95: float
    low_80: float
    width_80: float
    low_fhs: float
    width_fhs: float
    now: float


def past_forecasts(
    coin: Cryptocurrency, *, frequency: Frequency = Frequency.DAY, range_name: str, start: datetime | None
) -> list[Prediction]:
    """Scored evidence whose target lies in the chart's range, newest first, at the horizon that suits the range.

    Only forecasts whose spans do not overlap are kept, so that none repeats another's outcome.
    """
    horizon = PAST_HORIZON[frequency][range_name]
    found = Prediction.objects.evidence().for_coin(coin).at_horizon(frequency, horizon)
    if start is not None:
        found = found.filter(target_at__gte=start)
    kept: list[Prediction] = []
    for one in found.order_by("-target_at", "-sequence")[: PAST_SHOWN * horizon]:
        if not kept or one.target_at <= kept[-1].cutoff_at:
            kept.append(one)
    return kept[:PAST_SHOWN]


def with_forecasts(figure: Figure, *, fan: Fan | None, past: Sequence[Prediction], range_name: str) -> Figure:
    """A coin's price figure with the fan ahead and past bands laid over what happened; makes a new one."""
    traces = [*_past_traces(past)]
    if fan is not None:
        shown = [one.prediction for one in fan.horizons if one.horizon <= FAN_REACH[fan.frequency][range_name]]
        traces = [*fan_traces(shown), *traces]
    # Behind the price: the first traces are drawn first.
    return {"data": [*traces, *figure["data"]], "layout": figure["layout"]}


def fan_traces(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The bands, the median and the baseline's 80 % outline of one issue, given shortest horizon first."""
    if not predictions:
        return []
    x = [stamp(predictions[0].cutoff_at), *(stamp(one.target_at) for one in predictions)]
    base = predictions[0].base_price

    def column(name: str, index: int) -> list[float | None]:
        return rounded([base, *(getattr(one, name)[index] for one in predictions)])

    edge = {"width": 0, "color": "var(--chart-band-80)"}
    outline = {"color": "var(--chart-baseline)", "width": 1.3, "dash": "dash"}
    parts: list[dict[str, Any]] = [
        {"name": "95% low", "y": column("quantiles", BAND_95[0]), "line": edge},
        {"name": "95% high", "y": column("quantiles", BAND_95[1]), "line": edge,
         "fill": "tonexty", "fillcolor": "var(--chart-band-95)"},
        {"name": "80% low", "y": column("quantiles", BAND_80[0]), "line": edge},
        {"name": "80% high", "y": column("quantiles", BAND_80[1]), "line": edge,
         "fill": "tonexty", "fillcolor": "var(--chart-band-80)"},
        {"name": "Baseline 80% low", "y": column("fhs_quantiles", BAND_80[0]), "line": outline},
        {"name": "Baseline 80% high", "y": column("fhs_quantiles", BAND_80[1]), "line": outline},
        {"name": "Median", "y": column("quantiles", MEDIAN),
         "line": {"color": "var(--chart-median)", "width": 1.5}},
    ]  # fmt: skip
    return [{"type": "scatter", "mode": "lines", "x": x, **part} for part in parts]


def _past_traces(past: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The bands that had been published for past days as bars, and what happened as markers."""
    if not past:
        return []
    bars = {
        "type": "scatter",
        "mode": "lines",
        "name": "80% bands published before",
        "x": [x for one in past for x in (stamp(one.target_at), stamp(one.target_at), None)],
        "y": [y for one in past for y in (*rounded([one.quantiles[i] for i in BAND_80]), None)],
        "line": {"color": "var(--chart-past)", "width": 4},
        "hoverinfo": "skip",
    }
    return [bars, *_outcome_traces(past)]


def _outcome_traces(past: Sequence[Prediction]) -> list[dict[str, Any]]:
    traces = []
    for is_hit, name, symbol, colour in (
        (True, "inside", "circle", "var(--good)"),
        (False, "outside", "diamond-open", "var(--bad)"),
    ):
        rows = [one for one in past if one.is_hit_80 is is_hit]
        if not rows:
            continue
        words = f"{rows[0].horizon}-{Frequency(rows[0].frequency).noun} forecast: {name} its 80% band"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": words,
                "x": [stamp(one.target_at) for one in rows],
                "y": rounded([one.actual_price for one in rows]),
                "marker": {"symbol": symbol, "size": 7, "color": colour, "line": {"width": 1.5, "color": colour}},
                "hovertemplate": f"%{{y}}<extra>{words}</extra>",
            }
        )
    return traces


def band_bars(fan: Fan) -> list[BandBar]:
    """The headline horizons of a fan as bars on one common scale, in the fan's order."""
    rows = [one.prediction for one in fan.headline_horizons]
    edges = [value for one in rows for value in (*_edges(one.quantiles), *_edges(one.fhs_quantiles))]
    if not edges:
        return []
    low, high = min(edges), max(edges)
    span = (high - low) or 1.0

    def at(price: float) -> float:
        return round((price - low) / span * 1000, 1)

    return [_band_bar(one, at) for one in rows]


def _edges(quantiles: Sequence[float]) -> tuple[float, float]:
    return quantiles[BAND_95[0]], quantiles[BAND_95[1]]


def _band_bar(one: Prediction, at: Any) -> BandBar:
    low_95, high_95 = (at(one.quantiles[i]) for i in BAND_95)
    low_80, high_80 = (at(one.quantiles[i]) for i in BAND_80)
    low_fhs, high_fhs = (at(one.fhs_quantiles[i]) for i in BAND_80)
    return BandBar(
        low_95=low_95, width_95=high_95 - low_95, low_80=low_80, width_80=high_80 - low_80,
        low_fhs=low_fhs, width_fhs=high_fhs - low_fhs, now=at(one.base_price),
    )  # fmt: skip


def forecast_figure(prediction: Prediction, issue: Sequence[Prediction]) -> Figure:
    """One forecast among the horizons of its issue, with the prices before it and, once known, after it."""
    frequency = Frequency(prediction.frequency)
    step = frequency.length
    slots = (
        PriceData.objects.of(prediction.coin, Interval(frequency.value))
        .sound()
        .between(prediction.cutoff_at - SLOTS_BEFORE_CUTOFF[frequency] * step, prediction.target_at)
    )
    prices = list(slots.values_list("at", "close"))
    is_after_gap = [number > 0 and at - prices[number - 1][0] > step for number, (at, _) in enumerate(prices)]
    x, y = broken_line([at + step for at, _ in prices], [close for _, close in prices], is_after_gap)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "Price",
        "x": x,
        "y": y,
        "line": {"color": "var(--chart-price)", "width": 1.8},
    }
    shown = [one for one in issue if one.horizon <= prediction.horizon]
    traces = [*fan_traces(shown), line]
    if prediction.actual_price is not None:
        traces += _past_traces([prediction])
    layout = base_layout() | {
        "xaxis": {"type": "date", "showgrid": False, "nticks": 7, "tickangle": 0},
        "yaxis": {
            "side": "right",
            "tickprefix": "$",
            "exponentformat": "none",
            "hoverformat": price_format([prediction.base_price]),
        },
        "hovermode": "x unified",
    }
    return {"data": traces, "layout": layout}


def calibration_figure(calibration: Sequence[tuple[float, float, int]]) -> Figure:
    """How often outcomes fell at or below each quantile, against how often they should."""
    levels = [level for level, _, _ in calibration]
    ideal = {
        "type": "scatter",
        "mode": "lines",
        "name": "Perfect calibration",
        "x": [0, 1],
        "y": [0, 1],
        "line": {"color": "var(--chart-baseline)", "width": 1.3, "dash": "dash"},
        "hoverinfo": "skip",
    }
    observed = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "Observed",
        "x": levels,
        "y": [round(share, 4) for _, share, _ in calibration],
        "line": {"color": "var(--chart-median)", "width": 1.8},
        "marker": {"size": 7, "color": "var(--chart-median)"},
        "hovertemplate": "stated %{x:.1%}, observed %{y:.1%}<extra></extra>",
    }
    axis = {"range": [0, 1], "tickformat": ".0%", "zeroline": False}
    layout = base_layout() | {
        "xaxis": {**axis, "title": {"text": "Stated probability"}},
        "yaxis": {**axis, "title": {"text": "Observed share"}},
        "margin": {"l": 64, "r": 16, "t": 8, "b": 52},
    }
    return {"data": [ideal, observed], "layout": layout}


def skill_figure(horizons: Sequence[HorizonRecord]) -> Figure | None:
    """Skill against the baseline by horizon, with its interval once there is one; None before any score."""
    known = [one for one in horizons if one.evidence_vs_fhs.skill is not None]
    if not known:
        return None
    skills = [one.evidence_vs_fhs.skill or 0.0 for one in known]
    intervals = [one.evidence_vs_fhs.interval for one in known]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "Skill",
        "x": [f"{one.horizon}{one.frequency.unit}" for one in known],
        "y": [round(value, 5) for value in skills],
        "marker": {"size": 9, "color": "var(--chart-median)"},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [round(i[1] - s, 5) if i else 0 for i, s in zip(intervals, skills, strict=True)],
            "arrayminus": [round(s - i[0], 5) if i else 0 for i, s in zip(intervals, skills, strict=True)],
            "color": "var(--chart-median)",
            "thickness": 1.5,
            "width": 4,
        },
        "hovertemplate": "%{x}: %{y:+.2%}<extra></extra>",
    }
    layout = base_layout() | {
        "xaxis": {"type": "category", "title": {"text": "Horizon"}},
        "yaxis": {"tickformat": "+.1%", "title": {"text": "Skill (CRPS)"}, "zeroline": True},
        "margin": {"l": 72, "r": 16, "t": 8, "b": 52},
    }
    return {"data": [trace], "layout": layout}


def coverage_figure(months: Sequence[MonthRecord]) -> Figure | None:
    """The share of outcomes inside both bands by month; None before there are two months to compare."""
    if len(months) < 2:
        return None
    x = [f"{one.month:%b %Y}" for one in months]
    traces: list[dict[str, Any]] = []
    for name, values, nominal, colour in (
        ("80% band", [one.coverage_80 for one in months], 0.8, "var(--chart-median)"),
        ("95% band", [one.coverage_95 for one in months], 0.95, "var(--chart-price)"),
    ):
        ideal = {"color": "var(--chart-baseline)", "width": 1.3, "dash": "dash"}
        traces.append(
            {"type": "scatter", "mode": "lines", "name": f"{nominal:.0%}", "x": [x[0], x[-1]],
             "y": [nominal, nominal], "line": ideal, "hoverinfo": "skip"}
        )  # fmt: skip
        traces.append(
            {"type": "scatter", "mode": "lines+markers", "name": name, "x": x,
             "y": [round(value, 4) for value in values], "line": {"color": colour, "width": 1.8},
             "marker": {"size": 7, "color": colour}, "hovertemplate": f"{name}: %{{y:.1%}}<extra></extra>"}
        )  # fmt: skip
    layout = base_layout() | {
        "xaxis": {"type": "category", "showgrid": False, "nticks": 6, "tickangle": 0},
        "yaxis": {"tickformat": ".0%", "title": {"text": "Inside the band"}, "zeroline": False, "rangemode": "normal"},
        "margin": {"l": 64, "r": 16, "t": 8, "b": 44},
    }
    return {"data": traces, "layout": layout}


STAGE_LINES = ({"color": "var(--chart-baseline)", "dash": "dot"}, {"color": "var(--chart-price)"})


def loss_figure(stages: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """The mean loss of each epoch so far against the epochs done, a line for each stage of a training."""
    lines = [*STAGE_LINES, {"color": "var(--chart-median)", "width": 3}]
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [point[0] for point in points],
            "y": [point[1] for point in points],
            "line": line,
            "hovertemplate": "epoch %{x:.2f}<br>loss %{y:.4f}",
        }
        for (name, points), line in zip(stages.items(), lines, strict=False)
    ]
    layout = base_layout() | {
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": -0.25, "yanchor": "top"},
        "xaxis": {"title": {"text": "epochs"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": "mean pinball loss"}},
    }
    return {"data": data, "layout": layout}
